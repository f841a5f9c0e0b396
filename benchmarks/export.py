"""An exported student in onnxruntime against the same student in torch: windows a second.

    python benchmarks/export.py [--windows N] [--rounds N] [--threads N]

Two untrained students of mt-pkdot: that of the demo's recipe with its small encoder, and that of BioVid's with R3D-18.
Both are exported as `mtpkd export` does it, checked against the checkpoint's networks to 1e-4, and run on the same
windows of 112x112 pixels, interleaved.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipelines.corpora import task_of
from pipelines.inference.description import StudentDescription
from pipelines.inference.graphs import check_graph, write_onnx
from pipelines.inference.onnx_runtime import OnnxRuntime
from pipelines.models.recording import RecordingNetwork
from pipelines.recipe import Recipe
from pipelines.recipe.loading import load_recipe, override_recipe, plain
from pipelines.training.restoring import make_student, make_teacher

METHOD = "mt-pkdot"


@dataclass
class TorchStudent:
    """An untrained student as a Runtime."""

    network: RecordingNetwork
    description: StudentDescription

    @torch.inference_mode()
    def __call__(self, windows: np.ndarray, present: np.ndarray) -> np.ndarray:
        """See Runtime."""
        return self.network(torch.from_numpy(windows), torch.from_numpy(present)).numpy()


def untrained(recipe: Recipe) -> TorchStudent:
    """A recipe's student with its first weights."""
    torch.manual_seed(0)
    task, size = task_of(recipe.corpus), recipe.faces.size
    network = RecordingNetwork(
        encoder=make_teacher(recipe, "faces", task, (3, recipe.windows.frames, size, size)).encoder,
        student=make_student(recipe, METHOD, task.num_outputs),
        context=recipe.windows.context,
    )
    return TorchStudent(network, StudentDescription(recipe, {"method": METHOD, "task": plain(task)}))


def measure(name: str, recipe: Recipe, arguments: argparse.Namespace) -> None:
    """Export, check, run both in turn, print."""
    student = untrained(recipe)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "student.onnx"
        write_onnx(student.network, path, student.description)
        arms = {"torch": student, "onnxruntime": OnnxRuntime(path, threads=arguments.threads)}
        agreement = check_graph(arms["onnxruntime"], student)
        size, random = recipe.faces.size, np.random.default_rng(0)
        shape = (arguments.windows, 3, recipe.windows.frames, size, size)
        windows, present = random.standard_normal(shape, np.float32), np.ones(arguments.windows, bool)
        seconds: dict[str, list[float]] = {arm: [] for arm in arms}
        for round_number in range(arguments.rounds + 1):
            for arm, run in arms.items():
                start = time.perf_counter()
                run(windows, present)
                if round_number:  # the first warms both up
                    seconds[arm].append(time.perf_counter() - start)
    rates = {arm: arguments.windows / statistics.median(taken) for arm, taken in seconds.items()}
    ratio = statistics.median(a / b for a, b in zip(seconds["torch"], seconds["onnxruntime"], strict=True))
    told = ", ".join(f"{arm} {rate:.2f} windows a second" for arm, rate in rates.items())
    print(f"{name}, T = {recipe.windows.frames}: {told}; onnxruntime {ratio:.2f}x as fast")
    print(f"  largest difference {agreement.largest:.1e} (target <= 1e-4)")


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    measure("small encoder", load_recipe("demo"), arguments)
    biovid = override_recipe(load_recipe("biovid"), **{"encoders.faces.weights": None})
    measure("R3D-18", biovid, arguments)


if __name__ == "__main__":
    main()
