"""What causes a synthetic recording: subjects, and the course of pain and of the face through a clip.

The class sets how strong the stimulus is, the subject how it is felt. What is felt drives the biosignals; the face
shows it only as far as the subject is expressive, not in every clip, and mixed with expressions of another cause.
Everything is a function of continuous time, so that 25 Hz video and 512 Hz signals sample one and the same course.
"""

from dataclasses import dataclass

import numpy as np

ACTIONS = ("brow", "eyes", "nose", "mouth", "open", "smile", "blink")
"""Brow lowering, eye narrowing, nose wrinkling, mouth stretching, jaw opening, smiling, blinking; each about 0 to 1."""

_LEVELS = {"BL1": 0.0, "PA1": 0.3, "PA2": 0.5, "PA3": 0.75, "PA4": 1.0}
_DISTRACTIONS = ("smile", "talk", "frown")


@dataclass(frozen=True)
class Subject:
    """One invented person.

    Attributes:
        name: like a BioVid subject's, e.g. `071309_w_21`.
        index: position in the corpus, from which every random stream of the subject is derived.
        expressiveness: how much of the felt intensity the face shows; near 0 for about a quarter of the subjects.
        bias: added to every felt stimulus.
        pattern: share of the expression in the actions brow, eyes, nose, mouth, open.
        lability: size of the skin conductance responses in microsiemens at full intensity.
        heart_rate: at rest, in beats a minute.
    """

    name: str
    index: int
    expressiveness: float
    bias: float
    pattern: tuple[float, float, float, float, float]
    lability: float
    heart_rate: int

    @property
    def sex(self) -> str:
        """`w` or `m`."""
        return self.name.split("_")[1]

    @property
    def age(self) -> int:
        """In years."""
        return int(self.name.split("_")[2])


@dataclass(frozen=True, eq=False)
class Course:
    """The truth of one clip.

    Attributes:
        felt: pain intensity on the plateau, about 0 to 1.
        onset: when the pain starts to rise, in seconds.
        rise: time constant of the rise, in seconds.
        shown: felt intensity that reaches the face, after the subject's expressiveness.
        distraction: an expression with another cause: smile, talk, frown, or none.
        strength: of the distraction, 0 to 1.
        centre: when the distraction is strongest, in seconds.
        blinks: times of the blinks, in seconds.
        ripple: frequency in Hz, phase in radians and amplitude of slow fluctuations, shape (3, actions + 1, 4).
    """

    felt: float
    onset: float
    rise: float
    shown: float
    distraction: str | None
    strength: float
    centre: float
    blinks: np.ndarray
    ripple: np.ndarray

    def intensity(self, times: np.ndarray) -> np.ndarray:
        """Latent pain intensity, shape (T,), at times in seconds."""
        return np.clip(self.felt * self._ramp(times) + self._ripple(times)[:, -1] * 0.5, 0.0, 1.3)

    def actions(self, times: np.ndarray, pattern: tuple[float, ...]) -> np.ndarray:
        """How strongly each of ACTIONS is shown, shape (T, 7), at times in seconds."""
        actions = self._ripple(times)[:, :-1]
        actions[:, : len(pattern)] += self.shown * self._ramp(times - 0.3)[:, None] * np.asarray(pattern)
        bump = self.strength * np.exp(-0.5 * ((times - self.centre) / 1.1) ** 2)
        if self.distraction == "smile":
            actions[:, ACTIONS.index("smile")] += bump
            actions[:, ACTIONS.index("eyes")] += 0.45 * bump
        elif self.distraction == "talk":
            actions[:, ACTIONS.index("open")] += bump * (0.5 + 0.5 * np.sin(2 * np.pi * 3.1 * times))
        elif self.distraction == "frown":
            actions[:, ACTIONS.index("brow")] += bump
            actions[:, ACTIONS.index("eyes")] += 0.4 * bump
        since = times[:, None] - self.blinks
        actions[:, ACTIONS.index("blink")] = np.exp(-0.5 * (since / 0.055) ** 2).sum(axis=1)
        return np.clip(actions, 0.0, 1.0)

    def _ramp(self, times: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-(times - self.onset - 2 * self.rise) / (0.5 * self.rise)))

    def _ripple(self, times: np.ndarray) -> np.ndarray:
        frequency, phase, amplitude = self.ripple
        return (amplitude * np.sin(2 * np.pi * frequency * times[:, None, None] + phase)).sum(axis=-1)


def stream(seed: int, *key: int) -> np.random.Generator:
    """An independent random stream for every key, whatever order or process it is drawn in."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def draw_subjects(seed: int, count: int) -> list[Subject]:
    """The first `count` subjects of a seed; a larger corpus starts with the same ones."""
    subjects: list[Subject] = []
    names: set[str] = set()
    for index in range(count):
        rng = stream(seed, index)
        name = _name(rng)
        while name in names:
            name = _name(rng)
        names.add(name)
        inexpressive = rng.random() < 0.25
        pattern = rng.uniform([0.6, 0.5, 0.4, 0.3, 0.0], [1.0, 1.0, 1.0, 1.0, 0.7])
        subjects.append(
            Subject(
                name=name,
                index=index,
                expressiveness=float(rng.uniform(0.0, 0.12) if inexpressive else rng.uniform(0.5, 1.1)),
                bias=float(rng.normal(0.0, 0.07)),
                pattern=tuple(pattern.tolist()),
                lability=float(rng.lognormal(np.log(1.1), 0.3)),
                heart_rate=int(rng.integers(58, 89)),
            )
        )
    return subjects


def draw_course(rng: np.random.Generator, subject: Subject, class_name: str, seconds: float) -> Course:
    """The truth of one clip of a subject."""
    level = _LEVELS[class_name]
    # Noise grows with the stimulus: nobody feels much without one.
    felt = float(np.clip(level + subject.bias + rng.normal(0.0, 0.06 + 0.12 * level), 0.0, 1.3))
    reacts = rng.random() < 0.85
    shown = felt * subject.expressiveness * float(rng.uniform(0.6, 1.1)) if reacts else 0.0
    shape = (len(ACTIONS) + 1, 4)
    ripple = [rng.uniform(0.1, 0.7, shape), rng.uniform(0, 2 * np.pi, shape), rng.normal(0, 0.03, shape)]
    return Course(
        felt=felt,
        onset=float(rng.uniform(0.16, 0.32) * seconds),
        rise=float(rng.uniform(0.25, 0.5)),
        shown=shown,
        distraction=str(rng.choice(_DISTRACTIONS)) if rng.random() < 0.35 else None,
        strength=float(rng.uniform(0.4, 1.0)),
        centre=float(rng.uniform(0.2, 0.9) * seconds),
        blinks=rng.uniform(0.0, seconds, rng.poisson(0.25 * seconds)),
        ripple=np.stack(ripple),
    )


def _name(rng: np.random.Generator) -> str:
    """Month, day and hour of a recording, sex, age: the shape of BioVid's names."""
    month, day, hour = rng.integers(7, 13), rng.integers(1, 29), rng.integers(8, 21)
    return f"{month:02d}{day:02d}{hour:02d}_{rng.choice(['w', 'm'])}_{rng.integers(20, 66)}"
