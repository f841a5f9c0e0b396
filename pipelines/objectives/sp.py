"""Similarity preserving: who resembles whom in the batch, without optimal transport.

Tung and Mori, arXiv 1907.09682, eq. 1 to 4: G = Q Q^T of embeddings Q (b, D), every row scaled to unit length, and
L_SP = |G_T - G_S|_F^2 / b^2. Nothing is centred and lengths count, unlike the cosines of `transport`. Rows have unit
length, so L_SP is at most 4 / b: a weight that is right for one batch size is too small for a larger one. The factor
3000 is the one that the benchmark of Tian et al., arXiv 1910.10699, runs it with, at unit weight of the task loss.
"""

import torch
from torch.nn import functional

from pipelines.objectives.distillation import JointDistillation, Prediction

_PUBLISHED = 3000.0


class SimilarityPreserving(JointDistillation):
    """Row-normalised inner products of the batch, as the joint teacher has them."""

    name = "sp"
    description = "inner products within the batch, as the joint teacher has them"
    reference = "Tung and Mori, arXiv 1907.09682"

    @property
    def uses(self) -> tuple[str, ...]:
        """See Objective."""
        return (*super().uses, "weights.sp")

    def terms(self, student: Prediction, teacher: Prediction) -> dict[str, tuple[float, torch.Tensor]]:
        """See JointDistillation."""
        difference = _resemblance(student.embedding) - _resemblance(teacher.embedding)
        value = difference.square().sum() / max(len(difference), 1) ** 2
        return {"similarity": (_PUBLISHED * self.settings.weights.sp, value)}


def _resemblance(embedding: torch.Tensor) -> torch.Tensor:
    """(B, D) -> (B, B), rows of unit length."""
    return functional.normalize(embedding @ embedding.T, dim=1)
