"""Training a student on cached embeddings, under any objective."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipelines.models.student import StudentNetwork, StudentOutput
from pipelines.objectives.base import DistillationBatch, LossTerms, Objective, TeacherView
from pipelines.protocols.audit import Evidence
from pipelines.recipe import Task
from pipelines.training.judgement import Judgement, judge
from pipelines.training.loop import Batch
from pipelines.training.problems.tabular import TabularProblem
from pipelines.training.tables import EmbeddingTable


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
    """A student under an objective; validation is by the task loss alone, teachers are not consulted for it."""

    def __init__(
        self, *, network: StudentNetwork, objective: Objective, teachers: Teachers | None, task: Task, **shared
    ) -> None:
        super().__init__(**shared)
        self.network = network
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
        table, names = self._teachers.table, self._teachers.names
        embeddings, outputs, present = table.embeddings(rows, draw), table.outputs(rows, draw), table.presence(rows)
        return TeacherView(
            names=names,
            embeddings=torch.stack([embeddings[name] for name in names], 1),
            outputs=self._said(rows, torch.stack([outputs[name] for name in names], 1)),
            losses=self._losses[rows],
            present=torch.stack([present[name] for name in names], 1),
        )

    def _said(self, rows: Tensor, outputs: Tensor) -> Tensor:
        """Outputs (B, M, C) of a table, and the out-of-fold ones where there are any."""
        if self._teachers is None or self._teachers.outputs is None:
            return outputs
        unremembered = self._unremembered[rows]
        return torch.where(unremembered.isnan(), outputs, unremembered)

    def loss(self, outputs: StudentOutput, truth: DistillationBatch) -> LossTerms:
        """See Problem."""
        return self._objective.loss(outputs, truth)

    def judge(self, outputs: StudentOutput, truth: DistillationBatch) -> Judgement:
        """See Problem."""
        return judge(outputs.output, truth.target, truth.labelled, self._task)

    def evidence(self) -> list[Evidence]:
        """See Problem."""
        groups = self._teachers.table.groups if self._teachers else frozenset()
        return [*super().evidence(), Evidence(f"{self.name}: teachers' embeddings", "weights", groups)]
