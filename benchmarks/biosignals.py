"""Biosignals of a shard against neurokit2's pipelines, and the reader of a `_bio.csv` against pandas.

    python benchmarks/biosignals.py [--rounds N]

The clips are neurokit2's simulations at BioVid's size, 2,816 samples of three signals at 512 Hz. Agreement is checked
first: a clip gives the same in a shard and alone, the waves have neurokit2's R peaks and EDA, and both readers give the
same table. Then both sides run interleaved. A shard is 64 clips; neurokit2 runs on one of them a round, because it
takes each alone anyway, and each file is read once a round, as a corpus is.
"""

import argparse
import statistics
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
CLIPS, SAMPLES, RATE, FILES = 64, 2816, 512, 16
COLUMNS = ("time", "gsr", "ecg", "emg_trapezius", "emg_corrugator", "emg_zygomaticus")


def simulate(seed: int) -> Recording:
    """One clip."""
    length, rate = SAMPLES + RATE, RATE
    eda = neurokit2.eda_simulate(length=length, sampling_rate=rate, scr_number=2, noise=0.001, random_state=seed)
    ecg = neurokit2.ecg_simulate(length=length, sampling_rate=rate, heart_rate=55 + seed, random_state=seed)
    emg = neurokit2.emg_simulate(length=length, sampling_rate=rate, burst_number=2, random_state=seed)
    signals = {"eda": eda, "ecg": 1000 * np.asarray(ecg), "emg": 50 * np.asarray(emg)}
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


def seconds(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(clips: list[Recording], files: dict[str, list[Path]], rounds: int) -> list[tuple[str, float, float, str]]:
    """(what, milliseconds of the anchor, milliseconds of ours, target ratio), medians over interleaved rounds."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for turn in range(rounds):
        clip = clips[turn % CLIPS]
        pipelines = seconds(lambda clip=clip: neurokit2_pipelines(clip))
        waves = seconds(lambda: process_biosignals(clips, SETTINGS)) / CLIPS
        features = seconds(lambda clip=clip: extract_features(clip, SETTINGS))
        pairs.setdefault("waves and spectrograms, a clip", []).append((pipelines, waves))
        pairs.setdefault("the same and features, a clip", []).append((pipelines, waves + features))
        for kind, path in [(kind, path) for kind, paths in files.items() for path in paths]:
            pandas = seconds(lambda path=path: pd.read_csv(path, sep="\t"))
            ours = seconds(lambda path=path: read_biosignals(path, SETTINGS))
            pairs.setdefault(f"reading a csv, {kind}", []).append((pandas, ours))
    targets = {"waves and spectrograms, a clip": ">= 150", "the same and features, a clip": "-"}
    return [
        (what, *(1000 * statistics.median(side) for side in zip(*times, strict=True)), targets.get(what, ">= 2 *"))
        for what, times in pairs.items()
    ]


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    clips = [simulate(seed) for seed in range(CLIPS)]
    with tempfile.TemporaryDirectory() as folder:
        files: dict[str, list[Path]] = {}
        for number, kind in ((".6g", "6 digits"), (".9g", "9 digits"), (".17g", "17 digits")):
            for index, clip in enumerate(clips[:FILES]):
                path = Path(folder) / f"{index}{number}.csv"
                write_csv(path, clip, number)
                check_readers(path)
                files.setdefault(kind, []).append(path)
        check_signals(clips)
        rows = measure(clips, files, arguments.rounds)
    print(f"{'':<32}{'anchor ms':>10}{'ours ms':>10}{'ratio':>8}{'target':>9}")
    for what, anchor, ours, target in rows:
        print(f"{what:<32}{anchor:>10.2f}{ours:>10.2f}{anchor / ours:>8.1f}{target:>9}")
    print("* or once ever: the cache reads each file a single time")


if __name__ == "__main__":
    main()
