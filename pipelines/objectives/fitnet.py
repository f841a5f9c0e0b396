"""FitNets: the student's embedding is drawn to the joint teacher's.

Romero et al., arXiv 1412.6550, eq. 3: L_HT = |u(x) - r(v(x))|^2 / 2, where a regressor r brings the student's width
to the teacher's. Here both are D wide, so there is none: the student's own transformer has to arrive at the teacher's
axes. Both embeddings are scaled to unit length first; the teacher's length means nothing to a student, and the term
would otherwise grow with D. So L = alpha L_task + w mean_i |s_i - t_i|^2 / 2, which is 1 - cos, in [0, 2].
"""

import torch
from torch.nn import functional

from pipelines.objectives.distillation import JointDistillation, Prediction


class FitNet(JointDistillation):
    """Embedding of the joint teacher, sample by sample."""

    name = "fitnet"
    description = "embedding of the joint teacher, sample by sample"
    reference = "Romero et al., arXiv 1412.6550"

    @property
    def uses(self) -> tuple[str, ...]:
        """See Objective."""
        return (*super().uses, "weights.fitnet")

    def terms(self, student: Prediction, teacher: Prediction) -> dict[str, tuple[float, torch.Tensor]]:
        """See JointDistillation."""
        ours, theirs = (functional.normalize(each.embedding, dim=1) for each in (student, teacher))
        value = (ours - theirs).square().sum() / (2 * max(len(ours), 1))
        return {"hint": (self.settings.weights.fitnet, value)}
