"""What each stage after the encoders minimises, on a handful of embeddings with missing modalities and labels."""

import numpy as np
import pytest
import torch

from pipelines.cache.embeddings import Column, EmbeddingStore
from pipelines.models.hallucination import HallucinationNet
from pipelines.models.student import StudentNetwork
from pipelines.models.teachers import Aligner, FusionTeacher
from pipelines.objectives import METHODS, make_objective
from pipelines.recipe import JOINT, AlignmentSettings, DistillationSettings, ModelSettings, Task
from pipelines.training.problems.alignment import AlignmentProblem
from pipelines.training.problems.distillation import PROBED, DistillationProblem, Teachers, choose_probe
from pipelines.training.problems.fusion import FusionProblem
from pipelines.training.problems.hallucination import HallucinationProblem, explained_variance
from pipelines.training.samples import Sample
from pipelines.training.tables import EmbeddingTable
from pipelines.transport import similarity_matrix

TASK = Task(kind="classes", labels=("BL1", "PA4"))
SETTINGS = ModelSettings(embedding=8, tokens=2, width=8, depth=1, heads=2, dropout=0.0)
NAMES = ("faces", "eda")
CLIPS = 6


def store(unknown=()):
    """Six clips of two groups; the second lacks eda, the third a label, and of some nobody knows anything."""
    rng = np.random.default_rng(0)
    there = np.array([True, False, True, True, True, True])

    def column(present):
        present = present & ~np.isin(np.arange(CLIPS), list(unknown))
        values = rng.normal(size=(CLIPS, 1, 8)).astype("float32")
        values[~present] = np.nan
        return Column(values, present, rng.normal(size=(CLIPS, 1, 2)).astype("float32"))

    columns = {"faces": column(np.ones(CLIPS, bool)), "eda": column(there), JOINT: column(np.ones(CLIPS, bool))}
    return EmbeddingStore(tuple(f"c{i}" for i in range(CLIPS)), columns)


def table(columns=NAMES, *, unknown=(), labelled=True):
    rows = [Sample(f"c{i}", f"s{i % 2}", i % 2 if labelled and i != 2 else None) for i in range(CLIPS)]
    return EmbeddingTable(store(unknown), columns, rows, TASK)


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


def student_problem(method, *, unknown=(), labelled=True, outputs=None):
    """A student of the face under a method, from teachers that do not know some clips."""
    torch.manual_seed(0)
    objective = make_objective(method, TASK, DistillationSettings(anchors=4))
    network = StudentNetwork(
        prevalent=("faces",), privileged=("eda",), settings=SETTINGS, num_outputs=2, stands_in=objective.stands_in
    )
    teachers = None
    if objective.needs_teachers:
        names = (JOINT,) if objective.teacher == "prevalent" else (*NAMES, JOINT)
        losses = np.random.default_rng(1).random((CLIPS, len(names)))
        losses[2] = np.nan
        teachers = Teachers(table(names, unknown=unknown), names, losses, outputs)
    options = shared(train=table(("faces",), labelled=labelled), validation=table(("faces",)))
    return DistillationProblem(network=network, objective=objective, teachers=teachers, task=TASK, **options)


def moved(problem):
    return any(bool(p.grad.any()) for p in problem.network.parameters() if p.grad is not None)


@pytest.mark.parametrize("method", METHODS)
def test_distillation_uses_every_clip_and_validates_on_the_task_alone(method):
    problem = student_problem(method)
    terms = one_step(problem)
    assert problem.train_size == CLIPS
    assert moved(problem)
    assert set(terms.parts) > {"task"} if METHODS[method].needs_teachers else set(terms.parts) == {"task"}
    chosen = [float(value) for name, value in terms.diagnostics.items() if name.startswith("chosen/")]
    assert not chosen or sum(chosen) == pytest.approx(1)
    (batch,) = problem.validation_batches()
    assert batch.truth.teachers is None
    outputs = problem.network(*batch.inputs)
    known = [0, 1, 3, 4, 5]
    entropy = torch.nn.functional.cross_entropy(outputs.output[known], torch.tensor([i % 2 for i in known]))
    torch.testing.assert_close(terms.parts["task"], entropy.detach())
    assert float(problem.judge(outputs, batch.truth).mean.detach()) == pytest.approx(float(entropy.detach()))
    assert {item.purpose: item.groups for item in problem.evidence()}["weights"] <= {"s0", "s1"}


