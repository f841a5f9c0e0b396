"""Relational distillation: distances of pairs and angles of triples.

Park, Kim, Lu, Cho, arXiv 1904.05068, sections 3.2.1 and 3.2.2: L = alpha L_task + w (25 L_D + 50 L_A), with
L_D = mean_ij h(|s_i - s_j| / m_S, |t_i - t_j| / m_T), m the mean distance in the batch, and
L_A = mean_ijk h(cos angle(s_i, s_j, s_k), cos angle(t_i, t_j, t_k)), the angle at the sample j; h is Huber's loss with
threshold 1. Means are over all B^2 pairs and B^3 triples, as in the authors' code; 25 and 50 were published for unit
weight of the task loss.

Angles are read off inner products, which needs no B^2 differences of width D, in float64: the difference of two inner
products of close samples would be rounding in float32. Samples closer than a millionth of the batch's spread are one
sample; a distance of zero has no gradient, and no angle is measured along it.
"""

import torch
from torch.nn import functional

from pipelines.objectives.distillation import JointDistillation, Prediction

_OF_DISTANCES, _OF_ANGLES = 25.0, 50.0
_SAME = 1e-12
"""Square of a millionth."""


class RelationalDistillation(JointDistillation):
    """Distances and angles between samples, as the joint teacher has them."""

    name = "rkd"
    description = "distances and angles within the batch, as the joint teacher has them"
    reference = "Park et al., arXiv 1904.05068"

    @property
    def uses(self) -> tuple[str, ...]:
        """See Objective."""
        return (*super().uses, "weights.rkd")

    def terms(self, student: Prediction, teacher: Prediction) -> dict[str, tuple[float, torch.Tensor]]:
        """See JointDistillation."""
        weight, dtype = self.settings.weights.rkd, student.embedding.dtype
        (distances, angles), (their_distances, their_angles) = map(_relations, (student.embedding, teacher.embedding))
        return {
            "distance": (_OF_DISTANCES * weight, _huber(distances, their_distances).to(dtype)),
            "angle": (_OF_ANGLES * weight, _huber(angles, their_angles).to(dtype)),
        }


def _relations(embedding: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, D) -> distances (B, B) in units of their mean, and cosines (B, B, B), entry jik of the angle ijk."""
    points = embedding.double()
    points = points - points.detach().sum(0) / max(len(points), 1)
    products = points @ points.T
    own = products.diagonal()
    squares = own.unsqueeze(1) + own - 2 * products
    apart = squares.detach() > _SAME * own.detach().sum() / max(len(points), 1)
    distances = torch.where(apart, squares, 1).sqrt() * apart
    mean = distances.sum() / apart.sum().clamp_min(1)
    dots = products - products.unsqueeze(2) - products.unsqueeze(1) + own.view(-1, 1, 1)
    inverse = apart / torch.where(apart, distances, 1)
    return distances / torch.where(mean > 0, mean, 1), dots * inverse.unsqueeze(2) * inverse.unsqueeze(1)


def _huber(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    return functional.huber_loss(student, teacher, reduction="sum") / max(student.numel(), 1)
