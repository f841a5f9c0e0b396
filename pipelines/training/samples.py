"""What a model sees once: a whole clip with the clip's label, or a window of a trial with a label of its own.

- Windows are a pure function of the cached annotations and `recipe.windows`: centres lie `hop` frames apart, and a
  window's label is the mean of the annotated frames around its centre that are nearer to it than to any other.
- A window in which no frame is annotated is kept without a label: it is embedded, seen by its neighbours and distilled
  on, and enters no task loss.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import nan
from pathlib import Path

import numpy as np

from pipelines.cache.annotations import Annotation, read_annotations
from pipelines.cache.tables import ClipRow
from pipelines.recipe import Windows
from pipelines.workspace import Workspace


@dataclass(frozen=True)
class Sample:
    """A clip, or a window of it.

    Attributes:
        clip: name of the clip.
        group: what may not be split, e.g. the subject.
        label: class index, or (K,) continuous values; None without a label.
        coverage: modality -> share of the whole clip that can be used.
        frame: centre of the window, counted from 0; None for a whole clip.
        time_s: the same in seconds, on the axis of the clip's files.
    """

    clip: str
    group: str
    label: int | tuple[float, ...] | None
    coverage: Mapping[str, float] = field(default_factory=dict)
    frame: int | None = None
    time_s: float = nan

    @property
    def name(self) -> str:
        """Unique in the corpus."""
        return self.clip if self.frame is None else window_name(self.clip, self.frame)


def window_name(clip: str, frame: int) -> str:
    """Name of the window around a frame (from 0)."""
    return f"{clip}@{frame}"


def make_samples(rows: Iterable[ClipRow], workspace: Workspace, windows: Windows) -> list[Sample]:
    """The samples of some clips, in the order of the clips and of time."""
    if windows.kind == "clip":
        return [Sample(row.clip, row.group, row.label, row.coverage) for row in rows]
    samples: list[Sample] = []
    for row in rows:
        shard = workspace.shard("annotations", row.group)
        annotation = read_shard(shard).get(row.clip)
        if annotation is not None:
            coverage = tuple(row.coverage.items())
            samples += _windows_of(row.clip, row.group, coverage, annotation, windows.hop)
    return samples


def read_shard(path: Path) -> dict[str, Annotation]:
    """A shard of annotations, read once as long as it does not change; none where there is no shard."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return {}
    return _read_once(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _read_once(path: Path, modified: int, size: int) -> dict[str, Annotation]:
    return read_annotations(path)


@lru_cache(maxsize=8192)
def _windows_of(
    clip: str, group: str, coverage: tuple[tuple[str, float], ...], annotation: Annotation, hop: int
) -> tuple[Sample, ...]:
    known = dict(coverage)
    return tuple(
        Sample(clip, group, label_around(annotation.values, frame, hop), known, frame, annotation.times[frame])
        for frame in window_centres(len(annotation.values), hop)
    )


def window_centres(frames: int, hop: int) -> range:
    """Centres of a trial's windows, `hop` apart; a trial shorter than one hop has one in its middle."""
    return range(hop // 2, frames, hop) if frames > hop // 2 else range(frames // 2, frames, hop)


def label_around(values: np.ndarray, frame: int, hop: int) -> tuple[float, ...] | None:
    """Mean of the annotated rows of (n, K) values that lie within half a hop of a frame; None where there is none."""
    start = max(frame - hop // 2, 0)
    near = values[start : frame - hop // 2 + hop]
    annotated = near[~np.isnan(near).any(axis=1)]
    return tuple(annotated.mean(axis=0, dtype=np.float64).tolist()) if len(annotated) else None
