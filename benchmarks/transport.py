"""The Sinkhorn divergence, forward and backward, against geomloss.

    python benchmarks/transport.py [--rounds N]

Clouds are rows of similarity matrices, as the loss sees them. Values are compared first; `fast` repeats geomloss' own
schedule and must give its value, `accurate` goes on until it has converged. One thread, interleaved.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from geomloss import SamplesLoss

from pipelines.transport import anchored_rows, similarity_matrix, sinkhorn_divergence

BLUR = 0.1


def clouds(size: int, anchors: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Student and teacher rows of a batch, (size, anchors)."""
    torch.manual_seed(size + anchors)
    teacher = torch.randn(size, 512) + 2 * torch.randn(4, 512)[torch.randint(0, 4, (size,))]
    student = teacher + 2 * torch.randn(size, 512)
    rows = anchored_rows(similarity_matrix(student), similarity_matrix(teacher), anchors)
    return rows[0].contiguous().requires_grad_(), rows[1].contiguous()


def seconds(loss: Callable[..., torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> float:
    """Forward and backward once."""
    x.grad = None
    start = time.perf_counter()
    loss(x, y).backward()
    return time.perf_counter() - start


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    arms = {
        "geomloss": SamplesLoss("sinkhorn", p=2, blur=BLUR),
        "fast": lambda x, y: sinkhorn_divergence(x, y, blur=BLUR),
        "accurate": lambda x, y: sinkhorn_divergence(x, y, blur=BLUR, mode="accurate"),
    }
    print(f"{'B':>4}{'k':>5}{'geomloss ms':>13}{'fast':>8}{'accurate':>10}   value, fast - geomloss")
    for size, anchors in ((128, 30), (128, 128), (512, 30), (512, 512)):
        x, y = clouds(size, anchors)
        values = {name: float(arm(x, y).detach()) for name, arm in arms.items()}
        gap = abs(values["fast"] - values["geomloss"])
        assert gap <= 1e-4, f"fast differs from geomloss by {gap}"
        times = [{name: seconds(arm, x, y) for name, arm in arms.items()} for _ in range(rounds)]
        base = statistics.median(row["geomloss"] for row in times)
        fast, accurate = (statistics.median(row["geomloss"] / row[n] for row in times) for n in ("fast", "accurate"))
        measured = f"{size:>4}{anchors:>5}{1e3 * base:>13.1f}{fast:>7.1f}x{accurate:>9.2f}x"
        print(f"{measured}   {gap:.1e} of {values['fast']:.4f}")
    print("ratios say how many times as fast as geomloss; targets: fast >= 2 at B = 128 and >= 1.3 at 512")


if __name__ == "__main__":
    main()
