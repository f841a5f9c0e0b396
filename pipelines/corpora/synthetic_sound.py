"""Voices that carry arousal: a source of harmonics and breath, shaped by the formants of vowels.

    arousal -> pitch (up to 0.8 octaves), loudness (some 20 dB), flatter spectrum, faster syllables
    valence -> formants up by 8 %: smiling lips shorten the vocal tract

- All harmonics of a pitch at once cost one cosine a sample: with amplitudes r^k, sum_k r^k cos(k phi) =
  (r cos phi - r^2) / (1 - 2 r cos phi + r^2), and r is the slope of the spectrum.
- Formants are second-order resonators in cascade (Klatt 1980, doi:10.1121/1.383940), set anew every 20 ms.
- Sound is made in blocks of one second: memory is flat in the length of a track.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.corpora.synthetic_affwild2_truth import CONTROL_RATE, Person, Speech

RATE = 44100
"""Samples a second."""

_STEP = RATE // 50
"""Samples between two settings of the formants."""

_VOWELS = np.array([(700, 1200, 2550), (550, 1750, 2500), (320, 2200, 2900), (470, 900, 2450), (340, 800, 2350)])
"""Formants in Hz of vowels as in father, bed, see, law, too."""
_BANDWIDTHS = np.array([80.0, 110.0, 160.0])

_SPEECH_DB, _ROOM_DB = -34.0, -66.0
"""Root mean square of a source at an arousal of 0, and of the room's noise, relative to full scale."""


def speak(
    rng: np.random.Generator, people: Sequence[Person], speeches: Sequence[Speech], *, start_s: float, stop_s: float
) -> Iterator[np.ndarray]:
    """The sound of people in one room.

    Args:
        rng: the track's random stream.
        people: who speaks.
        speeches: how each of them does.
        start_s: when the track starts, on the time axis of the speeches.
        stop_s: when it ends.

    Yields:
        Blocks (n,) float32 in (-1, 1), RATE samples a second, of one second but for the last.
    """
    voices = [_Voice(rng, person, speech) for person, speech in zip(people, speeches, strict=True)]
    gain = 10 ** (rng.normal(0.0, 1.5) / 20)  # recordings are levelled differently
    room = 10 ** (_ROOM_DB / 20)
    total = round((stop_s - start_s) * RATE)
    for start in range(0, total, RATE):
        times = start_s + np.arange(start, min(start + RATE, total)) / RATE
        mixed = sum(voice.sound(rng, times) for voice in voices) + room * rng.normal(size=len(times))
        yield np.tanh(gain * mixed).astype(np.float32)


class _Voice:
    """One speaker's voice, made block after block."""

    def __init__(self, rng: np.random.Generator, person: Person, speech: Speech) -> None:
        self._speech = speech
        pitch = person.pitch * 2.0 ** (0.4 * speech.arousal - 0.03 * np.sin(2 * np.pi * speech.syllables / 3))
        self._cycles = np.cumsum(pitch) / CONTROL_RATE
        self._level = 10 ** ((_SPEECH_DB + person.loudness + 9.0 * speech.arousal) / 20) * speech.strength
        self._slope = 0.7 + 0.14 * speech.arousal
        tract = rng.uniform(1.05, 1.2) if person.sex == "w" else rng.uniform(0.92, 1.05)
        vowels = _VOWELS[rng.integers(len(_VOWELS), size=int(speech.syllables[-1]) + 2)]
        along = (np.interp(speech.syllables, np.arange(len(vowels)), formant) for formant in vowels.T)
        self._formants = tract * (1.0 + 0.08 * speech.valence) * np.stack(list(along))
        self._memory = np.zeros((len(_BANDWIDTHS), 2))

    def sound(self, rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
        """The next block (n,), at times in seconds."""
        first, last = np.searchsorted(self._speech.times, times[[0, -1]])
        near = slice(max(first - 1, 0), last + 1)
        grid = self._speech.times[near]
        cycles, level, slope = (
            np.interp(times, grid, track[near]) for track in (self._cycles, self._level, self._slope)
        )
        wave = slope * np.cos(2 * np.pi * cycles)
        harmonics = (wave - slope**2) / (1.0 - 2.0 * wave + slope**2)
        loud = np.sqrt(slope**2 / (2.0 * (1.0 - slope**2)))
        source = level * (harmonics / loud + 0.08 * rng.normal(size=len(times)))
        return self._resonate(source, times, grid, self._formants[:, near])

    def _resonate(self, source: np.ndarray, times: np.ndarray, grid: np.ndarray, formants: np.ndarray) -> np.ndarray:
        from scipy.signal import sosfilt

        out = np.empty_like(source)
        for start in range(0, len(source), _STEP):
            step = slice(start, start + _STEP)
            at = [float(np.interp(times[start], grid, formant)) for formant in formants]
            out[step], self._memory = sosfilt(_resonators(np.array(at)), source[step], zi=self._memory)
        return out


def _resonators(formants: np.ndarray) -> np.ndarray:
    """Second-order sections (3, 6) with poles at formants in Hz, and a gain of 1 at 0 Hz."""
    radius = np.exp(-np.pi * _BANDWIDTHS / RATE)
    one, two = -2.0 * radius * np.cos(2 * np.pi * formants / RATE), radius**2
    zero = np.zeros_like(radius)
    return np.stack([1.0 + one + two, zero, zero, zero + 1.0, one, two], axis=1)
