"""What a CUDA device makes of the work: the distillation step, the transport, the encoder of faces, and its loader.

    python benchmarks/gpu.py [--rounds N]

- The step of a student as it is trained (MT-PKDOT, the shipped BioVid recipe's networks and settings), in both
  precisions.
- The Sinkhorn divergence, forward and backward, and geomloss on the same clouds, if it is installed.
- R3D-18 forward on ten frames of 112x112, bfloat16, channels last; and compiled, where that can be done. Its floating
  point operations are counted by torch. The peak is the data sheet's, or, of a device that is not listed here, what a
  product of large bfloat16 matrices reaches on it.
- Training R3D-18 from a shard of face crops against the same steps on a batch that is there already: what the loop
  takes longer, the device waits for its loader.

Without a CUDA device it says so and measures nothing.
"""

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from itertools import chain, count, islice, repeat
from pathlib import Path

import numpy as np
import torch
from embeddings import write_clips
from torch.utils.flop_counter import FlopCounterMode

from pipelines.cache.embeddings import Column, EmbeddingStore
from pipelines.corpora import task_of
from pipelines.models.encoders import r3d_18
from pipelines.models.teachers import UnimodalTeacher
from pipelines.objectives import make_objective
from pipelines.recipe import ClipWindow
from pipelines.recipe.loading import load_recipe
from pipelines.training.device import channels_last, prepare_encoder
from pipelines.training.loop import Batch
from pipelines.training.normalisation import Normaliser
from pipelines.training.problems.distillation import DistillationProblem, Teachers
from pipelines.training.problems.encoder import EncoderProblem, ModalityReader
from pipelines.training.restoring import make_student
from pipelines.training.samples import Sample
from pipelines.training.sources import ClipFaceSource
from pipelines.training.tables import EmbeddingTable
from pipelines.transport import anchored_rows, diameter_bound, similarity_matrix, sinkhorn_divergence
from pipelines.workspace import Workspace

METHOD, BLUR, PRECISIONS = "mt-pkdot", 0.1, ("32-true", "bf16-mixed")
PEAKS = {
    "B200": 2250, "GH200|H200": 989, "H100 PCIe": 756, "H100 NVL": 835, "H100": 989, "A100": 312, "L40S": 362,
    "L4": 121, "A40": 150, "RTX 4090": 165, "RTX 3090": 71,
}  # fmt: skip
"""Dense bfloat16 TFLOP/s, summed in float32, on NVIDIA's data sheets, by words of a device's name; the first fits."""


@dataclass(frozen=True)
class Sizes:
    """How much of everything is measured."""

    clips: int = 1024
    clouds: tuple[tuple[int, int], ...] = ((128, 30), (128, 128), (512, 30), (512, 512))
    embedded: tuple[int, ...] = (32, 128)
    side: int = 112
    frames: int = 10
    matrix: int = 8192
    stored: int = 256
    batch: int = 32
    steps: int = 20
    rounds: int = 9


Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Row = tuple[str, str, str]
"""What was measured, how long or how fast, and against what."""


def seconds(work: Callable[[], object], device: str, rounds: int) -> float:
    """Median of one call, after two that are not counted; the device is waited for before and after."""
    wait, found = torch.cuda.synchronize if device == "cuda" else lambda: None, []
    for number in range(rounds + 2):
        wait()
        start = time.perf_counter()
        work()
        wait()
        if number >= 2:
            found.append(time.perf_counter() - start)
    return statistics.median(found)


def autocast(device: str, precision: str) -> "torch.autocast | nullcontext[None]":
    """Mixed precision, or none."""
    return torch.autocast(device, torch.bfloat16) if precision == "bf16-mixed" else nullcontext()


