"""PKDOT: the joint teacher's arrangement of the batch, by optimal transport between similarity rows.

Aslam et al., arXiv 2401.15489: L = alpha L_task + beta L_OT, compared on every sample that the joint teacher knows.
There is one teacher, hence no selection, and no centroid loss, which came with MT-PKDOT. With `delta` the joint
teacher's outputs are distilled too, as in `kd`.
"""

from pipelines.objectives.base import StudentPrediction, TeacherView
from pipelines.objectives.distillation import Distilled, joint_pairs
from pipelines.objectives.kd import outputs_beside, settings_beside
from pipelines.objectives.structure import Compared, StructuralDistillation, compare_structure, settings_of_structure
from pipelines.recipe import JOINT


class Pkdot(StructuralDistillation):
    """Structure of the joint teacher. Diagnostics: those of `structure.Structure`."""

    name = "pkdot"
    description = "similarity structure of the joint teacher, by optimal transport"
    reference = "Aslam et al., arXiv 2401.15489"

    @property
    def uses(self) -> tuple[str, ...]:
        """See Objective."""
        structure, outputs = settings_of_structure(self.settings), settings_beside(self.task, self.settings)
        return (*super().uses, "beta", *structure, *outputs)

    def compared(self, student: StudentPrediction, view: TeacherView) -> Compared:
        """See StructuralDistillation."""
        ours, theirs = joint_pairs(student, view)
        return Compared(known=view.known(JOINT), student=ours.embedding, teacher=theirs.embedding)

    def distil(self, student: StudentPrediction, view: TeacherView) -> Distilled:
        """See Distillation."""
        settings = self.settings
        pair = self.compared(student, view)
        structure = compare_structure(pair.student, pair.teacher, settings)
        return Distilled(
            terms={
                settings.matching: (settings.beta, structure.rows),
                **outputs_beside(student, view, self.task, settings),
            },
            diagnostics=structure.diagnostics,
        )
