"""A short vector of hand-made features a channel, measured with neurokit2 on the filtered signal at its true rate.

Only the parts of neurokit2 that yield the numbers below are called; its complete `*_process` pipelines also delineate,
rate quality and loop over samples. What cannot be measured is NaN with a reason, never a guess: an encoder imputes it
with the mean of the training subjects. The features see the first `settings.seconds` of a recording, as the waves do.

| channel | feature | unit | what |
|---|---|---|---|
| eda | tonic_mean | uS | mean of the tonic component (below 0.05 Hz) |
| eda | tonic_slope | uS/s | slope of the least-squares line through the tonic component |
| eda | scr_count | - | phasic peaks over 10 % of the largest prominence that rise by at least 0.01 uS |
| eda | scr_amplitude_mean | uS | mean rise of those peaks over the lowest point since the peak before; 0 if none |
| eda | scr_amplitude_max | uS | largest such rise; 0 if none |
| eda | maximum_position | s | when the filtered signal is highest |
| eda | range | uS | highest minus lowest value |
| ecg | heart_rate | 1/min | 60 / mean interval between R peaks |
| ecg | rmssd | ms | root mean square of successive differences of those intervals |
| ecg | sdnn | ms | standard deviation of those intervals (one degree of freedom less) |
| ecg | r_peak_count | - | R peaks found |
| emg | rms | uV | root mean square |
| emg | amplitude_mean | uV | mean of the linear envelope (rectified, below 8 Hz) |
| emg | activity_share | - | share of time with the envelope over 1.2 times its mean (the threshold of BioSPPy) |
| emg | median_frequency | Hz | frequency that halves the power (Welch, half-second windows) |

Units hold if the corpus records microsiemens and microvolts; nothing here depends on it but the 0.01 uS.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported as they are used: signal takes a second

from pipelines.media.biosignals import Recording, check_channel
from pipelines.media.filters import filter_channel
from pipelines.recipe import BIOSIGNALS, BiosignalSettings

FEATURES: dict[str, tuple[str, ...]] = {
    "eda": (
        "tonic_mean", "tonic_slope", "scr_count", "scr_amplitude_mean", "scr_amplitude_max", "maximum_position",
        "range",
    ),
    "ecg": ("heart_rate", "rmssd", "sdnn", "r_peak_count"),
    "emg": ("rms", "amplitude_mean", "activity_share", "median_frequency"),
}  # fmt: skip
"""Names of the features of each channel, in the order of their values."""

MIN_SCR = 0.01
"""Smallest rise in microsiemens that counts as a skin conductance response (the usual criterion)."""
RR_LIMITS = (0.25, 2.0)
"""Shortest and longest interval between heart beats in seconds, 240 to 30 beats a minute."""
MAX_RR_SCATTER = 0.3
"""Standard deviation of the intervals over their mean above which the peaks are not those of a heart."""
EMG_ENVELOPE = 8.0
"""Low-pass edge of the EMG envelope in Hz."""
EMG_ACTIVE = 1.2
"""Muscle activity starts at this multiple of the envelope's mean."""

MIN_SAMPLES = 32
"""Fewest samples that neurokit2's filters take."""


@dataclass(frozen=True)
class Features:
    """Features of one channel of one clip.

    Attributes:
        values: (K,) float32 in the order of `FEATURES[channel]`, NaN where not measurable.
        reasons: name of every feature that is NaN -> why.
    """

    values: np.ndarray
    reasons: Mapping[str, str]


def extract_features(recording: Recording, settings: BiosignalSettings) -> dict[str, Features]:
    """Measure the features of every channel (see the module's table).

    Never raises for what a recording holds: a missing channel, noise without heart beats or a clip that is too short
    give NaN with a reason.

    Raises:
        SettingsError: a band leaves nothing at the rate of the recording.
    """
    return {channel: _extract_channel(channel, recording, settings) for channel in BIOSIGNALS}


def _extract_channel(channel: str, recording: Recording, settings: BiosignalSettings) -> Features:
    names = FEATURES[channel]
    quality = check_channel(recording.channels[channel], recording.rate, settings)
    if not quality.present:
        return Features(np.full(len(names), np.nan, np.float32), dict.fromkeys(names, quality.reason))
    window = slice(0, max(1, round(settings.seconds * recording.rate)))
    filtered = filter_channel(channel, quality.samples[None], recording.rate, settings)[0, window]
    if filtered.size < MIN_SAMPLES:
        reason = f"{filtered.size} samples, at least {MIN_SAMPLES} are needed"
        return Features(np.full(len(names), np.nan, np.float32), dict.fromkeys(names, reason))
    measure: Callable[..., tuple[dict[str, float], str]] = {"eda": _eda, "ecg": _ecg, "emg": _emg}[channel]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # NeuroKitWarning is a RuntimeWarning: what they say ends up in `reasons`.
        warnings.simplefilter("ignore", RuntimeWarning)
        measured, reason = measure(filtered, recording.rate, quality.missing[window])
    values = np.array([measured.get(name, np.nan) for name in names]).astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    unknown = [name for name, value in zip(names, values, strict=True) if np.isnan(value)]
    return Features(values, dict.fromkeys(unknown, reason or "not defined for this signal"))


