"""What holds for the five stages together, on a tiny synthetic corpus."""

import csv
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from pipelines.cache.embeddings import read_embeddings
from pipelines.errors import LeakageError, MissingArtifact, SettingsError
from pipelines.recipe import JOINT
from pipelines.recipe.loading import override_recipe, render_recipe
from pipelines.stages import align, distill, evaluate, preprocess, run_all, train_teachers
from pipelines.stages.cells import FitUnit, load_cells
from pipelines.stages.execution import run_units
from pipelines.training import loop
from pipelines.training.checkpoints import load_checkpoint
from pipelines.workspace import Workspace, read_sidecar

METHODS = [
    "teacher:faces",
    "teacher:eda",
    "teacher:ecg",
    "teacher:emg",
    "teacher:joint",
    "none",
    "none-matched",
    "mt-pkdot",
]


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished workspace that a test may change."""
    shutil.copytree(finished.root, tmp_path / "copy")
    return Workspace(tmp_path / "copy")


def test_every_artifact_has_a_whole_sidecar(finished):
    artifacts = [p for p in finished.root.rglob("*") if p.suffix in (".h5", ".safetensors")]
    assert len(artifacts) == 12 + 3 * (3 * (5 + 1) + 1 + 3 + 1 + 3 + 1)
    for path in artifacts:
        record = read_sidecar(path)
        assert record is not None, path
        assert set(record) == {"recipe", "inputs", "seed", "version", "artifact", "wall_time_s", "details", "checksum"}
        assert all(known is not None for known in record["inputs"].values()), path
    assert not list(finished.root.rglob("*.partial")) + list(finished.root.rglob("*.resume"))


def test_results_hold_every_method_fold_and_metric(finished):
    with finished.results(".csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["method"] for row in rows} == set(METHODS)
    assert len(rows) == len(METHODS) * 3 * 5
    results = json.loads(finished.results(".json").read_text())
    accuracy = {(row["role"], row["method"]): row for row in results["metrics"]["accuracy"]}
    assert len(accuracy) == 8
    student = accuracy["student", "mt-pkdot"]
    assert student["clips"] == 24
    assert student["groups"] == 6
    assert student["difference"] == pytest.approx(student["value"] - accuracy["student", "none"]["value"])
    with finished.results("_by_group.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == len(METHODS) * 6


def test_results_can_be_computed_again_from_the_predictions(finished):
    files = (finished.root / "predictions").glob("none.*.csv")
    rows = [row for path in files for row in csv.DictReader(path.open())]
    right = [row["target"] == str(int(float(row["score_PA4"]) > 0.5)) for row in rows]
    results = json.loads(finished.results(".json").read_text())
    (value,) = [row["value"] for row in results["metrics"]["accuracy"] if row["method"] == "none"]
    assert value == pytest.approx(np.mean(right))


def test_a_second_run_makes_nothing_and_says_so(finished, crossed_recipe, digests, caplog):
    before = digests(finished.root)
    times = {path: path.stat().st_mtime_ns for path in finished.root.rglob("*.safetensors")}
    with caplog.at_level(logging.INFO, "mtpkd"):
        run_all(crossed_recipe, finished, workers=1)
    assert digests(finished.root) == before
    assert times == {path: path.stat().st_mtime_ns for path in finished.root.rglob("*.safetensors")}
    skipped = [m for m in caplog.messages if "up to date, nothing to do" in m]
    assert [m.split(":")[0] for m in skipped] == [
        "preprocess faces", "preprocess biosignals", "train-teachers", "align", "distill", "evaluate",
    ]  # fmt: skip


def test_another_run_in_more_processes_gives_the_same_bytes(finished, crossed_recipe, digests, tmp_path):
    run_all(crossed_recipe, Workspace(tmp_path / "again"), workers=2)
    assert digests(tmp_path / "again") == digests(finished.root)


def test_another_seed_gives_other_weights_on_the_same_test_subjects(finished, crossed_recipe, tmp_path):
    recipe = override_recipe(crossed_recipe, **{"protocol.seeds": [1]})
    cells, others = load_cells(crossed_recipe, finished), load_cells(recipe, finished)
    assert [cell.split.test for cell in cells] == [cell.split.test for cell in others]
    shutil.copytree(finished.root / "cache", tmp_path / "w" / "cache")
    train_teachers.run(recipe, Workspace(tmp_path / "w"), workers=2)
    mine = load_checkpoint(tmp_path / "w" / "fold-0" / "seed-1" / "teachers" / "eda.safetensors")
    theirs = load_checkpoint(finished.root / "fold-0" / "seed-0" / "teachers" / "eda.safetensors")
    assert any(not np.array_equal(mine.state[name], theirs.state[name]) for name in mine.state)


def test_no_stage_before_evaluate_reads_test_clips(finished, crossed_recipe, tmp_path):
    cell = load_cells(crossed_recipe, finished)[0]
    clips = {row.clip for row in cell.of(cell.split.test)}
    assert clips
    for path in (finished.root / "fold-0").rglob("embeddings.h5"):
        assert not clips & set(read_embeddings(path).clips)
    workspace = Workspace(tmp_path / "w")
    shutil.copytree(finished.root, workspace.root)
    shutil.rmtree(workspace.root / "fold-0")
    for group in cell.split.test:
        for kind in ("faces", "biosignals"):
            workspace.shard(kind, group).unlink()
    unit_of = FitUnit(load_cells(crossed_recipe, workspace)[0], cell.full)
    run_units("train", [unit_of], train_teachers.artifacts_of, workers=1, root=workspace.root)
    name = "fold-0/seed-0/teachers/joint.safetensors"
    assert (workspace.root / name).read_bytes() == (finished.root / name).read_bytes()


def test_changing_a_setting_makes_again_what_it_shapes_and_nothing_else(copy, crossed_recipe, digests):
    before = digests(copy.root)
    run_all(override_recipe(crossed_recipe, **{"distillation.beta": 5.0}), copy, workers=1)
    changed = {name for name, digest in digests(copy.root).items() if before.get(name) != digest}
    assert changed
    assert all("mt-pkdot" in name or name.startswith("results") for name in changed), changed


def test_a_stage_warns_of_what_does_not_match_the_recipe_any_more(copy, crossed_recipe, caplog):
    changes = {"distillation.beta": 7.0, "alignment.weight": 0.3, "training.fusion.epochs": 1}
    recipe = override_recipe(crossed_recipe, **changes)
    with caplog.at_level(logging.WARNING, "mtpkd"):
        evaluate.run(recipe, copy, workers=1)
        distill.run(recipe, copy, workers=1)
        align.run(recipe, copy, workers=1)
    asked = re.findall(r"run `mtpkd ([a-z-]+)` again", caplog.text)
    assert asked == ["distill", "train-teachers", "align", "train-teachers"]
    assert "distillation.beta was 0.05, is 7.0" in caplog.text
    assert "alignment.weight was 0.5, is 0.3" in caplog.text
    assert "training.fusion.epochs was 2, is 1" in caplog.text


def test_a_student_evaluated_on_its_own_training_subjects_is_refused(copy, crossed_recipe):
    recipe = override_recipe(crossed_recipe, **{"protocol.folds": 2, "teachers.cross_fit": 0})
    with pytest.raises(LeakageError, match=r"on test subjects"):
        evaluate.run(recipe, copy, workers=1)


def test_each_stage_names_the_one_before_it(crossed_recipe, finished, tmp_path):
    workspace = Workspace(tmp_path / "w")
    with pytest.raises(MissingArtifact, match="run `mtpkd preprocess synthetic --workspace"):
        train_teachers.run(crossed_recipe, workspace, workers=1)
    shutil.copytree(finished.root / "cache", workspace.root / "cache")
    for stage in (align, distill):
        with pytest.raises(MissingArtifact, match="run `mtpkd train-teachers --workspace"):
            stage.run(crossed_recipe, workspace, workers=1)
    for folder in finished.root.glob("fold-*"):
        shutil.copytree(folder, workspace.root / folder.name, ignore=shutil.ignore_patterns("aligned", "students"))
    with pytest.raises(MissingArtifact, match="run `mtpkd align --workspace"):
        distill.run(crossed_recipe, workspace, workers=1)
    with pytest.raises(MissingArtifact, match="run `mtpkd distill --workspace"):
        evaluate.run(crossed_recipe, workspace, workers=1)


def test_an_unknown_method_is_refused_before_any_work(crossed_recipe, finished):
    with pytest.raises(SettingsError, match="mt-pkdot"):
        distill.run(crossed_recipe, finished, methods=["mt-pkdott"], workers=1)


def test_a_modality_that_was_not_preprocessed_is_named(crossed_recipe, finished, tmp_path):
    workspace = Workspace(tmp_path / "w")
    preprocess.run(crossed_recipe, workspace, only="faces", workers=0)
    with pytest.raises(SettingsError, match="no clip has usable eda"):
        train_teachers.run(crossed_recipe, workspace, workers=1)


def test_out_of_fold_losses_judge_every_training_clip_once(finished, crossed_recipe):
    cell = load_cells(crossed_recipe, finished)[0]
    _, *crossed = cell.fits()
    judged = [row["clip"] for fit in crossed for row in csv.DictReader(cell.out_of_fold(fit).open())]
    assert sorted(judged) == sorted(row.clip for row in cell.of(cell.split.train))


def test_the_student_starts_as_the_visual_teacher_and_records_who_it_was_trained_on(finished, crossed_recipe):
    cell = load_cells(crossed_recipe, finished)[0]
    student = load_checkpoint(finished.student(0, 0, "mt-pkdot"))
    assert student.recipe == crossed_recipe
    assert student.schema["provenance"] == {
        "weights": list(cell.split.train), "selection": list(cell.split.validation),
    }  # fmt: skip
    teacher = load_checkpoint(cell.teacher(cell.full, "faces"))
    assert all(np.array_equal(student.part("encoders.faces")[name], teacher.state[name]) for name in teacher.state)
    assert JOINT in crossed_recipe.teacher_subsets


def test_history_says_how_often_each_teacher_spoke(finished):
    with (finished.root / "fold-0/seed-0/students/mt-pkdot/student.history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2
    assert {"task", "transport", "centroid", "validation_loss"} <= set(rows[0])
    chosen = [float(value) for name, value in rows[0].items() if name.startswith("chosen/")]
    assert len(chosen) == 5


MARKERS = [
    "cache/faces/*.h5.json",
    "fold-0/seed-0/teachers/eda.safetensors",
    "fold-1/seed-0/aligned/adapters.safetensors",
    "fold-0/seed-0/students/*/student.safetensors",
    "predictions/*.csv",
]


def test_a_run_killed_in_every_stage_ends_like_one_that_was_not(finished, crossed_recipe, digests, tmp_path):
    recipe, workspace = tmp_path / "recipe.yaml", tmp_path / "killed"
    recipe.write_text(render_recipe(crossed_recipe))
    command = [sys.executable, "-m", "mtpkd_cli", "run", str(recipe), "--workspace", str(workspace), "--workers", "1"]
    for marker in MARKERS:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not list(workspace.glob(marker)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None, f"ended before it could be killed at {marker}"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not workspace.joinpath("results.json").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert digests(workspace) == digests(finished.root)


@pytest.fixture
def interrupted(copy, crossed_recipe, monkeypatch):
    """A workspace in which one student's training was interrupted in its second epoch; the epochs that were begun."""
    next(copy.root.rglob("students/none/student.safetensors.json")).unlink()
    trained, train_epoch = [], loop._train_epoch

    def counted(*arguments):
        trained.append(arguments[-1])
        if trained == [0, 1]:
            raise KeyboardInterrupt
        return train_epoch(*arguments)

    monkeypatch.setattr(loop, "SAVE_EVERY_S", -1.0)
    monkeypatch.setattr(loop, "_train_epoch", counted)
    with pytest.raises(KeyboardInterrupt):
        distill.run(crossed_recipe, copy, methods=["none"], workers=1)
    assert len(list(copy.root.rglob(".*.resume"))) == 1
    return copy, trained


@pytest.mark.parametrize(("resume", "first"), [(True, 1), (False, 0)])
def test_an_interrupted_training_goes_on_or_begins_again(interrupted, finished, crossed_recipe, digests, resume, first):
    copy, trained = interrupted
    distill.run(crossed_recipe, copy, methods=["none"], workers=1, resume=resume)
    assert trained[2] == first
    assert digests(copy.root) == digests(finished.root)
    assert not list(copy.root.rglob(".*.resume"))
