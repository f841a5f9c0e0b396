"""MT-PKDOT: the best teacher's arrangement of the batch, by optimal transport between similarity rows.

Aslam, Pedersoli, Koerich, Granger, arXiv 2408.09035: L = alpha L_task + beta L_OT + gamma L_centroid. The structure
is compared on every sample that some teacher knows, labelled or not. With `delta` the joint teacher's outputs are
distilled too, as in `kd`: by default they are, because that is what carried over where labels were few, and
the structure has a quarter of its published weight. `mt-pkdot-published` is the paper's form.

Tried and left out, on real features and on the synthetic corpus: outputs of the selected teachers in place of the joint
one's (.382 to .383 against .390), zeros in place of hallucinated embeddings (the same, and 1.7 points less).
"""

import torch

from pipelines.objectives.base import StudentPrediction, TeacherView
from pipelines.objectives.distillation import Distilled
from pipelines.objectives.kd import outputs_beside, settings_beside
from pipelines.objectives.selection import select_teacher
from pipelines.objectives.structure import Compared, StructuralDistillation, compare_structure, settings_of_structure


class MtPkdot(StructuralDistillation):
    """Structure of the best of several teachers, by batch, sample or confidence.

    Diagnostics: `chosen/<teacher>`, the share of samples it spoke for, and those of `structure.Structure`.
    """

    name = "mt-pkdot"
    description = "structure of the best teacher, by optimal transport, and the joint outputs"
    reference = "Aslam et al., arXiv 2408.09035"

    @property
    def uses(self) -> tuple[str, ...]:
        """See Objective."""
        structure, outputs = settings_of_structure(self.settings), settings_beside(self.task, self.settings)
        return (*super().uses, "beta", "gamma", "selection", *structure, *outputs)

    def compared(self, student: StudentPrediction, view: TeacherView) -> Compared:
        """See StructuralDistillation."""
        return self._elect(student, view)[0]

    def _elect(self, student: StudentPrediction, view: TeacherView) -> tuple[Compared, torch.Tensor]:
        """What is compared, and (N,) how many samples each teacher speaks for."""
        teacher, counts = select_teacher(view, self.settings.selection)
        known = view.known()
        return Compared(known=known, student=student.embedding[known], teacher=teacher[known]), counts

    def distil(self, student: StudentPrediction, view: TeacherView) -> Distilled:
        """See Distillation."""
        settings = self.settings
        pair, counts = self._elect(student, view)
        structure = compare_structure(pair.student, pair.teacher, settings)
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
