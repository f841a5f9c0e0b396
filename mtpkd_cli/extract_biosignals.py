"""`mtpkd extract-biosignals`: one recording, without a corpus."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.media.biosignals import ChannelBatch
    from pipelines.media.features import Features

SHOWN = {
    "eda": (("scr_count", "SCRs"), ("scr_amplitude_max", "uS highest"), ("maximum_position", "s to maximum")),
    "ecg": (("heart_rate", "beats/min"), ("rmssd", "ms RMSSD")),
    "emg": (("rms", "uV RMS"), ("median_frequency", "Hz median")),
}
"""Features in the table, and their units."""


class EmgChannel(StrEnum):
    """Columns that may be read as EMG."""

    trapezius = "emg_trapezius"
    corrugator = "emg_corrugator"
    zygomaticus = "emg_zygomaticus"


def extract_biosignals(
    recording: Annotated[Path, typer.Argument(help="A _bio.csv file.", metavar="FILE", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", help="Write waves, spectrograms and features here.", metavar="FILE.npz")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw them here.", metavar="FILE.png")] = None,
    emg_channel: Annotated[
        EmgChannel, typer.Option("--emg-channel", help="Column read as EMG.")
    ] = EmgChannel.trapezius,
    rate: Annotated[float, typer.Option("--rate", min=1, help="Expected sampling rate in Hz.")] = 512,
) -> None:
    """One recording -> filtered waves, log-spectrograms and features, and what is missing in it."""
    from pipelines.media.biosignals import process_biosignals, read_biosignals
    from pipelines.media.extraction import plot_extraction, save_extraction
    from pipelines.media.features import extract_features
    from pipelines.recipe.loading import load_recipe, override_recipe

    changes = {"biosignals.emg_channel": emg_channel.value, "biosignals.rate": rate}
    settings = override_recipe(load_recipe("biovid"), **changes).biosignals
    signals = read_biosignals(recording, settings)
    channels = process_biosignals([signals], settings)
    features = extract_features(signals, settings)
    samples = len(next(iter(signals.channels.values())))
    print(f"{recording}: {samples} samples at {signals.rate:.1f} Hz, {samples / signals.rate:.2f} s")
    _show(channels, features)
    if output is not None:
        save_extraction(output, channels, features)
        print(f"waves, spectrograms and features in {output}")
    if plot is not None:
        plot_extraction(plot, channels, title=recording.name)
        print(f"picture in {plot}")


def _show(channels: "dict[str, ChannelBatch]", features: "dict[str, Features]") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from pipelines.media.features import FEATURES

    table = Table("channel", box=box.SIMPLE_HEAD)
    table.add_column("valid", justify="right", no_wrap=True)
    table.add_column("features")
    for name, batch in channels.items():
        channel = batch.clip(0)
        if not channel.present:
            table.add_row(name, "missing", channel.reason)
            continue
        values = dict(zip(FEATURES[name], features[name].values.tolist(), strict=True))
        found = [f"{values[key]:.4g} {unit}" for key, unit in SHOWN[name] if key not in features[name].reasons]
        unknown = sorted(set(features[name].reasons.values()))
        table.add_row(name, f"{100 * channel.valid.mean():.1f} %", "; ".join(found + unknown))
    Console(highlight=False).print(table)