def student_problem(device: str, sizes: Sizes) -> DistillationProblem:
    """The student of the shipped recipe on drawn embeddings."""
    recipe, random = load_recipe("biovid"), np.random.default_rng(0)
    task, names, width = task_of(recipe.corpus), tuple(recipe.teacher_subsets), recipe.model.embedding
    rows = [Sample(f"clip-{n}", f"subject-{n % 87}", n % task.num_outputs) for n in range(sizes.clips)]

    def column(samplings: int) -> Column:
        values = random.normal(size=(sizes.clips, samplings, width)).astype(np.float32)
        outputs = random.normal(size=(sizes.clips, samplings, task.num_outputs)).astype(np.float32)
        return Column(values, np.ones(sizes.clips, bool), outputs)

    clips = tuple(row.name for row in rows)
    faces = EmbeddingStore(clips, {"faces": column(recipe.windows.samplings)})
    said = EmbeddingStore(clips, {name: column(1) for name in names})
    table = EmbeddingTable(faces, ("faces",), rows, task, device=device)
    teachers = EmbeddingTable(said, names, rows, task, device=device)
    return DistillationProblem(
        network=make_student(recipe, METHOD, task.num_outputs).to(device),
        objective=make_objective(METHOD, task, recipe.distillation),
        teachers=Teachers(teachers, names, random.random((sizes.clips, len(names)))),
        task=task,
        name="student",
        train=table,
        validation=table,
        batch_size=min(recipe.training.distillation.batch_size, sizes.clips),
    )


def distillation(device: str, sizes: Sizes) -> list[Row]:
    """Milliseconds of a step of the student, batches drawn from its tables included."""
    rows = []
    for precision in PRECISIONS:
        problem = student_problem(device, sizes)
        weights = [weight for weight in problem.network.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=1e-4, fused=True)

        def epoch(problem=problem, weights=weights, optimizer=optimizer, precision=precision) -> None:
            problem.network.train()
            for batch in problem.training_batches(0):
                with autocast(device, precision):
                    outputs = problem.network(*batch.inputs)
                problem.loss(outputs, batch.truth).total.backward()
                torch.nn.utils.clip_grad_norm_(weights, 1.0)
                optimizer.step()
                optimizer.zero_grad()

        steps = len(list(problem.training_batches(0)))
        taken = seconds(epoch, device, sizes.rounds) / steps
        rows.append((f"distillation step, {METHOD}, {precision}", f"{1e3 * taken:.2f} ms", ""))
    return rows


