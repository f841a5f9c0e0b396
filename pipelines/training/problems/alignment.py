"""Alignment by self-distillation: every teacher is drawn to the joint one (METHOD: step 3).

L = w sum_m align(A_m(z_m), z_J) + (1 - w) (L_task(joint) + mean_m L_task(head_m(A_m(z_m)))), w = 0.5.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from pipelines.models.context import centre
from pipelines.models.teachers import Aligned, Aligner
from pipelines.objectives.alignment import alignment_term
from pipelines.objectives.base import LossTerms
from pipelines.objectives.task_loss import task_loss
from pipelines.recipe import JOINT, AlignmentSettings, Task
from pipelines.training.device import to_device
from pipelines.training.judgement import Judgement, judge, weighted_sum
from pipelines.training.loop import Batch
from pipelines.training.problems.tabular import TabularProblem
from pipelines.training.tables import EmbeddingTable, Targets


class Known(NamedTuple):
    """The samples of a batch that a teacher knows: `mask` (B,) bool, and `rows` (K,) int64, the same as row numbers."""

    mask: Tensor
    rows: Tensor


class AlignmentProblem(TabularProblem):
    """Adapters, heads and a joint network train; the encoders behind the embeddings are frozen.

    Tables hold one column a modality and one a teacher that fuses them; a teacher that a sample lacks adds nothing to
    the loss of that sample.

    Args:
        columns: {teacher: column of its own embedding}, for all but the joint one.
    """

    network: Aligner

    def __init__(
        self, *, network: Aligner, columns: Mapping[str, str], settings: AlignmentSettings, task: Task, **shared
    ) -> None:
        super().__init__(**shared)
        self.network = network
        self._columns, self._settings, self._task = columns, settings, task

    def batch(self, table: EmbeddingTable, rows: Tensor, draw: Tensor) -> Batch:
        """See TabularProblem."""
        embeddings = table.embeddings(rows, draw)
        own = {name: centre(embeddings[column]) for name, column in self._columns.items()}
        targets = table.targets[rows]
        known = table.known(rows, tuple(self._columns.values())).unbind(1)
        device = targets.labelled.device
        there = {
            name: Known(mask=to_device(mask, device), rows=to_device(mask.nonzero().squeeze(1), device))
            for name, mask in zip(self._columns, known, strict=True)
        }
        return Batch(inputs=(embeddings, table.presence(rows), own), truth=(targets, there), size=len(rows))

    def loss(self, outputs: Aligned, truth: tuple[Targets, dict[str, Known]]) -> LossTerms:
        """See Problem."""
        targets, present = truth
        pulls = self._pulls(outputs, present)
        tasks = [self._task_loss(outputs.outputs[name], targets, present[name].mask) for name in self.network.teachers]
        joint = self._task_loss(outputs.outputs[JOINT], targets, torch.ones_like(targets.labelled))
        task = joint + torch.stack(tasks).mean()
        weight = self._settings.weight
        total = weight * torch.stack(list(pulls.values())).sum() + (1 - weight) * task
        parts = {"task": task, "task/joint": joint, **pulls}
        return LossTerms(total=total, parts={name: value.detach() for name, value in parts.items()})

    def judge(self, outputs: Aligned, truth: tuple[Targets, dict[str, Known]]) -> Judgement:
        """See Problem: by the whole loss, so that neither half is traded away."""
        targets, present = truth
        pulls = torch.stack(list(self._pulls(outputs, present).values())).sum()
        weight = self._settings.weight
        parts = [(weight, Judgement(pulls))]
        for name, output in outputs.outputs.items():
            labelled = targets.labelled if name == JOINT else targets.labelled & present[name].mask
            share = 1.0 if name == JOINT else 1 / len(self.network.teachers)
            parts.append(((1 - weight) * share, judge(output, targets.target, labelled, self._task)))
        return weighted_sum(parts)

    def _pulls(self, outputs: Aligned, present: dict[str, Known]) -> dict[str, Tensor]:
        return {
            f"align/{name}": alignment_term(
                outputs.embeddings[name],
                outputs.embeddings[JOINT],
                self._settings.term,
                task=self._task,
                adapted_output=outputs.outputs[name],
                joint_output=outputs.outputs[JOINT],
                temperature=self._settings.temperature,
                present=present[name].rows,
            )
            for name in self.network.teachers
        }

    def _task_loss(self, output: Tensor, targets: Targets, present: Tensor) -> Tensor:
        return task_loss(output, targets.target, targets.labelled & present, self._task)
