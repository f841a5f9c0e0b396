"""A student is stale exactly when a setting changed that its method goes by."""

from functools import cache
from typing import Literal, get_args, get_origin

import pytest
import torch
from pydantic import BaseModel

from pipelines.corpora import task_of
from pipelines.objectives import METHODS, DistillationBatch, TeacherView, make_objective
from pipelines.protocols.splits import Split
from pipelines.recipe import JOINT
from pipelines.recipe.loading import load_recipe, override_recipe
from pipelines.stages import distill
from pipelines.stages.cells import Cell
from pipelines.stages.study import Study
from pipelines.workspace import Workspace

SIZE, WIDTH = 10, 5
BASES = {
    "published": {},
    "with outputs": {"delta": 0.5},
    "by identity": {"matching": "identity"},
}


class Student:
    def __init__(self, embedding, output):
        self.embedding, self.output = embedding, output


def leaves(settings, prefix=""):
    """Dotted name -> value and field of every setting."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value, field.annotation


def another(value, annotation):
    if get_origin(annotation) is Literal:
        return next(each for each in get_args(annotation) if each != value)
    if isinstance(value, tuple):
        return ["kd"]
    return value + 1 if isinstance(value, int) else value + 0.25


@cache
def recipes(corpus, base):
    """A recipe, and one with another value a setting."""
    known = {"distillation.anchors": 4, **{f"distillation.{name}": value for name, value in BASES[base].items()}}
    recipe = override_recipe(load_recipe(corpus), **known)
    changes = {name: another(value, kind) for name, value, kind in leaves(recipe.distillation)}
    changed = {name: override_recipe(recipe, **{f"distillation.{name}": value}) for name, value in changes.items()}
    assert {"alpha", "weights.kd", "selection", "methods"} < set(changed)
    assert all(each != recipe for each in changed.values())
    return recipe, changed


def loss_of(method, recipe):
    """The method's loss on a drawn batch, in which the teachers are those that its students are given."""
    generator, task = torch.Generator().manual_seed(2), task_of(recipe.corpus)

    def noise(*shape):
        return torch.randn(*shape, generator=generator)

    names = (JOINT,) if METHODS[method].teacher == "prevalent" else ("eda", JOINT, "ecg")
    view = TeacherView(
        names=names,
        embeddings=noise(SIZE, len(names), WIDTH),
        outputs=noise(SIZE, len(names), task.num_outputs),
        losses=noise(SIZE, len(names)).abs(),
        present=torch.ones(SIZE, len(names), dtype=torch.bool),
    )
    target = torch.arange(SIZE) % task.num_outputs if task.kind == "classes" else noise(SIZE, task.num_outputs)
    batch = DistillationBatch(target=target, labelled=torch.ones(SIZE, dtype=torch.bool), teachers=view)
    student = Student(noise(SIZE, WIDTH), noise(SIZE, task.num_outputs))
    return float(make_objective(method, task, recipe.distillation).loss(student, batch).total)


def fingerprint_of(method, recipe, root):
    split = Split(fold=0, seed=0, train=("a", "b", "c", "d", "e"), validation=("f",), test=("g",))
    (artifact,) = distill.artifacts_of(distill.StudentUnit(Cell(Study(recipe, Workspace(root), ()), split), method))
    return artifact.fingerprint


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("corpus", ["demo", "demo-affwild2"])
@pytest.mark.parametrize("method", METHODS)
def test_a_setting_makes_a_student_stale_exactly_when_it_changes_the_loss(method, corpus, base, tmp_path):
    recipe, changed = recipes(corpus, base)
    loss, fingerprint = loss_of(method, recipe), fingerprint_of(method, recipe, tmp_path)
    matters = {name for name, each in changed.items() if loss_of(method, each) != loss}
    stale = {name for name, each in changed.items() if fingerprint_of(method, each, tmp_path) != fingerprint}
    assert stale == matters


def test_the_weight_of_one_method_leaves_the_students_of_others_alone(tmp_path):
    recipe, changed = recipes("demo", "published")
    tuned = changed["weights.kd"]
    stale = [m for m in METHODS if fingerprint_of(m, tuned, tmp_path) != fingerprint_of(m, recipe, tmp_path)]
    assert stale == ["kd"]
