"""Small intact files of every kind that is read, and a process of its own for reading damaged ones.

`MTPKD_STRESS=1` multiplies every count; without it the whole folder takes about a minute.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from safetensors.torch import save_file

from pipelines.cache.annotations import Annotation, write_annotations
from pipelines.cache.audio import AudioShardWriter
from pipelines.cache.channels import ChannelArrays, write_channels
from pipelines.cache.embeddings import Column, EmbeddingStore, write_embeddings
from pipelines.cache.faces import FaceShardWriter
from pipelines.cache.structure import StructureRecord, write_structure
from pipelines.media.audio import SoundBlock
from pipelines.media.faces import FaceCrop
from pipelines.media.sound_track import Sound
from pipelines.media.video import write_video
from pipelines.recipe import AudioSettings
from pipelines.recipe.loading import load_recipe
from pipelines.training.checkpoints import save_checkpoint

STRESSED = bool(os.environ.get("MTPKD_STRESS"))
STRESS = 10
"""How many times as much is done under stress."""
CHILD = Path(__file__).with_name("child.py")

settings.register_profile(
    "fuzz",
    max_examples=100 * (STRESS if STRESSED else 1),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("fuzz")


@dataclass
class Batch:
    """What came of some mutations of a family.

    Attributes:
        ends: seed -> what the child said of it.
        dead: seed and standard error of every mutation that killed the child, or took too long.
        peak_mb: largest memory of a child.
    """

    ends: dict[int, dict] = field(default_factory=dict)
    dead: dict[int, str] = field(default_factory=dict)
    peak_mb: int = 0

    @property
    def faults(self) -> dict[int, str]:
        """Seed -> what is wrong: neither a result nor a failure that names the file."""
        found = {seed: "\n".join(end["faults"]) for seed, end in self.ends.items() if end["faults"]}
        return found | {seed: f"killed its process:\n{error}" for seed, error in self.dead.items()}


@pytest.fixture(scope="session")
def run_child(originals, tmp_path_factory) -> Callable[..., tuple[list[dict], str]]:
    """Runs `child.py`: what it said, and its standard error."""
    work = tmp_path_factory.mktemp("damaged")

    def run(family: str, *what: object) -> tuple[list[dict], str]:
        command = [sys.executable, str(CHILD), family, str(originals), str(work), *map(str, what)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHILD.parents[2])
        said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        assert said, f"the intact files of {family} cannot be read:\n{done.stderr[-3000:]}"
        return said, done.stderr[-3000:]

    return run


@pytest.fixture(scope="session")
def fuzz(run_child) -> Callable[..., Batch]:
    """`fuzz(family, count)`: reads so many mutations; a child that dies is followed by one that goes on behind it."""

    def run(family: str, count: int, first: int = 0) -> Batch:
        batch, stop = Batch(), first + count * (STRESS if STRESSED else 1)
        while first < stop:
            said, error = run_child(family, first, stop - first)
            batch.ends |= {line["end"]: line for line in said if "end" in line}
            batch.peak_mb = max([batch.peak_mb, *(line["peak_mb"] for line in said if "peak_mb" in line)])
            if "peak_mb" in said[-1]:
                break
            batch.dead[said[-1]["begin"]] = error
            first = said[-1]["begin"] + 1
        return batch

    return run


@pytest.fixture(scope="session")
def outcomes_of(run_child) -> Callable[..., dict[str, list[str]]]:
    """`outcomes_of(family, {name: content}, folder)`: what the readers made of each, in a process of its own.

    Fails where a reader did neither, or took too much time or memory.
    """

    def run(family: str, contents: dict[str, bytes], folder: Path) -> dict[str, list[str]]:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        said, error = run_child(family, "files", *(folder / name for name in contents))
        ends = [line for line in said if "end" in line]
        assert len(ends) == len(contents), f"{list(contents)[len(ends)]} killed its process:\n{error}"
        assert not any(end["faults"] for end in ends), ends
        return {name: end["outcomes"] for name, end in zip(contents, ends, strict=True)}

    return run


@pytest.fixture(scope="session")
def originals(tmp_path_factory) -> Path:
    """A folder of intact files for every family, two of each."""
    root = tmp_path_factory.mktemp("originals")
    for number in range(2):
        for family, (name, write) in WRITERS.items():
            folder = root / family
            folder.mkdir(exist_ok=True)
            write(folder / f"{number}{name}", np.random.default_rng(number))
    return root


def _pictures(rng: np.random.Generator, count: int = 10) -> list[np.ndarray]:
    ramp = np.linspace(0, 120, 64)[None, :, None] * np.ones((48, 1, 3))
    colours = rng.uniform(0, 120, (count, 1, 1, 3))
    return [(ramp + colour).astype(np.uint8) for colour in colours]


def _sound(rng: np.random.Generator, rate: int = 16000) -> np.ndarray:
    return (0.3 * np.sin(np.arange(rate // 2) * rng.uniform(0.1, 0.4))).astype(np.float32)


def _h264(path: Path, rng: np.random.Generator) -> None:
    write_video(path, _pictures(rng), 25, sound=Sound([_sound(rng)], 16000))


def _muxed(codec: str | None, sound: str | None, pixels: str = "yuv420p", container: str | None = None):
    """A writer of a container with pictures, sound or both."""

    def write(path: Path, rng: np.random.Generator) -> None:
        with av.open(str(path), "w", format=container) as output:
            streams = []
            if codec:
                video = output.add_stream(codec, rate=25)
                video.width, video.height, video.pix_fmt = 64, 48, pixels
                frames = [av.VideoFrame.from_ndarray(image, format="rgb24") for image in _pictures(rng)]
                for index, frame in enumerate(frames):
                    frame.pts, frame.time_base = index, Fraction(1, 25)
                streams.append((video, frames))
            if sound:
                rate = 48000 if sound == "libopus" else 16000
                track = output.add_stream(sound, rate=rate, layout="mono")
                frame = av.AudioFrame.from_ndarray(
                    (_sound(rng, rate) * 32767).astype(np.int16)[None], format="s16", layout="mono"
                )
                frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
                streams.append((track, list(av.AudioResampler(format=track.format, rate=rate).resample(frame))))
            for stream, frames in streams:
                for frame in frames:
                    output.mux(stream.encode(frame))
                output.mux(stream.encode())

    return write


def _image(path: Path, rng: np.random.Generator) -> None:
    cv2.imwrite(str(path), cv2.resize(_pictures(rng, 1)[0], (32, 32)))


def _crops(rng: np.random.Generator) -> list[FaceCrop]:
    images = [cv2.resize(image, (24, 24)) for image in _pictures(rng, 6)]
    return [
        FaceCrop(index, index / 25, None if index == 2 else (1.0, 2.0, 20.0, 22.0), None if index == 2 else image)
        for index, image in enumerate(images)
    ]


def _faces(storage: str):
    def write(path: Path, rng: np.random.Generator) -> None:
        with FaceShardWriter(path, size=24, storage=storage) as writer:
            for clip in ("a", "b"):
                writer.add(clip, _crops(rng))

    return write


def _channels(path: Path, rng: np.random.Generator) -> None:
    channel = ChannelArrays(
        present=np.array([True, False, True]),
        wave=rng.normal(size=(3, 64)).astype(np.float32),
        valid=np.ones((3, 64), bool),
        spectrogram=rng.normal(size=(3, 8, 9)).astype(np.float32),
        features=rng.normal(size=(3, 4)).astype(np.float32),
        feature_names=("a", "b", "c", "d"),
    )
    write_channels(path, ["x", "y", "z"], {"eda": channel, "ecg": channel})


def _sound_shard(path: Path, rng: np.random.Generator) -> None:
    with AudioShardWriter(path, AudioSettings()) as writer:
        for second in range(3):
            samples = rng.normal(size=16000).astype(np.float32) * 0.1
            writer.add(SoundBlock(float(second), samples, is_gap=second == 1))


def _annotations(path: Path, rng: np.random.Generator) -> None:
    trials = {name: Annotation(rng.normal(size=(n, 2)), np.arange(n) / 30) for name, n in (("a", 30), ("b_left", 9))}
    write_annotations(path, trials)


def _embeddings(path: Path, rng: np.random.Generator) -> None:
    column = Column(rng.normal(size=(4, 2, 8)), np.ones(4, bool), rng.normal(size=(4, 2, 2)))
    write_embeddings(path, EmbeddingStore(("a", "b", "c", "d"), {"faces": column, "joint": column}))


def _structure(path: Path, rng: np.random.Generator) -> None:
    record = StructureRecord(
        clips=("a", "b", "c", "d"),
        groups=("s", "s", "t", "t"),
        labels=np.array([[0.0], [0.0], [1.0], [np.nan]]),
        epochs=(0, 1, 2),
        best=1,
        teacher=rng.uniform(0, 2, (4, 4)),
        student=rng.uniform(0, 2, (3, 4, 4)),
        plans=rng.dirichlet(np.ones(16), 3).reshape(3, 4, 4),
    )
    write_structure(path, record)


def _tensors(rng: np.random.Generator) -> dict[str, torch.Tensor]:
    shapes = {"0.weight": (4, 8), "0.bias": (4,), "1.weight": (2, 4), "1.bias": (2,)}
    return {name: torch.from_numpy(rng.normal(size=shape).astype(np.float32)) for name, shape in shapes.items()}


def _checkpoint(path: Path, rng: np.random.Generator) -> None:
    save_checkpoint(path, _tensors(rng), {"groups": ["a", "b"]}, load_recipe("demo"))


WRITERS: dict[str, tuple[str, Callable[[Path, np.random.Generator], None]]] = {
    "mp4": (".mp4", _h264),
    "mov": (".mov", _muxed("libx264", "pcm_s16le")),
    "avi": (".avi", _h264),
    "avi-mjpeg": (".avi", _muxed("mjpeg", "pcm_s16le", "yuvj420p")),
    "avi-mpeg4": (".avi", _muxed("mpeg4", None)),
    "mkv": (".mkv", _muxed("libx264", "flac")),
    "webm": (".webm", _muxed("libvpx", "libopus")),
    "wav": (".wav", _muxed(None, "pcm_s16le")),
    "aiff": (".aiff", _muxed(None, "pcm_s16be")),
    "mp3": (".mp3", _muxed(None, "libmp3lame")),
    "m4a": (".m4a", _muxed(None, "aac", container="mp4")),
    "flac": (".flac", _muxed(None, "flac")),
    "jpg": (".jpg", _image),
    "png": (".png", _image),
    "npy": (".npy", lambda path, rng: np.save(path, rng.normal(size=50))),
    "faces": (".h5", _faces("jpeg")),
    "faces-raw": (".h5", _faces("raw")),
    "biosignals": (".h5", _channels),
    "audio": (".h5", _sound_shard),
    "annotations": (".h5", _annotations),
    "embeddings": (".h5", _embeddings),
    "structure": (".h5", _structure),
    "checkpoint": (".safetensors", _checkpoint),
    "safetensors": (".safetensors", lambda path, rng: save_file(_tensors(rng), path)),
    "torch": (".pt", lambda path, rng: torch.save(_tensors(rng), path)),
}
"""Family -> suffix and writer of an intact file."""
