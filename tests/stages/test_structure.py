"""What the transport of a student is seen to do while it is trained, and that looking costs nothing."""

import shutil

import numpy as np
import pytest

from pipelines.cache.structure import read_structure
from pipelines.recipe.loading import override_recipe
from pipelines.stages import distill
from pipelines.stages.cells import load_cells
from pipelines.stages.verify import verify
from pipelines.training import loop
from pipelines.training.problems.distillation import DistillationProblem
from pipelines.workspace import Workspace, read_sidecar, sidecar


@pytest.fixture
def copy(finished, tmp_path):
    """One cell's worth of a finished workspace: what is distilled from, and the students."""
    shutil.copytree(finished.root, tmp_path / "copy")
    return Workspace(tmp_path / "copy")


def untouched(workspace):
    """The first cell's recorded structure and student, as bytes."""
    return workspace.structure(0, 0, "mt-pkdot").read_bytes(), workspace.student(0, 0, "mt-pkdot").read_bytes()


def start_over(workspace, fold=0):
    """As if the first cell's MT-PKDOT had never been trained."""
    shutil.rmtree(workspace.student(fold, 0, "mt-pkdot").parent)


def test_a_method_that_transports_leaves_a_record_of_training_clips(finished, crossed_recipe):
    for cell in load_cells(crossed_recipe, finished):
        fold = cell.split.fold
        path = finished.structure(fold, 0, "mt-pkdot")
        record = read_structure(path)
        assert set(record.groups) <= set(cell.split.train)
        assert not set(record.groups) & {*cell.split.validation, *cell.split.test}
        labels = record.labels[:, 0].tolist()
        assert labels == sorted(labels)
        assert set(record.epochs) >= {0, 1}
        student = read_sidecar(finished.student(fold, 0, "mt-pkdot"))
        assert record.best == student["details"]["best_epoch"] + 1
        for matrix in (record.teacher, *record.student):
            np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)
            np.testing.assert_allclose(np.diag(matrix), 2, atol=1e-5)
        np.testing.assert_allclose(record.plans.sum((1, 2)), 1, rtol=1e-4)
        own = read_sidecar(path)
        assert {name: own[name] for name in ("recipe", "inputs", "seed")} == {
            name: student[name] for name in ("recipe", "inputs", "seed")
        }
        assert not finished.structure(fold, 0, "none").exists()


def test_windows_of_trials_are_sorted_by_valence(continuous):
    record = read_structure(continuous.structure(0, 0, "mt-pkdot"))
    first = record.labels[:, 0]
    known = first[~np.isnan(first)]
    assert known.tolist() == sorted(known)
    assert np.isnan(first[len(known) :]).all()
    assert all("@" in clip for clip in record.clips)


def test_looking_changes_no_number(copy, crossed_recipe, monkeypatch):
    student = copy.student(0, 0, "mt-pkdot")
    before = student.read_bytes(), student.with_suffix(".history.csv").read_bytes()
    start_over(copy)
    monkeypatch.setattr(distill, "choose_probe", lambda *args: ())
    monkeypatch.setattr(distill, "transports", lambda objective: False)
    distill.run(crossed_recipe, copy, methods=["mt-pkdot"], workers=1)
    assert (student.read_bytes(), student.with_suffix(".history.csv").read_bytes()) == before
    assert not copy.structure(0, 0, "mt-pkdot").exists()


def test_a_killed_training_leaves_the_same_record(copy, crossed_recipe, monkeypatch):
    before = untouched(copy)
    start_over(copy)
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    seen = []

    def killed(self, network, observe=DistillationProblem.observe):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(observe(self, network))
        return seen[-1]

    with monkeypatch.context() as patch:
        patch.setattr(DistillationProblem, "observe", killed)
        with pytest.raises(KeyboardInterrupt):
            distill.run(crossed_recipe, copy, methods=["mt-pkdot"], workers=1)
    assert not copy.structure(0, 0, "mt-pkdot").exists()
    distill.run(crossed_recipe, copy, methods=["mt-pkdot"], workers=1)
    assert untouched(copy) == before


@pytest.mark.parametrize("damage", ["deleted", "changed", "without its sidecar"])
def test_a_damaged_record_is_found_and_made_again(copy, crossed_recipe, damage):
    before, path = untouched(copy), copy.structure(0, 0, "mt-pkdot")
    if damage == "deleted":
        path.unlink()
    elif damage == "changed":
        path.write_bytes(b"\0" + path.read_bytes()[1:])
    else:
        sidecar(path).unlink()
    problems = [problem for problem in verify(copy).problems if problem.path == path]
    assert len(problems) == (damage != "without its sidecar")
    assert all("mtpkd distill --method mt-pkdot" in problem.remedy for problem in problems)
    distill.run(crossed_recipe, copy, methods=["mt-pkdot"], workers=1)
    assert untouched(copy) == before
    assert verify(copy).is_sound


def test_a_student_that_no_longer_transports_keeps_no_old_record(copy, crossed_recipe):
    recipe = override_recipe(crossed_recipe, **{"distillation.matching": "identity"})
    distill.run(recipe, copy, methods=["mt-pkdot"], workers=1)
    path = copy.structure(0, 0, "mt-pkdot")
    assert not path.exists()
    assert not sidecar(path).exists()
