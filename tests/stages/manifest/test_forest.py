"""Random forests as teachers of features as they are, through all five stages."""

import numpy as np
import pytest
import torch

from pipelines.cache.embeddings import read_embeddings
from pipelines.cache.predictions import read_predictions
from pipelines.corpora import task_of
from pipelines.errors import LeakageError, SettingsError
from pipelines.recipe import JOINT
from pipelines.stages import evaluate, networks, run_all
from pipelines.stages.cells import FitUnit, load_cells
from pipelines.stages.forests import restore_forest
from pipelines.stages.train_teachers import artifacts_of
from pipelines.training.checkpoints import load_checkpoint, save_checkpoint
from pipelines.workspace import Workspace

FORESTS = {
    "teachers.model": "forest",
    "teachers.trees": 20,
    "model.fusion": "concat",
    "privileged": ["tests"],
    "encoders": {"faces": {"architecture": "identity"}, "tests": {"architecture": "identity"}},
    "protocol.folds": 4,
    "distillation.methods": ["none", "self-kd", "kd", "mt-pkdot"],
}


@pytest.fixture(scope="module")
def grown(recipe_of, root, tmp_path_factory):
    """A finished run with forests."""
    workspace = Workspace(tmp_path_factory.mktemp("forest") / "run")
    recipe = recipe_of(root, **FORESTS)
    run_all(recipe, workspace, workers=1)
    return recipe, workspace


def _cell(grown):
    return load_cells(*grown)[0]


def test_every_teacher_is_a_forest_on_its_own_modalities(grown):
    cell, (_, workspace) = _cell(grown), grown
    for name, subset in {"faces": ("faces",), "tests": ("tests",), JOINT: ("faces", "tests")}.items():
        teacher = restore_forest(load_checkpoint(cell.teacher(cell.full, name)))
        assert (teacher.modalities, len(teacher.forest.roots)) == (subset, 20)
    said = (workspace.root / "predictions").iterdir()
    assert {path.name.split(".")[0] for path in said} >= {"teacher-faces", "teacher-tests", "teacher-joint"}


def test_what_is_distilled_of_training_clips_is_out_of_bag(grown):
    cell = _cell(grown)
    store = networks.teacher_embeddings(cell, cell.full, (JOINT,))
    teacher = restore_forest(load_checkpoint(cell.teacher(cell.full, JOINT)))
    rows = [row for row in cell.of(cell.full.train) if row.label is not None]
    index = store.rows([row.name for row in rows])
    there = {name: torch.from_numpy(store.columns[name].present[index]) for name in ("faces", "tests")}
    values = {name: torch.from_numpy(store.columns[name].embeddings[index, 0]) for name in ("faces", "tests")}
    numbers = teacher.forest.number([row.group for row in rows])
    assert (numbers >= 0).all()
    honest, remembered = (teacher(values, there, n)[1].numpy() for n in (numbers, torch.full_like(numbers, -1)))
    outputs = store.columns[networks.teacher_column(cell, JOINT)].outputs
    np.testing.assert_allclose(outputs[index, 0], honest, rtol=1e-5)
    assert np.abs(outputs[index, 0] - remembered).max() > 0.1


def test_a_joint_forest_is_what_others_are_aligned_to_and_stays_as_it_is(grown):
    cell = _cell(grown)
    before = networks.teacher_embeddings(cell, cell.full, (JOINT,)).columns[networks.teacher_column(cell, JOINT)]
    after = read_embeddings(cell.aligned(cell.full)).columns[JOINT]
    there = before.present
    np.testing.assert_allclose(after.embeddings[there], before.embeddings[there], atol=1e-6)
    logs = after.outputs[there, 0] - after.outputs[there, 0].mean(1, keepdims=True)
    expected = before.outputs[there, 0] - before.outputs[there, 0].mean(1, keepdims=True)
    np.testing.assert_allclose(logs, expected, atol=1e-5)


def test_a_forest_that_has_seen_test_groups_is_refused(grown, tmp_path):
    recipe, workspace = grown
    cell = _cell(grown)
    path = cell.teacher(cell.full, JOINT)
    checkpoint, kept = load_checkpoint(path), path.read_bytes()
    schema = dict(checkpoint.schema)
    schema["provenance"] = {"weights": [*schema["provenance"]["weights"], cell.split.test[0]], "selection": []}
    try:
        save_checkpoint(path, checkpoint.state, schema, recipe)
        with pytest.raises(LeakageError, match=cell.split.test[0]):
            evaluate.run(recipe, workspace, workers=1)
    finally:
        path.write_bytes(kept)


def test_trees_make_the_forests_again_and_nothing_before_them(grown):
    recipe, workspace = grown
    teachers = recipe.teachers.model_copy(update={"trees": 30})
    cell = load_cells(recipe.model_copy(update={"teachers": teachers}), workspace)[0]
    made, before = (
        {artifact.path: artifact.fingerprint.recipe for artifact in artifacts_of(FitUnit(each, each.full))}
        for each in (cell, _cell(grown))
    )
    assert {path for path in made if made[path] != before[path]} == {
        cell.teacher(cell.full, name) for name in ("faces", "tests", JOINT)
    }


def test_forests_predict_continuous_labels_on_the_labels_own_scale(recipe_of, root, tmp_path):
    plain = {"teachers.cross_fit": 0, "protocol.folds": 2, "distillation.methods": ["none"]}
    recipe, workspace = recipe_of(root, strain=True, **{**FORESTS, **plain}), Workspace(tmp_path / "w")
    run_all(recipe, workspace, workers=1)
    for name in ("teacher-faces", "teacher-tests", "teacher-joint"):
        predicted = read_predictions(workspace.predictions(0, 0, name), task_of(recipe.corpus))
        assert len(predicted.scores)
        assert (abs(predicted.scores - 60) < 25).all(), "labels lie between 45 and 70"


def test_an_embedding_without_room_for_the_outputs_is_refused_before_any_work(grown):
    recipe, workspace = grown
    corpus = recipe.corpus.model_copy(update={"classes": tuple("abcdefghi")})
    narrow = recipe.model.model_copy(update={"embedding": 8, "width": 8})
    cell = load_cells(recipe.model_copy(update={"corpus": corpus, "model": narrow}), workspace)[0]
    with pytest.raises(SettingsError, match=r"model\.embedding = 8 cannot hold the 9 outputs"):
        artifacts_of(FitUnit(cell, cell.full))
