"""The biosignals of one recording as a file and as a picture, for looking at a recording before trusting a corpus.

The file is a plain `.npz` that `numpy.load` reads without unpickling. The picture shades what is masked, so that an
electrode that fell off is seen at a glance.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipelines.media.biosignals import ChannelBatch
from pipelines.media.features import FEATURES, Features
from pipelines.media.filters import SPECTROGRAMS
from pipelines.media.outputs import save_arrays, save_figure


def save_extraction(
    path: Path, channels: Mapping[str, ChannelBatch], features: Mapping[str, Features], *, row: int = 0
) -> None:
    """Write one clip's channels and features, replacing the file.

    For each channel `<c>` of `eda`, `ecg`, `emg`: `<c>_wave` (L,) float32, `<c>_valid` (L,) bool, `<c>_spectrogram`
    (F, T) float32, `<c>_features` (K,) float32 with NaN where not measurable, `<c>_feature_names` (K,) str, `<c>_rate`
    () float64 in Hz, `<c>_present` () bool and `<c>_reason` () str, empty where present.

    Raises:
        SettingsError: the file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, batch in channels.items():
        channel = batch.clip(row)
        arrays |= {
            f"{name}_wave": channel.wave,
            f"{name}_valid": channel.valid,
            f"{name}_spectrogram": channel.spectrogram,
            f"{name}_features": features[name].values,
            f"{name}_feature_names": np.array(FEATURES[name]),
            f"{name}_rate": np.array(batch.rate),
            f"{name}_present": np.array(channel.present),
            f"{name}_reason": np.array(channel.reason),
        }
    save_arrays(path, arrays)


def plot_extraction(path: Path, channels: Mapping[str, ChannelBatch], *, title: str, row: int = 0) -> None:
    """Draw one clip's waves, masked spans shaded, beside their log-spectrograms.

    Raises:
        SettingsError: the file cannot be written, or its suffix is no picture format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 2.6 * len(channels)), layout="constrained")
    axes = figure.subplots(len(channels), 2, squeeze=False)
    figure.suptitle(title)
    for (name, batch), (left, right) in zip(channels.items(), axes, strict=True):
        _draw_wave(left, name, batch, row)
        _draw_spectrogram(figure, right, name, batch, row)
    for axis in axes[-1]:
        axis.set_xlabel("time (s)")
    save_figure(figure, path)


def _draw_wave(axis, name: str, batch: ChannelBatch, row: int) -> None:
    channel = batch.clip(row)
    time = np.arange(channel.wave.size) / batch.rate
    axis.set_ylabel(f"{name} ({'uS' if name == 'eda' else 'uV'})")
    axis.set_xlim(0, channel.wave.size / batch.rate)
    if not channel.present:
        _write_reason(axis, channel.reason)
        return
    axis.plot(time, channel.wave, linewidth=0.7, color="tab:blue")
    edges = np.flatnonzero(np.diff(np.concatenate(([False], ~channel.valid, [False])).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2):
        axis.axvspan(start / batch.rate, stop / batch.rate, color="tab:red", alpha=0.2, linewidth=0)


def _draw_spectrogram(figure, axis, name: str, batch: ChannelBatch, row: int) -> None:
    channel = batch.clip(row)
    axis.set_ylabel("Hz")
    if not channel.present:
        _write_reason(axis, channel.reason)
        return
    bins, times = channel.spectrogram.shape
    window, hop, fft = SPECTROGRAMS[name].samples(channel.wave.size, batch.rate)
    starts = (np.arange(times) * hop + window / 2) / batch.rate
    frequencies = np.arange(bins) * batch.rate / fft
    low, high = np.percentile(channel.spectrogram, (5, 100))
    mesh = axis.pcolormesh(starts, frequencies, channel.spectrogram, shading="nearest", vmin=low, vmax=high)
    axis.set_xlim(0, channel.wave.size / batch.rate)
    figure.colorbar(mesh, ax=axis, label="dB")


def _write_reason(axis, reason: str) -> None:
    axis.text(0.5, 0.5, f"missing: {reason}", transform=axis.transAxes, ha="center", va="center", color="tab:red")
    axis.set_xticks([])
    axis.set_yticks([])
