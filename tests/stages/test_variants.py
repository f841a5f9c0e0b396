"""Settings far from the default, through all five stages."""

import csv
import json
import math
import shutil

import pytest

from pipelines.cache.embeddings import Column, EmbeddingStore, read_embeddings, write_embeddings
from pipelines.errors import SettingsError
from pipelines.objectives import METHODS
from pipelines.recipe.loading import override_recipe
from pipelines.stages import distill, run_all
from pipelines.stages.cells import load_cells
from pipelines.training.checkpoints import load_checkpoint
from pipelines.workspace import Workspace, atomic_path

NO_PARTS = {"epoch", "loss", "validation_loss", "diagonal_mass"}


@pytest.fixture(scope="module")
def unusual(tiny_recipe, tmp_path_factory):
    """Five classes, leave-one-subject-out, two seeds, per-subject statistics, a teacher of two modalities."""
    folder = tmp_path_factory.mktemp("unusual")
    recipe = override_recipe(
        tiny_recipe,
        **{
            "corpus.root": str(folder / "corpus"),
            "corpus.task": "pain-five",
            "corpus.subject_count": 4,
            "corpus.clips_per_class": 1,
            "protocol.name": "loso",
            "protocol.seeds": [0, 1],
            "biosignals.normalisation": "per-subject",
            "teachers.subsets": [["faces"], ["faces", "eda"]],
            "alignment.term": "kl",
            "distillation.selection": "confidence",
            "faces.storage": "raw",
        },
    )
    run_all(recipe, Workspace(folder / "run"), workers=2)
    return recipe, Workspace(folder / "run")


def test_every_fold_seed_and_clip_is_there(unusual):
    _, workspace = unusual
    results = json.loads(workspace.results(".json").read_text())
    of_classes = {"accuracy", "balanced-accuracy", "macro-f1", "auc", "ece"}
    assert set(results["metrics"]) == of_classes | {"ccc", "rmse", "pearson"}
    rows = {(row["role"], row["method"]): row for row in results["metrics"]["ccc"]}
    assert set(rows) == {("teacher", name) for name in ("faces", "faces+eda", "joint")} | {
        ("student", name) for name in ("none", "none-matched", "mt-pkdot")
    }
    assert {row["clips"] for row in rows.values()} == {20}
    with workspace.results(".csv").open() as stream:
        cells = {(row["fold"], row["seed"]) for row in csv.DictReader(stream)}
    assert cells == {(str(fold), str(seed)) for fold in range(4) for seed in (0, 1)}


def test_a_teacher_of_some_modalities_is_a_candidate(unusual):
    recipe, workspace = unusual
    history = workspace.student(0, 0, "mt-pkdot").with_suffix(".history.csv")
    with history.open() as stream:
        (row, *_) = csv.DictReader(stream)
    assert {name for name in row if name.startswith("chosen/")} == {
        "chosen/faces", "chosen/faces+eda", "chosen/joint",
    }  # fmt: skip
    assert recipe.teacher_subsets["faces+eda"] == ("faces", "eda")


def test_statistics_of_a_subject_are_no_part_of_a_model(unusual):
    _, workspace = unusual
    normaliser = load_checkpoint(workspace.cell(0, 0) / "teachers" / "eda.safetensors").schema["encoders"]["eda"]
    assert normaliser["normaliser"]["scope"] == "per-subject"
    assert normaliser["normaliser"]["moments"] == {}


@pytest.mark.parametrize("kind", ["classes", "continuous"])
def test_every_method_trains_through_the_pipeline(kind, request, tmp_path):
    names = {"classes": ("finished", "crossed_recipe"), "continuous": ("continuous", "tiny_affwild2")}[kind]
    done, recipe = (request.getfixturevalue(name) for name in names)
    shutil.copytree(done.root, tmp_path / "run")
    workspace = Workspace(tmp_path / "run")
    recipe = override_recipe(recipe, **{"training.distillation.epochs": 1})
    distill.run(recipe, workspace, methods=list(METHODS), workers=1)
    for name, method in METHODS.items():
        student = workspace.student(0, 0, name)
        assert load_checkpoint(student).schema["method"] == name
        with student.with_suffix(".history.csv").open() as stream:
            (row,) = csv.DictReader(stream)
        known = NO_PARTS | {key for key in row if key.startswith("chosen/")}
        parts = {key: float(value) for key, value in row.items() if key not in known}
        assert all(math.isfinite(value) for value in parts.values())
        assert (len(parts) > 1) == method.needs_teachers


