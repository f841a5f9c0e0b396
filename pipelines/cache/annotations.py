"""Shards of annotations: what a continuous corpus says of every frame of its trials, and when those frames were.

Layout: clips (N,) names; and for each clip a group `trials/<clip>` with values (n, K) float32, NaN in both columns of a
frame that may enter neither a loss nor a metric, and times (n,) float64 seconds on the axis of the trial's files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.cache.hdf5 import NUMBER, create, fixed_text, names, open_for_reading, values


@dataclass(frozen=True, eq=False)
class Annotation:
    """One trial, in memory; the shapes are given in the module's docstring."""

    values: np.ndarray
    times: np.ndarray


def write_annotations(path: Path, trials: Mapping[str, Annotation]) -> None:
    """Write a whole shard; `path` is given by `atomic_path`."""
    with create(path, "annotations") as file:
        file["clips"] = fixed_text(list(trials))
        for clip, annotation in trials.items():
            group = file.create_group(f"trials/{clip}")
            group["values"] = annotation.values.astype("float32", copy=False)
            group["times"] = annotation.times.astype("float64", copy=False)


def read_annotations(path: Path) -> dict[str, Annotation]:
    """Read a whole shard. Raises MtpkdError for a damaged file."""
    with open_for_reading(path, "annotations") as file:
        trials = {}
        for clip in names(file):
            known = values(file, f"trials/{clip}/values", (None, None), NUMBER)
            trials[clip] = Annotation(known, values(file, f"trials/{clip}/times", known.shape[:1], NUMBER))
        return trials
