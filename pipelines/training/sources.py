"""What an encoder reads of a clip: frames, waves, spectrograms or features, from the cache, one clip at a time.

A source opens each group's shard once and keeps it open; it is made anew in every process. Presence is decided here:
a clip whose modality is missing is not usable, and nothing is ever filled in for it.
"""

from abc import ABC, abstractmethod
from functools import partial

import numpy as np

from pipelines.cache.biosignals import BiosignalShard
from pipelines.cache.faces import FaceShard
from pipelines.cache.tables import ClipRow
from pipelines.models.encoders import INPUT_VIEW
from pipelines.recipe import Recipe, ClipWindow
from pipelines.workspace import Workspace

# Channel statistics of Kinetics-400, which published R3D-18 weights were trained with (torchvision's transforms).
PIXEL_MEAN = np.array([0.43216, 0.394666, 0.37645], np.float32)
PIXEL_STD = np.array([0.22803, 0.22145, 0.216989], np.float32)


class Source(ABC):
    """Reads one modality of clips."""

    view: str

    @abstractmethod
    def is_usable(self, row: ClipRow) -> bool:
        """Whether the clip has this modality, in the part of it that the model sees."""

    @abstractmethod
    def read(self, row: ClipRow, rng: np.random.Generator | None = None) -> np.ndarray:
        """One clip as float32; regular sampling without `rng`, jittered with it."""


class FrameSource(Source):
    """T frames of a clip's window, (3, T, S, S), standardised with fixed constants.

    Only frames that show a face are drawn: they are divided into T equal segments, and one is taken from each, its
    middle (regular) or any (jittered). With fewer than T of them some repeat.
    """

    view = "frames"

    def __init__(self, workspace: Workspace, windows: ClipWindow) -> None:
        self._open = partial(workspace.shard, "faces")
        self._windows = windows
        self._shards: dict[str, FaceShard] = {}

    def _shard(self, group: str) -> FaceShard:
        if group not in self._shards:
            self._shards[group] = FaceShard(self._open(group))
        return self._shards[group]

    def _candidates(self, row: ClipRow) -> np.ndarray:
        frames = self._shard(row.group).frames(row.clip)
        inside = (frames.times >= self._windows.start) & (frames.times < self._windows.stop)
        return np.flatnonzero(frames.valid & inside)

    def is_usable(self, row: ClipRow) -> bool:
        """See Source: at least one frame of the window shows a face."""
        return row.coverage.get("faces", 0.0) > 0 and len(self._candidates(row)) > 0

    def read(self, row: ClipRow, rng: np.random.Generator | None = None) -> np.ndarray:
        """See Source."""
        candidates = self._candidates(row)
        within = np.full(self._windows.frames, 0.5) if rng is None else rng.random(self._windows.frames)
        segment = (np.arange(self._windows.frames) + within) * len(candidates) / self._windows.frames
        pixels = self._shard(row.group).read(row.clip, candidates[segment.astype(int)])
        if rng is not None and rng.random() < 0.5:
            pixels = pixels[:, :, ::-1]  # mirrored: a face has no preferred side
        values = pixels.transpose(3, 0, 1, 2).astype(np.float32, order="C")
        values *= (1 / (255 * PIXEL_STD))[:, None, None, None]
        values -= (PIXEL_MEAN / PIXEL_STD)[:, None, None, None]
        return values


class BiosignalSource(Source):
    """One channel as wave (2, L), spectrogram (1, F, T) or features (K,), not yet standardised."""

    def __init__(self, workspace: Workspace, channel: str, view: str) -> None:
        self.view = view
        self._channel = channel
        self._open = partial(workspace.shard, "biosignals")
        self._shards: dict[str, BiosignalShard] = {}

    def _shard(self, group: str) -> BiosignalShard:
        if group not in self._shards:
            self._shards[group] = BiosignalShard(self._open(group))
        return self._shards[group]

    def is_usable(self, row: ClipRow) -> bool:
        """See Source."""
        return row.coverage.get(self._channel, 0.0) > 0

    def read(self, row: ClipRow, rng: np.random.Generator | None = None) -> np.ndarray:
        """See Source; a biosignal is read whole, so `rng` changes nothing."""
        return self._shard(row.group).read(row.clip, self._channel, self.view)


def make_source(workspace: Workspace, recipe: Recipe, modality: str) -> Source:
    """The source that feeds a modality's encoder."""
    if modality == "faces":
        return FrameSource(workspace, recipe.windows)
    return BiosignalSource(workspace, modality, INPUT_VIEW[recipe.encoders[modality].architecture])
