"""What stages 3 and 4 refuse to build on: checkpoints that know whom they are to be tested on, or to judge."""

import shutil

import pytest

from pipelines.errors import LeakageError
from pipelines.recipe import JOINT
from pipelines.stages import align, distill
from pipelines.stages.cells import Cell, load_cells
from pipelines.training.checkpoints import load_checkpoint, save_checkpoint
from pipelines.workspace import Workspace


@pytest.fixture
def recipe(recipe_of, root):
    """Outputs of cross-fitted teachers are distilled, so that `self-kd` asks them too."""
    return recipe_of(root, **{"teachers.outputs": "out-of-fold"})


@pytest.fixture
def cell(recipe, classes, tmp_path) -> Cell:
    """The first cell of a private copy of a finished run."""
    shutil.copytree(classes.root, tmp_path / "w")
    return load_cells(recipe, Workspace(tmp_path / "w"))[0]


def _confess(path, purpose, group):
    """Let a checkpoint say that it knows a group."""
    checkpoint = load_checkpoint(path)
    provenance = dict(checkpoint.schema["provenance"])
    provenance[purpose] = [*provenance[purpose], group]
    save_checkpoint(path, checkpoint.state, {**checkpoint.schema, "provenance": provenance}, checkpoint.recipe)


@pytest.mark.parametrize("purpose", ["weights", "selection"])
def test_nothing_is_aligned_to_a_joint_teacher_that_knows_test_groups(purpose, cell, recipe):
    _confess(cell.teacher(cell.full, JOINT), purpose, cell.split.test[0])
    with pytest.raises(LeakageError, match=rf"teacher joint: .* on test subjects \({cell.split.test[0]}\)"):
        align.run(recipe, cell.workspace, workers=1)


def test_statistics_of_an_encoder_count_like_its_weights(cell, recipe):
    _confess(cell.encoder(cell.full, "breath"), "statistics", cell.split.test[0])
    with pytest.raises(LeakageError, match="breath: normalisation statistics are fitted on test subjects"):
        align.run(recipe, cell.workspace, workers=1)


@pytest.mark.parametrize("kind", ["encoder", "teacher"])
def test_a_teacher_does_not_judge_those_whom_it_knows(kind, cell, recipe):
    crossed = cell.fits()[1]
    path = cell.encoder(crossed, "tests") if kind == "encoder" else cell.teacher(crossed, JOINT)
    _confess(path, "weights", crossed.held_out[0])
    with pytest.raises(LeakageError, match=rf"cross-0, {kind} .*: made from {crossed.held_out[0]}, whom"):
        align.run(recipe, cell.workspace, workers=1)


def test_nor_does_the_teacher_of_self_distillation(cell, recipe):
    crossed = cell.fits()[1]
    _confess(cell.encoder(crossed, "faces"), "weights", crossed.held_out[0])
    with pytest.raises(LeakageError, match="cross-0, encoder faces: made from"):
        distill.run(recipe, cell.workspace, methods=["self-kd"], workers=1)
