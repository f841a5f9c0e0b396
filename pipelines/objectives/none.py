"""The baseline: the prevalent modality and its labels, nothing distilled."""

from pipelines.objectives.base import DistillationBatch, LossTerms, Objective, StudentPrediction
from pipelines.objectives.task_loss import task_loss


class NoDistillation(Objective):
    """Task loss of a student that sees the prevalent modality alone."""

    name = "none"
    stands_in = "nothing"
    needs_teachers = False
    description = "prevalent modality alone, nothing distilled: the baseline"
    reference = "-"

    def loss(self, student: StudentPrediction, batch: DistillationBatch) -> LossTerms:
        """See Objective."""
        task = task_loss(student.output, batch.target, batch.labelled, self.task)
        return LossTerms(total=task, parts={"task": task.detach()})
