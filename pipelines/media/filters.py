"""Filtering, resampling and spectrograms of biosignals, over many clips at once.

Every step works row by row on (clips, samples), so that a clip gives the same values alone and among others, and a NaN
stays in its row. Filters run at the rate the samples really have, before resampling. Float64 inside.

What is done to each channel (bands and rates from the settings):

| channel | trend | filter | log-spectrogram at the default rates and 5.5 s, (F, T) |
|---|---|---|---|
| eda | kept | low-pass | 2 s windows every 1/16 s, 0 to 4 Hz by 1/8 Hz: (33, 57) |
| ecg | line removed | band-pass | 0.5 s windows every 0.1 s, 0 to 80 Hz by 2 Hz: (41, 50) |
| emg | kept | band-pass | 0.25 s windows every 0.1 s, 0 to 256 Hz by 4 Hz: (65, 53) |

Any other signal keeps its trend, is filtered by the band that its recipe gives, and has a `spectrogram_shape`.

The paper's released code takes 16-sample windows and fs=1000 on 512 Hz data: a window spans 31 ms, and every frequency
is off by 1.95. Here windows are long enough to resolve what a channel holds, and the bins end where its content does.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy  # its parts are imported as they are used: signal takes a second

from pipelines.errors import SettingsError
from pipelines.recipe import BiosignalSettings

ORDER = 3
"""Order of each Butterworth edge; running it forwards and backwards doubles it and halves the amplitude at the edge."""
RATIO_TOLERANCE = 1e-4
"""Relative error of a resampling ratio: 0.6 ms at the end of 5.5 s."""
LOG_FLOOR = 1e-10
"""Power added before the logarithm, in squared units per Hz: silence is -100 dB."""


@dataclass(frozen=True)
class SpectrogramShape:
    """Windows of a short-time Fourier transform, in seconds and Hz so that they fit any rate."""

    window: float
    """Length of a Hann window in seconds."""
    hop: float
    """Seconds between the starts of successive windows."""
    spacing: float
    """Hz between successive bins; finer than 1 / window interpolates."""
    top: float
    """Highest frequency kept, in Hz."""

    def samples(self, length: int, rate: float) -> tuple[int, int, int]:
        """(window, hop, FFT length) in samples; the window is at most the `length` of the wave."""
        window = max(1, min(round(self.window * rate), length))
        return window, max(1, round(self.hop * rate)), max(window, round(rate / self.spacing))

    def size(self, length: int, rate: float) -> tuple[int, int]:
        """(F, T) of the spectrogram of `length` samples at `rate` Hz."""
        window, hop, fft = self.samples(length, rate)
        return min(int(self.top * fft / rate), fft // 2) + 1, (length - window) // hop + 1


SPECTROGRAMS = {
    "eda": SpectrogramShape(window=2.0, hop=1 / 16, spacing=1 / 8, top=4.0),
    "ecg": SpectrogramShape(window=0.5, hop=0.1, spacing=2.0, top=80.0),
    "emg": SpectrogramShape(window=0.25, hop=0.1, spacing=4.0, top=256.0),
}


_BINS = 40
_STEPS = 50
_CYCLES = 32
"""Of any signal's spectrogram: bins up to its highest frequency, windows, and cycles of that frequency in a window."""


def spectrogram_shape(seconds: float, rate: float, high: float | None) -> SpectrogramShape:
    """A shape for a signal of which nothing else is known: about 40 bins up to what it can hold, in 50 windows.

    Args:
        seconds: its length.
        rate: Hz of the wave.
        high: low-pass edge in Hz, None where there is none.
    """
    top = min(high or rate / 2, rate / 2)
    window = min(_CYCLES / top, seconds / 4)
    return SpectrogramShape(window=window, hop=(seconds - window) / _STEPS, spacing=top / _BINS, top=top)


def filter_channel(channel: str, samples: np.ndarray, rate: float, settings: BiosignalSettings) -> np.ndarray:
    """(N, n) at `rate` Hz -> (N, n) float64 filtered as `channel` is (see the module's table), at the same rate."""
    band = {"eda": settings.eda_band, "ecg": settings.ecg_band, "emg": settings.emg_band}[channel]
    return bandpass(remove_line(samples) if channel == "ecg" else samples, rate, band)