def transport(device: str, sizes: Sizes) -> list[Row]:
    """Milliseconds of the divergence and its gradient, as a multiple of geomloss' time."""
    geomloss = import_module("geomloss").SamplesLoss("sinkhorn", p=2, blur=BLUR) if find_spec("geomloss") else None
    rows = []
    for size, anchors in sizes.clouds:
        x, y = clouds(size, anchors, device)

        def ours(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return sinkhorn_divergence(x, y, blur=BLUR, diameter=diameter_bound(x))

        def taken(loss: Loss, x: torch.Tensor = x, y: torch.Tensor = y) -> float:
            return seconds(lambda: torch.autograd.grad(loss(x, y), x), device, sizes.rounds)

        mine, against = taken(ours), "geomloss is not here"
        if geomloss is not None:
            gap = abs(float(ours(x, y).detach()) - float(geomloss(x, y).detach()))
            against = f"{mine / taken(geomloss):.2f}x geomloss" if gap <= 1e-4 else f"geomloss {gap:.0e} off"
        rows.append((f"transport, B = {size}, k = {anchors}", f"{1e3 * mine:.2f} ms", against))
    return rows


def clouds(size: int, anchors: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of similarities (size, anchors) of a student, with gradient, and of its teacher."""
    torch.manual_seed(size + anchors)
    teacher = torch.randn(size, 512) + 2 * torch.randn(4, 512)[torch.randint(0, 4, (size,))]
    student = teacher + 2 * torch.randn(size, 512)
    rows = anchored_rows(similarity_matrix(student), similarity_matrix(teacher), anchors)
    ours, theirs = (each.contiguous().to(device) for each in rows)
    return ours.requires_grad_(), theirs


def embedding(device: str, sizes: Sizes) -> list[Row]:
    """Clips a second of R3D-18, and the share of the device's peak."""
    product = matrix_rate(device, sizes)
    sheet = peak_of(torch.cuda.get_device_name()) if device == "cuda" else None
    peak = sheet or product
    against = f"{product / sheet:.1%} of data sheet" if sheet else "taken as the peak"
    rows = [(f"bfloat16 product of {sizes.matrix} x {sizes.matrix}", f"{product / 1e12:.1f} TFLOP/s", against)]
    for compiled in (False, True) if device == "cuda" else (False,):
        network = r3d_18().eval().to(device)
        prepare_encoder(network, device, compiled=compiled)
        for batch in sizes.embedded:
            name = f"R3D-18 forward, batch {batch}{', compiled' if compiled else ''}"
            try:
                rate = batch / seconds(forward_of(network, batch, device, sizes), device, sizes.rounds)
            except RuntimeError as error:  # no C compiler here, as a rule
                if not compiled:
                    raise
                rows.append((name, "not compiled", type(error).__name__[:21]))
                continue
            against = f"{rate * operations(sizes) / peak:.1%} of {peak / 1e12:.0f} TFLOP/s"
            rows.append((name, f"{rate:.0f} clips/s", against))
    return rows


def forward_of(network: torch.nn.Module, batch: int, device: str, sizes: Sizes) -> Callable[[], torch.Tensor]:
    """One pass over drawn clips, in bfloat16."""
    clips = channels_last(torch.randn(batch, 3, sizes.frames, sizes.side, sizes.side, device=device))

    @torch.no_grad()
    def forward() -> torch.Tensor:
        with autocast(device, "bf16-mixed"):
            return network(clips)

    return forward


def peak_of(name: str) -> float | None:
    """Operations a second by a device's name, as the driver tells it; None where it is not listed."""
    return next((1e12 * peak for words, peak in PEAKS.items() if re.search(rf"\b({words})\b(?! Laptop)", name)), None)


def operations(sizes: Sizes) -> int:
    """Floating point operations of R3D-18 on one clip; a multiplication and an addition are two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        r3d_18().eval().to("meta")(torch.empty(1, 3, sizes.frames, sizes.side, sizes.side, device="meta"))
    return counter.get_total_flops()


def matrix_rate(device: str, sizes: Sizes) -> float:
    """Floating point operations a second of a large bfloat16 product."""
    matrix = torch.randn(sizes.matrix, sizes.matrix, device=device, dtype=torch.bfloat16)
    return 2 * sizes.matrix**3 / seconds(lambda: matrix @ matrix, device, sizes.rounds)


def face_problem(device: str, sizes: Sizes, workspace: Workspace) -> EncoderProblem:
    """R3D-18 and its head on face crops in a shard."""
    network = UnimodalTeacher(encoder=r3d_18(), embedding=512, num_outputs=2, dropout=0.2).to(device)
    prepare_encoder(network.encoder, device, compiled=False)
    rows = [replace(row, label=n % 2) for n, row in enumerate(write_clips(workspace, sizes.stored))]
    source = ClipFaceSource(workspace, ClipWindow(frames=sizes.frames))
    return EncoderProblem(
        name="loader",
        network=network,
        reader=ModalityReader(source, Normaliser("frames", "fixed"), device),
        train=rows,
        validation=rows,
        task=task_of(load_recipe("biovid").corpus),
        batch_size=min(sizes.batch, sizes.stored),
        seed=(0,),
    )


def loader(device: str, sizes: Sizes) -> list[Row]:
    """Share of a training step of R3D-18 in which the device waits for data."""
    with tempfile.TemporaryDirectory() as name:
        problem = face_problem(device, sizes, Workspace(Path(name)))
        optimizer = torch.optim.AdamW(problem.network.parameters(), lr=1e-4, fused=True)

        def train(batches: Iterable[Batch]) -> None:
            problem.network.train()
            for batch in islice(batches, sizes.steps):
                with autocast(device, "bf16-mixed"):
                    embeddings, outputs = problem.network(*batch.inputs)
                problem.loss((embeddings, outputs.float()), batch.truth).total.backward()
                optimizer.step()
                optimizer.zero_grad()

        there = next(problem.training_batches(0))
        alone = seconds(lambda: train(repeat(there)), device, sizes.rounds)
        fed = seconds(lambda: train(chain.from_iterable(map(problem.training_batches, count()))), device, sizes.rounds)
    rate = sizes.steps * there.size / fed
    return [("R3D-18 training step from face crops", f"{rate:.0f} clips/s", f"{max(0, 1 - alone / fed):.0%} waiting")]


PARTS = (distillation, transport, embedding, loader)


def table(rows: list[Row]) -> str:
    """The rows, columns under each other."""
    return "\n".join(f"{what:<42}{value:>15}  {against}" for what, value, against in rows)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=Sizes.rounds)
    sizes = Sizes(rounds=parser.parse_args().rounds)
    if not torch.cuda.is_available():
        print("torch finds no CUDA device here: nothing was measured")
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {sizes.rounds} rounds\n")
    for part in PARTS:
        print(table(part("cuda", sizes)), flush=True)


if __name__ == "__main__":
    main()
