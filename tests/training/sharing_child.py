"""Trains one small problem of every kind and keeps all losses and gradients, alone or under torchrun.

python sharing_child.py FOLDER PROCESSES        writes FOLDER/RANK-of-PROCESSES.safetensors
"""

import math
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from safetensors.torch import save_file
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from pipelines.cache.embeddings import Column, EmbeddingStore
from pipelines.models.encoders import resnet_18
from pipelines.models.hallucination import HallucinationNet
from pipelines.models.student import StudentNetwork
from pipelines.models.teachers import Aligner, FusionTeacher, UnimodalTeacher
from pipelines.objectives import METHODS, make_objective
from pipelines.protocols.splits import Split
from pipelines.recipe import AlignmentSettings, DistillationSettings, ModelSettings, OptimisationSettings, Task
from pipelines.training.loop import FitContext, fit
from pipelines.training.normalisation import Normaliser
from pipelines.training.problems.alignment import AlignmentProblem
from pipelines.training.problems.distillation import DistillationProblem, Teachers
from pipelines.training.problems.encoder import EncoderProblem
from pipelines.training.problems.fusion import FusionProblem
from pipelines.training.problems.hallucination import HallucinationProblem
from pipelines.training.samples import Sample
from pipelines.training.seeding import make_deterministic
from pipelines.training.tables import EmbeddingTable

SPLIT = Split(fold=0, seed=7, train=("a",), validation=("b",), test=("c",))
TASKS = {
    "classes": Task(kind="classes", labels=("BL1", "PA2", "PA4")),
    "continuous": Task(kind="continuous", labels=("valence", "arousal")),
}
MODALITIES = ("faces", "eda")
MODEL = ModelSettings(embedding=16, width=8, heads=2, tokens=2, dropout=0.0)
NAMES = ("faces", "eda", "joint")
SIZE, BATCH = 15, 7
"""Batches of 7, 7 and 1: shares of 4 and 3 samples, and of 1 and none."""


def waves(*shape, phase=0.0):
    """Values between -1 and 1 that look unordered."""
    steps = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(steps * 1.7 + steps.square() * 0.13 + phase).view(shape).float()


def samples(task, group, count):
    """Every fifth has no label."""
    values = waves(count, 2, phase=3.0).tolist()
    labels = [number % 3 if task.kind == "classes" else tuple(values[number]) for number in range(count)]
    return [
        Sample(f"{group}{number}", group, None if number % 5 == 4 else label) for number, label in enumerate(labels)
    ]


def column(count, task, phase, absent):
    """Two temporal samplings; every `absent`-th sample is not there."""
    present = np.arange(count) % absent != absent - 1
    embeddings = waves(count, 2, MODEL.embedding, phase=phase).numpy()
    outputs = waves(count, 2, task.num_outputs, phase=phase + 1).numpy()
    embeddings[~present] = outputs[~present] = np.nan
    return Column(embeddings=embeddings, present=present, outputs=outputs)


def table(task, group, count, names):
    rows = samples(task, group, count)
    columns = {name: column(count, task, number, (50, 4, 6)[number]) for number, name in enumerate(names)}
    return EmbeddingTable(EmbeddingStore(clips=tuple(row.name for row in rows), columns=columns), names, rows, task)


def shared(task, names=MODALITIES):
    tables = {"train": table(task, "a", SIZE, names), "validation": table(task, "b", 9, names)}
    return {**tables, "name": "problem", "batch_size": BATCH}


