"""Biosignals of a shard against neurokit2's pipelines, and the reader of a `_bio.csv` against pandas.

    python benchmarks/biosignals.py [--rounds N]

The clips are neurokit2's simulations at BioVid's size, 2,816 samples of three signals at 512 Hz. Agreement is checked
first: a clip gives the same in a shard and alone, the waves have neurokit2's R peaks and EDA, and both readers give the
same table. Then both sides run interleaved. A shard is 64 clips; neurokit2 runs on one of them a round, because it
takes each alone anyway.
"""

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import neurokit2
import numpy as np
import pandas as pd

from pipelines.media.biosignals import Recording, process_biosignals, read_biosignals
from pipelines.media.features import extract_features
from pipelines.recipe import BiosignalSettings

SETTINGS = BiosignalSettings()
CLIPS, SAMPLES, RATE = 64, 2816, 512
COLUMNS = ("time", "gsr", "ecg", "emg_trapezius", "emg_corrugator", "emg_zygomaticus")


def simulate(seed: int) -> Recording:
    """One clip."""
    length = {"length": SAMPLES + RATE, "sampling_rate": RATE, "random_state": seed}
    signals = {
        "eda": neurokit2.eda_simulate(scr_number=2, noise=0.001, **length),
        "ecg": 1000 * np.asarray(neurokit2.ecg_simulate(heart_rate=55 + seed, **length)),
        "emg": 50 * np.asarray(neurokit2.emg_simulate(burst_number=2, **length)),
    }
    return Recording(
        {name: np.asarray(signal)[:SAMPLES].astype(float) for name, signal in signals.items()}, float(RATE)
    )


def neurokit2_pipelines(clip: Recording) -> tuple[pd.DataFrame, dict]:
    """What one would write first: the complete pipeline of each signal. Returns EDA signals and R peaks."""
    eda, _ = neurokit2.eda_process(clip.channels["eda"], sampling_rate=RATE)
    _, ecg = neurokit2.ecg_process(clip.channels["ecg"], sampling_rate=RATE)
    neurokit2.emg_process(clip.channels["emg"], sampling_rate=RATE)
    return eda, ecg


def check_signals(clips: list[Recording]) -> None:
    """A clip is the same in a shard and alone; waves hold neurokit2's R peaks and EDA."""
    shard = process_biosignals(clips, SETTINGS)
    for row in range(0, CLIPS, 16):
        for name, alone in process_biosignals([clips[row]], SETTINGS).items():
            np.testing.assert_allclose(shard[name].waves[row], alone.waves[0], rtol=0, atol=1e-4)
            np.testing.assert_allclose(shard[name].spectrograms[row], alone.spectrograms[0], rtol=0, atol=1e-3)
        eda, ecg = neurokit2_pipelines(clips[row])
        wave = shard["ecg"].waves[row]
        for peak in np.asarray(ecg["ECG_R_Peaks"]) // 2:
            near = slice(max(0, peak - 13), peak + 13)  # 50 ms either side at 256 Hz
            assert wave[near].max() > 3 * np.sqrt(np.mean(wave**2)) / 2, f"clip {row}: no R peak at {peak / 256:.2f} s"
        same = np.corrcoef(eda["EDA_Clean"].to_numpy()[::16], shard["eda"].waves[row])[0, 1]
        assert same > 0.99, f"clip {row}: EDA correlates by {same:.3f}"


def write_csv(path: Path, clip: Recording, number: str) -> None:
    """A clip in BioVid's columns, every value in the given format."""
    signals = [clip.channels[name] for name in ("eda", "ecg", "emg", "emg", "emg")]
    lines = ["\t".join(COLUMNS)]
    for index in range(SAMPLES):
        values = [format(float(signal[index]), number) for signal in signals]
        lines.append("\t".join([str(round(index * 1e6 / RATE)), *values]))
    path.write_text("\n".join(lines) + "\n")


def check_readers(path: Path) -> None:
    """Both readers give the same table."""
    table = pd.read_csv(path, sep="\t")
    for name, column in (("eda", "gsr"), ("ecg", "ecg"), ("emg", "emg_trapezius")):
        signal = read_biosignals(path, SETTINGS).channels[name]
        np.testing.assert_allclose(signal, table[column].to_numpy(), rtol=1e-14)


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - start) / repeats


def measure(clips: list[Recording], files: dict[str, Path], rounds: int) -> list[tuple[str, float, float, float]]:
    """(what, milliseconds of the anchor, milliseconds of ours, target ratio), each a median over interleaved rounds."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for turn in range(rounds):
        clip = clips[turn % CLIPS]
        pipelines = seconds(lambda clip=clip: neurokit2_pipelines(clip))
        waves = seconds(lambda: process_biosignals(clips, SETTINGS)) / CLIPS
        features = seconds(lambda clip=clip: extract_features(clip, SETTINGS))
        pairs.setdefault("waves and spectrograms, a clip", []).append((pipelines, waves))
        pairs.setdefault("the same and features, a clip", []).append((pipelines, waves + features))
        for kind, path in files.items():
            pandas = seconds(lambda path=path: pd.read_csv(path, sep="\t"), 10)
            ours = seconds(lambda path=path: read_biosignals(path, SETTINGS), 10)
            pairs.setdefault(f"reading a csv, {kind}", []).append((pandas, ours))
    targets = {"waves and spectrograms, a clip": 150.0, "the same and features, a clip": 0.0}
    return [
        (what, *(1000 * statistics.median(side) for side in zip(*times, strict=True)), targets.get(what, 2.0))
        for what, times in pairs.items()
    ]


def main() -> None:
    """Check, measure, print; exit status 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    clips = [simulate(seed) for seed in range(CLIPS)]
    with tempfile.TemporaryDirectory() as folder:
        files = {"6 digits": Path(folder) / "short.csv", "17 digits": Path(folder) / "long.csv"}
        for path, number in zip(files.values(), (".6g", ".17g"), strict=True):
            write_csv(path, clips[0], number)
            check_readers(path)
        check_signals(clips)
        rows = measure(clips, files, arguments.rounds)
    print(f"{'':<32}{'anchor ms':>10}{'ours ms':>10}{'ratio':>8}{'target':>9}")
    for what, anchor, ours, target in rows:
        wanted = f">= {target:g}" if target else "-"
        print(f"{what:<32}{anchor:>10.2f}{ours:>10.2f}{anchor / ours:>8.1f}{wanted:>9}")
    sys.exit(any(anchor / ours < target for _, anchor, ours, target in rows))


if __name__ == "__main__":
    main()
