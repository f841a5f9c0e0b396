"""Dual potentials of entropic optimal transport between equally weighted clouds of equal size.

- Log domain throughout, in powers of two: exp2 vectorises where exp does not on common CPU builds of torch.
- All problems of a divergence are rows of one tensor; a problem and its transpose are both there, so that a symmetric
  update is one soft minimum over everything, and two buffers serve every iteration.
- The annealing schedule is geomloss's (scaling 0.5), kept on the device: a cloud that needs fewer steps than another
  waits at the start with potentials of zero, so one cloud in a batch gets exactly what it gets alone.
"""

import math
from dataclasses import dataclass

import torch

MAX_HALVINGS = 32


@dataclass(frozen=True)
class Schedule:
    """Temperatures of every annealing step.

    Attributes:
        inverse: (T, N, 1, 1, 1), 1 / (eps ln 2).
        weight: (T, N, 1, 1), share of the new potential: 0 while a cloud waits, 1 at its first step, then 1/2.
        final: (1, 1, 1, 1), the inverse of the target temperature.
    """

    inverse: torch.Tensor
    weight: torch.Tensor
    final: torch.Tensor


def halvings(ratio: float) -> int:
    """Times that a diameter of `ratio` blurs is halved on the way down to the blur."""
    return min(max(math.ceil(math.log2(ratio)), 0), MAX_HALVINGS) if ratio > 0 else 0


def annealing_schedule(diameter: torch.Tensor, *, blur: float, steps: int | None) -> Schedule:
    """eps from diameter^2 down to blur^2, a quarter a step (Feydy, PhD thesis 2020, section 3.3.3, Algorithm 3.5).

    Args:
        diameter: (N,) upper bounds on the distance of two points.
        blur: square root of the target temperature.
        steps: halvings to make room for; None counts those needed, which waits for a CUDA device.

    Returns:
        The schedule of N clouds.
    """
    dtype, diameter = diameter.dtype, diameter.double().clamp_min(blur)
    needed = torch.ceil(torch.log2(diameter / blur)).clamp(0, MAX_HALVINGS)
    if steps is None:
        steps = int(needed.max())
    needed = needed.clamp_max(steps)
    step = torch.arange(steps + 3, device=diameter.device).unsqueeze(1) - (steps - needed)
    cooled = diameter**2 * 0.25 ** (step - 2).clamp_min(0)
    eps = torch.where(step >= needed + 2, blur**2, cooled)
    weight = torch.where(step > 0, 0.5, torch.where(step == 0, 1.0, 0.0))
    final = torch.full((1, 1, 1, 1), 1 / (blur**2 * math.log(2)), dtype=dtype, device=diameter.device)
    shape = (steps + 3, -1, 1, 1)
    inverse = (1 / (eps * math.log(2))).to(dtype).view(*shape, 1)
    return Schedule(inverse, weight.to(dtype).view(shape), final)


def soft_minimum(
    potentials: torch.Tensor, costs: torch.Tensor, inverse: torch.Tensor, buffer: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """-eps log mean_j exp((h_j - C_ij) / eps) for every row i, stabilised by the row's maximum.

    Args:
        potentials: (N, P, B) h, on the columns.
        costs: (N, P, B, B).
        inverse: broadcasts against the costs, 1 / (eps ln 2).
        buffer: (N, P, B, B), overwritten with the rows' unnormalised plans.

    Returns:
        (N, P, B) soft minima and (N, P, B, 1) sums of the rows left in `buffer`.
    """
    torch.addcmul(potentials.unsqueeze(-2) * inverse, costs, -inverse, out=buffer)
    top = buffer.amax(-1, keepdim=True)
    total = buffer.sub_(top).exp2_().sum(-1, keepdim=True)
    minima = (math.log2(costs.shape[-1]) - top - total.log2()) / inverse
    return minima.squeeze(-1), total


def anneal(costs: torch.Tensor, partner: torch.Tensor, schedule: Schedule, buffer: torch.Tensor) -> torch.Tensor:
    """Symmetric Sinkhorn updates along a schedule.

    Args:
        costs: (N, P, B, B).
        partner: (P,) for each problem the index of its transpose (itself, for a cloud against itself).
        schedule: of N clouds.
        buffer: like `costs`, scratch.

    Returns:
        (N, P, B) potentials on the rows; problem p and its partner form one dual pair.
    """
    potentials = costs.new_zeros(costs.shape[:-1])
    for inverse, weight in zip(schedule.inverse.unbind(), schedule.weight.unbind(), strict=True):
        updated, _ = soft_minimum(potentials.index_select(1, partner), costs, inverse, buffer)
        potentials = torch.lerp(potentials, updated, weight)
    return potentials
