"""A corpus of features and signals through all five stages, with a third of what is privileged missing."""

import csv
import json
import re
import shutil
from functools import partial

import numpy as np
import pytest
from torch import nn

from pipelines.cache.embeddings import read_embeddings
from pipelines.cache.tables import read_clips
from pipelines.errors import MissingArtifact, SettingsError
from pipelines.recipe.loading import parse_recipe, plain
from pipelines.stages import align, compare, networks, preprocess, run_all, train_teachers
from pipelines.stages.cells import load_cells
from pipelines.stages.shards import features, signals
from pipelines.training.checkpoints import load_checkpoint
from pipelines.workspace import Workspace

GROUPS, CLIPS = 8, 4


def test_results_hold_every_teacher_and_method(classes):
    with classes.results(".csv").open() as stream:
        methods = {row["method"] for row in csv.DictReader(stream)}
    teachers = {f"teacher:{name}" for name in ("faces", "pulse", "breath", "tests", "joint")}
    assert methods == teachers | {"none", "kd", "mt-pkdot"}


def test_what_is_missing_is_no_failure_and_what_holds_no_number_has_its_reason(classes, root):
    rows = {row.clip: row for row in read_clips(classes.clips)}
    assert len(rows) == GROUPS * CLIPS
    assert rows["c00"].coverage == {"faces": 1.0, "pulse": 0.0, "breath": 1.0, "tests": 1.0}
    assert rows["c03"].coverage["faces"] == rows["c07"].coverage["faces"] == 0
    assert rows["c05"].label is None
    with classes.failures.open() as stream:
        found = [(row["clip"], row["modality"], row["file"], row["reason"]) for row in csv.DictReader(stream)]
    assert found == [("c03", "faces", str(root / "faces.csv"), "none of its 3 features is a number")]


def test_no_clip_is_dropped_and_nothing_stands_in_for_what_it_lacks(recipe_of, classes, root):
    cell = load_cells(recipe_of(root), classes)[0]
    store = read_embeddings(cell.embeddings(cell.full))
    groups = {*cell.split.train, *cell.split.validation}
    rows = {row.clip: row for row in read_clips(classes.clips) if row.group in groups}
    assert set(store.clips) == set(rows)
    for name, column in store.columns.items():
        there = np.array([rows[clip].coverage[name] > 0 for clip in store.clips])
        assert (column.present == there).all()
        assert 0 < there.sum() < len(there) or name == "faces"
        assert np.isnan(column.embeddings[~there]).all()
        assert np.isfinite(column.embeddings[there]).all()


def test_values_in_place_of_missing_modalities_change_no_weight(
    train, weights, recipe_of, classes, root, tmp_path, monkeypatch
):
    def poisoned_column(embeddings, outputs, present):
        column = masked_column(embeddings, outputs, present)
        for values in (column.embeddings, column.outputs):
            assert values is not None
            values[~present] = 1e6
        return column

    def poisoned_write(path, clips, channels):
        for channel in channels.values():
            for values in (channel.wave, channel.spectrogram, channel.features):
                if values is not None:
                    values[~channel.present] = 1e6
        write_channels(path, clips, channels)

    masked_column, write_channels = networks.masked_column, signals.write_channels
    for module in (networks, align):
        monkeypatch.setattr(module, "masked_column", poisoned_column)
    for module in (signals, features):
        monkeypatch.setattr(module, "write_channels", poisoned_write)
    workspace = Workspace(tmp_path / "poisoned")
    train(recipe_of(root), workspace)
    assert weights(workspace) == weights(classes)
    cell = load_cells(recipe_of(root), workspace)[0]
    assert (read_embeddings(cell.embeddings(cell.full)).columns["pulse"].embeddings == 1e6).any()


def test_two_runs_give_the_same_bytes(recipe_of, classes, root, digests, tmp_path):
    run_all(recipe_of(root), Workspace(tmp_path / "again"), workers=1)
    assert digests(tmp_path / "again") == digests(classes.root)


@pytest.mark.parametrize("kind", ["classes", "strain"])
def test_labels_of_test_groups_change_no_weight(train, edit_cells, recipe_of, kind, own, root, tmp_path, request):
    finished, strain = request.getfixturevalue(kind), kind == "strain"
    cell = load_cells(recipe_of(root, strain=strain), finished)[0]
    other = {"low": "high", "high": "low", "": ""}

    def turned(row, column):
        if row["group"] not in cell.split.test:
            return row[column]
        return other[row[column]] if column == "label" else row[column] and str(1000 - float(row[column]))

    for column in ("label", "strain"):
        edit_cells(own / "manifest.csv", column, partial(turned, column=column))
    train(recipe_of(own, strain=strain), Workspace(tmp_path / "w"))
    before, after = tensors(finished), tensors(Workspace(tmp_path / "w"))
    assert before.keys() == after.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert {name.split("/")[0] for name in changed} == {"fold-1"}


