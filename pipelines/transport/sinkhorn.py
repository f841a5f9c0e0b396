"""The debiased Sinkhorn divergence between two equally weighted clouds of equal size.

- Convention of geomloss' `SamplesLoss("sinkhorn", p=2, blur)`: cost |u - v|^2 / 2, eps = blur^2, and
  S(x, y) = OT(x, y) - OT(x, x)/2 - OT(y, y)/2 with OT the dual value (Feydy, PhD thesis 2020, eq. 3.209).
- `fast` follows geomloss' default annealing to the digit, so it shares its small bias; `accurate` goes on from there
  until it has converged, and evaluates the result in float64; `pot` asks POT, in float64 on the CPU, and is there to
  check the other two.
- Gradients are those of the envelope theorem: the potentials are constants, and point i moves by the difference of two
  barycentric projections, (Q x - P y)_i / B. They come out of the last soft minimum for the price of two products.
- No step of `fast` waits for the device when the caller knows a bound on the diameter.
- Half precision is computed, and returned, in float32.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from pipelines.transport.convergence import converge_pair, refine_symmetric
from pipelines.transport.potentials import anneal, annealing_schedule, halvings, soft_minimum

Mode = Literal["fast", "accurate", "pot"]

_MISSED = {torch.float32: 1e-5, torch.float64: 1e-8}
"""Share of the mass that the columns of a converged plan may miss, by the clouds' type."""
_POT_ITERATIONS = 20_000
_POT_THRESHOLD = 1e-8


def sinkhorn_divergence(
    x: torch.Tensor, y: torch.Tensor, *, blur: float = 0.1, mode: Mode = "fast", diameter: float | None = None
) -> torch.Tensor:
    """Debiased Sinkhorn divergence between clouds of B points in R^k, uniform weights.

    Args:
        x: (B, k), or (N, B, k) for N independent clouds.
        y: the same shape.
        blur: square root of the entropic regularisation eps.
        mode: `fast` anneals as geomloss does by default; `accurate` goes on until the columns of the plan miss no more
            than 1e-5 of the mass, 1e-8 for float64, and its rows none; `pot` is POT's solver, on the CPU and slow, with
            the same kind of gradient.
        diameter: bound on the distance of two points, where the caller knows one. It only sets how many steps are laid
            out on a CUDA device, which else is asked, and waited for, once; the value does not depend on it.

    Returns:
        (), or (N,) for N clouds. Differentiable once, in x and y.

    Raises:
        ValueError: for shapes that differ, empty clouds, a blur that is not positive, an unknown mode, and (on the CPU)
            a value that is not finite. On other devices NaN reaches the result instead: checking would wait for them.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode = {mode!r}: expected one of {', '.join(get_args(Mode))}")
    x, y, single = _clouds(x, y, blur)
    steps = _steps(x, diameter, blur)
    with torch.autocast(x.device.type, enabled=False):
        value: torch.Tensor = _SinkhornDivergence.apply(x, y, blur, mode, steps)  # pyright: ignore[reportAssignmentType]
    return value[0] if single else value


@torch.no_grad()
def transport_plan(
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    blur: float = 0.1,
    mode: Literal["fast", "accurate"] = "accurate",
    diameter: float | None = None,
) -> torch.Tensor:
    """Entropic optimal transport plan.

    Args:
        x: (B, k) or (N, B, k).
        y: the same shape.
        blur: square root of the entropic regularisation eps.
        mode: `accurate` converges; `fast` stops where annealing ends, with columns that may be far from 1/B.
        diameter: as in `sinkhorn_divergence`.

    Returns:
        (B, B) or (N, B, B), non-negative, rows and columns of mass 1/B.

    Raises:
        ValueError: as `sinkhorn_divergence`.
    """
    x, y, single = _clouds(x, y, blur)
    steps = _steps(x, diameter, blur)
    with torch.autocast(x.device.type, enabled=False):
        x, y, spread = _centred(x, y)
        there = _costs(x, y)
        costs = torch.stack((there, there.mT), 1)
        schedule = annealing_schedule(spread, blur=blur, steps=steps)
        buffer = torch.empty_like(costs)
        partner = torch.arange(1, -1, -1, device=x.device)
        columns, wide = anneal(costs, partner, schedule, buffer)[:, 1:].double(), there.double().unsqueeze(1)
        if mode == "accurate":
            plan = converge_pair(columns, wide, schedule.final.double(), _MISSED[torch.float64])[0].plan
        else:
            plan = torch.softmax((columns.unsqueeze(-2) - wide) / blur**2, -1)
        plan = (plan.squeeze(1) / x.shape[1]).to(there.dtype)
    return plan[0] if single else plan


def _clouds(x: torch.Tensor, y: torch.Tensor, blur: float) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """Checked, in float32 at least, with a leading dimension of clouds; and whether that had to be added."""
    if x.shape != y.shape or x.ndim not in (2, 3) or 0 in x.shape:
        raise ValueError(
            f"x of shape {tuple(x.shape)} and y of shape {tuple(y.shape)}: expected two non-empty clouds of equal "
            "shape (B, k) or (N, B, k)"
        )
    if not (math.isfinite(blur) and blur > 0):
        raise ValueError(f"blur = {blur}: must be a positive number")
    for name, cloud in (("x", x), ("y", y)):
        if not cloud.is_floating_point():
            raise ValueError(f"{name} is {cloud.dtype}: clouds must be of a floating point type")
        if cloud.device.type == "cpu" and not bool(torch.isfinite(cloud).all()):
            raise ValueError(f"{name} holds NaN or infinity; no transport is defined for it")
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    x, y = x.to(dtype), y.to(dtype)
    return (x.unsqueeze(0), y.unsqueeze(0), True) if x.ndim == 2 else (x, y, False)


def _steps(x: torch.Tensor, diameter: float | None, blur: float) -> int | None:
    """Halvings to lay out where a bound on the diameter is known; on the CPU they are counted, which costs nothing."""
    return None if diameter is None or x.device.type == "cpu" else halvings(diameter / blur)


def _centred(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Clouds about their common mean, so that |u|^2 + |v|^2 - 2uv cancels less, and (N,) bounds on their diameters."""
    points = torch.cat((x, y), 1)
    points -= points.mean(1, keepdim=True)
    least, most = torch.aminmax(points, dim=1)
    x, y = points.chunk(2, 1)
    return x, y, torch.linalg.vector_norm(most - least, dim=1)


