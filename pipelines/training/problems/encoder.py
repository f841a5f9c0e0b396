"""Training one modality's encoder and head on frames, waves, spectrograms or features."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from pipelines.models.teachers import UnimodalTeacher
from pipelines.objectives.base import LossTerms
from pipelines.objectives.task_loss import task_loss
from pipelines.protocols.audit import Evidence
from pipelines.recipe import Task
from pipelines.training.device import channels_last, pinned, read_ahead, reading_threads, to_device
from pipelines.training.judgement import Judgement, judge
from pipelines.training.loop import Batch, Problem, shuffled
from pipelines.training.normalisation import Normaliser
from pipelines.training.samples import Sample
from pipelines.training.seeding import generator
from pipelines.training.sources import Source
from pipelines.training.tables import Targets, make_targets

_EMBEDDED_AT_ONCE = 32
"""Samples in one pass of an encoder."""


@dataclass(frozen=True)
class ModalityReader:
    """Reads standardised batches of one modality onto a device."""

    source: Source
    normaliser: Normaliser
    device: torch.device | str = "cpu"

    def batch(self, rows: Sequence[Sample], draw: tuple[object, ...] | None = None) -> Tensor:
        """(B, ...) float32 on the device. With `draw` (parts of a seed) each sample's temporal sampling is jittered."""
        return self.place(self.read(rows, draw))

    def batches(self, wanted: Iterable[tuple[Sequence[Sample], tuple[object, ...] | None]]) -> Iterator[Tensor]:
        """One batch after the other; those to come are read while a CUDA device works on those before."""
        tasks = (partial(self.read, rows, draw) for rows, draw in wanted)
        for values in read_ahead(tasks, reading_threads(self.device)):
            yield self.place(values)

    def place(self, values: Tensor) -> Tensor:
        """What was read, on the device and in its layout."""
        return channels_last(to_device(values, self.device))

    def read(self, rows: Sequence[Sample], draw: tuple[object, ...] | None = None) -> Tensor:
        """As `batch`, on the host."""
        clips = []
        for row in rows:
            rng = None if draw is None or not self.source.jitters else generator(*draw, row.name)
            clips.append(self.normaliser(self.source.read(row, rng), row.group))
        return pinned(torch.from_numpy(np.stack(clips)), self.device)


class EncoderProblem(Problem):
    """Cross-entropy (or 1 - CCC) of one modality's encoder and head over its labelled samples.

    Args:
        name: e.g. `teacher eda`; part of every seed.
        network: encoder and head.
        reader: standardised batches.
        train: labelled training samples that have the modality.
        validation: labelled validation samples that have it.
        seed: parts of the seed of the temporal sampling.
    """

    def __init__(
        self,
        *,
        name: str,
        network: UnimodalTeacher,
        reader: ModalityReader,
        train: Sequence[Sample],
        validation: Sequence[Sample],
        task: Task,
        batch_size: int,
        seed: tuple[object, ...],
    ) -> None:
        self.name, self.network, self.train_size = name, network, len(train)
        self._reader, self._task, self._batch_size, self._seed = reader, task, batch_size, seed
        self._train, self._validation = train, validation

    def training_batches(self, epoch: int) -> Iterator[Batch]:
        """See Problem."""
        parts = [[self._train[i] for i in part.tolist()] for part in shuffled(len(self._train), self._batch_size)]
        return self._batches(parts, (*self._seed, self.name, epoch))

    def validation_batches(self) -> Iterator[Batch]:
        """See Problem."""
        starts = range(0, len(self._validation), self._batch_size)
        return self._batches([self._validation[start : start + self._batch_size] for start in starts], None)

    def _batches(self, parts: Sequence[Sequence[Sample]], draw: tuple[object, ...] | None) -> Iterator[Batch]:
        shares = [self.share.of(rows) for rows in parts]
        # Of no samples the shape would not be known.
        wanted = ((own or rows[:1], draw) for own, rows in zip(shares, parts, strict=True))
        for rows, own, values in zip(parts, shares, self._reader.batches(wanted), strict=True):
            truth = make_targets(rows, self._task, self._reader.device)
            yield Batch(inputs=(values[: len(own)],), truth=truth, size=len(rows))

    def loss(self, outputs: tuple[Tensor, Tensor], truth: Targets) -> LossTerms:
        """See Problem."""
        value = task_loss(outputs[1], truth.target, truth.labelled, self._task)
        return LossTerms(total=value, parts={"task": value.detach()})

    def judge(self, outputs: tuple[Tensor, Tensor], truth: Targets) -> Judgement:
        """See Problem."""
        return judge(outputs[1], truth.target, truth.labelled, self._task)

    def evidence(self) -> list[Evidence]:
        """See Problem."""
        return [
            Evidence(self.name, "weights", frozenset(row.group for row in self._train)),
            Evidence(self.name, "statistics", frozenset(self._reader.normaliser.fitted_on)),
            Evidence(self.name, "selection", frozenset(row.group for row in self._validation)),
        ]


@torch.no_grad()
def embed(
    network: UnimodalTeacher,
    reader: ModalityReader,
    rows: Sequence[Sample],
    *,
    samplings: int,
    seed: tuple[object, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (N, V, D) and outputs (N, V, C) of N > 0 samples: the first sampling regular, the others jittered."""
    network.eval()
    starts = range(0, len(rows), _EMBEDDED_AT_ONCE)
    wanted = (
        (rows[start : start + _EMBEDDED_AT_ONCE], None if view == 0 else (*seed, "sampling", view))
        for start in starts
        for view in range(samplings)
    )
    views = (network(values) for values in reader.batches(wanted))
    embeddings, outputs = [], []
    for group in zip(*[views] * samplings, strict=True):  # all samplings of the same samples
        embeddings.append(torch.stack([view[0] for view in group], 1).float())
        outputs.append(torch.stack([view[1] for view in group], 1).float())
    # Only now: to fetch a batch is to wait for it.
    return _fetched(embeddings), _fetched(outputs)


def _fetched(parts: Sequence[Tensor]) -> np.ndarray:
    return np.concatenate([part.cpu().numpy() for part in parts])