def bandpass(waves: np.ndarray, rate: float, band: tuple[float | None, float | None]) -> np.ndarray:
    """Zero-phase Butterworth filter of order `ORDER` an edge, applied forwards and backwards.

    Each row is mirrored by half a second at both ends and filtered from rest at its mean. scipy's `sosfiltfilt` starts
    from the first sample instead, and in a clip that is short beside the 10 s of a 0.1 Hz edge this transient outlasts
    the clip: windows of 5.5 s of a real ECG (100 Hz, at rest) came out 0.57 standard deviations away from the same
    filter over the whole recording, here 0.03.

    Args:
        waves: (N, n) float64.
        rate: Hz of `waves`, measured, not nominal.
        band: high-pass and low-pass edge in Hz, None for open. A low-pass edge at or above half the rate is dropped:
            the recording holds nothing above.

    Raises:
        SettingsError: an edge is not positive, or nothing is left between the edges.
    """
    low, high = band
    if high is not None and high >= rate / 2:
        high = None
    if (low is not None and not 0 < low < (high or rate / 2)) or (high is not None and high <= 0):
        raise SettingsError(
            f"a band of {band[0]} to {band[1]} Hz leaves nothing of a signal at {rate:g} Hz: set biosignals.*_band"
        )
    edges = [(edge, kind) for edge, kind in ((low, "highpass"), (high, "lowpass")) if edge is not None]
    sections = [np.asarray(scipy.signal.butter(ORDER, edge, kind, fs=rate, output="sos")) for edge, kind in edges]
    if not sections:
        return waves.astype(np.float64)
    filters = np.concatenate(sections)
    padding = min(waves.shape[-1] - 1, round(rate / 2))
    mean = waves.mean(axis=-1, keepdims=True)
    mirrored = np.pad(waves - mean, ((0, 0), (padding, padding)), mode="reflect")
    forwards = np.asarray(scipy.signal.sosfilt(filters, mirrored, axis=-1))
    backwards = np.asarray(scipy.signal.sosfilt(filters, forwards[:, ::-1], axis=-1))[:, ::-1]
    filtered = backwards[:, padding : padding + waves.shape[-1]]
    return filtered if low is not None else filtered + mean


def remove_line(waves: np.ndarray) -> np.ndarray:
    """(N, n) minus the least-squares line of each row."""
    centred = waves - waves.mean(axis=-1, keepdims=True)
    time = np.arange(waves.shape[-1]) - (waves.shape[-1] - 1) / 2
    slope = (centred * time).sum(axis=-1, keepdims=True) / max((time * time).sum(), 1.0)
    return centred - slope * time


def resample(waves: np.ndarray, rate: float, target: float) -> np.ndarray:
    """(N, n) at `rate` Hz -> (N, ceil(n * target / rate)) at `target` Hz, by scipy's polyphase filter.

    The ratio of the rates becomes the simplest fraction within `RATIO_TOLERANCE` of it, because the filter's length
    grows with its terms.
    """
    exact = max(target / rate, rate / target)
    fractions = (Fraction(exact).limit_denominator(10**digits) for digits in range(5))
    ratio = next(fraction for fraction in fractions if abs(fraction - exact) <= RATIO_TOLERANCE * exact)
    up, down = (ratio.numerator, ratio.denominator) if target > rate else (ratio.denominator, ratio.numerator)
    return scipy.signal.resample_poly(waves, up, down, axis=-1, padtype="line")


def log_spectrogram(waves: np.ndarray, rate: float, *, shape: SpectrogramShape) -> np.ndarray:
    """Log power density in windows of each wave, the mean of each window removed.

    Args:
        waves: (N, L), any real type.
        rate: Hz of `waves`.
        shape: windows and bins; `SPECTROGRAMS` has one for each channel.

    Returns:
        (N, F, T) float32, 10 log10(density + LOG_FLOOR) in dB, with (F, T) = `shape.size(L, rate)`. The density is
        one-sided and equals `scipy.signal.spectrogram(scaling="density")`.
    """
    window, hop, fft = shape.samples(waves.shape[-1], rate)
    bins, _ = shape.size(waves.shape[-1], rate)
    taper = np.asarray(scipy.signal.get_window("hann", window))
    sides = np.full(bins, 2.0)
    sides[np.isin(np.arange(bins) * 2, (0, fft))] = 1.0
    scale = sides / (rate * max((taper * taper).sum(), np.finfo(np.float64).tiny))
    frames = np.lib.stride_tricks.sliding_window_view(waves.astype(np.float64), window, axis=-1)[:, ::hop]
    frames = (frames - frames.mean(axis=-1, keepdims=True)) * taper
    spectrum = np.fft.rfft(frames, fft, axis=-1)[..., :bins]  # (N, T, F)
    density = (spectrum.real**2 + spectrum.imag**2) * scale
    return np.swapaxes(10 * np.log10(density + LOG_FLOOR), 1, 2).astype(np.float32)