@pytest.mark.parametrize("method", METHODS)
def test_clips_without_a_label_are_distilled(method):
    problem = student_problem(method, labelled=False)
    assert float(one_step(problem).parts["task"]) == 0.0
    assert moved(problem) == METHODS[method].needs_teachers


@pytest.mark.parametrize("unknown", [(3,), range(1, CLIPS), range(CLIPS)], ids=["one", "all but one", "all"])
@pytest.mark.parametrize("method", METHODS)
def test_clips_that_no_teacher_knows_train_on_their_labels(method, unknown):
    terms = one_step(student_problem(method, unknown=unknown))
    everyone = one_step(student_problem(method))
    torch.testing.assert_close(terms.parts["task"], everyone.parts["task"])
    if not METHODS[method].needs_teachers:
        assert float(terms.total.detach()) == float(everyone.total.detach())
    elif len(unknown) == CLIPS:
        assert float(terms.total.detach()) == pytest.approx(0.8 * float(terms.parts["task"]))
    else:
        assert float(terms.total.detach()) != float(everyone.total.detach())


@pytest.mark.parametrize("method", ["kd", "self-kd"])
def test_out_of_fold_outputs_take_the_place_of_remembered_ones(method):
    kept = student_problem(method)
    said = np.full((CLIPS, len(kept._teachers.names), 2), np.nan)
    said[3] = 7.0
    problem = student_problem(method, outputs=said)
    rows, draw = torch.arange(CLIPS), torch.zeros(CLIPS)
    ours, theirs = (each._view(rows, draw).outputs for each in (problem, kept))
    assert bool((ours[3] == 7.0).all())
    others = rows != 3
    torch.testing.assert_close(ours[others], theirs[others], equal_nan=True)


def test_a_probe_is_drawn_once_and_sorted_by_label_then_group():
    rows = [Sample(f"c{i}", f"s{i % 7}", None if i % 5 == 0 else i % 3) for i in range(200)]
    chosen = choose_probe(rows, 0, 1)
    assert len(set(chosen)) == len(chosen) == PROBED
    assert choose_probe(rows, 0, 1) == chosen != choose_probe(rows, 0, 2)
    known = [(rows[i].label, rows[i].group) for i in chosen if rows[i].label is not None]
    assert known == sorted(known)
    assert len(known) < PROBED
    assert all(rows[i].label is None for i in chosen[len(known) :])
    pairs = [Sample(f"c{i}", "s", (float(-i % 4), 0.5)) for i in range(9)]
    assert [pairs[i].label[0] for i in choose_probe(pairs, 0)] == sorted(-i % 4 for i in range(9))


def test_what_is_observed_is_the_transport_of_the_probe_alone():
    problem = student_problem("mt-pkdot", unknown=(4,))
    problem.probe = (5, 1, 4, 2)
    state = torch.get_rng_state()
    problem.observed = {0: {}, 3: {name: t.detach() for name, t in problem.observe(problem.network.eval()).items()}}
    problem.observed[0] = problem.observed[3]
    assert torch.equal(torch.get_rng_state(), state), "nothing was drawn"
    record = problem.structure(best=3)
    assert record.clips == ("c5", "c1", "c2"), "nobody knows the fifth clip"
    assert record.groups == ("s1", "s1", "s0")
    np.testing.assert_array_equal(record.labels, [[1], [1], [np.nan]])
    assert (record.epochs, record.best) == ((0, 3), 3)
    rows = torch.tensor([5, 1, 2])
    data = table(("faces",))
    student = problem.network(data.embeddings(rows, torch.zeros(3)), data.presence(rows)).embedding.detach()
    np.testing.assert_allclose(record.student[1], (similarity_matrix(student)).numpy(), rtol=1e-6)
    assert record.teacher.shape == (3, 3)
    np.testing.assert_allclose(record.plans.sum((1, 2)), 1, rtol=1e-5)


@pytest.mark.parametrize("method", ["none", "kd", "rkd"])
def test_a_method_without_a_transport_has_nothing_to_show(method):
    problem = student_problem(method)
    problem.probe = (0, 1, 3)
    assert problem.observe(problem.network) == {}
    problem.observed = {0: {}, 1: {}}
    assert problem.structure(best=1) is None