def tensors(workspace):
    """Tensors of every checkpoint: their headers tell where the corpus lies."""
    files = {str(path.relative_to(workspace.root)): path for path in workspace.root.rglob("*.safetensors")}
    return {
        name: {key: tensor.numpy().tobytes() for key, tensor in load_checkpoint(path).state.items()}
        for name, path in files.items()
    }


@pytest.mark.parametrize("kind", ["classes", "strain"])
def test_methods_are_compared(recipe_of, kind, root, tmp_path, request):
    finished, strain = request.getfixturevalue(kind), kind == "strain"
    shutil.copytree(finished.root, tmp_path / "w")
    compare.run(recipe_of(root, strain=strain), Workspace(tmp_path / "w"), methods=("none", "kd"), workers=1)
    assert json.loads((tmp_path / "w" / "comparison.json").read_text())


def test_normalisation_makes_its_own_encoder_again(weights, recipe_of, classes, root, tmp_path):
    shutil.copytree(classes.root, tmp_path / "w")
    workspace = Workspace(tmp_path / "w")
    recipe = recipe_of(root, **{"corpus.modalities.tests.normalisation": "per-group"})
    before = weights(workspace)
    train_teachers.run(recipe, workspace, workers=1)
    changed = {name for name, data in weights(workspace).items() if before[name] != data}
    alone = {name.rsplit("/", 1)[-1] for name in changed if "/teachers/" in name}
    assert alone == {"tests.safetensors", "joint.safetensors"}


def test_a_test_fold_without_a_modality_is_evaluated_all_the_same(edit_cells, recipe_of, own, classes, root, tmp_path):
    few = {"protocol.folds": 4, "teachers.cross_fit": 0, "distillation.methods": ["none"]}
    cell = load_cells(recipe_of(root, **few), classes)[0]
    edit_cells(own / "manifest.csv", "pulse", lambda row: "" if row["group"] in cell.split.test else row["pulse"])
    workspace = Workspace(tmp_path / "w")
    run_all(recipe_of(own, **few), workspace, workers=1)
    lines = workspace.predictions(0, 0, "teacher:pulse").read_text().splitlines()
    assert lines == ["clip,group,target,score_low,score_high"]


def test_a_published_split_is_what_hold_out_tests_on(recipe_of, own, classes, tmp_path):
    rows = list(csv.reader((own / "manifest.csv").open(newline="")))
    sides = [["part"], *([("test" if row[1] in ("g2", "g5") else "train")] for row in rows[1:])]
    with (own / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([*row, *side] for row, side in zip(rows, sides, strict=True))
    recipe = recipe_of(own, **{"protocol.name": "hold-out", "corpus.split": "part"})
    shutil.copytree(classes.root, tmp_path / "w")
    with pytest.raises(MissingArtifact, match="run `mtpkd preprocess manifest` again"):
        load_cells(recipe, Workspace(tmp_path / "w"))
    preprocess.run(recipe, Workspace(tmp_path / "w"), workers=0)
    (cell,) = load_cells(recipe, Workspace(tmp_path / "w"))
    assert cell.split.test == ("g2", "g5")
    assert {*cell.split.train, *cell.split.validation} == {f"g{number}" for number in (0, 1, 3, 4, 6, 7)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strain": True, "alignment.term": "kl"}, r"alignment\.term = 'kl'"),
        ({"protocol.name": "hold-out"}, r"name that column in corpus\.split, or use k-fold"),
        (
            {"corpus.modalities.pulse.seconds": 1.0},
            r"'wave-cnn' needs 32 samples, and corpus\.modalities\.pulse has 20",
        ),
        ({"windows": {"kind": "sliding"}}, r"windows\.kind = 'sliding' does not fit manifest: use clip"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(recipe_of, changes, message, root):
    with pytest.raises(SettingsError, match=message):
        recipe_of(root, **changes)


def test_a_modality_may_be_called_anything_that_a_network_can_hold(recipe_of, root):
    plain_words = [name for name in dir(nn.ModuleDict()) if re.fullmatch("[A-Za-z][a-z0-9]*", name)]
    assert "values" in plain_words
    recipe = plain(recipe_of(root))
    for name in plain_words:
        changed = json.loads(json.dumps(recipe).replace('"tests"', f'"{name}"'))
        with pytest.raises(SettingsError, match=f"'{name}' is a word that networks use themselves"):
            parse_recipe(changed, source="test")
