"""EDA, ECG and EMG that follow a known course of pain, made of neurokit2's simulators.

- EDA: `eda_simulate`'s skin conductance response, placed about 1.6 s after the onset and as large as the pain, on a
  drifting tonic level; unprompted responses occur too.
- ECG: half a minute of `ecg_simulate` (ecgsyn) a subject, read at a speed that rises with the pain: beats, their
  shape and their variability stay physiological, and a clip costs an interpolation instead of an integration.
- EMG: `emg_simulate`'s burst as the carrier; pain raises its energy in the trapezius. Part B's corrugator and
  zygomaticus follow the brow and the mouth that the face shows; in Part A they hold noise, as published.

Units as the corpus is read: EDA in microsiemens, ECG and EMG in microvolts, time in microseconds.
"""

from functools import cache
from math import ceil

import numpy as np

from pipelines.corpora.synthetic_truth import ACTIONS, Course, Subject, stream

RATE = 512
"""Samples a second, as in BioVid."""

COLUMNS = ("time", "gsr", "ecg", "emg_trapezius", "emg_corrugator", "emg_zygomaticus")

_ECG_SECONDS = 30
_ECG_STREAM, _EDA_STREAM = 1, 2
"""Second keys of a subject's streams, after its index; a clip's streams have four keys."""


def simulate(
    rng: np.random.Generator, subject: Subject, course: Course, *, seed: int, seconds: float, part: str
) -> np.ndarray:
    """All columns of one `_bio.csv`, shape (T, 6), at 512 Hz."""
    times = np.arange(round(seconds * RATE)) / RATE
    actions = course.actions(times, subject.pattern)
    brow, mouth, smile = (actions[:, ACTIONS.index(name)] for name in ("brow", "mouth", "smile"))
    facial = 1.0 if part == "B" else 0.0
    return np.stack(
        [
            np.round(times * 1e6),
            _eda(rng, subject, course, times, seed),
            _ecg(rng, subject, course, times, seed),
            _emg(rng, rng.uniform(0.0, 0.35) * course.intensity(times) + _burst(rng, times), seconds),
            _emg(rng, facial * brow, seconds),
            _emg(rng, facial * (mouth + smile), seconds),
        ],
        axis=1,
    )


def to_csv(signals: np.ndarray) -> str:
    """The text of a `_bio.csv`: tab-separated, with BioVid's header."""
    row = "%d\t%.4f\t%.2f\t%.2f\t%.2f\t%.2f\n"
    return "\t".join(COLUMNS) + "\n" + (row * len(signals)) % tuple(signals.ravel().tolist())


def _eda(rng: np.random.Generator, subject: Subject, course: Course, times: np.ndarray, seed: int) -> np.ndarray:
    response = _skin_response(seed, subject.index)
    tonic = rng.uniform(2.0, 9.0) + rng.normal(0.0, 0.04) * times
    amplitude = subject.lability * course.felt * rng.lognormal(0.0, 0.4)
    signal = tonic + amplitude * _at(response, times - course.onset - rng.uniform(1.3, 1.9))
    if rng.random() < 0.4:  # a response to nothing in particular
        signal += subject.lability * rng.uniform(0.1, 0.8) * _at(response, times - rng.uniform(-3.0, times[-1]))
    return signal + rng.normal(0.0, 0.004, len(times))


def _ecg(rng: np.random.Generator, subject: Subject, course: Course, times: np.ndarray, seed: int) -> np.ndarray:
    rise = 0.1 * course.intensity(times - 0.8) * rng.lognormal(0.0, 0.4) + rng.normal(0.0, 0.03)
    position = np.cumsum(1.0 + rise) / RATE
    base = _resting_ecg(seed, subject.index, subject.heart_rate, _ECG_SECONDS + 2 * ceil(times[-1]))
    # The heart never beats twice as fast, so that the clip ends before the recording does, whatever its start.
    start = rng.uniform(0.0, len(base) / RATE - position[-1])
    samples = np.interp((start + position) * RATE, np.arange(len(base)), base)
    wander = 60.0 * np.sin(2 * np.pi * rng.uniform(0.15, 0.3) * times + rng.uniform(0, 2 * np.pi))
    return 1000.0 * samples + wander + rng.normal(0.0, 12.0, len(times))


def _emg(rng: np.random.Generator, envelope: np.ndarray, seconds: float) -> np.ndarray:
    import neurokit2

    whole = ceil(seconds)
    burst = neurokit2.emg_simulate(
        duration=whole, burst_duration=whole, sampling_rate=RATE, noise=0.05, random_state=rng
    )
    carrier = np.asarray(burst, dtype=np.float64)[: len(envelope)]
    return (carrier - carrier.mean()) * rng.uniform(4.0, 8.0) * (1.0 + 8.0 * envelope)


def _burst(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Tension without pain: now and then the shoulders move."""
    strength = rng.uniform(0.1, 0.6) if rng.random() < 0.5 else 0.0
    return strength * np.exp(-0.5 * ((times - rng.uniform(0.0, times[-1])) / 0.5) ** 2)


def _at(response: np.ndarray, delays: np.ndarray) -> np.ndarray:
    """A response that began `delays` seconds ago; nothing before it began."""
    return np.interp(delays * RATE, np.arange(len(response)), response, left=0.0)


@cache
def _skin_response(seed: int, subject: int) -> np.ndarray:
    """One skin conductance response of a subject, from its foot on, at 512 Hz, with a peak of 1 after 1.2 to 2 s."""
    import neurokit2

    rng = stream(seed, subject, _EDA_STREAM)
    eda = neurokit2.eda_simulate(duration=9, sampling_rate=RATE, scr_number=1, drift=0, noise=0, random_state=rng)
    wave = np.asarray(eda, dtype=np.float64)
    wave = wave - wave.min()
    peak = int(wave.argmax())
    foot = int(np.flatnonzero(wave[:peak] <= max(0.02 * wave[peak], wave[0]))[-1])
    wave = wave[foot:] - wave[foot]
    stretch = rng.uniform(1.2, 2.0) * RATE / (peak - foot)
    positions = np.arange(int(len(wave) * stretch)) / stretch
    return np.interp(positions, np.arange(len(wave)), wave) / wave.max()


@cache
def _resting_ecg(seed: int, subject: int, heart_rate: int, seconds: int) -> np.ndarray:
    """A subject's ECG at rest, in millivolts, long enough for any clip to be cut from it."""
    import neurokit2

    ecg = neurokit2.ecg_simulate(
        duration=seconds,
        sampling_rate=RATE,
        heart_rate=heart_rate,
        heart_rate_std=2,
        noise=0,
        random_state=stream(seed, subject, _ECG_STREAM),
    )
    return np.asarray(ecg, dtype=np.float64)
