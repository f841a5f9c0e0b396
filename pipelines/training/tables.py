"""Cached embeddings on the training device, joined with labels: what every stage after the encoders trains on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.cache.embeddings import Column, EmbeddingStore
from pipelines.cache.tables import ClipRow


@dataclass(frozen=True)
class Targets:
    """Labels of a batch: target (B,) int64, 0 where there is none, and labelled (B,) bool."""

    target: Tensor
    labelled: Tensor

    def __getitem__(self, rows: Tensor) -> "Targets":
        return Targets(self.target[rows], self.labelled[rows])


def make_targets(rows: Sequence[ClipRow], device: torch.device | str) -> Targets:
    """Labels of clips in the given order."""
    target = torch.tensor([0 if row.label is None else row.label for row in rows], device=device)
    return Targets(target, torch.tensor([row.label is not None for row in rows], device=device))


class EmbeddingTable:
    """Some columns of a store for some clips, as tensors.

    Args:
        store: embeddings of at least these clips.
        columns: names of the columns to take.
        rows: the clips, in the order of the table.
        device: where the tensors live; BioVid's embeddings are a few hundred megabytes.
    """

    def __init__(
        self, store: EmbeddingStore, columns: Sequence[str], rows: Sequence[ClipRow], device: torch.device | str = "cpu"
    ) -> None:
        index = store.rows([row.clip for row in rows])
        taken = {name: store.columns[name] for name in columns}
        self.rows = tuple(rows)
        self.targets = make_targets(rows, device)
        self.present = {name: torch.from_numpy(column.present[index]).to(device) for name, column in taken.items()}
        self._embeddings = {name: torch.from_numpy(c.embeddings[index]).to(device) for name, c in taken.items()}
        self._outputs = {
            name: torch.from_numpy(column.outputs[index]).to(device)
            for name, column in taken.items()
            if column.outputs is not None
        }
        self._device = device

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def groups(self) -> frozenset[str]:
        """Groups that the clips came from."""
        return frozenset(row.group for row in self.rows)

    def draw(self, rows: Tensor, *, jitter: bool) -> Tensor:
        """Uniform numbers in [0, 1) that choose a temporal sampling for each clip; zeros without jitter."""
        return torch.rand(len(rows)).to(self._device) if jitter else torch.zeros(len(rows), device=self._device)

    def embeddings(self, rows: Tensor, draw: Tensor) -> dict[str, Tensor]:
        """{column: (B, D)} at the samplings that `draw` chooses."""
        return {name: _choose(values, rows, draw) for name, values in self._embeddings.items()}

    def outputs(self, rows: Tensor, draw: Tensor) -> dict[str, Tensor]:
        """{column: (B, O)} at the same samplings."""
        return {name: _choose(values, rows, draw) for name, values in self._outputs.items()}

    def presence(self, rows: Tensor) -> dict[str, Tensor]:
        """{column: (B,) bool}."""
        return {name: values[rows] for name, values in self.present.items()}

    def batches(self, batch_size: int, *, shuffle: bool) -> Iterator[Tensor]:
        """Row numbers, batch by batch; shuffled by torch's seeded generator."""
        order = torch.randperm(len(self)) if shuffle else torch.arange(len(self))
        return iter(order.to(self._device).split(batch_size))


def _choose(values: Tensor, rows: Tensor, draw: Tensor) -> Tensor:
    sampling = (draw * values.shape[1]).long().clamp_(max=values.shape[1] - 1)
    return values[rows, sampling]


def masked_column(embeddings: np.ndarray, outputs: np.ndarray, present: np.ndarray) -> Column:
    """Spread the rows of present clips, (P, V, D) and (P, V, O), over all N; the others are NaN. present (N,) bool."""

    def spread(values: np.ndarray) -> np.ndarray:
        everyone = np.full((len(present), *values.shape[1:]), np.nan, np.float32)
        everyone[present] = values
        return everyone

    return Column(embeddings=spread(embeddings), present=present, outputs=spread(outputs))