def scattered(network):
    """Weights of which none is zero, so that every gradient is there to be compared."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def student(method, task, dropout=0.0):
    torch.manual_seed(1)
    network = StudentNetwork(
        prevalent=("faces",),
        privileged=("eda",),
        settings=MODEL.model_copy(update={"dropout": dropout}),
        num_outputs=task.num_outputs,
        stands_in=METHODS[method].stands_in,
    )
    settings = DistillationSettings(anchors=4, beta=0.2, gamma=0.2, delta=0.5)
    said = table(task, "a", SIZE, NAMES)
    teachers = Teachers(said, NAMES, 1 + waves(SIZE, len(NAMES), phase=2.5).numpy())
    return DistillationProblem(
        network=scattered(network),
        objective=make_objective(method, task, settings),
        teachers=teachers if METHODS[method].needs_teachers else None,
        task=task,
        probe=range(5),
        **shared(task),
    )


def fusion(kind, task):
    settings = MODEL.model_copy(update={"fusion": kind})
    network = FusionTeacher(modalities=MODALITIES, settings=settings, num_outputs=task.num_outputs)
    return FusionProblem(network=scattered(network), task=task, **shared(task))


def alignment(term, task):
    joint = FusionTeacher(modalities=MODALITIES, settings=MODEL, num_outputs=task.num_outputs)
    network = scattered(Aligner(teachers=MODALITIES, joint=joint, settings=MODEL))
    columns = {name: name for name in MODALITIES}
    settings = AlignmentSettings(term=term)
    return AlignmentProblem(network=network, columns=columns, settings=settings, task=task, **shared(task))


def hallucination(task):
    network = HallucinationNet(privileged=("eda",), prevalent=16, embedding=16, dropout=0.0)
    return HallucinationProblem(network=scattered(network), prevalent=("faces",), **shared(task))


class Reader:
    """Noise in the shape of pictures or frames, as a ModalityReader gives it."""

    device, normaliser = "cpu", Normaliser("frames", "fixed")

    def __init__(self, *shape):
        self.shape = shape

    def batch(self, rows, draw=None):
        return torch.stack([waves(*self.shape, phase=1.0 + int(row.clip[1:])) for row in rows])

    def batches(self, wanted):
        return (self.batch(rows, draw) for rows, draw in wanted)


def frames():
    """A batch normalisation of videos, as R3D-18 has twenty of."""
    convolution = nn.Conv3d(3, 8, 3, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm3d(8), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())


def encoder(make, shape, task):
    torch.manual_seed(2)
    network = make()
    width = network(torch.zeros(2, *shape)).shape[1]
    train, validation = samples(task, "a", SIZE), samples(task, "b", 9)
    return EncoderProblem(
        name="problem",
        network=UnimodalTeacher(encoder=network, embedding=width, num_outputs=task.num_outputs, dropout=0.0),
        reader=Reader(*shape),
        train=[row for row in train if row.label is not None] + train[-4:-1],
        validation=[row for row in validation if row.label is not None],
        task=task,
        batch_size=BATCH,
        seed=(7, 0),
    )


def problems():
    """Name -> how to make it."""
    found = {}
    for kind, task in TASKS.items():
        found |= {f"{method}, {kind}": partial(student, method, task) for method in METHODS}
        found |= {f"{name}, {kind}": partial(fusion, name, task) for name in ("transformer", "concat", "linear")}
        found |= {f"align by {term}, {kind}": partial(alignment, term, task) for term in ("cosine", "mse", "mmd")}
    found["joint-cross-attention"] = partial(fusion, "joint-cross-attention", TASKS["continuous"])
    found["align by kl"] = partial(alignment, "kl", TASKS["classes"])
    found["hallucination"] = partial(hallucination, TASKS["classes"])
    found["resnet-18"] = partial(encoder, resnet_18, (3, 64, 64), TASKS["classes"])
    found["frames"] = partial(encoder, frames, (3, 4, 8, 8), TASKS["continuous"])
    return found


def trained(problem, fabric, folder, *, learning_rate, epochs):
    """{what: values} of every step and epoch of a training."""
    kept, steps = {}, []
    network = problem.network

    def look(optimizer, *_):
        gradients = {name: each.grad for name, each in network.named_parameters() if each.grad is not None}
        steps.append({name: some(gradient.detach()).clone() for name, gradient in gradients.items()})

    handle = register_optimizer_step_pre_hook(look)
    settings = OptimisationSettings(
        epochs=epochs, patience=epochs, batch_size=BATCH, learning_rate=learning_rate, gradient_clip=1e9
    )
    history = fit(problem, settings, FitContext(fabric=fabric, split=SPLIT, resume=folder / "resume", key="k"))
    handle.remove()
    for number, step in enumerate(steps):
        kept |= {f"step {number}|gradient|{name}": value for name, value in step.items()}
    for row in history:
        kept |= {f"epoch {row['epoch']}|{name}": torch.tensor(float(value)) for name, value in row.items()}
    buffers = network.state_dict() if learning_rate > 1e-6 else dict(network.named_buffers())
    kept |= {f"kept|{name}": value.detach().clone().float() for name, value in buffers.items()}
    return kept


def some(tensor):
    """At most a few thousand of its values: ResNet-18 has eleven million."""
    return tensor.flatten()[:: tensor.numel() // 2048 + 1].contiguous()


def launched(processes, precision):
    strategy = "ddp" if processes > 1 else "auto"
    fabric = Fabric(accelerator="cpu", devices=processes, strategy=strategy, precision=precision)
    fabric.launch()
    make_deterministic(1)
    return fabric


def main(folder, processes):
    fabric, double = launched(processes, "32-true"), launched(processes, "64-true")
    everything = {}
    for name, make in problems().items():
        # Twenty batch normalisations of a few samples make a thousand of a rounding in float32.
        found = trained(
            make(), double if name in ("resnet-18", "frames") else fabric, folder, learning_rate=1e-12, epochs=1
        )
        everything |= {f"{name}|{what}": value for what, value in found.items()}
    learned = trained(student("mt-pkdot", TASKS["classes"]), fabric, folder, learning_rate=1e-3, epochs=4)
    everything |= {f"learning|{what}": value for what, value in learned.items()}
    noisy = trained(student("kd", TASKS["classes"], dropout=0.3), fabric, folder, learning_rate=1e-3, epochs=2)
    everything |= {f"dropout|{what}": value for what, value in noisy.items()}
    tensors = {name: some(tensor) for name, tensor in everything.items()}
    save_file(tensors, folder / f"{fabric.global_rank}-of-{processes}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
