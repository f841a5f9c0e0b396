"""Cached embeddings on the training device, joined with labels: what every stage after the encoders trains on."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.cache.embeddings import Column, EmbeddingStore
from pipelines.recipe import SlidingWindows, Task, Windows
from pipelines.training.device import to_device
from pipelines.training.samples import Sample, window_name


@dataclass(frozen=True)
class Targets:
    """Labels of a batch: target (B,) int64 or (B, K) float32, 0 where there is none, and labelled (B,) bool."""

    target: Tensor
    labelled: Tensor

    def __getitem__(self, rows: Tensor) -> "Targets":
        rows = to_device(rows, self.target.device)
        return Targets(self.target[rows], self.labelled[rows])


def make_targets(samples: Sequence[Sample], task: Task, device: torch.device | str) -> Targets:
    """Labels of samples in the given order."""
    none, kind = (0, torch.int64) if task.kind == "classes" else ((0.0,) * task.num_outputs, torch.float32)
    target = torch.tensor([none if s.label is None else s.label for s in samples], dtype=kind)
    if task.kind == "continuous":
        target = target.reshape(-1, task.num_outputs)
    labelled = torch.tensor([s.label is not None for s in samples], dtype=torch.bool)
    return Targets(to_device(target, device), to_device(labelled, device))


class EmbeddingTable:
    """Some columns of a store for some samples, as tensors.

    Args:
        store: embeddings of at least these samples.
        columns: names of the columns to take.
        rows: the samples, in the order of the table.
        task: what their labels are.
        windows: with a context of L > 1 windows, embeddings are those of a sample and its neighbours in time.
        device: where the tensors live; BioVid's embeddings are a few hundred megabytes.
    """

    def __init__(
        self,
        store: EmbeddingStore,
        columns: Sequence[str],
        rows: Sequence[Sample],
        task: Task,
        *,
        windows: Windows | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        own = store.rows([row.name for row in rows])
        context = own
        if isinstance(windows, SlidingWindows) and windows.context > 1:
            context = _neighbours(store, rows, windows)
        taken = {name: store.columns[name] for name in columns}
        self.rows = tuple(rows)
        self.targets = make_targets(rows, task, device)
        self._known = {name: torch.from_numpy(column.present[own]) for name, column in taken.items()}
        self.present = {name: known.to(device) for name, known in self._known.items()}
        self._there = {n: torch.from_numpy(c.present[context] & (context >= 0)).to(device) for n, c in taken.items()}
        self._own, self._context = (torch.from_numpy(index).to(device) for index in (own, context.clip(min=0)))
        self._embeddings = {name: torch.from_numpy(column.embeddings).to(device) for name, column in taken.items()}
        self._outputs = {
            name: torch.from_numpy(column.outputs).to(device)
            for name, column in taken.items()
            if column.outputs is not None
        }
        self._device = device

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def groups(self) -> frozenset[str]:
        """Groups that the samples came from; neighbours are of the same clip, so of the same group."""
        return frozenset(row.group for row in self.rows)

    def any_present(self, columns: Iterable[str]) -> Tensor:
        """(N,) bool: which samples have at least one of some columns."""
        return torch.stack([self.present[name] for name in columns]).any(0)

    def draw(self, rows: Tensor, *, jitter: bool) -> Tensor:
        """Uniform numbers in [0, 1) that choose a temporal sampling for each sample; zeros without jitter."""
        if not jitter:
            return torch.zeros(len(rows), device=self._device)
        return to_device(torch.rand(len(rows)), self._device)

    def embeddings(self, rows: Tensor, draw: Tensor) -> dict[str, Tensor]:
        """{column: (B, D), or (B, L, D) with a context} at the samplings that `draw` chooses."""
        index = self._context[to_device(rows, self._device)]
        return {name: _choose(values, index, draw) for name, values in self._embeddings.items()}

    def outputs(self, rows: Tensor, draw: Tensor) -> dict[str, Tensor]:
        """{column: (B, O)} of the samples themselves, at the same samplings."""
        index = self._own[to_device(rows, self._device)]
        return {name: _choose(values, index, draw) for name, values in self._outputs.items()}

    def presence(self, rows: Tensor) -> dict[str, Tensor]:
        """{column: (B,), or (B, L) with a context, bool}."""
        rows = to_device(rows, self._device)
        return {name: values[rows] for name, values in self._there.items()}

    def known(self, rows: Tensor, columns: Sequence[str]) -> Tensor:
        """(B, columns) bool on the host: which samples have which columns themselves. `rows` are on the host, too."""
        return torch.stack([self._known[name][rows] for name in columns], 1)

    def batches(self, batch_size: int, *, shuffle: bool) -> Iterator[Tensor]:
        """Row numbers, batch by batch, on the host; shuffled by torch's seeded generator."""
        order = torch.randperm(len(self)) if shuffle else torch.arange(len(self))
        return iter(order.split(batch_size))


def _neighbours(store: EmbeddingStore, rows: Sequence[Sample], windows: SlidingWindows) -> np.ndarray:
    """(N, L) rows of the store, -1 where a trial has no window."""
    index = {name: row for row, name in enumerate(store.clips)}
    half = windows.context // 2
    steps = [step * windows.hop for step in range(-half, half + 1)]
    found = [[index.get(window_name(row.clip, (row.frame or 0) + step), -1) for step in steps] for row in rows]
    return np.array(found, dtype=np.int64).reshape(-1, windows.context)


def _choose(values: Tensor, index: Tensor, draw: Tensor) -> Tensor:
    sampling = (draw * values.shape[1]).long().clamp_(max=values.shape[1] - 1)
    return values[index, sampling if index.dim() == 1 else sampling[:, None]]


def masked_column(embeddings: np.ndarray, outputs: np.ndarray, present: np.ndarray) -> Column:
    """Spread the rows of present clips, (P, V, D) and (P, V, O), over all N; the others are NaN. present (N,) bool."""

    def spread(values: np.ndarray) -> np.ndarray:
        everyone = np.full((len(present), *values.shape[1:]), np.nan, np.float32)
        everyone[present] = values
        return everyone

    return Column(embeddings=spread(embeddings), present=present, outputs=spread(outputs))
