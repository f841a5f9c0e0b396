"""A distillation epoch from cached embeddings against the published loop, which computes everything again every epoch.

    python benchmarks/distillation.py [--clips N] [--rounds N] [--threads N]

The published loop, a clip and epoch: a frozen R3D-18 forward twice (teacher and student), ten JPEG frames decoded and
resized, one `_bio.csv` read and made a spectrogram. Ours, with the shipped BioVid recipe's networks: the student's
step, MT-PKDOT over five teachers, at batch 128. Both are real code on data of BioVid's size, interleaved; and so is the
step of the shipped Aff-Wild2 recipe's student, joint cross-attention over seven windows.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from scipy.signal import spectrogram

from pipelines.corpora import task_of
from pipelines.models.encoders import r3d_18
from pipelines.objectives import DistillationBatch, TeacherView, make_objective
from pipelines.recipe import Recipe
from pipelines.recipe.loading import load_recipe
from pipelines.stages.distill import make_student

METHOD = "mt-pkdot"


def published_clip(folder: Path, network: torch.nn.Module) -> Callable[[], None]:
    """The released loop's work for one clip of one epoch."""
    rng = np.random.default_rng(0)
    for index in range(10):
        cv2.imwrite(str(folder / f"img_{index:05d}.jpg"), rng.integers(0, 255, (256, 256, 3), np.uint8))
    time_us = np.arange(2816) * 1e6 / 512
    table = {"time": time_us, **{f"signal_{i}": rng.normal(size=2816) for i in range(5)}}
    pd.DataFrame(table).to_csv(folder / "bio.csv", sep="\t", index=False)

    def work() -> None:
        frames = [cv2.resize(cv2.imread(str(path)), (112, 112)) for path in sorted(folder.glob("*.jpg"))]
        signal = pd.read_csv(folder / "bio.csv", sep="\t")["signal_3"].to_numpy()[1024:2560]
        spectrogram(signal, fs=1000, nperseg=16, noverlap=4, nfft=128)
        clip = torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)[None].float() / 255
        with torch.no_grad():
            network(clip)
            network(clip)

    return work


def student_epoch(recipe: Recipe, clips: int) -> Callable[[], None]:
    """One epoch of the student on cached embeddings."""
    torch.manual_seed(0)
    task, width, names = task_of(recipe.corpus), recipe.model.embedding, tuple(recipe.teacher_subsets)
    context = (recipe.windows.context,) if recipe.windows.context > 1 else ()
    faces = torch.randn(clips, recipe.windows.samplings, *context, width)
    teachers = torch.randn(clips, len(names), width)
    losses = torch.rand(clips, len(names))
    target = torch.randint(0, 2, (clips,)) if task.kind == "classes" else torch.rand(clips, task.num_outputs)
    student = make_student(recipe, METHOD, task.num_outputs)
    objective = make_objective(METHOD, task, recipe.distillation)
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], lr=1e-4, fused=True)
    everyone = torch.ones(clips, dtype=torch.bool)

    def work() -> None:
        student.train()
        for rows in torch.randperm(clips).split(recipe.training.distillation.batch_size):
            view = torch.randint(0, recipe.windows.samplings, (len(rows),))
            output = student({"faces": faces[rows, view]}, {"faces": torch.ones(len(rows), *context, dtype=torch.bool)})
            teacher_view = TeacherView(
                names=names,
                embeddings=teachers[rows],
                outputs=torch.zeros(len(rows), len(names), task.num_outputs),
                losses=losses[rows],
                present=everyone[rows][:, None].expand(-1, len(names)),
            )
            batch = DistillationBatch(target=target[rows], labelled=everyone[rows], teachers=teacher_view)
            optimizer.zero_grad()
            objective.loss(output, batch).total.backward()
            optimizer.step()

    return work


def seconds(work: Callable[[], None]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe, windowed = load_recipe("biovid"), load_recipe("affwild2")
    batches = -(-arguments.clips // recipe.training.distillation.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        published = published_clip(Path(folder), r3d_18().eval())
        ours, windows = student_epoch(recipe, arguments.clips), student_epoch(windowed, arguments.clips)
        published(), ours(), windows()
        runs = [(seconds(published), seconds(ours), seconds(windows)) for _ in range(arguments.rounds)]
    clip, epoch, window_epoch = (statistics.median(side) for side in zip(*runs, strict=True))
    ratio = statistics.median(a * arguments.clips / b for a, b, _ in runs)
    step = 1e3 * epoch / batches
    print(f"published loop {1e3 * clip:.0f} ms a clip; from cached embeddings {1e3 * epoch / arguments.clips:.2f} ms")
    print(f"{ratio:.0f}x as fast (target >= 1000x); step at batch 128: {step:.0f} ms (target <= 60 ms)")
    print(f"step of the student over {windowed.windows.context} windows: {1e3 * window_epoch / batches:.0f} ms")


if __name__ == "__main__":
    main()
