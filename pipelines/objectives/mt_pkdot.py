"""MT-PKDOT: the best teacher's arrangement of the batch, by optimal transport between similarity rows.

Aslam, Pedersoli, Koerich, Granger, arXiv 2408.09035: L = alpha L_task + beta L_OT + gamma L_centroid. The structure
is compared on every sample that some teacher knows, labelled or not. With `delta` the joint teacher's outputs are
distilled too, as in `kd`.
"""

from pipelines.objectives.base import StudentPrediction, TeacherView
from pipelines.objectives.distillation import Distillation, Distilled
from pipelines.objectives.kd import outputs_beside, settings_beside
from pipelines.objectives.selection import select_teacher
from pipelines.objectives.structure import compare_structure, settings_of_structure


class MtPkdot(Distillation):
    """Structure of the best of several teachers, by batch, sample or confidence.

    Diagnostics: `chosen/<teacher>`, the share of samples it spoke for, and those of `structure.Structure`.
    """

    name = "mt-pkdot"
    description = "similarity structure of the best teacher, by optimal transport"
    reference = "Aslam et al., arXiv 2408.09035"

    @property
    def uses(self) -> tuple[str, ...]:
        """See Objective."""
        structure, outputs = settings_of_structure(self.settings), settings_beside(self.task, self.settings)
        return (*super().uses, "beta", "gamma", "selection", *structure, *outputs)

    def distil(self, student: StudentPrediction, view: TeacherView) -> Distilled:
        """See Distillation."""
        settings = self.settings
        teacher, counts = select_teacher(view, settings.selection)
        known = view.present.any(1)
        structure = compare_structure(student.embedding[known], teacher[known], settings)
        shares = counts / counts.sum().clamp_min(1)
        chosen = {f"chosen/{name}": share for name, share in zip(view.names, shares, strict=True)}
        return Distilled(
            terms={
                settings.matching: (settings.beta, structure.rows),
                "centroid": (settings.gamma, structure.centroid),
                **outputs_beside(student, view, self.task, settings),
            },
            diagnostics={**chosen, **structure.diagnostics},
        )
