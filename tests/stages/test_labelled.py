"""Training subjects whose labels are hidden: they teach by what was recorded of them, and by nothing else."""

import csv
import shutil

import pytest

from pipelines.cache.embeddings import read_embeddings
from pipelines.recipe import Recipe
from pipelines.recipe.loading import override_recipe
from pipelines.stages import align, distill, evaluate, train_teachers
from pipelines.stages.cells import load_cells
from pipelines.workspace import Workspace


@pytest.fixture
def scarce(tiny_recipe) -> Recipe:
    """Of four training subjects two have labels: one to train on, one to stop early on."""
    return override_recipe(
        tiny_recipe, **{"protocol.folds": 3, "protocol.labelled": 0.5, "protocol.validation_share": 0.5}
    )


def trained(recipe, finished, folder, turned=()):
    """A workspace trained on the finished one's cache, with the labels of some subjects turned over."""
    workspace = Workspace(folder)
    shutil.copytree(finished.root / "cache", folder / "cache")
    with workspace.clips.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        if row["group"] in turned:
            row["label"] = str(1 - int(row["label"]))
    with workspace.clips.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for stage in (train_teachers, align, distill):
        stage.run(recipe, workspace, workers=2)
    return workspace


def test_hidden_labels_change_no_weight_and_their_clips_are_distilled_on(scarce, finished, digests, tmp_path):
    cells = load_cells(scarce, finished)
    hidden = cells[0].split.unlabelled
    assert hidden
    first = trained(scarce, finished, tmp_path / "a")
    second = trained(scarce, finished, tmp_path / "b", turned=hidden)
    mine, theirs = ({n: d for n, d in digests(w.root).items() if n.startswith("fold-0")} for w in (first, second))
    assert mine
    assert mine == theirs
    clips = {sample.clip for sample in cells[0].of(hidden)}
    assert clips
    aligned = load_cells(scarce, first)[0]
    assert clips <= set(read_embeddings(aligned.aligned(aligned.full)).clips)
    evaluate.run(scarce, first, workers=1)
    assert first.results(".csv").exists()


def test_labels_that_are_not_hidden_matter(scarce, finished, digests, tmp_path):
    cell = load_cells(scarce, finished)[0]
    shown = [group for group in cell.split.train if group not in cell.split.unlabelled]
    first = trained(scarce, finished, tmp_path / "a")
    second = trained(scarce, finished, tmp_path / "b", turned=shown)
    name = "fold-0/seed-0/teachers/eda.safetensors"
    assert digests(first.root)[name] != digests(second.root)[name]
