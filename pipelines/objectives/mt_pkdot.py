"""MT-PKDOT: the best teacher's arrangement of the batch, by optimal transport between similarity rows.

Aslam, Pedersoli, Koerich, Granger, arXiv 2408.09035: L = alpha L_task + beta L_OT + gamma L_centroid. The structure is
compared on every sample that some teacher knows, labelled or not.
"""

import torch

from pipelines.objectives.base import DistillationBatch, LossTerms, Objective, StudentPrediction
from pipelines.objectives.selection import select_teacher
from pipelines.objectives.task_loss import task_loss
from pipelines.transport import anchored_rows, centroid_loss, row_divergence, similarity_matrix, transport_plan


class MtPkdot(Objective):
    """Structure of the best of several teachers, by batch, sample or confidence.

    Diagnostics: `chosen/<teacher>`, the share of samples it spoke for, and `diagonal_mass`, the share of the transport
    plan that pairs a sample with itself (chance: 1/B).
    """

    name = "mt-pkdot"
    stands_in = "hallucination"
    needs_teachers = True
    description = "similarity structure of the best teacher, by optimal transport between anchored rows"
    reference = "Aslam et al., arXiv 2408.09035"

    def loss(self, student: StudentPrediction, batch: DistillationBatch) -> LossTerms:
        """See Objective."""
        if batch.teachers is None:
            raise ValueError(f"{self.name} needs teachers, and the batch has none")
        settings = self.settings
        task = task_loss(student.output, batch.target, batch.labelled, self.task)
        teacher, counts = select_teacher(batch.teachers, settings.selection)
        known = batch.teachers.present.any(1)
        transport, centroid, diagonal = self._structure(student.embedding[known], teacher[known])
        shares = counts / counts.sum().clamp_min(1)
        chosen = {f"chosen/{name}": share for name, share in zip(batch.teachers.names, shares, strict=True)}
        return LossTerms(
            total=settings.alpha * task + settings.beta * transport + settings.gamma * centroid,
            parts={"task": task.detach(), "transport": transport.detach(), "centroid": centroid.detach()},
            diagnostics={**chosen, "diagonal_mass": diagonal},
        )

    def _structure(
        self, student: torch.Tensor, teacher: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Transport and centroid losses, and the plan's diagonal mass; zero for a batch that no teacher knows."""
        if len(student) == 0:
            zero = student.sum()
            return zero, zero, zero.detach()
        similarities = similarity_matrix(student), similarity_matrix(teacher)
        rows = anchored_rows(*similarities, self.settings.anchors)
        diagonal = transport_plan(*rows, blur=self.settings.blur, mode="fast").trace()
        return row_divergence(*rows, blur=self.settings.blur), centroid_loss(*similarities), diagonal
