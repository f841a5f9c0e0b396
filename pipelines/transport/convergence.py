"""From annealed potentials to converged ones, and their plans.

- The gradient's relative error is of the order of the share of mass that the columns of a plan miss (measured: 0.02 to
  0.8 times it, from noise to well separated classes), so iterations stop by that share. Potentials may still be far off
  then, along directions that hardly any mass connects; neither value nor gradient depends on them.
- The plan is computed once, and scaled with two matrix-vector products an update: a tenth of the price of an update in
  the log domain, so that float64 can be afforded.
- Updates converge slowly where the plan is nearly a permutation; there a Newton step costs one Cholesky factor and
  converges quadratically. Clouds against themselves converge fast anyway.
"""

import math
from typing import NamedTuple

import torch

from pipelines.transport.potentials import soft_minimum

_MOST_SCALINGS = 200
_RELAXATION = 1.5
_SYMMETRIC_STEPS = 7  # 2 * 0.172^7: a hundred-thousandth of the annealed error is left
_NEWTON_STEPS = 60
_NEWTON_TOLERANCE = 1e-3  # of the step, in units of eps; the step after it would be about its square
_NEWTON_REACH = 20.0  # a first step beyond this, in units of eps, starts too cold


class Pair(NamedTuple):
    """Two clouds against each other: potentials on rows and columns, (N, 1, B) each, and the plan (N, 1, B, B) with
    rows and columns of mass one."""

    rows: torch.Tensor
    columns: torch.Tensor
    plan: torch.Tensor


def converge_pair(
    columns: torch.Tensor, costs: torch.Tensor, inverse: torch.Tensor, tolerance: float
) -> tuple[Pair, bool]:
    """Scale the plan to its masses, and where that does not get there, take Newton steps.

    Args:
        columns: (N, 1, B) potentials on the columns to start from, float64.
        costs: (N, 1, B, B), float64.
        inverse: (1, 1, 1, 1), 1 / (eps ln 2), float64.
        tolerance: share of the mass that the columns of any cloud may miss.

    Returns:
        The pair, and whether scaling was enough.
    """
    pair, missed = _scaled(columns, costs, inverse, tolerance)
    if missed <= tolerance:
        return pair, True
    start = torch.where(pair.columns.isfinite(), pair.columns, columns)
    _, start = refine_pair(start[:, 0], costs[:, 0], 1 / (float(inverse) * math.log(2)))
    return _scaled(start.unsqueeze(1), costs, inverse, tolerance)[0], False


def _scaled(columns: torch.Tensor, costs: torch.Tensor, inverse: torch.Tensor, tolerance: float) -> tuple[Pair, float]:
    plan = torch.empty_like(costs)
    rows, total = soft_minimum(columns, costs, inverse, plan)
    of_rows, of_columns, missed = scale_plan(plan.div_(total), tolerance)
    rows = rows + (of_rows.log2() / inverse).squeeze(-1)
    columns = columns + (of_columns.log2() / inverse).squeeze(-2)
    return Pair(rows, columns, plan.mul_(of_rows).mul_(of_columns)), missed


def scale_plan(plan: torch.Tensor, tolerance: float) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Factors that give rows and columns of a plan their masses, by alternating over-relaxed updates.

    The exponentials are in the plan already, so an update is two products with a vector (Schmitzer, SIAM Journal on
    Scientific Computing 41, 2019, section 3, absorbs potentials into the kernel likewise). Over-relaxation: Lehmann,
    von Renesse, Sambale, Uschmajew, Optimization Letters 16, 2022, where any factor below 2 converges locally.

    Args:
        plan: (..., B, B), rows and columns in want of mass one.
        tolerance: share of the mass that the columns of any cloud may miss; read on the host, to stop early.

    Returns:
        (..., B, 1) factors of the rows, which make these exact, (..., 1, B) factors of the columns, and the share of
        mass that these miss: more than `tolerance`, or NaN, where 200 updates did not suffice.
    """
    columns, transposed = plan.new_ones((*plan.shape[:-1], 1)), plan.mT
    for update in range(_MOST_SCALINGS + 1):
        rows = 1 / (plan @ columns)
        mass = columns * (transposed @ rows)
        missed = float((mass - 1).abs().mean(-2).max())
        if missed <= tolerance or update == _MOST_SCALINGS:
            break
        columns = columns / mass**_RELAXATION
    return rows, columns.mT, missed


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
