"""How the arrangement of a batch is compared in PKDOT and MT-PKDOT, whoever the teacher is.

Rows are matched by optimal transport, as published, or each with itself. Transport may match a sample's row with
another sample's, and its plan says how often it did; matching by identity costs what the transport would if its plan
were the identity, so the weight of the term means the same.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TypeGuard

import torch

from pipelines.objectives.base import Objective, StudentPrediction, TeacherView
from pipelines.objectives.distillation import Distillation
from pipelines.recipe import DistillationSettings
from pipelines.transport import (
    anchored_rows,
    centroid_loss,
    diameter_bound,
    row_divergence,
    similarity_matrix,
    transport_plan,
)


@dataclass(frozen=True, kw_only=True)
class Structure:
    """How far two arrangements of a batch are apart.

    Attributes:
        rows: (), distance of the anchored rows, matched as the settings say.
        centroid: (), distance of the mean rows.
        diagnostics: `diagonal_mass`, the share of the transport plan that pairs a sample with itself (chance: 1/B);
            nothing where rows are matched by identity.
    """

    rows: torch.Tensor
    centroid: torch.Tensor
    diagnostics: dict[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The embeddings whose arrangements are compared.

    Attributes:
        known: (K,) int64, the samples that the teacher knows.
        student: (K, D).
        teacher: (K, D'), without gradient.
    """

    known: torch.Tensor
    student: torch.Tensor
    teacher: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """What the transport of a batch sees and does.

    Attributes:
        known: (B,) bool, the K samples that are compared.
        student: (K, K) similarities in [0, 2].
        teacher: (K, K) similarities in [0, 2].
        plan: (K, K), the mass that a student's row sends to each teacher's row; 1 in all.
    """

    known: torch.Tensor
    student: torch.Tensor
    teacher: torch.Tensor
    plan: torch.Tensor


class StructuralDistillation(Distillation):
    """A method that compares how student and teacher arrange a batch."""

    @abstractmethod
    def compared(self, student: StudentPrediction, view: TeacherView) -> Compared:
        """What is compared of a batch.

        Args:
            student: embedding (B, D) and output (B, C).
            view: what N teachers say of the same samples.
        """

    @torch.no_grad()
    def arrangement(self, student: StudentPrediction, view: TeacherView) -> Arrangement:
        """What the loss of a batch goes by where rows are transported: the same matrices, anchors and plan.

        Args:
            student: embedding (B, D) and output (B, C).
            view: what N teachers say of the same samples.
        """
        pair = self.compared(student, view)
        similarities = similarity_matrix(pair.student), similarity_matrix(pair.teacher)
        plan = torch.zeros_like(similarities[0])
        if len(plan):
            plan = _plan(*anchored_rows(*similarities, self.settings.anchors), self.settings)
        known = torch.zeros(len(student.output), dtype=torch.bool, device=pair.known.device)
        return Arrangement(
            known=known.index_fill_(0, pair.known, True),
            student=similarities[0],
            teacher=similarities[1],
            plan=plan,
        )


def transports(objective: Objective) -> TypeGuard[StructuralDistillation]:
    """Whether a method matches the rows of similarity matrices by optimal transport."""
    return isinstance(objective, StructuralDistillation) and objective.settings.matching == "transport"


def settings_of_structure(settings: DistillationSettings) -> tuple[str, ...]:
    """The settings that `compare_structure` goes by, as in `Objective.uses`."""
    return ("anchors", "matching", *(("blur",) if settings.matching == "transport" else ()))


def compare_structure(student: torch.Tensor, teacher: torch.Tensor, settings: DistillationSettings) -> Structure:
    """Compare the similarity matrices of two embeddings of the same samples.

    Args:
        student: (B, D).
        teacher: (B, D'), without gradient.
        settings: anchors, blur and matching.

    Returns:
        Distances of both kinds; zeros with a graph when B is 0.
    """
    transported = settings.matching == "transport"
    if len(student) == 0:
        zero = student.sum()
        return Structure(rows=zero, centroid=zero, diagnostics={"diagonal_mass": zero.detach()} if transported else {})
    similarities = similarity_matrix(student), similarity_matrix(teacher)
    rows = anchored_rows(*similarities, settings.anchors)
    centroid = centroid_loss(*similarities)
    if not transported:
        return Structure(rows=row_distance(*rows), centroid=centroid, diagnostics={})
    diagonal = _plan(*rows, settings).trace()
    divergence = row_divergence(*rows, blur=settings.blur)
    return Structure(rows=divergence, centroid=centroid, diagnostics={"diagonal_mass": diagonal})


def _plan(student_rows: torch.Tensor, teacher_rows: torch.Tensor, settings: DistillationSettings) -> torch.Tensor:
    diameter = diameter_bound(student_rows)
    return transport_plan(student_rows, teacher_rows, blur=settings.blur, mode="fast", diameter=diameter)


def row_distance(student_rows: torch.Tensor, teacher_rows: torch.Tensor) -> torch.Tensor:
    """mean_i |u_i - v_i|^2 / 2: the transport's cost, with every row sent to its own sample's.

    Args:
        student_rows: (B, k).
        teacher_rows: (B, k).

    Returns:
        ().
    """
    return (student_rows - teacher_rows).square().sum(1).mean() / 2
