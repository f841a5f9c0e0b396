"""Alignment by self-distillation: every teacher is drawn to the joint one (METHOD: step 3).

L = w sum_m align(A_m(z_m), z_J) + (1 - w) (L_task(joint) + mean_m L_task(head_m(A_m(z_m)))), w = 0.5.
"""

from typing import Any

import torch
from torch import Tensor

from pipelines.models.teachers import Aligned, Aligner
from pipelines.objectives.alignment import alignment_term
from pipelines.objectives.base import LossTerms
from pipelines.objectives.task_loss import task_loss
from pipelines.recipe import JOINT, AlignmentSettings, Task
from pipelines.training.loop import Batch
from pipelines.training.problems.tabular import TabularProblem
from pipelines.training.tables import EmbeddingTable, Targets


class AlignmentProblem(TabularProblem):
    """Adapters, heads and the joint transformer train; the encoders behind the embeddings are frozen.

    Tables hold one column a modality and one a multimodal teacher; a teacher that a clip lacks adds nothing to the
    loss of that clip.
    """

    network: Aligner

    def __init__(self, *, network: Aligner, settings: AlignmentSettings, task: Task, **shared) -> None:
        super().__init__(**shared)
        self.network = network
        self._settings, self._task = settings, task

    def batch(self, table: EmbeddingTable, rows: Tensor, draw: Tensor) -> Batch:
        """See TabularProblem."""
        embeddings, present = table.embeddings(rows, draw), table.presence(rows)
        truth = (table.targets[rows], {name: present[name] for name in self.network.teachers})
        return Batch(inputs=(embeddings, present), truth=truth, size=len(rows))

    def loss(self, outputs: Aligned, truth: tuple[Targets, dict[str, Tensor]]) -> LossTerms:
        """See Problem."""
        targets, present = truth
        pulls: dict[str, Tensor] = {}
        tasks: list[Tensor] = []
        for name in self.network.teachers:
            pulls[f"align/{name}"] = alignment_term(
                outputs.embeddings[name],
                outputs.embeddings[JOINT],
                self._settings.term,
                task=self._task,
                adapted_output=outputs.outputs[name],
                joint_output=outputs.outputs[JOINT],
                temperature=self._settings.temperature,
                present=present[name],
            )
            tasks.append(self._task_loss(outputs.outputs[name], targets, present[name]))
        joint = self._task_loss(outputs.outputs[JOINT], targets, torch.ones_like(targets.labelled))
        task = joint + torch.stack(tasks).mean()
        weight = self._settings.weight
        total = weight * torch.stack(list(pulls.values())).sum() + (1 - weight) * task
        return LossTerms(total=total, parts={"task": task, "task/joint": joint, **pulls}, diagnostics={})

    def validation_loss(self, outputs: Aligned, truth: Any) -> Tensor:
        """See Problem: the whole loss, so that neither half is traded away."""
        return self.loss(outputs, truth).total

    def _task_loss(self, output: Tensor, targets: Targets, present: Tensor) -> Tensor:
        return task_loss(output, targets.target, targets.labelled & present, self._task)
