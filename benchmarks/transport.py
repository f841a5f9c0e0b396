"""The Sinkhorn divergence, forward and backward, against geomloss and POT.

    python benchmarks/transport.py [--rounds N]

Clouds are rows of similarity matrices, as the loss sees them. Results are compared first: `fast` repeats geomloss' own
schedule and must give its value; `accurate` must give value and gradient of alternating updates in float64, long past
convergence. POT goes on until its columns miss as little mass as those of `accurate` may, or for 1000 updates, which is
not enough on full rows. One thread, interleaved; POT, which takes seconds, is run once.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import numpy as np
import ot
import torch
from geomloss import SamplesLoss

from pipelines.transport import anchored_rows, similarity_matrix, sinkhorn_divergence

BLUR = 0.1
MISSED = 1e-5
LARGEST_ERROR = {30: 1e-4, 128: 1e-3, 512: 1e-3}

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Plan = Callable[[torch.Tensor], tuple[float, torch.Tensor]]


def clouds(size: int, anchors: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Student and teacher rows of a batch, (size, anchors)."""
    torch.manual_seed(size + anchors)
    teacher = torch.randn(size, 512) + 2 * torch.randn(4, 512)[torch.randint(0, 4, (size,))]
    student = teacher + 2 * torch.randn(size, 512)
    rows = anchored_rows(similarity_matrix(student), similarity_matrix(teacher), anchors)
    return rows[0].contiguous().requires_grad_(), rows[1].contiguous()


def by_plans(x: torch.Tensor, y: torch.Tensor, plan_of: Plan) -> tuple[float, torch.Tensor]:
    """Divergence and gradient in x by the envelope theorem, from a solver of one problem at a time."""
    x, y = x.detach().double(), y.double()
    (there, plan), (own_x, within), (own_y, _) = (
        plan_of(torch.cdist(a, b).square() / 2) for a, b in ((x, y), (x, x), (y, y))
    )
    return there - own_x / 2 - own_y / 2, within @ x - plan @ y


def long_past_convergence(cost: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Dual value and plan by alternating updates, cooled slowly, until columns miss 1e-7 of the mass, and rows none."""
    eps, size = max(float(cost.max()), BLUR**2), len(cost)
    f, missed = torch.zeros(size, dtype=torch.float64), 1.0
    while eps > BLUR**2 or missed > 1e-7:
        eps = max(0.7 * eps, BLUR**2)
        g = -eps * (((f.unsqueeze(1) - cost) / eps).logsumexp(0) - math.log(size))
        f = -eps * (((g - cost) / eps).logsumexp(1) - math.log(size))
        plan = torch.exp((f.unsqueeze(1) + g - cost) / eps) / size**2
        missed = float((plan.sum(0) - 1 / size).abs().sum())
    return float(f.mean() + g.mean()), plan


def pot(cost: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Dual value and plan by POT, whose entropy is the plan's, and which stops by the norm of the columns' error."""
    size, eps = len(cost), BLUR**2
    weights = np.full(size, 1 / size)
    with np.errstate(over="ignore"):
        plan, log = ot.sinkhorn(
            weights, weights, cost.numpy(), eps, method="sinkhorn_log", numItermax=1000,
            stopThr=MISSED / math.sqrt(size), log=True, warn=False,
        )  # fmt: skip
    return eps * float(np.mean(log["log_u"] + log["log_v"]) + 2 * math.log(size)), torch.from_numpy(plan)


def seconds(run: Callable[[], object]) -> float:
    """Once."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def both_ways(loss: Loss, x: torch.Tensor, y: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Value and gradient in x."""
    value = loss(x, y)
    return float(value.detach()), torch.autograd.grad(value, x)[0]


def check(x: torch.Tensor, y: torch.Tensor, arms: dict[str, Loss]) -> tuple[dict[str, float], float]:
    """Relative errors of all gradients, after the values have been compared, and the seconds that POT took."""
    value, gradient = by_plans(x, y, long_past_convergence)
    found = {name: both_ways(arm, x, y) for name, arm in arms.items()}
    start = time.perf_counter()
    found["POT"] = by_plans(x, y, pot)
    spent = time.perf_counter() - start
    gap = abs(found["fast"][0] - found["geomloss"][0])
    assert gap <= 1e-4, f"fast differs from geomloss by {gap}"
    assert abs(found["accurate"][0] - value) <= 1e-5 * value, f"accurate says {found['accurate'][0]}, truth is {value}"
    errors = {name: float((slope.double() - gradient).norm() / gradient.norm()) for name, (_, slope) in found.items()}
    limit = LARGEST_ERROR[x.shape[1]]
    assert errors["accurate"] <= limit, f"gradient of accurate is off by {errors['accurate']:.1e}, more than {limit}"
    return errors, spent


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    arms: dict[str, Loss] = {
        "geomloss": SamplesLoss("sinkhorn", p=2, blur=BLUR),
        "fast": lambda x, y: sinkhorn_divergence(x, y, blur=BLUR),
        "accurate": lambda x, y: sinkhorn_divergence(x, y, blur=BLUR, mode="accurate"),
    }
    print("time as a multiple of geomloss', and the gradient's relative error")
    names = "".join(f"{name:>10}{'error':>9}" for name in ("accurate", "POT"))
    print(f"{'B':>4}{'k':>5}{'geomloss ms':>13}{'error':>9}{'fast':>8}{'error':>9}{names}")
    for size, anchors in ((128, 30), (128, 128), (512, 30), (512, 512)):
        x, y = clouds(size, anchors)
        errors, spent = check(x, y, arms)
        times = [{name: seconds(lambda: both_ways(arm, x, y)) for name, arm in arms.items()} for _ in range(rounds)]  # noqa: B023
        fast, accurate = (statistics.median(row[n] / row["geomloss"] for row in times) for n in ("fast", "accurate"))
        base = f"{1e3 * statistics.median(row['geomloss'] for row in times):>13.1f}{errors['geomloss']:>9.1e}"
        ours = f"{fast:>7.2f}x{errors['fast']:>9.1e}{accurate:>9.2f}x{errors['accurate']:>9.1e}"
        slow = spent / statistics.median(row["geomloss"] for row in times)
        print(f"{size:>4}{anchors:>5}{base}{ours}{slow:>9.0f}x{errors['POT']:>9.1e}", flush=True)
    print(
        "targets: fast <= 0.50x at B = 128, <= 0.77x at 512; accurate <= 1.5x with error <= 1e-4 (k = 30), 1e-3 (k = B)"
    )


if __name__ == "__main__":
    main()