def _nominal(rate: float) -> int:
    """neurokit2 derives window lengths from the rate, and some of them only from whole numbers."""
    return max(1, round(rate))


def _eda(samples: np.ndarray, rate: float, _missing: np.ndarray) -> tuple[dict[str, float], str]:
    import neurokit2

    components = neurokit2.eda_phasic(samples, sampling_rate=_nominal(rate), method="highpass")
    tonic = components["EDA_Tonic"].to_numpy()
    rises = _scr_rises(components["EDA_Phasic"].to_numpy(), rate)
    time = np.arange(samples.size) / rate
    return {
        "tonic_mean": float(tonic.mean()),
        "tonic_slope": float(np.polynomial.polynomial.polyfit(time - time.mean(), tonic - tonic.mean(), 1)[1]),
        "scr_count": float(rises.size),
        "scr_amplitude_mean": float(rises.mean()) if rises.size else 0.0,
        "scr_amplitude_max": float(rises.max()) if rises.size else 0.0,
        "maximum_position": float(time[samples.argmax()]),
        "range": float(np.ptp(samples)),
    }, ""


def _scr_rises(phasic: np.ndarray, rate: float) -> np.ndarray:
    """Rises in microsiemens of the skin conductance responses, at least `MIN_SCR` each."""
    import neurokit2

    if scipy.signal.find_peaks(phasic)[0].size == 0:  # eda_findpeaks takes the maximum of its peaks, unasked
        return np.empty(0)
    peaks = np.asarray(
        neurokit2.eda_findpeaks(phasic, sampling_rate=_nominal(rate), amplitude_min=0.1)["SCR_Peaks"], dtype=int
    )
    # neurokit2 leaves the onset open where the rise began before the clip: the lowest point seen stands in for it.
    starts = np.concatenate(([0], peaks[:-1]))
    lowest = [phasic[start : peak + 1].min() for start, peak in zip(starts, peaks, strict=True)]
    rises = phasic[peaks] - np.array(lowest)
    return rises[rises >= MIN_SCR]


def _ecg(samples: np.ndarray, rate: float, missing: np.ndarray) -> tuple[dict[str, float], str]:
    import neurokit2

    try:
        cleaned = neurokit2.ecg_clean(samples, sampling_rate=_nominal(rate), method="neurokit")
        peaks = np.asarray(neurokit2.ecg_findpeaks(cleaned, sampling_rate=_nominal(rate))["ECG_R_Peaks"], dtype=int)
    except (ValueError, TypeError):
        # What scipy and neurokit2 raise for signals shorter than their windows or of a rate below a beat's detail.
        return {}, f"{samples.size} samples at {rate:g} Hz are too few to find R peaks"
    measured = {"r_peak_count": float(peaks.size)}
    intervals = np.diff(peaks) / rate
    gaps = np.concatenate(([0], np.cumsum(missing)))
    # A gap may hide a beat, and after one the detector may take the T wave for it: the next interval goes as well.
    touched = gaps[peaks[1:]] > gaps[np.concatenate(([0], peaks[:-2]))]
    usable = ~touched & (intervals >= RR_LIMITS[0]) & (intervals <= RR_LIMITS[1])
    if usable.sum() < 2:
        return measured, f"{usable.sum()} usable interval(s) between {peaks.size} R peaks, at least 2 are needed"
    rr = intervals[usable]
    scatter = rr.std(ddof=1) / rr.mean()
    if scatter > MAX_RR_SCATTER:
        return measured, f"intervals between R peaks scatter by {100 * scatter:.0f} %: no regular heart beat"
    successive = np.diff(intervals)[usable[1:] & usable[:-1]] * 1000
    measured |= {"heart_rate": 60 / rr.mean(), "sdnn": rr.std(ddof=1) * 1000}
    if successive.size:
        measured["rmssd"] = float(np.sqrt((successive**2).mean()))
    return measured, "no two usable intervals between R peaks in succession"


def _emg(samples: np.ndarray, rate: float, _missing: np.ndarray) -> tuple[dict[str, float], str]:
    import neurokit2

    measured = {"rms": float(np.sqrt((samples**2).mean()))}
    frequencies, power = scipy.signal.welch(samples, fs=rate, nperseg=min(samples.size, max(2, round(rate / 2))))
    cumulative = np.cumsum(power)
    if cumulative[-1] > 0:
        measured["median_frequency"] = float(frequencies[np.searchsorted(cumulative, cumulative[-1] / 2)])
    if rate <= 2 * EMG_ENVELOPE:
        return measured, f"{rate:g} Hz is too slow for an envelope below {EMG_ENVELOPE:g} Hz"
    # neurokit2's own emg_amplitude filters as if every signal had 1000 Hz.
    envelope = np.asarray(
        neurokit2.signal_filter(np.abs(samples), sampling_rate=_nominal(rate), highcut=EMG_ENVELOPE, order=2)
    )
    measured["amplitude_mean"] = float(envelope.mean())
    if envelope.mean() > 0:
        measured["activity_share"] = float((envelope > EMG_ACTIVE * envelope.mean()).mean())
    return measured, "no activity at all"
