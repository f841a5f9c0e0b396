"""Aff-Wild2 as it really comes: bad lines, missing files, trials without labels. The rest goes on."""

import csv
import json

import numpy as np
import pytest

from pipelines.cache.annotations import read_annotations
from pipelines.cache.embeddings import read_embeddings
from pipelines.cache.tables import read_clips
from pipelines.errors import SettingsError, TooManyFailures
from pipelines.recipe.loading import override_recipe
from pipelines.stages import evaluate, preprocess, run_all
from pipelines.stages.cells import load_cells
from pipelines.workspace import Workspace


def table_of(recipe, trial):
    """The annotation file of a trial."""
    return next(recipe.corpus.root.rglob(f"{trial}.txt"))


def failures(workspace):
    with workspace.failures.open(newline="") as stream:
        return list(csv.DictReader(stream))


def predictions(workspace, method):
    with workspace.predictions(0, 0, method).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_bad_annotations_are_recorded_by_file_and_line_and_the_rest_goes_on(affwild2, continuous, tmp_path):
    rows = {row.clip: row for row in read_clips(continuous.clips)}
    headless, faulty, lost, *_ = sorted(name for name, row in rows.items() if not row.attributes["side"])
    table = table_of(affwild2, headless)
    table.write_text(table.read_text().replace("valence,arousal", "v;a", 1))
    lines = table_of(affwild2, faulty).read_text().splitlines()
    lines[11] = "1.7,0.1"
    table_of(affwild2, faulty).write_text("\n".join(lines) + "\n")
    table_of(affwild2, lost).unlink()
    workspace = Workspace(tmp_path / "w")
    with pytest.raises(TooManyFailures):
        preprocess.run(affwild2, workspace, workers=2, max_failures=0.0)
    told = {(row["clip"], row["modality"]): row for row in failures(workspace)}
    assert "line 1" in told[headless, "annotations"]["reason"]
    assert told[faulty, "annotations"]["file"] == f"{table_of(affwild2, faulty)}:12"
    assert "1.7" in told[faulty, "annotations"]["reason"]
    assert "no annotation file" in told[lost, "all"]["reason"]
    trial = read_annotations(workspace.shard("annotations", rows[faulty].group))[faulty]
    assert np.isnan(trial.values[10]).all()
    assert np.isfinite(trial.values).any()
    found = {row.clip: row for row in read_clips(workspace.clips)}
    assert set(found) == set(rows) - {lost}
    assert found[headless].coverage["faces"] == 0
    assert found[faulty].coverage == rows[faulty].coverage
    whole = sorted(row.group for row in rows.values() if row.clip not in (headless, faulty, lost))
    for kind in ("faces", "audio"):
        for group in whole:
            mine, theirs = workspace.shard(kind, group), continuous.shard(kind, group)
            assert mine.read_bytes() == theirs.read_bytes()


def test_tolerated_failures_do_not_fail_a_run(affwild2, tmp_path):
    preprocess.run(affwild2, Workspace(tmp_path / "w"), workers=2, max_failures=0.0)
    reasons = {row["reason"] for row in failures(Workspace(tmp_path / "w"))}
    assert "there is no sound track" in reasons


def test_trials_without_published_crops_or_without_a_video(affwild2, continuous, tmp_path):
    """Published crops need no video for the face, but there is no sound; `own` crops every video itself."""
    rows = {row.clip: row for row in read_clips(continuous.clips)}
    published = next(n for n, r in sorted(rows.items()) if r.attributes["crops"] == "published" and r.coverage["audio"])
    next(
        path for path in affwild2.corpus.root.rglob(f"{rows[published].group}.*") if path.suffix in (".mp4", ".avi")
    ).unlink()
    workspace = Workspace(tmp_path / "w")
    preprocess.run(affwild2, workspace, workers=2, max_failures=1.0)
    found = {row.clip: row for row in read_clips(workspace.clips)}
    assert found[published].coverage["faces"] == rows[published].coverage["faces"]
    assert found[published].coverage["audio"] == 0
    own = Workspace(tmp_path / "own")
    preprocess.run(override_recipe(affwild2, **{"corpus.crops": "own"}), own, only="faces", workers=2, max_failures=1.0)
    cropped = {row.clip: row for row in read_clips(own.clips)}
    assert {row.attributes.get("crops") for row in cropped.values()} <= {"own", ""}
    assert all(row.coverage["faces"] > 0.3 for row in cropped.values() if row.group != rows[published].group)


def test_only_what_the_corpus_has_can_be_asked_for(tiny_affwild2, tmp_path):
    with pytest.raises(SettingsError, match="--only biosignals: synthetic-affwild2 has faces, audio"):
        preprocess.run(tiny_affwild2, Workspace(tmp_path), only="biosignals")


def test_unlabelled_videos_are_distilled_on_and_enter_no_task_loss(affwild2, tmp_path):
    """A training trial of -5 rows only: embedded, aligned and distilled on, never judged."""
    path = next((affwild2.corpus.root).rglob("Train_Set/*_left.txt"))
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *["-5,-5" for _ in lines]]) + "\n")
    workspace = Workspace(tmp_path / "w")
    run_all(override_recipe(affwild2, **{"teachers.cross_fit": 0}), workspace, workers=2, max_failures=1.0)
    (cell,) = load_cells(override_recipe(affwild2, **{"teachers.cross_fit": 0}), workspace)
    mine = [s for s in cell.of((*cell.split.train, *cell.split.validation)) if s.clip == path.stem]
    assert mine
    assert all(sample.label is None for sample in mine)
    assert {sample.name for sample in mine} <= set(read_embeddings(cell.aligned(cell.full)).clips)


def test_a_test_trial_without_any_label_is_predicted_and_submitted_and_not_judged(affwild2, tmp_path):
    path = next(affwild2.corpus.root.rglob("Validation_Set/*_right.txt"))
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *["-5,-5" for _ in lines]]) + "\n")
    workspace, recipe = Workspace(tmp_path / "w"), override_recipe(affwild2, **{"teachers.cross_fit": 0})
    run_all(recipe, workspace, workers=2, max_failures=1.0)
    mine = [row for row in predictions(workspace, "mt-pkdot") if row["clip"] == path.stem]
    assert len(mine) == len(lines)
    assert {row["target_arousal"] for row in mine} == {""}
    submission = evaluate.write_submissions(recipe, workspace, tmp_path / "out")[-1].read_text()
    assert submission.count(f"{path.stem}/") == len(lines)
    (row,) = [
        row
        for row in json.loads(workspace.results(".json").read_text())["metrics"]["ccc"]
        if row["method"] == "mt-pkdot"
    ]
    assert row["clips"] == 2
