"""The sound of one recording as a file and as a picture, for listening with the eyes before trusting a corpus.

The file is a plain `.npz` that `numpy.load` reads without unpickling.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.media.audio import read_sound
from pipelines.media.log_mel import LogMelStream, analysis_samples
from pipelines.media.outputs import save_arrays, save_figure
from pipelines.recipe import AudioSettings

QUIETEST_SHOWN = -80.0
"""Decibels below the loudest that a picture shows."""


@dataclass(frozen=True, eq=False)
class ExtractedSound:
    """One track.

    Attributes:
        log_mel: (mels, n) float32 decibels.
        times: (n,) float64 seconds on the recording's axis of the columns' centres.
        levels: (k,) float64 RMS of every block of up to a second, in decibels below full scale; gaps have none.
        peak: largest magnitude, full scale at 1.
        gaps: (G, 2) seconds in which nothing was recorded.
        start_s, stop_s: seconds at which the track begins and ends.
    """

    log_mel: np.ndarray
    times: np.ndarray
    levels: np.ndarray
    peak: float
    gaps: np.ndarray
    start_s: float
    stop_s: float


def extract_sound(path: Path, settings: AudioSettings) -> ExtractedSound | None:
    """Read one track whole; None where there is none.

    Raises:
        UnreadableMedia: see `pipelines.media.audio.read_sound`.
    """
    stream = LogMelStream(settings)
    columns: list[np.ndarray] = []
    levels: list[float] = []
    gaps: list[tuple[float, float]] = []
    peak, start_s, stop_s = 0.0, None, 0.0
    for block in read_sound(path, settings.rate):
        start_s = block.start_s if start_s is None else start_s
        stop_s = block.start_s + len(block.samples) / settings.rate
        if block.is_gap:
            gaps.append((block.start_s, stop_s))
        else:
            peak = max(peak, float(np.abs(block.samples).max()))
            levels.append(to_decibels(float(np.sqrt(np.square(block.samples, dtype=np.float64).mean()))))
        columns += stream.push(block.samples)
    if start_s is None:
        return None
    log_mel = np.concatenate([*columns, *stream.finish()], axis=1)
    return ExtractedSound(
        log_mel=log_mel,
        times=start_s + np.arange(log_mel.shape[1]) * analysis_samples(settings)[1] / settings.rate,
        levels=np.array(levels),
        peak=peak,
        gaps=np.array(gaps).reshape(-1, 2),
        start_s=start_s,
        stop_s=stop_s,
    )


def to_decibels(magnitude: float) -> float:
    """Decibels below full scale; minus infinity for digital silence."""
    return 20 * float(np.log10(magnitude)) if magnitude > 0 else -np.inf


def save_sound(path: Path, sound: ExtractedSound, settings: AudioSettings) -> None:
    """Write `log_mel` (mels, n) float32, `times` (n,) float64, `gaps` (G, 2) float64 and `rate` () int, in one file.

    Raises:
        SettingsError: the file cannot be written.
    """
    arrays = {"log_mel": sound.log_mel, "times": sound.times, "gaps": sound.gaps, "rate": np.array(settings.rate)}
    save_arrays(path, arrays)


def plot_sound(path: Path, sound: ExtractedSound, settings: AudioSettings, *, title: str) -> None:
    """Draw the spectrogram over the recording's time, gaps shaded, with the mel bands' centres in Hz beside it.

    Raises:
        SettingsError: the file cannot be written, or its suffix is no picture format.
    """
    import librosa
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    axis = figure.subplots()
    loudest = float(sound.log_mel.max())
    bands = np.arange(settings.mels)
    mesh = axis.pcolormesh(
        sound.times, bands, sound.log_mel, shading="nearest", vmin=loudest + QUIETEST_SHOWN, vmax=loudest
    )
    for start_s, stop_s in sound.gaps:
        axis.axvspan(start_s, stop_s, color="tab:red", alpha=0.5, linewidth=0)
    centres = librosa.mel_frequencies(settings.mels + 2, fmin=settings.low, fmax=settings.high)[1:-1]
    shown = bands[:: max(1, settings.mels // 8)]
    axis.set_yticks(shown, [f"{centre:.0f}" for centre in centres[shown]])
    axis.set(title=title, xlabel="time (s)", ylabel="Hz")
    figure.colorbar(mesh, ax=axis, label="dB")
    save_figure(figure, path)
