"""Training a student on cached embeddings, under any objective."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipelines.cache.structure import StructureRecord
from pipelines.models.student import StudentNetwork, StudentOutput
from pipelines.objectives.base import ANY, DistillationBatch, LossTerms, Objective, TeacherView
from pipelines.objectives.structure import transports
from pipelines.protocols.audit import Evidence
from pipelines.recipe import Task
from pipelines.training.device import to_device
from pipelines.training.judgement import Judgement, judge
from pipelines.training.loop import Batch
from pipelines.training.problems.tabular import TabularProblem
from pipelines.training.samples import Sample
from pipelines.training.seeding import generator
from pipelines.training.tables import EmbeddingTable

PROBED = 48
"""Training samples at most whose similarities are observed: as many as a picture shows one by one."""


@dataclass(frozen=True)
class Teachers:
    """What the teachers say of the training clips, in the order of the training table.

    Attributes:
        table: one column a teacher, with outputs; the joint one under `joint`.
        names: teacher names in the order of the losses.
        losses: (N, number of teachers) out-of-fold task losses, NaN where unknown.
        outputs: (N, number of teachers, C) out-of-fold outputs that take the place of the table's, NaN where those
            stay; None where all stay.
    """

    table: EmbeddingTable
    names: tuple[str, ...]
    losses: np.ndarray
    outputs: np.ndarray | None = None


class DistillationProblem(TabularProblem):
    """A student under an objective; validation is by the task loss alone, teachers are not consulted for it.

    Args:
        probe: rows of the training table that are observed as one batch, where the objective transports.
    """

    def __init__(
        self,
        *,
        network: StudentNetwork,
        objective: Objective,
        teachers: Teachers | None,
        task: Task,
        probe: Sequence[int] = (),
        **shared,
    ) -> None:
        super().__init__(**shared)
        self.network = network
        self.probe = tuple(probe)
        self._objective, self._teachers, self._task = objective, teachers, task
        if teachers is not None:
            device = self._train.targets.target.device
            self._losses = torch.from_numpy(teachers.losses).float().to(device)
            if teachers.outputs is not None:
                self._unremembered = torch.from_numpy(teachers.outputs).float().to(device)

    def batch(self, table: EmbeddingTable, rows: Tensor, draw: Tensor) -> Batch:
        """See TabularProblem."""
        targets = table.targets[rows]
        teachers = self._view(rows, draw) if table is self._train else None
        truth = DistillationBatch(target=targets.target, labelled=targets.labelled, teachers=teachers)
        return Batch(inputs=(table.embeddings(rows, draw), table.presence(rows)), truth=truth, size=len(rows))

    def _view(self, rows: Tensor, draw: Tensor) -> TeacherView | None:
        if self._teachers is None:
            return None
        device = self._losses.device
        known = self._teachers.table.known(rows, self._teachers.names)
        of = {ANY: known.any(1), **dict(zip(self._teachers.names, known.unbind(1), strict=True))}
        table, names = self._teachers.table, self._teachers.names
        embeddings, outputs, present = table.embeddings(rows, draw), table.outputs(rows, draw), table.presence(rows)
        return TeacherView(
            names=names,
            embeddings=torch.stack([embeddings[name] for name in names], 1),
            outputs=self._said(rows, torch.stack([outputs[name] for name in names], 1)),
            losses=self._losses[to_device(rows, device)],
            present=torch.stack([present[name] for name in names], 1),
            rows={name: to_device(mask.nonzero().squeeze(1), device) for name, mask in of.items()},
        )

    def _said(self, rows: Tensor, outputs: Tensor) -> Tensor:
        """Outputs (B, M, C) of a table, and the out-of-fold ones where there are any."""
        if self._teachers is None or self._teachers.outputs is None:
            return outputs
        unremembered = self._unremembered[to_device(rows, outputs.device)]
        return torch.where(unremembered.isnan(), outputs, unremembered)

    def loss(self, outputs: StudentOutput, truth: DistillationBatch) -> LossTerms:
        """See Problem."""
        return self._objective.loss(outputs, truth)

    def judge(self, outputs: StudentOutput, truth: DistillationBatch) -> Judgement:
        """See Problem."""
        return judge(outputs.output, truth.target, truth.labelled, self._task)

    def observe(self, network: Any) -> dict[str, Tensor]:
        """See Problem: what the transport of the probe sees and does, at the first temporal sampling."""
        if not self.probe or not transports(self._objective):
            return {}
        rows = torch.tensor(self.probe)
        batch = self.batch(self._train, rows, self._train.draw(rows, jitter=False))
        return vars(self._objective.arrangement(network(*batch.inputs), batch.truth.teachers))

    def structure(self, best: int) -> StructureRecord | None:
        """All that was observed, after `fit` kept the weights of `best` trained epochs; None where nothing was."""
        if not self.observed.get(best):
            return None
        kept = self.observed[best]
        samples = [
            self._train.rows[row] for row, known in zip(self.probe, kept["known"].tolist(), strict=True) if known
        ]
        labels = [[sample.label] if isinstance(sample.label, int) else sample.label for sample in samples]
        nothing = [np.nan] * (1 if self._task.kind == "classes" else self._task.num_outputs)
        epochs = tuple(sorted(self.observed))
        return StructureRecord(
            clips=tuple(sample.name for sample in samples),
            groups=tuple(sample.group for sample in samples),
            labels=np.array([nothing if label is None else label for label in labels]).reshape(-1, len(nothing)),
            epochs=epochs,
            best=best,
            teacher=kept["teacher"].numpy(),
            student=np.stack([self.observed[each]["student"].numpy() for each in epochs]),
            plans=np.stack([self.observed[each]["plan"].numpy() for each in epochs]),
        )

    def evidence(self) -> list[Evidence]:
        """See Problem."""
        groups = self._teachers.table.groups if self._teachers else frozenset()
        return [*super().evidence(), Evidence(f"{self.name}: teachers' embeddings", "weights", groups)]


def choose_probe(samples: Sequence[Sample], *seed: object) -> tuple[int, ...]:
    """Row numbers of at most `PROBED` samples, drawn by a seed; sorted by label, then group, unlabelled ones last."""
    drawn = generator(*seed, "probe").permutation(len(samples))[:PROBED].tolist()

    def place(row: int) -> tuple[bool, tuple[float, ...], str, int]:
        label = samples[row].label
        values = label if isinstance(label, tuple) else () if label is None else (label,)
        return label is None, values, samples[row].group, row

    return tuple(sorted(drawn, key=place))
