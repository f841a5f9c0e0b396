"""Dual potentials of entropic optimal transport between equally weighted clouds of equal size.

- Log domain throughout, in powers of two: exp2 vectorises where exp does not on common CPU builds of torch.
- All problems of a divergence are rows of one tensor; a problem and its transpose are both there, so that a symmetric
  update is one soft minimum over everything, and two buffers serve every iteration.
- The annealing schedule is geomloss's (scaling 0.5), kept on the device: a cloud that needs fewer steps than another
  waits at the start with potentials of zero, so one cloud in a batch gets exactly what it gets alone.
- Sinkhorn iterations converge slowly where the plan is nearly a permutation; there a Newton step costs one Cholesky
  factor and converges quadratically, which is what `refine_pair` does in float64. Clouds against themselves converge
  fast anyway.
"""

import math
from dataclasses import dataclass

import torch

MAX_HALVINGS = 32
_SYMMETRIC_STEPS = 7  # 2 * 0.172^7: a hundred-thousandth of the annealed error is left
_NEWTON_STEPS = 60
_NEWTON_TOLERANCE = 1e-3  # of the step, in units of eps; the step after it would be about its square
_NEWTON_REACH = 20.0  # a first step beyond this, in units of eps, starts too cold


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


def refine_symmetric(potentials: torch.Tensor, costs: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """Converged potentials (N, P, B) of clouds against themselves.

    An update p -> p + w (softmin(p) - p) multiplies the error along an eigenvector of the plan by 1 - w (1 + m), m in
    [0, 1] because the kernel is positive definite. Seven weights at Chebyshev's points of [1, 2] (Varga, Matrix
    Iterative Analysis, chapter 5) do far better than the customary 1/2 seven times.
    """
    buffer = torch.empty_like(costs)
    for step in range(_SYMMETRIC_STEPS):
        updated, _ = soft_minimum(potentials, costs, inverse, buffer)
        weight = 1 / (1.5 + 0.5 * math.cos(math.pi * (step + 0.5) / _SYMMETRIC_STEPS))
        potentials = torch.lerp(potentials, updated, weight)
    return potentials


def refine_pair(columns: torch.Tensor, costs: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Converged potentials of clouds against each other, by Newton's method.

    Where the target temperature is too cold for the start, the potentials are followed down from a warm one, a quarter
    a level. How far a step went is read on the host, to stop early.

    Args:
        columns: (N, B) potentials on the columns to start from, float64.
        costs: (N, B, B), float64.
        eps: temperature.

    Returns:
        (N, B) potentials on the rows and (N, B) on the columns.
    """
    advanced, span = _newton_step(columns, costs, eps)
    if span > _NEWTON_REACH:
        levels = math.ceil(math.log(max(float(costs.max()) / eps, 1), 4))
        for level in range(levels, 0, -1):
            columns = _ascend(columns, costs, eps * 4**level, tolerance=1.0)
        advanced = columns
    columns = _ascend(advanced, costs, eps, tolerance=_NEWTON_TOLERANCE)
    rows = -eps * (torch.logsumexp((columns.unsqueeze(-2) - costs) / eps, -1) - math.log(costs.shape[-1]))
    return rows, columns


def _ascend(columns: torch.Tensor, costs: torch.Tensor, eps: float, *, tolerance: float) -> torch.Tensor:
    """Newton steps until the farthest of all clouds went less than `tolerance`, in units of eps."""
    for _ in range(_NEWTON_STEPS):
        columns, span = _newton_step(columns, costs, eps)
        if span < tolerance:
            break
    return columns


def _newton_step(columns: torch.Tensor, costs: torch.Tensor, eps: float) -> tuple[torch.Tensor, float]:
    """One damped step on the semi-dual max_g mean_j g_j + mean_i f_i(g), f the soft minimum of g.

    Its gradient is 1/B - c for the column masses c, its Hessian -(diag(c) - B P^T P) / eps. Along a direction d the
    third derivative is at most M = (max d - min d) / eps times the second, so the share log(1 + M) / M of the Newton
    step always ascends (generalised self-concordance: Bach, Electronic Journal of Statistics 4, 2010); it tends to 1
    at the optimum.

    Returns:
        (N, B) potentials, and the largest M of all clouds.
    """
    size = costs.shape[-1]
    plan = torch.softmax((columns.unsqueeze(-2) - costs) / eps, -1) / size
    mass = plan.sum(-2)
    curvature = torch.baddbmm(costs.new_full((1, 1, 1), 1 / size**2), plan.mT, plan, alpha=-size)
    # The added constant fixes the free shift between f and g; the ridge, masses that nothing connects.
    curvature.diagonal(dim1=-2, dim2=-1).add_(mass + 1e-12 / size)
    factor, failed = torch.linalg.cholesky_ex(curvature)
    direction = torch.cholesky_solve((1 / size - mass).unsqueeze(-1), factor).squeeze(-1)
    direction = torch.where(failed.unsqueeze(-1) == 0, direction, 0)
    span = direction.amax(-1, keepdim=True) - direction.amin(-1, keepdim=True)
    share = torch.where(span > 0, torch.log1p(span) / span.clamp_min(1e-300), 1)
    return columns + eps * share * direction, float(span.max())