def test_every_method_trains_in_mixed_precision(continuous, tiny_affwild2, tmp_path):
    """All five stages, on the cache of a finished workspace."""
    shutil.copytree(continuous.root, tmp_path / "run")
    workspace = Workspace(tmp_path / "run")
    recipe = override_recipe(tiny_affwild2, **{"training.precision": "bf16-mixed", "training.teachers.epochs": 1})
    run_all(recipe, workspace, workers=1)
    for name in recipe.distillation.methods:
        with workspace.student(0, 0, name).with_suffix(".history.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        assert all(math.isfinite(float(row["validation_loss"])) for row in rows)


def test_self_distillation_depends_on_nothing_privileged(finished, crossed_recipe, tmp_path):
    """Neither privileged embeddings nor the aligned teachers nor the hallucination net change a weight."""
    shutil.copytree(finished.root, tmp_path / "run")
    workspace = Workspace(tmp_path / "run")
    (cell, *_) = load_cells(crossed_recipe, workspace)
    distill.run(crossed_recipe, workspace, methods=["self-kd"], workers=1)
    before = workspace.student(0, 0, "self-kd").read_bytes()
    store = read_embeddings(cell.embeddings(cell.full))
    spoiled = {
        name: column if name == "faces" else Column(-column.embeddings, column.present, column.outputs)
        for name, column in store.columns.items()
    }
    with atomic_path(cell.embeddings(cell.full)) as path:
        write_embeddings(path, EmbeddingStore(clips=store.clips, columns=spoiled))
    for path in (cell.aligned(cell.full), cell.hallucination):
        path.unlink()
    workspace.student(0, 0, "self-kd").unlink()
    distill.run(crossed_recipe, workspace, methods=["self-kd"], workers=1)
    assert workspace.student(0, 0, "self-kd").read_bytes() == before


def test_self_distillation_needs_a_teacher_of_the_face_alone(crossed_recipe, finished, tmp_path):
    recipe = override_recipe(crossed_recipe, **{"teachers.subsets": [["eda"], ["faces", "ecg"]]})
    with pytest.raises(SettingsError, match=r"self-kd needs a teacher of \['faces'\] alone"):
        distill.artifacts_of(distill.StudentUnit(load_cells(recipe, finished)[0], "self-kd"))


@pytest.mark.parametrize("method", ["kd", "self-kd"])
def test_outputs_out_of_fold_owe_nothing_to_what_the_full_fit_remembers(method, crossed_recipe, finished, tmp_path):
    """Other outputs of the full fit's teachers on labelled clips change a student only where they are asked for."""
    shutil.copytree(finished.root, tmp_path / "run")
    workspace, students = Workspace(tmp_path / "run"), {}
    (cell, *_) = load_cells(crossed_recipe, workspace)
    file = cell.aligned(cell.full) if method == "kd" else cell.embeddings(cell.full)
    for stage in ("remembered", "forgotten"):
        for outputs in ("full", "out-of-fold"):
            recipe = override_recipe(crossed_recipe, **{"teachers.outputs": outputs})
            distill.run(recipe, workspace, methods=[method], workers=1)
            students[stage, outputs] = workspace.student(0, 0, method).read_bytes()
        _change_outputs(file)
    assert students["remembered", "full"] != students["remembered", "out-of-fold"]
    assert students["remembered", "full"] != students["forgotten", "full"]
    assert students["remembered", "out-of-fold"] == students["forgotten", "out-of-fold"]


def _change_outputs(file):
    store = read_embeddings(file)
    columns = {
        name: Column(column.embeddings, column.present, None if column.outputs is None else -column.outputs)
        for name, column in store.columns.items()
    }
    with atomic_path(file) as path:
        write_embeddings(path, EmbeddingStore(clips=store.clips, columns=columns))
