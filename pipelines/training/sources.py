"""What an encoder reads of a sample: frames, waves, spectrograms or features, from the cache, one at a time.

A source opens a group's shard when it is asked for and keeps it open, among so many others as a process may have open;
it is made anew in every process. Presence is decided here:
a clip whose modality is missing is not usable, and nothing is ever filled in for it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

import numpy as np

from pipelines.cache.audio import AudioShard
from pipelines.cache.channels import ChannelShard
from pipelines.cache.faces import FaceShard
from pipelines.media.sampling import clip_frames, middles, standardised, window_frames, window_span
from pipelines.models.encoders import INPUT_VIEW
from pipelines.recipe import AudioSettings, ClipWindow, Recipe, SlidingWindows
from pipelines.training.samples import Sample
from pipelines.workspace import Workspace


class Source(ABC):
    """Reads one modality of clips or windows."""

    view: str
    jitters: bool = False
    """Whether `read` makes use of a random generator."""

    @abstractmethod
    def is_usable(self, row: Sample) -> bool:
        """Whether the sample has this modality, in the part of the clip that the model sees."""

    @abstractmethod
    def read(self, row: Sample, rng: np.random.Generator | None = None) -> np.ndarray:
        """One sample as float32; regular sampling without `rng`, jittered with it."""


_OPEN_AT_ONCE = 512
"""Half of what Linux lets a process have open; the groups of most corpora are fewer."""


Shard = TypeVar("Shard")


class OpenShards(Generic[Shard]):
    """The shards of one kind by group; those that were asked for last are kept open."""

    def __init__(self, workspace: Workspace, kind: str, open_shard: Callable[[Path], Shard]) -> None:
        self._path, self._open = partial(workspace.shard, kind), open_shard
        self._known: dict[str, Shard] = {}
        self._lock = Lock()  # batches are read ahead by several threads

    def __getitem__(self, group: str) -> Shard:
        with self._lock:
            shard = self._known.pop(group, None)
            if shard is None:
                shard = self._open(self._path(group))
            self._known[group] = shard
            if len(self._known) > _OPEN_AT_ONCE:
                self._known.pop(next(iter(self._known)))  # closed with its last reader
            return shard


class FaceSource(Source):
    """T frames that show a face, (3, T, S, S), standardised with fixed constants; mirrored at random with `rng`."""

    view = "frames"
    jitters = True

    def __init__(self, workspace: Workspace, modality: str = "faces") -> None:
        self._modality = modality
        self._shards = OpenShards(workspace, modality, FaceShard)

    @abstractmethod
    def _candidates(self, row: Sample) -> np.ndarray:
        """Sorted numbers of the frames that may be drawn: those of the window that show a face."""

    @abstractmethod
    def _choose(self, row: Sample, candidates: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """T of at least one candidate, in order of time."""

    def is_usable(self, row: Sample) -> bool:
        """See Source: at least one frame of the window shows a face."""
        return row.coverage.get(self._modality, 0.0) > 0 and len(self._candidates(row)) > 0

    def read(self, row: Sample, rng: np.random.Generator | None = None) -> np.ndarray:
        """See Source."""
        pixels = self._shards[row.group].read(row.clip, self._choose(row, self._candidates(row), rng))
        if rng is not None and rng.random() < 0.5:
            pixels = pixels[:, :, ::-1]  # mirrored: a face has no preferred side
        return standardised(pixels)


class ClipFaceSource(FaceSource):
    """The frames of a clip's window, divided into T equal segments: from each its middle (regular) or any (jittered).

    With fewer than T frames that show a face some repeat.
    """

    def __init__(self, workspace: Workspace, windows: ClipWindow, modality: str = "faces") -> None:
        super().__init__(workspace, modality)
        self._windows = windows

    def _candidates(self, row: Sample) -> np.ndarray:
        frames = self._shards[row.group].frames(row.clip)
        inside = (frames.times >= self._windows.start) & (frames.times < self._windows.stop)
        return np.flatnonzero(frames.valid & inside)

    def _choose(self, row: Sample, candidates: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        return clip_frames(candidates, _within(self._windows.frames, rng))


class WindowFaceSource(FaceSource):
    """T frames around a sample's own, one from each stretch of `stride`: its middle (regular) or any (jittered).

    A frame without a face is replaced by the nearest one of the window that shows one.
    """

    def __init__(self, workspace: Workspace, windows: SlidingWindows, modality: str = "faces") -> None:
        super().__init__(workspace, modality)
        self._frames, self._stride = windows.frames, windows.stride

    def _candidates(self, row: Sample) -> np.ndarray:
        assert row.frame is not None
        start, stop = window_span(row.frame, self._frames, self._stride)
        return start + np.flatnonzero(self._shards[row.group].frames(row.clip).valid[start:stop])

    def _choose(self, row: Sample, candidates: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        assert row.frame is not None
        return window_frames(candidates, row.frame, _within(self._frames, rng), self._stride)


def _within(frames: int, rng: np.random.Generator | None) -> np.ndarray:
    """Where in its segment each frame is taken: in the middle, or anywhere."""
    return middles(frames) if rng is None else rng.random(frames)


class ChannelSource(Source):
    """One channel as wave (2, L), spectrogram (1, F, T) or features (K,), not yet standardised.

    Args:
        workspace: where the cache is.
        kind: of the shards that hold the channel.
        channel: its name in them, and in the coverage of a clip.
        view: `wave`, `spectrogram` or `features`.
    """

    def __init__(self, workspace: Workspace, *, kind: str, channel: str, view: str) -> None:
        self.view = view
        self._channel = channel
        self._shards = OpenShards(workspace, kind, ChannelShard)

    def is_usable(self, row: Sample) -> bool:
        """See Source."""
        return row.coverage.get(self._channel, 0.0) > 0

    def read(self, row: Sample, rng: np.random.Generator | None = None) -> np.ndarray:
        """See Source; a channel is read whole, so `rng` changes nothing."""
        return self._shards[row.group].read(row.clip, self._channel, self.view)


class AudioSource(Source):
    """The log-mel spectrogram (1, mels, n) of a trial's track around a window's centre, not yet standardised."""

    view = "spectrogram"

    def __init__(self, workspace: Workspace, settings: AudioSettings) -> None:
        self._seconds = settings.seconds
        self._shards = OpenShards(workspace, "audio", AudioShard)

    def is_usable(self, row: Sample) -> bool:
        """See Source: there is sound around the window's centre."""
        return row.coverage.get("audio", 0.0) > 0 and self._shards[row.group].covers(row.time_s, self._seconds)

    def read(self, row: Sample, rng: np.random.Generator | None = None) -> np.ndarray:
        """See Source; sound is heard as it is, so `rng` changes nothing."""
        return self._shards[row.group].read(row.time_s, self._seconds)


def make_source(workspace: Workspace, recipe: Recipe, modality: str) -> Source:
    """The source that feeds a modality's encoder."""
    match recipe.corpus.kinds[modality], recipe.windows:
        case "video", SlidingWindows() as windows:
            return WindowFaceSource(workspace, windows, modality)
        case "video", ClipWindow() as windows:
            return ClipFaceSource(workspace, windows, modality)
        case "sound", SlidingWindows():
            return AudioSource(workspace, recipe.audio)
    view = INPUT_VIEW[recipe.encoders[modality].architecture]
    return ChannelSource(workspace, kind=recipe.shard_kind(modality), channel=modality, view=view)


def placement_keys(recipe: Recipe, modality: str) -> list[str]:
    """Settings by which `make_source` finds a sample in the cache, for fingerprints; the cache itself has its own."""
    kind = recipe.corpus.kinds[modality]
    if kind == "video":
        return ["windows"]
    return ["audio.seconds"] if kind == "sound" and isinstance(recipe.windows, SlidingWindows) else []
