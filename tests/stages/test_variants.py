"""Settings far from the default, through all five stages."""

import csv
import json

import pytest

from pipelines.recipe.loading import override_recipe
from pipelines.stages import run_all
from pipelines.training.checkpoints import load_checkpoint
from pipelines.workspace import Workspace


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
    assert set(results["metrics"]) == {"accuracy", "balanced-accuracy", "macro-f1", "auc", "ccc", "rmse", "pearson"}
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
