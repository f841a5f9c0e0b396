"""Continuous labels of whole clips."""

import json

import numpy as np
import pytest

from pipelines.cache.predictions import read_predictions
from pipelines.cache.tables import read_clips
from pipelines.corpora import task_of
from pipelines.errors import SettingsError
from pipelines.metrics import concordance_correlation
from pipelines.stages import evaluate
from pipelines.stages.cells import load_cells
from pipelines.training.checkpoints import load_checkpoint
from pipelines.workspace import Workspace

GROUPS, CLIPS = 8, 4


def test_predictions_of_continuous_labels_are_one_row_a_clip_on_the_labels_own_scale(recipe_of, strain, root):
    recipe = recipe_of(root, strain=True)
    task = task_of(recipe.corpus)
    rows = {row.clip: row for row in read_clips(strain.clips)}
    everything = []
    for cell in load_cells(recipe, strain):
        path = strain.predictions(cell.split.fold, 0, "none")
        assert path.read_text().splitlines()[0] == "clip,group,target_strain,score_strain"
        part = read_predictions(path, task)
        expected = [c for c in sorted(rows) if rows[c].group in cell.split.test and rows[c].label]
        assert part.clips.tolist() == [c for c in expected if rows[c].coverage["faces"] > 0]
        assert [(value,) for value in part.target[:, 0].tolist()] == [rows[clip].label for clip in part.clips.tolist()]
        assert (abs(part.scores - 60) < 25).all(), "labels lie between 45 and 70"
        everything.append(part)
    scores, target = (np.concatenate([getattr(part, name) for part in everything]) for name in ("scores", "target"))
    value = np.mean(concordance_correlation(scores, target))
    results = json.loads(strain.results(".json").read_text())["metrics"]
    assert {"ccc", "ccc-strain"} <= set(results)
    assert [row["value"] for row in results["ccc"] if row["method"] == "none"] == [pytest.approx(value)]


def test_labels_on_another_scale_are_learned_alike(train, edit_cells, recipe_of, own, strain, root, tmp_path):
    edit_cells(own / "manifest.csv", "strain", lambda r: r["strain"] and repr((float(r["strain"]) - 50) / 1024))
    train(recipe_of(own, strain=True), Workspace(tmp_path / "w"))
    name = "fold-0/seed-0/teachers/faces.safetensors"
    first, second = (load_checkpoint(folder / name) for folder in (tmp_path / "w", strain.root))
    for key, tensor in first.state.items():
        np.testing.assert_allclose(tensor.numpy(), second.state[key].numpy(), atol=1e-4)
    assert first.schema["label_scale"]["std"][0] * 1024 == pytest.approx(second.schema["label_scale"]["std"][0])


def test_a_submission_of_whole_clips_is_refused(recipe_of, strain, root, tmp_path):
    with pytest.raises(SettingsError, match="manifest has no submission format"):
        evaluate.write_submissions(recipe_of(root, strain=True), strain, tmp_path)
