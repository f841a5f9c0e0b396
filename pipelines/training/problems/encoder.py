"""Training one modality's encoder and head on frames, waves, spectrograms or features."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.models.teachers import UnimodalTeacher
from pipelines.objectives.base import LossTerms
from pipelines.objectives.task_loss import task_loss
from pipelines.protocols.audit import Evidence
from pipelines.recipe import Task
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
        """(B, ...) float32. With `draw` (the parts of a seed) the temporal sampling of each sample is jittered."""
        clips = []
        for row in rows:
            rng = None if draw is None or not self.source.jitters else generator(*draw, row.name)
            clips.append(self.normaliser(self.source.read(row, rng), row.group))
        return torch.from_numpy(np.stack(clips)).to(self.device)


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
        for chosen in shuffled(len(self._train), self._batch_size):
            yield self._batch([self._train[i] for i in chosen.tolist()], (*self._seed, self.name, epoch))

    def validation_batches(self) -> Iterator[Batch]:
        """See Problem."""
        for start in range(0, len(self._validation), self._batch_size):
            yield self._batch(self._validation[start : start + self._batch_size], None)

    def _batch(self, rows: Sequence[Sample], draw: tuple[object, ...] | None) -> Batch:
        own = self.share.of(rows)
        values = self._reader.batch(own or rows[:1], draw)[: len(own)]  # of none the shape is not known
        return Batch(inputs=(values,), truth=make_targets(rows, self._task, self._reader.device), size=len(rows))

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
    embeddings, outputs = [], []
    for start in range(0, len(rows), _EMBEDDED_AT_ONCE):
        part = rows[start : start + _EMBEDDED_AT_ONCE]
        views = [
            network(reader.batch(part, None if view == 0 else (*seed, "sampling", view))) for view in range(samplings)
        ]
        embeddings.append(torch.stack([view[0] for view in views], 1).float().cpu().numpy())
        outputs.append(torch.stack([view[1] for view in views], 1).float().cpu().numpy())
    return np.concatenate(embeddings), np.concatenate(outputs)
