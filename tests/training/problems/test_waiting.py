"""No step waits for a device: nothing in it asks for a value, a count or a shape that only the device knows.

The meta device is the one that every machine has: whoever asks it for a value is refused. What it would let pass, a
tensor made from host values and copied while everybody waits, is watched for. With a CUDA device the same steps run
under its own watch, optimizer and clipping included.
"""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from pipelines.cache.embeddings import Column, EmbeddingStore
from pipelines.models.encoders import make_encoder
from pipelines.models.hallucination import HallucinationNet
from pipelines.models.student import StudentNetwork
from pipelines.models.teachers import Aligner, FusionTeacher, UnimodalTeacher
from pipelines.objectives import METHODS, make_objective
from pipelines.recipe import JOINT, AlignmentSettings, DistillationSettings, EncoderSettings, ModelSettings, Task
from pipelines.training.device import prepare_encoder
from pipelines.training.normalisation import Normaliser
from pipelines.training.problems.alignment import AlignmentProblem
from pipelines.training.problems.distillation import DistillationProblem, Teachers
from pipelines.training.problems.encoder import EncoderProblem, ModalityReader
from pipelines.training.problems.fusion import FusionProblem
from pipelines.training.problems.hallucination import HallucinationProblem
from pipelines.training.samples import Sample
from pipelines.training.sources import Source
from pipelines.training.tables import EmbeddingTable

TASKS = {
    "classes": Task(kind="classes", labels=("BL1", "PA4")),
    "continuous": Task(kind="continuous", labels=("valence", "arousal")),
}
CLIPS, WIDTH, NAMES = 10, 8, ("faces", "eda")
ROWS = [Sample(f"c{i}", f"s{i % 3}", None if i == 2 else i % 2) for i in range(CLIPS)]
DEVICES = [
    "meta",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


class NoHostValues(TorchFunctionMode):
    """Refuses tensors that are made on a device from values of the host."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """See TorchFunctionMode."""
        kwargs = kwargs or {}
        if func in (torch.tensor, torch.as_tensor) and torch.device(kwargs.get("device") or "cpu").type != "cpu":
            raise AssertionError("a tensor of host values was made on the device: the host waits for the copy")
        return func(*args, **kwargs)


class Drawn(Source):
    """Noise in place of a modality."""

    view = "frames"

    def is_usable(self, row):
        """See Source."""
        return True

    def read(self, row, rng=None):
        """See Source."""
        return np.random.default_rng(int(row.clip[1:])).normal(size=(3, 4, 16, 16)).astype(np.float32)


def settings(fusion: str) -> ModelSettings:
    return ModelSettings(embedding=WIDTH, tokens=2, width=8, depth=1, heads=2, dropout=0.1, fusion=fusion)


def table(columns, device, task):
    """Ten clips; one lacks eda, one is known to no teacher, one has no label."""
    random = np.random.default_rng(0)

    def column(absent):
        values = random.normal(size=(CLIPS, 2, WIDTH)).astype(np.float32)
        present = ~np.isin(np.arange(CLIPS), absent)
        values[~present] = np.nan
        return Column(values, present, random.normal(size=(CLIPS, 2, 2)).astype(np.float32))

    store = EmbeddingStore(
        tuple(row.name for row in ROWS), {"faces": column([]), "eda": column([1, 5]), JOINT: column([5])}
    )
    rows = ROWS
    if task.kind == "continuous":
        rows = [replace(row, label=None if row.label is None else (0.1 * row.label, -0.2)) for row in ROWS]
    return EmbeddingTable(store, columns, rows, task, device=device)


def shared(device, task, columns=NAMES):
    data = table(columns, device, task)
    return {"name": "test", "train": data, "validation": data, "batch_size": 6}


def step(problem, device, monkeypatch):
    """Two batches: forward, loss, gradient; on CUDA clipping and the optimizer's step, too."""
    if device == "meta":  # which has no mixed precision to be switched off
        monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    network = problem.network.to(device).train()
    optimizer = None
    if device == "cuda":
        optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], fused=True)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
    try:
        with NoHostValues():
            for batch in problem.training_batches(0):
                terms = problem.loss(network(*batch.inputs), batch.truth)
                terms.total.backward()
                if optimizer is not None:
                    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                    optimizer.step()
                    optimizer.zero_grad()
            for batch in problem.validation_batches():
                with torch.no_grad():
                    problem.judge(network(*batch.inputs), batch.truth)
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert terms.total.device.type == device


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("selection", ["batch", "confidence"])
@pytest.mark.parametrize("method", METHODS)
def test_a_student_of_every_method(method, selection, task, device, monkeypatch):
    objective = make_objective(method, task, DistillationSettings(anchors=4, selection=selection, delta=0.5))
    network = StudentNetwork(
        prevalent=("faces",),
        privileged=("eda",),
        settings=settings("transformer"),
        num_outputs=2,
        stands_in=objective.stands_in,
    )
    teachers = None
    if objective.needs_teachers:
        names = (JOINT,) if objective.teacher == "prevalent" else ("faces", "eda", JOINT)
        losses = np.full((CLIPS, len(names)), 0.5)
        losses[3] = np.nan
        said = np.full((CLIPS, len(names), 2), np.nan)
        teachers = Teachers(table(names, device, task), names, losses, said)
    problem = DistillationProblem(
        network=network, objective=objective, teachers=teachers, task=task, **shared(device, task, ("faces",))
    )
    step(problem, device, monkeypatch)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("term", ["cosine", "mse", "kl", "mmd"])
