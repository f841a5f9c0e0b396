"""Log-mel spectrograms against librosa, a window from the cache against computing it, frame times against decoding.

    python benchmarks/audio.py [--rounds N]

Equal results are checked first: spectrograms to 1e-3 dB on noise and on every real recording with sound (folder from
MTPKD_REAL_DATA, by default ../shared/real beside the project), windows to the cache's rounding, times exactly. Then
both sides run interleaved, on one thread.
"""

import argparse
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import threadpoolctl
import torch

from pipelines.cache.audio import AudioShard, AudioShardWriter
from pipelines.media.audio import SoundBlock, read_sound
from pipelines.media.log_mel import analysis_samples, log_mel
from pipelines.media.time_stamps import frame_times
from pipelines.media.video import read_frames
from pipelines.recipe import AudioSettings

SETTINGS = AudioSettings()
MINUTE = 60 * SETTINGS.rate
ROOT = Path(__file__).resolve().parent.parent


def by_librosa(wave: np.ndarray) -> np.ndarray:
    """(mels, n) decibels."""
    window, hop, fft = analysis_samples(SETTINGS)
    power = librosa.feature.melspectrogram(
        y=wave, sr=SETTINGS.rate, n_fft=fft, hop_length=hop, win_length=window, window="hann", center=True,
        pad_mode="constant", power=2, n_mels=SETTINGS.mels, fmin=SETTINGS.low, fmax=SETTINGS.high,
    )  # fmt: skip
    return librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None)


def real_videos() -> list[Path]:
    """The real face videos; empty without the folder."""
    folder = Path(os.environ.get("MTPKD_REAL_DATA", ROOT.parent / "shared" / "real")) / "faces"
    return sorted(file for file in folder.glob("*") if file.suffix in {".mp4", ".mov"})


def write_shard(path: Path, wave: np.ndarray) -> AudioShard:
    """A track in the cache."""
    with AudioShardWriter(path, SETTINGS) as writer:
        for first in range(0, len(wave), SETTINGS.rate):
            writer.add(SoundBlock(first / SETTINGS.rate, wave[first : first + SETTINGS.rate]))
    return AudioShard(path)


def check(wave: np.ndarray, shard: AudioShard) -> None:
    """Both sides of every comparison give the same."""
    sounds = {"noise": wave}
    for video in real_videos():
        np.testing.assert_array_equal(frame_times(video), [frame.time_s for frame in read_frames(video)])
        sounds[video.name] = np.concatenate([block.samples for block in read_sound(video, SETTINGS.rate)])
    for name, sound in sounds.items():
        apart = np.abs(log_mel(sound, SETTINGS) - by_librosa(sound)).max()
        print(f"{name[:28]:<30}{len(sound) / SETTINGS.rate:>7.1f} s   at most {apart:.1e} dB from librosa")
        assert apart < 1e-3
    expected = log_mel(wave, SETTINGS)[:, 1900:2100]
    np.testing.assert_allclose(shard.read(20.0, 2.0)[0], expected, atol=0.04)


def seconds(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def arms(wave: np.ndarray, shard: AudioShard) -> dict[str, tuple[Callable, Callable, str]]:
    """What is compared -> anchor, ours, target."""
    window = wave[: 2 * SETTINGS.rate]
    pairs: dict[str, tuple[Callable, Callable, str]] = {
        "log-mel, a minute of sound": (lambda: by_librosa(wave), lambda: log_mel(wave, SETTINGS), ">= 4"),
        "a window of 2 s": (lambda: by_librosa(window), lambda: shard.read(20.0, 2.0), "-"),
    }
    if videos := real_videos():
        longest = max(videos, key=lambda video: video.stat().st_size)
        pairs["times of a video's frames"] = (
            lambda: [frame.time_s for frame in read_frames(longest)],
            lambda: frame_times(longest),
            "-",
        )
    return pairs


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=31)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    wave = np.random.default_rng(0).normal(0, 0.1, MINUTE).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, threadpoolctl.threadpool_limits(1):
        shard = write_shard(Path(folder) / "audio.h5", wave)
        check(wave, shard)
        pairs = arms(wave, shard)
        times: dict[str, list[tuple[float, float]]] = {what: [] for what in pairs}
        for _ in range(arguments.rounds):
            for what, (anchor, ours, _) in pairs.items():
                times[what].append((seconds(anchor), seconds(ours)))
        shard.close()
    print(f"\n{'':<32}{'anchor ms':>10}{'ours ms':>10}{'ratio':>8}{'target':>9}")
    for what, (_, _, target) in pairs.items():
        anchor, ours = (1000 * statistics.median(side) for side in zip(*times[what], strict=True))
        print(f"{what:<32}{anchor:>10.2f}{ours:>10.2f}{anchor / ours:>8.1f}{target:>9}")


if __name__ == "__main__":
    main()
