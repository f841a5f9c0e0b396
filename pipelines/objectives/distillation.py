"""What the methods that distil share: every one is alpha L_task and a few weighted terms, in a student of one shape.

- They differ in their terms alone. Most listen to the joint teacher only, and for these a sample that it does not know
  leaves the batch before anything is compared; a label is not needed.
- A term sums and divides by what it counted, at least one: of an empty batch it is a zero that still has a graph.
- Mixed precision stops here, as it does in `transport`: differences of distances have no digits left in bfloat16.
"""

from abc import abstractmethod
from dataclasses import dataclass, field

import torch

from pipelines.errors import SettingsError
from pipelines.objectives.base import DistillationBatch, LossTerms, Objective, StudentPrediction, TeacherView
from pipelines.objectives.task_loss import task_loss
from pipelines.recipe import JOINT


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """What is distilled from one batch.

    Attributes:
        terms: name -> (weight in the total, () unweighted value).
        diagnostics: () values that are meant to be averaged over an epoch.
    """

    terms: dict[str, tuple[float, torch.Tensor]]
    diagnostics: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a student or a teacher says of B samples: `embedding` (B, D), `output` (B, C), in float32 at least."""

    embedding: torch.Tensor
    output: torch.Tensor


class Distillation(Objective):
    """alpha L_task + weighted terms between the student and its teachers."""

    stands_in = "hallucination"
    needs_teachers = True

    @property
    def uses(self) -> tuple[str, ...]:
        """See Objective."""
        return ("alpha",)

    def loss(self, student: StudentPrediction, batch: DistillationBatch) -> LossTerms:
        """See Objective.

        Raises:
            SettingsError: when the method needs a teacher of all modalities and there is none.
        """
        if batch.teachers is None:
            raise ValueError(f"{self.name} needs teachers, and the batch has none")
        task = task_loss(student.output, batch.target, batch.labelled, self.task)
        distilled = self.distil(student, batch.teachers)
        total = self.settings.alpha * task
        for weight, value in distilled.terms.values():
            total = total + weight * value
        return LossTerms(
            total=total,
            parts={"task": task.detach(), **{name: value.detach() for name, (_, value) in distilled.terms.items()}},
            diagnostics=distilled.diagnostics,
        )

    @abstractmethod
    def distil(self, student: StudentPrediction, view: TeacherView) -> Distilled:
        """The terms of a batch.

        Args:
            student: embedding (B, D) and output (B, C).
            view: what N teachers say of the same samples.
        """


class JointDistillation(Distillation):
    """A method that compares the student with the joint teacher, on the samples that this one knows."""

    def distil(self, student: StudentPrediction, view: TeacherView) -> Distilled:
        """See Distillation."""
        with torch.autocast(student.output.device.type, enabled=False):
            return Distilled(terms=self.terms(*joint_pairs(student, view)))

    @abstractmethod
    def terms(self, student: Prediction, teacher: Prediction) -> dict[str, tuple[float, torch.Tensor]]:
        """Weighted terms, as in Distilled.

        Args:
            student: of the B samples that the joint teacher knows; B may be 0.
            teacher: of the same samples, without gradient.
        """


def joint_pairs(student: StudentPrediction, view: TeacherView) -> tuple[Prediction, Prediction]:
    """Student and joint teacher on the samples that the joint teacher knows.

    Args:
        student: embedding (B, D) and output (B, C).
        view: what N teachers say of the same samples.

    Returns:
        The student's predictions and the teacher's, of B' <= B samples; the teacher's have no gradient.

    Raises:
        SettingsError: when no teacher sees all modalities.
    """
    if JOINT not in view.names:
        raise SettingsError(f"the method needs a teacher of all modalities; there are {', '.join(view.names)}")
    joint = view.names.index(JOINT)
    known = view.known(JOINT)
    theirs = (view.embeddings[known, joint].detach(), view.outputs[known, joint].detach())
    return _prediction(student.embedding[known], student.output[known]), _prediction(*theirs)


def _prediction(embedding: torch.Tensor, output: torch.Tensor) -> Prediction:
    embedding, output = (each.to(torch.promote_types(each.dtype, torch.float32)) for each in (embedding, output))
    return Prediction(embedding=embedding, output=output)
