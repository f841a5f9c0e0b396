"""What causes a synthetic conversation: people, their valence and arousal, when they speak and when nobody sees them.

Everything is a function of continuous time, so that 25 or 30 Hz pictures, 44.1 kHz sound and annotations sample one and
the same course, and a long video is rendered in pieces.

- Valence and arousal are sums of slow sinusoids, squashed into (-1, 1), around a mean of the recording.
- Two people who talk to each other share part of their arousal.
- An annotator follows a little late and a little wrongly.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.corpora.synthetic_truth import stream

CONTROL_RATE = 50
"""Samples a second of what moves a voice and a mouth."""

SHORTEST, LONGEST = 4.0, 16.0
"""Periods of the sinusoids in seconds: from low to high takes 2 to 8."""

RAMP_S = 0.4
"""How long a face takes to disappear, in seconds."""

_PERSON, _COURSE, _SHARED, _PHRASES = 0, 1, 2, 3
"""Last keys of a video's streams; the first are the video and the person's number in it."""


@dataclass(frozen=True)
class Person:
    """Who acts in a trial.

    Attributes:
        index: unique in the corpus; looks are derived from it.
        sex: `w` or `m`.
        age: in years.
        valence_shown: how much of the valence the face shows.
        arousal_shown: how much of the arousal the face shows; little for half of the people.
        pitch: fundamental frequency of the voice in Hz at an arousal of 0.
        loudness: of the voice at an arousal of 0, in decibels relative to other people's.
    """

    index: int
    sex: str
    age: int
    valence_shown: float
    arousal_shown: float
    pitch: float
    loudness: float


@dataclass(frozen=True, eq=False)
class Waves:
    """A sum of sinusoids: `mean`, and of each its frequency in Hz, phase in radians and amplitude, all (K,)."""

    mean: float
    frequency: np.ndarray
    phase: np.ndarray
    amplitude: np.ndarray

    def __call__(self, times: np.ndarray) -> np.ndarray:
        """Values (T,) at times in seconds."""
        total = np.full(len(times), self.mean)
        for frequency, phase, amplitude in zip(self.frequency, self.phase, self.amplitude, strict=True):
            total += amplitude * np.sin(2 * np.pi * frequency * times + phase)
        return total

    def plus(self, other: "Waves") -> "Waves":
        """The sum of both."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("frequency", "phase", "amplitude"))
        return Waves(self.mean + other.mean, *(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True, eq=False)
class Performance:
    """The truth of one trial.

    Attributes:
        person: who acts.
        valence_waves, arousal_waves: before they are squashed into (-1, 1).
        errors: of the annotator, for valence and arousal.
        lag_s: how far the annotator follows behind, in seconds.
        covered: runs (n, 2) in seconds during which something is held before the face.
        gone: runs (n, 2) in seconds during which the person is out of the picture.
        phrases: runs (n, 2) in seconds during which the person speaks.
    """

    person: Person
    valence_waves: Waves
    arousal_waves: Waves
    errors: tuple[Waves, Waves]
    lag_s: float
    covered: np.ndarray
    gone: np.ndarray
    phrases: np.ndarray

    def valence(self, times: np.ndarray) -> np.ndarray:
        """Valence (T,) in (-1, 1) at times in seconds."""
        return np.tanh(self.valence_waves(times))

    def arousal(self, times: np.ndarray) -> np.ndarray:
        """Arousal (T,) in (-1, 1) at times in seconds."""
        return np.tanh(self.arousal_waves(times))

    def hidden(self, times: np.ndarray) -> np.ndarray:
        """Whether nothing of the face is to be seen, (T,) bool, at ascending times in seconds."""
        return (during(times, self.covered) == 1.0) | (during(times, self.gone) == 1.0)

    def annotations(self, times: np.ndarray) -> np.ndarray:
        """Valence and arousal as an annotator has them, (T, 2) in [-1, 1]; NaN where the face is hidden."""
        before = times - self.lag_s
        values = np.stack([self.valence(before), self.arousal(before)], axis=1)
        values += np.stack([error(times) for error in self.errors], axis=1)
        values = np.clip(values, -1.0, 1.0)
        values[self.hidden(times)] = np.nan
        return values


@dataclass(frozen=True, eq=False)
class Speech:
    """How a person speaks, sampled CONTROL_RATE times a second.

    Attributes:
        times: in seconds, (C,).
        arousal, valence: of the speaker, (C,).
        syllables: number of syllables begun so far, with the share of the present one, (C,).
        strength: how loud the syllable is at that moment, 0 to 1 and 0 in pauses, (C,).
    """

    times: np.ndarray
    arousal: np.ndarray
    valence: np.ndarray
    syllables: np.ndarray
    strength: np.ndarray


def speech_of(performance: Performance, seconds: float) -> Speech:
    """How the person of a trial speaks: the faster, the higher the arousal."""
    times = np.arange(int(np.ceil(seconds * CONTROL_RATE)) + 1) / CONTROL_RATE
    arousal = performance.arousal(times)
    syllables = np.cumsum(4.2 + 1.3 * arousal) / CONTROL_RATE
    pulse = (0.5 - 0.5 * np.cos(2 * np.pi * syllables)) ** 1.3
    strength = during(times, performance.phrases, ramp=0.06) * pulse
    return Speech(times, arousal, performance.valence(times), syllables, strength)


def draw_performances(seed: int, video: int, people: int, seconds: float) -> list[Performance]:
    """The truth of a video's trials.

    Args:
        seed: of the corpus.
        video: number in the corpus.
        people: 1, or 2 who take turns at speaking and share part of their arousal.
        seconds: length of the video.
    """
    shared = _waves(stream(seed, video, 0, _SHARED), 0.45 if people > 1 else 0.0, 0.0)
    phrases = _draw_phrases(stream(seed, video, 0, _PHRASES), people, seconds)
    performances = []
    for number in range(people):
        rng = stream(seed, video, number, _COURSE)
        arousal = _waves(rng, 0.4 if people > 1 else 0.6, 0.25)
        runs = _draw_absences(rng, seconds)
        away = rng.random(len(runs)) < 0.4
        performances.append(
            Performance(
                person=draw_person(stream(seed, video, number, _PERSON), 2 * video + number),
                valence_waves=_waves(rng, 0.6, 0.25),
                arousal_waves=arousal.plus(shared),
                errors=(_waves(rng, 0.04, 0.0, 0.5, 2.0), _waves(rng, 0.04, 0.0, 0.5, 2.0)),
                lag_s=float(rng.uniform(0.05, 0.25)),
                covered=runs[~away],
                gone=runs[away],
                phrases=phrases[number],
            )
        )
    return performances


def draw_person(rng: np.random.Generator, index: int) -> Person:
    """Invent a person."""
    sex = str(rng.choice(["w", "m"]))
    subdued = rng.random() < 0.5
    return Person(
        index=index,
        sex=sex,
        age=int(rng.integers(20, 66)),
        valence_shown=float(rng.uniform(0.6, 1.1)),
        arousal_shown=float(rng.uniform(0.0, 0.2) if subdued else rng.uniform(0.6, 1.1)),
        pitch=float(rng.uniform(160, 200) if sex == "w" else rng.uniform(115, 145)),
        loudness=float(rng.normal(0.0, 1.5)),
    )


def during(times: np.ndarray, runs: np.ndarray, ramp: float = RAMP_S) -> np.ndarray:
    """1 within runs (n, 2), falling smoothly to 0 over `ramp` seconds around them; (T,) at ascending times."""
    value = np.zeros(len(times))
    for start, stop in runs:
        near = slice(*np.searchsorted(times, (start - ramp, stop + ramp)))
        inside = np.minimum(times[near] - start, stop - times[near])
        share = np.clip(1.0 + inside / ramp, 0.0, 1.0)
        value[near] = np.maximum(value[near], share * share * (3 - 2 * share))
    return value


def _waves(
    rng: np.random.Generator, size: float, spread: float, shortest: float = SHORTEST, longest: float = LONGEST
) -> Waves:
    """Six sinusoids that add up to a standard deviation of `size`, around a mean that varies by `spread`."""
    count = 6
    frequency = 1.0 / np.exp(rng.uniform(np.log(shortest), np.log(longest), count))
    share = rng.uniform(0.4, 1.0, count)
    amplitude = size * np.sqrt(2.0) * share / np.linalg.norm(share)
    return Waves(float(rng.normal(0.0, spread)), frequency, rng.uniform(0, 2 * np.pi, count), amplitude)


def _draw_absences(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Runs (n, 2) without a face, one in each of equal parts of the video; at least one."""
    count = 1 + int(min(rng.poisson(seconds / 40), seconds // 3))
    part = seconds / count
    start = (np.arange(count) + rng.uniform(0.25, 0.6, count)) * part
    return np.stack([start, start + np.minimum(rng.uniform(0.6, 2.0, count), 0.3 * part)], axis=1)


def _draw_phrases(rng: np.random.Generator, people: int, seconds: float) -> list[np.ndarray]:
    """Runs (n, 2) of speech of each person, who speak in turn with short pauses between."""
    runs: list[list[tuple[float, float]]] = [[] for _ in range(people)]
    now, speaker = float(rng.uniform(0.0, 0.4)), 0
    while now < seconds:
        stop = now + float(rng.uniform(1.5, 4.0))
        runs[speaker].append((now, stop))
        now = stop + float(rng.uniform(0.15, 0.5))
        speaker = (speaker + 1) % people
    return [np.array(own).reshape(-1, 2) for own in runs]