def _costs(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """|u - v|^2 / 2 for every pair, (..., B, k) twice -> (..., B, B)."""
    half_x, half_y = x.square().sum(-1) / 2, y.square().sum(-1) / 2
    products = torch.matmul(x, y.mT)
    return products.neg_().add_(half_x.unsqueeze(-1)).add_(half_y.unsqueeze(-2)).clamp_(min=0)


def _three_costs(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Costs from x to y, within x, and within y, (N, 3, B, B)."""
    return _costs(torch.stack((x, x, y), 1), torch.stack((y, x, y), 1))


@dataclass(frozen=True)
class _Solution:
    """Of x to y, y to x, x to x and y to y: potentials on the rows (N, 4, B), plans (N, B, B) with rows of mass one."""

    potentials: torch.Tensor
    plans: tuple[torch.Tensor, ...]


def _solve(
    x: torch.Tensor, y: torch.Tensor, diameter: torch.Tensor, *, blur: float, mode: Mode, steps: int | None
) -> _Solution:
    there, own_x, own_y = _three_costs(x, y).unbind(1)
    costs = torch.stack((there, there.mT, own_x, own_y), 1)
    if mode == "pot":
        return _solve_with_pot(costs, blur)
    schedule = annealing_schedule(diameter, blur=blur, steps=steps)
    buffer = torch.empty_like(costs)
    own = torch.arange(4, device=x.device)
    partner = torch.where(own < 2, 1 - own, own)
    potentials = anneal(costs, partner, schedule, buffer)
    if mode == "accurate":
        return _converge(x, y, costs, potentials, schedule.final)
    potentials, total = soft_minimum(potentials.index_select(1, partner), costs, schedule.final, buffer)
    return _Solution(potentials, buffer.div_(total).unbind(1))


def _converge(
    x: torch.Tensor, y: torch.Tensor, costs: torch.Tensor, potentials: torch.Tensor, inverse: torch.Tensor
) -> _Solution:
    """From annealed potentials to converged ones; those of a cloud against itself in its own precision where easy."""
    tolerance, columns, own = _MISSED[costs.dtype], potentials[:, 1:2].double(), potentials[:, 2:]
    own = refine_symmetric(own, costs[:, 2:], inverse).double()
    costs, inverse = _three_costs(x.double(), y.double()), inverse.double()
    pair, easy = converge_pair(columns, costs[:, :1], inverse, tolerance)
    if not easy:
        own = refine_symmetric(own, costs[:, 1:], inverse)
    plans = torch.empty_like(costs[:, 1:])
    own, total = soft_minimum(own, costs[:, 1:], inverse, plans)
    there = pair.plan[:, 0]
    back = (there / there.sum(-2, keepdim=True)).mT
    return _Solution(torch.cat((pair.rows, pair.columns, own), 1), (there, back, *plans.div_(total).unbind(1)))


def _solve_with_pot(costs: torch.Tensor, blur: float) -> _Solution:
    """POT's cost is |u - v|^2 = 2 C and its entropy that of the plan, so its regularisation is 2 eps.

    Its plan is diag(u) exp(-2C / 2eps) diag(v); our potentials f = eps (log u + log B) make that
    exp((f + g - C) / eps) / B^2.
    """
    import ot

    size, eps = costs.shape[-1], blur**2
    weights = np.full(size, 1 / size)
    potentials = torch.empty(costs.shape[:-1], dtype=torch.float64)
    plans = torch.empty(costs.shape, dtype=torch.float64)
    for cloud, problems in enumerate(costs.detach().double().cpu()):
        for problem in (0, 2, 3):
            # Besides the potentials POT returns their exponentials, which overflow and which nobody reads.
            with np.errstate(over="ignore"):
                plan, log = ot.sinkhorn(
                    weights, weights, 2 * problems[problem].numpy(), 2 * eps, method="sinkhorn_log",
                    numItermax=_POT_ITERATIONS, stopThr=_POT_THRESHOLD, log=True,
                )  # fmt: skip
            rows, columns = (eps * (torch.from_numpy(log[key]) + math.log(size)) for key in ("log_u", "log_v"))
            plan = torch.from_numpy(plan) * size
            if problem == 0:
                potentials[cloud, :2] = torch.stack((rows, columns))
                plans[cloud, :2] = torch.stack((plan, plan.mT))
            else:
                potentials[cloud, problem], plans[cloud, problem] = (rows + columns) / 2, plan
    return _Solution(potentials.to(costs.device), plans.to(costs.device).unbind(1))


class _SinkhornDivergence(torch.autograd.Function):
    """Value and gradient in one pass: autograd sees neither the iterations nor a cost matrix."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, y: torch.Tensor, blur: float, mode: Mode, steps: int | None) -> torch.Tensor:
        dtype = x.dtype
        x, y, diameter = _centred(x, y)
        if mode == "pot":
            x, y = x.double(), y.double()
        solution = _solve(x, y, diameter, blur=blur, mode=mode, steps=steps)
        to_y, to_x, own_x, own_y = solution.potentials.unbind(1)
        value = (to_y - own_x).mean(1) + (to_x - own_y).mean(1)
        there, back, own_x, own_y = solution.plans
        of_x = _gradient(own_x, x, there, y).to(dtype) if ctx.needs_input_grad[0] else None
        of_y = _gradient(own_y, y, back, x).to(dtype) if ctx.needs_input_grad[1] else None
        ctx.save_for_backward(of_x, of_y)
        return value.to(dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, weight: torch.Tensor):
        weight = weight.view(-1, 1, 1)
        of_x, of_y = (None if gradient is None else gradient * weight for gradient in ctx.saved_tensors)
        return of_x, of_y, None, None, None


def _gradient(own_plan: torch.Tensor, own: torch.Tensor, plan: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(N, B, k): where a cloud's points are sent within it less where they are sent in the other, over B."""
    return (own_plan @ own.to(plan.dtype) - plan @ other.to(plan.dtype)) / own.shape[1]