def test_alignment_by_every_term(term, device, monkeypatch):
    task = TASKS["classes"]
    joint = FusionTeacher(modalities=NAMES, settings=settings("transformer"), num_outputs=2)
    problem = AlignmentProblem(
        network=Aligner(teachers=NAMES, joint=joint, settings=settings("transformer")),
        columns={name: name for name in NAMES},
        settings=AlignmentSettings(term=term),
        task=task,
        **shared(device, task),
    )
    step(problem, device, monkeypatch)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fusion", ["transformer", "joint-cross-attention", "concat", "linear"])
def test_fusion_of_every_kind(fusion, device, monkeypatch):
    task = TASKS["continuous"]
    network = FusionTeacher(modalities=NAMES, settings=settings(fusion), num_outputs=2)
    step(FusionProblem(network=network, task=task, **shared(device, task)), device, monkeypatch)


@pytest.mark.parametrize("device", DEVICES)
def test_hallucination(device, monkeypatch):
    network = HallucinationNet(privileged=("eda",), prevalent=WIDTH, embedding=WIDTH)
    problem = HallucinationProblem(network=network, prevalent=("faces",), **shared(device, TASKS["classes"]))
    step(problem, device, monkeypatch)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("architecture", ["small-video", "r3d-18"])
def test_encoders_of_pictures(architecture, device, monkeypatch):
    encoder = make_encoder(EncoderSettings(architecture=architecture), embedding=512)
    network = UnimodalTeacher(encoder=encoder, embedding=512, num_outputs=2, dropout=0.1)
    prepare_encoder(network.encoder, device, compiled=False)
    problem = EncoderProblem(
        name="test",
        network=network,
        reader=ModalityReader(Drawn(), Normaliser("frames", "fixed"), device),
        train=[row for row in ROWS if row.label is not None],
        validation=[row for row in ROWS if row.label is not None],
        task=TASKS["classes"],
        batch_size=5,
        seed=(0, 0),
    )
    step(problem, device, monkeypatch)


def test_the_watch_sees_who_waits():
    values = torch.ones(3, device="meta")
    for wait in (lambda: values.sum().item(), lambda: bool(values.any()), lambda: values[values > 0]):
        with pytest.raises((RuntimeError, NotImplementedError)):
            wait()
    with NoHostValues(), pytest.raises(AssertionError, match="host values"):
        torch.tensor([1, 0], device=values.device)
