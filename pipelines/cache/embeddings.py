"""Stores of embeddings: what later stages train on instead of frames and waves.

Layout: clips (N,) names, and for each column (a modality or a teacher) a group with embeddings (N, V, D) float32 for V
temporal samplings (one, where a modality has no temporal sampling), present (N,) bool, and outputs (N, V, O) float32
where the column has a head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.cache.hdf5 import MASK, NUMBER, create, fixed_text, holds, members, names, open_for_reading, values


@dataclass(frozen=True)
class Column:
    """One modality's or teacher's embeddings; rows where `present` is False are NaN, so that a forgotten mask shows."""

    embeddings: np.ndarray
    present: np.ndarray
    outputs: np.ndarray | None = None

    def taken(self, rows: np.ndarray) -> "Column":
        """Some of its rows, in the given order."""
        outputs = None if self.outputs is None else self.outputs[rows]
        return Column(self.embeddings[rows], self.present[rows], outputs)


@dataclass(frozen=True)
class EmbeddingStore:
    """Embeddings of clips, in memory; the shapes are given in the module's docstring."""

    clips: tuple[str, ...]
    columns: Mapping[str, Column]

    def rows(self, clips: Sequence[str]) -> np.ndarray:
        """Row numbers of clips, (len(clips),) int64. Raises KeyError for a clip that is not stored."""
        index = {clip: row for row, clip in enumerate(self.clips)}
        return np.array([index[clip] for clip in clips], dtype=np.int64)


def write_embeddings(path: Path, store: EmbeddingStore) -> None:
    """Write a whole store; `path` is given by `atomic_path`."""
    with create(path, "embeddings") as file:
        file["clips"] = fixed_text(list(store.clips))
        for name, column in store.columns.items():
            group = file.create_group(f"columns/{name}")
            group["embeddings"] = column.embeddings.astype("float32", copy=False)
            group["present"] = column.present
            if column.outputs is not None:
                group["outputs"] = column.outputs.astype("float32", copy=False)


def read_embeddings(path: Path) -> EmbeddingStore:
    """Read a whole store. Raises MtpkdError for a damaged file."""
    with open_for_reading(path, "embeddings") as file:
        clips, columns = tuple(names(file)), {}
        shape = (len(clips), None, None)
        for name in members(file, "columns"):
            where = f"columns/{name}"
            columns[name] = Column(
                embeddings=values(file, f"{where}/embeddings", shape, NUMBER),
                present=values(file, f"{where}/present", shape[:1], MASK),
                outputs=values(file, f"{where}/outputs", shape, NUMBER) if holds(file, f"{where}/outputs") else None,
            )
        return EmbeddingStore(clips=clips, columns=columns)
