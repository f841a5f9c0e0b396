"""Signals of a shard: whether each channel can be used, and its filtered waves and log-spectrograms.

A sound file whose electrode was off is no error: its channel is missing, with a reason, and the other channels stay.
Gaps are interpolated for the filters' sake and masked for everyone else's. The parser is `biosignal_csv`, the numerics
are `filters`; here the two meet over all clips of a shard, in blocks of `BLOCK`. What is done to a channel is a
`Treatment`, so that BioVid's three and any signal of a manifest go the same way.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from pipelines.media.biosignal_csv import Recording, read_biosignals
from pipelines.media.filters import (
    SPECTROGRAMS,
    SpectrogramShape,
    bandpass,
    filter_channel,
    log_spectrogram,
    resample,
    spectrogram_shape,
)
from pipelines.recipe import BIOSIGNALS, BiosignalSettings, SignalFiles

__all__ = [
    "Channel", "ChannelBatch", "Quality", "Recording", "Usability", "check_channel", "process_biosignals",
    "process_signals", "read_biosignals",
]  # fmt: skip

BLOCK = 32
"""Clips that are filtered together. Of blocks of 8 to 64 clips of 5.5 s, 32 took the least time (64: 1.2 times as long:
larger arrays leave the processor's cache)."""
IMPLAUSIBLE = 1e12
"""Magnitude that no recorder writes, not even as raw 32-bit counts; treated like NaN."""
MIN_SECONDS = 1.0
"""Shortest recording of which anything can be said: below it, filters see edges only."""
FLAT = 1e-6
"""A channel whose range is at most this share of its largest magnitude is a constant with rounding noise."""


class Usability(Protocol):
    """Settings by which a channel is judged."""

    @property
    def seconds(self) -> float:
        """Length that will be used."""
        ...

    @property
    def max_missing(self) -> float:
        """Largest share of missing samples."""
        ...


@dataclass(frozen=True)
class Treatment:
    """What is done to a channel.

    Attributes:
        usability: when it can be used.
        filtered: (N, n) at a rate in Hz -> (N, n) at the same rate.
        rate: Hz that it is then resampled to.
        shape: windows and bins of its spectrogram.
    """

    usability: Usability
    filtered: Callable[[np.ndarray, float], np.ndarray]
    rate: float
    shape: SpectrogramShape


@dataclass(frozen=True)
class Quality:
    """One channel made fit for filtering.

    Attributes:
        samples: (n,) float64 without NaN: gaps interpolated linearly, the nearest value at both ends.
        missing: (n,) bool, True where `samples` was interpolated.
        reason: why the channel counts as missing; empty where it can be used.
    """

    samples: np.ndarray
    missing: np.ndarray
    reason: str

    @property
    def present(self) -> bool:
        """Whether the channel can be used."""
        return not self.reason


@dataclass(frozen=True)
class Channel:
    """One channel of one clip; the fields of `ChannelBatch` without their first dimension."""

    wave: np.ndarray
    valid: np.ndarray
    spectrogram: np.ndarray
    present: bool
    reason: str


@dataclass(frozen=True)
class ChannelBatch:
    """One channel of N clips, each wave exactly L = round(seconds * rate) samples.

    What is not known is masked, and a consumer must honour the masks. Where `valid` is False a wave holds filler (a
    gap's interpolation, or its last value repeated after the end of a short recording): normalise with valid samples
    only, then set the others to 0, the mean, and better give `valid` to the model as a second input. Where `present`
    is False waves and spectrograms are 0, which is not a measurement: mask the clip's modality.

    Attributes:
        waves: (N, L) float32, filtered, in the units of the recording.
        valid: (N, L) bool, True where every sample around was recorded.
        spectrograms: (N, F, T) float32, 10 log10(power density), low frequencies first. Window t covers samples
            t * hop to t * hop + window of the wave, so `valid` says which windows are real.
        present: (N,) bool.
        reasons: N lines, why a clip lacks the channel; empty where it is present.
        rate: Hz of the waves.
    """

    waves: np.ndarray
    valid: np.ndarray
    spectrograms: np.ndarray
    present: np.ndarray
    reasons: tuple[str, ...]
    rate: float

    @property
    def coverage(self) -> list[float]:
        """Share of each clip's samples that can be used, 0 where the channel is missing."""
        shares = zip(self.present.tolist(), self.valid, strict=True)
        return [float(valid.mean()) if present else 0.0 for present, valid in shares]

    def clip(self, index: int) -> Channel:
        """The channel of one clip."""
        return Channel(
            wave=self.waves[index],
            valid=self.valid[index],
            spectrogram=self.spectrograms[index],
            present=bool(self.present[index]),
            reason=self.reasons[index],
        )


def process_biosignals(recordings: Sequence[Recording], settings: BiosignalSettings) -> dict[str, ChannelBatch]:
    """Filtered waves and log-spectrograms of N recordings, which may differ in rate and length.

    The result for a recording does not depend on the others.

    Returns:
        For each of `eda`, `ecg`, `emg` a batch of N clips in the order given; what is missing is masked, never absent.

    Raises:
        SettingsError: a band leaves nothing at the rate of the recordings.
    """
    rates = {"eda": settings.eda_rate, "ecg": settings.ecg_rate, "emg": settings.emg_rate}
    batches = {}
    for name in BIOSIGNALS:
        signals = [(recording.channels[name], recording.rate) for recording in recordings]
        filtered = partial(filter_channel, name, settings=settings)
        batches[name] = _process(signals, Treatment(settings, filtered, rates[name], SPECTROGRAMS[name]))
    return batches


def process_signals(signals: Sequence[np.ndarray], settings: SignalFiles) -> ChannelBatch:
    """Filtered waves and log-spectrograms of N signals (n,) float64 at `settings.rate`, which may differ in length.

    The result for a signal does not depend on the others; what cannot be used is masked, never absent.
    """
    rate = settings.resampled or settings.rate
    treatment = Treatment(
        usability=settings,
        filtered=partial(bandpass, band=settings.band),
        rate=rate,
        shape=spectrogram_shape(settings.seconds, rate, settings.band[1]),
    )
    return _process([(samples, settings.rate) for samples in signals], treatment)


def check_channel(samples: np.ndarray, rate: float, settings: Usability) -> Quality:
    """Judge one channel, over the `settings.seconds` that will be used of it, and fill its gaps.

    Infinite values, and magnitudes over `IMPLAUSIBLE`, count as missing samples. A channel counts as missing when the
    recording is shorter than `MIN_SECONDS` (or `settings.seconds`, if that is less), when more than
    `settings.max_missing` of its samples are missing, or when it does not vary.

    Args:
        samples: (n,) float64.
        rate: Hz.
        settings: length that will be used, and the largest share that may be missing.
    """
    missing = ~(np.abs(samples) <= IMPLAUSIBLE)
    window = slice(0, max(1, math.ceil(settings.seconds * rate)))
    known = samples[window][~missing[window]]
    share = float(missing[window].mean())
    least = min(MIN_SECONDS, settings.seconds)
    if samples.size < math.floor(least * rate):
        reason = f"{samples.size / rate:.2f} s recorded, at least {least:g} s are needed"
    elif share > settings.max_missing:
        reason = f"{100 * share:.1f} % of the samples missing, at most {100 * settings.max_missing:g} % may be"
    elif np.ptp(known) <= FLAT * np.abs(known).max():
        reason = f"flat line at {float(f'{known[0]:.6g}')}"
    else:
        reason = ""
    return Quality(samples=_interpolate(samples, missing), missing=missing, reason=reason)


def _interpolate(samples: np.ndarray, missing: np.ndarray) -> np.ndarray:
    if not missing.any():
        return samples
    if missing.all():
        return np.zeros_like(samples)
    positions = np.arange(samples.size)
    return np.interp(positions, positions[~missing], samples[~missing])


def _process(signals: Sequence[tuple[np.ndarray, float]], treatment: Treatment) -> ChannelBatch:
    """Treat N signals, each its samples and their rate in Hz."""
    target, shape = treatment.rate, treatment.shape
    length = max(1, round(treatment.usability.seconds * target))
    qualities = [check_channel(samples, rate, treatment.usability) for samples, rate in signals]
    waves = np.zeros((len(signals), length), np.float32)
    valid = np.zeros((len(signals), length), np.bool_)
    spectrograms = np.zeros((len(signals), *shape.size(length, target)), np.float32)
    for rate, rows in _blocks([rate for _, rate in signals], qualities):
        samples = np.stack([qualities[row].samples for row in rows])
        waves[rows] = _fit(resample(treatment.filtered(samples, rate), rate, target), length)
        valid[rows] = _valid(np.stack([qualities[row].missing for row in rows]), rate, target, length)
        spectrograms[rows] = log_spectrogram(waves[rows], target, shape=shape)
    return ChannelBatch(
        waves=waves,
        valid=valid,
        spectrograms=spectrograms,
        present=np.array([quality.present for quality in qualities], np.bool_),
        reasons=tuple(quality.reason for quality in qualities),
        rate=target,
    )


def _blocks(rates: Sequence[float], qualities: Sequence[Quality]) -> list[tuple[float, list[int]]]:
    """Rows of present clips that share a length and a rate, at most `BLOCK` together."""
    groups: dict[tuple[float, int], list[int]] = {}
    for row, (rate, quality) in enumerate(zip(rates, qualities, strict=True)):
        if quality.present:
            # Time columns are rounded, so equal clocks differ by millionths. Five digits are 0.3 ms in 5.5 s.
            key = (float(f"{rate:.5g}"), quality.samples.size)
            groups.setdefault(key, []).append(row)
    return [(key[0], rows[at : at + BLOCK]) for key, rows in groups.items() for at in range(0, len(rows), BLOCK)]


def _fit(waves: np.ndarray, length: int) -> np.ndarray:
    """Cut to `length`, or repeat the last value: a jump to zero would show in every spectrogram."""
    return np.pad(waves[:, :length], ((0, 0), (0, max(0, length - waves.shape[1]))), mode="edge")


def _valid(missing: np.ndarray, rate: float, target: float, length: int) -> np.ndarray:
    """(N, n) missing at `rate` -> (N, length) bool at `target`: no sample within half an output period is missing."""
    n = missing.shape[1]
    centre = np.arange(length) * (rate / target)
    reach = max(0.5 * rate / target, 0.5)
    first = np.clip(np.ceil(centre - reach), 0, n).astype(np.intp)
    last = np.clip(np.floor(centre + reach) + 1, 0, n).astype(np.intp)
    before = np.pad(np.cumsum(missing, axis=1, dtype=np.int32), ((0, 0), (1, 0)))
    recorded = centre <= n - 1 + reach
    return (before[:, last] == before[:, first]) & recorded
