"""What the validation part says of an epoch.

Cross-entropy and squared errors are means, so the loss of a whole part is the mean of its batches. CCC is none: the CCC
of one trial's windows says little of the CCC over all trials. What is judged by it is collected over all batches, and
judged once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.objectives.task_loss import task_loss
from pipelines.recipe import Task


@dataclass(frozen=True)
class Pooled:
    """Outputs (B, K) and labels that are judged together with those of the other batches, and the weight of that."""

    weight: float
    output: Tensor
    target: Tensor
    labelled: Tensor
    task: Task


@dataclass(frozen=True)
class Judgement:
    """What one batch adds: a mean () over its samples, and what must be pooled over batches; the loss is their sum."""

    mean: Tensor
    pooled: tuple[Pooled, ...] = ()


def judge(output: Tensor, target: Tensor, labelled: Tensor, task: Task) -> Judgement:
    """Judge a batch by the task loss; shapes as in `task_loss`."""
    if task.kind == "classes":
        return Judgement(task_loss(output, target, labelled, task))
    return Judgement(output.new_zeros(()), (Pooled(1.0, output, target, labelled, task),))


def weighted_sum(parts: Sequence[tuple[float, Judgement]]) -> Judgement:
    """Several judgements of the same batch as one."""
    mean = torch.stack([weight * part.mean for weight, part in parts]).sum()
    pooled = tuple(
        Pooled(weight * item.weight, item.output, item.target, item.labelled, item.task)
        for weight, part in parts
        for item in part.pooled
    )
    return Judgement(mean, pooled)


class Validation:
    """Adds up the judgements of all batches."""

    def __init__(self) -> None:
        self._total: Tensor | float = 0.0
        self._size = 0
        self._pooled: list[tuple[Pooled, ...]] = []

    def add(self, judgement: Judgement, size: int) -> None:
        """One batch of `size` samples."""
        self._total = self._total + judgement.mean.detach() * size
        self._size += size
        self._pooled.append(judgement.pooled)

    @property
    def loss(self) -> float:
        """The loss of everything that was added."""
        pooled = sum(_together(parts) for parts in zip(*self._pooled, strict=True))
        return float(self._total) / max(self._size, 1) + float(pooled)


def _together(parts: Sequence[Pooled]) -> float:
    output, target, labelled = (
        torch.cat([getattr(p, name) for p in parts]) for name in ("output", "target", "labelled")
    )
    return parts[0].weight * float(task_loss(output.float(), target, labelled, parts[0].task))
