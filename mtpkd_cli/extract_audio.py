"""`mtpkd extract-audio`: one recording's sound, without a corpus."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.media.audio import AudioInfo
    from pipelines.media.audio_extraction import ExtractedSound


def extract_audio(
    recording: Annotated[Path, typer.Argument(help="A video, or a sound file.", metavar="FILE", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", help="Write the log-mel spectrogram here.", metavar="FILE.npz")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw it here.", metavar="FILE.png")] = None,
) -> None:
    """One recording -> its sound as a log-mel spectrogram, on the time axis of its video."""
    from pipelines.errors import UnreadableMedia
    from pipelines.media.audio import NO_TRACK, probe_audio
    from pipelines.media.audio_extraction import extract_sound, plot_sound, save_sound
    from pipelines.recipe.loading import load_recipe

    settings = load_recipe("affwild2").audio
    info = probe_audio(recording)
    sound = extract_sound(recording, settings)
    if info is None or sound is None:
        raise UnreadableMedia(recording, NO_TRACK)
    _show(recording, info, sound)
    if output is not None:
        save_sound(output, sound, settings)
        print(f"log-mel spectrogram in {output}")
    if plot is not None:
        plot_sound(plot, sound, settings, title=recording.name)
        print(f"picture in {plot}")


def _show(recording: Path, info: "AudioInfo", sound: "ExtractedSound") -> None:
    from pipelines.media.audio_extraction import to_decibels

    channels = "1 channel" if info.channels == 1 else f"{info.channels} channels"
    print(f"{recording}: {info.rate} Hz, {channels}, {sound.stop_s - sound.start_s:.2f} s")
    if info.video_start_s is not None:
        apart = info.start_s - info.video_start_s
        when = "with" if abs(apart) < 0.001 else f"{abs(apart):.3f} s {'after' if apart > 0 else 'before'}"
        print(f"  starts {when} the video")
    if sound.peak:
        quiet, loud = min(sound.levels), max(sound.levels)
        print(f"  loudness {quiet:.1f} to {loud:.1f} dBFS by the second, peak {to_decibels(sound.peak):.1f} dBFS")
    else:
        print("  silent: every sample is zero")
    if len(sound.gaps):
        print(f"  {sum(stop - start for start, stop in sound.gaps):.2f} s within it were not recorded")
    print(f"  log-mel spectrogram: {sound.log_mel.shape[0]} bands, {sound.log_mel.shape[1]} columns")
