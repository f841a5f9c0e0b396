"""What each stage after the encoders minimises, on a handful of embeddings with missing modalities and labels."""

import numpy as np
import pytest
import torch

from pipelines.cache.embeddings import Column, EmbeddingStore
from pipelines.models.hallucination import HallucinationNet
from pipelines.models.student import StudentNetwork
from pipelines.models.teachers import Aligner, FusionTeacher
from pipelines.objectives import make_objective
from pipelines.recipe import JOINT, AlignmentSettings, DistillationSettings, ModelSettings, Task
from pipelines.training.problems.alignment import AlignmentProblem
from pipelines.training.problems.distillation import DistillationProblem, Teachers
from pipelines.training.problems.fusion import FusionProblem
from pipelines.training.problems.hallucination import HallucinationProblem, explained_variance
from pipelines.training.samples import Sample
from pipelines.training.tables import EmbeddingTable

TASK = Task(kind="classes", labels=("BL1", "PA4"))
SETTINGS = ModelSettings(embedding=8, tokens=2, width=8, depth=1, heads=2, dropout=0.0)
NAMES = ("faces", "eda")
CLIPS = 6


def store():
    """Six clips of two groups; the second lacks eda, the third a label."""
    rng = np.random.default_rng(0)
    there = np.array([True, False, True, True, True, True])

    def column(present):
        values = rng.normal(size=(CLIPS, 1, 8)).astype("float32")
        values[~present] = np.nan
        return Column(values, present, rng.normal(size=(CLIPS, 1, 2)).astype("float32"))

    columns = {"faces": column(np.ones(CLIPS, bool)), "eda": column(there), JOINT: column(np.ones(CLIPS, bool))}
    return EmbeddingStore(tuple(f"c{i}" for i in range(CLIPS)), columns)


def table(columns=NAMES):
    rows = [Sample(f"c{i}", f"s{i % 2}", None if i == 2 else i % 2) for i in range(CLIPS)]
    return EmbeddingTable(store(), columns, rows, TASK)


def shared(**options):
    return {"name": "test", "train": table(), "validation": table(), "batch_size": CLIPS, **options}


def one_step(problem):
    """The terms of one batch of everything, and whether every gradient is finite."""
    torch.manual_seed(0)
    (batch,) = problem.training_batches(0)
    terms = problem.loss(problem.network(*batch.inputs), batch.truth)
    terms.total.backward()
    grads = [p.grad for p in problem.network.parameters() if p.grad is not None]
    assert grads
    assert all(torch.isfinite(grad).all() for grad in grads)
    assert torch.isfinite(terms.total)
    return terms


def test_fusion_learns_from_clips_that_lack_a_modality_or_a_label():
    torch.manual_seed(0)
    network = FusionTeacher(modalities=NAMES, settings=SETTINGS, num_outputs=2)
    problem = FusionProblem(network=network, task=TASK, **shared())
    assert problem.train_size == CLIPS
    one_step(problem)


def test_hallucination_counts_only_what_is_there():
    torch.manual_seed(0)
    network = HallucinationNet(privileged=("eda",), prevalent=8, embedding=8)
    problem = HallucinationProblem(network=network, prevalent=("faces",), **shared())
    terms = one_step(problem)
    data = store()
    there = data.columns["eda"].present
    guess = network(torch.from_numpy(data.columns["faces"].embeddings[:, 0]))["eda"].detach().numpy()
    expected = np.mean((guess[there] - data.columns["eda"].embeddings[there, 0]) ** 2)
    assert float(terms.total.detach()) == pytest.approx(float(expected), rel=1e-5)
    truth = data.columns["eda"].embeddings[there, 0]
    score = 1 - ((guess[there] - truth) ** 2).sum() / ((truth - truth.mean(0)) ** 2).sum()
    assert explained_variance(problem)["eda"] == pytest.approx(score, rel=1e-5)


def test_alignment_is_the_weighted_sum_of_the_method():
    torch.manual_seed(0)
    joint = FusionTeacher(modalities=NAMES, settings=SETTINGS, num_outputs=2)
    network = Aligner(teachers=NAMES, joint=joint, settings=SETTINGS)
    columns = {name: name for name in NAMES}
    settings = AlignmentSettings(weight=0.5)
    problem = AlignmentProblem(network=network, columns=columns, settings=settings, task=TASK, **shared())
    terms = one_step(problem)
    pulls = sum(value for name, value in terms.parts.items() if name.startswith("align/"))
    assert float(terms.total.detach()) == pytest.approx(
        float((0.5 * pulls + 0.5 * terms.parts["task"]).detach()), rel=1e-6
    )
    (batch,) = problem.validation_batches()
    data, aligned = store(), network(*batch.inputs)
    judged = problem.judge(aligned, batch.truth)
    assert float(judged.mean.detach()) == pytest.approx(float(terms.total.detach()), rel=1e-6)
    there = torch.from_numpy(data.columns["eda"].present)
    cosine = torch.nn.functional.cosine_similarity(aligned.embeddings["eda"], aligned.embeddings[JOINT])
    assert float(terms.parts["align/eda"].detach()) == pytest.approx(
        float((1 - cosine)[there].mean().detach()), rel=1e-5
    )


@pytest.mark.parametrize("method", ["none", "none-matched", "mt-pkdot"])
def test_distillation_uses_every_clip_and_validates_on_the_task_alone(method):
    torch.manual_seed(0)
    settings = DistillationSettings(anchors=4)
    objective = make_objective(method, TASK, settings)
    network = StudentNetwork(
        prevalent=("faces",), privileged=("eda",), settings=SETTINGS, num_outputs=2, stands_in=objective.stands_in
    )
    losses = np.random.default_rng(1).random((CLIPS, 3))
    losses[2] = np.nan
    teachers = Teachers(table((*NAMES, JOINT)), (*NAMES, JOINT), losses) if objective.needs_teachers else None
    options = shared(train=table(("faces",)), validation=table(("faces",)))
    problem = DistillationProblem(network=network, objective=objective, teachers=teachers, task=TASK, **options)
    terms = one_step(problem)
    if teachers is not None:
        weighted = [settings.alpha, settings.beta, settings.gamma]
        parts = [terms.parts[name] for name in ("task", "transport", "centroid")]
        expected = sum(weight * part for weight, part in zip(weighted, parts, strict=True))
        assert float(terms.total.detach()) == pytest.approx(float(expected), rel=1e-5)
        chosen = [float(terms.diagnostics[f"chosen/{name}"]) for name in teachers.names]
        assert sum(chosen) == pytest.approx(1)
    batch = next(iter(problem.validation_batches()))
    assert batch.truth.teachers is None
    purposes = {item.purpose: item.groups for item in problem.evidence()}
    assert purposes["weights"] <= {"s0", "s1"}
