"""Continuous labels through the five stages: drawn trials with sound in Aff-Wild2's layout."""

import csv
import json
import logging
import shutil

import numpy as np
import pytest

from pipelines.cache.annotations import Annotation, read_annotations, write_annotations
from pipelines.cache.audio import AudioShard
from pipelines.cache.embeddings import read_embeddings
from pipelines.cache.tables import read_clips
from pipelines.corpora import index_corpus
from pipelines.errors import SettingsError
from pipelines.recipe.loading import override_recipe
from pipelines.stages import align, distill, evaluate, run_all, train_teachers
from pipelines.stages.cells import load_cells
from pipelines.stages.execution import run_units
from pipelines.stages.shards import GroupUnit, ShardUnit, artifacts_of, kinds_of, without
from pipelines.training.checkpoints import load_checkpoint
from pipelines.workspace import Workspace, atomic_path, read_sidecar

METHODS = ["teacher:faces", "teacher:audio", "teacher:joint", "none", "none-matched", "mt-pkdot"]


def predictions(workspace, method):
    with workspace.predictions(0, 0, method).open(newline="") as stream:
        return list(csv.DictReader(stream))


def concordance(x, y):
    """Lin's coefficient, term by term in float64."""
    mx, my = sum(x) / len(x), sum(y) / len(y)
    cov = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / len(x)
    vx = sum((a - mx) ** 2 for a in x) / len(x)
    vy = sum((b - my) ** 2 for b in y) / len(y)
    return 2 * cov / (vx + vy + (mx - my) ** 2)


@pytest.mark.parametrize("method", METHODS)
def test_ccc_agrees_with_an_independent_computation(continuous, method):
    rows = [row for row in predictions(continuous, method) if row["target_valence"]]
    metrics = json.loads(continuous.results(".json").read_text())["metrics"]
    expected = {}
    for name in ("valence", "arousal"):
        x, y = ([float(row[f"{kind}_{name}"]) for row in rows] for kind in ("score", "target"))
        expected[f"ccc-{name}"] = concordance(x, y)
    expected["ccc"] = (expected["ccc-valence"] + expected["ccc-arousal"]) / 2
    plain_name, role = method.removeprefix("teacher:"), "teacher" if method.startswith("teacher:") else "student"
    for metric, value in expected.items():
        (row,) = [r for r in metrics[metric] if (r["method"], r["role"]) == (plain_name, role)]
        assert row["value"] == pytest.approx(value, abs=1e-9)


def test_every_row_of_a_test_trial_has_a_value_and_unannotated_ones_have_no_target(continuous, tiny_affwild2):
    (cell,) = load_cells(tiny_affwild2, continuous)
    trials = cell.clips_of(cell.split.test)
    assert {row.attributes["set"] for row in trials} == {"validation"}
    rows = predictions(continuous, "none")
    assert {row["clip"] for row in rows} == {trial.clip for trial in trials}
    unannotated = 0
    for trial in trials:
        mine = [row for row in rows if row["clip"] == trial.clip]
        values = read_annotations(continuous.shard("annotations", trial.group))[trial.clip].values
        assert [int(row["frame"]) for row in mine] == list(range(1, len(values) + 1))
        scores = np.array([[float(row["score_valence"]), float(row["score_arousal"])] for row in mine])
        assert np.isfinite(scores).all()
        assert np.abs(scores).max() <= 1
        known = [row["target_valence"] != "" for row in mine]
        assert known == (~np.isnan(values).any(axis=1)).tolist()
        unannotated += known.count(False)
    assert unannotated > 10


def test_another_run_in_more_processes_gives_the_same_bytes(continuous, tiny_affwild2, digests, tmp_path):
    run_all(tiny_affwild2, Workspace(tmp_path / "again"), workers=2)
    assert digests(tmp_path / "again") == digests(continuous.root)


def test_a_second_run_makes_nothing(continuous, tiny_affwild2, digests, caplog):
    before = digests(continuous.root)
    with caplog.at_level(logging.INFO, "mtpkd"):
        run_all(tiny_affwild2, continuous, workers=1)
    skipped = [m.split(":")[0] for m in caplog.messages if "up to date, nothing to do" in m]
    assert skipped == [
        "preprocess annotations, faces, audio", "train-teachers", "align", "distill", "evaluate",
    ]  # fmt: skip
    assert digests(continuous.root) == before


def test_smoothing_is_chosen_on_validation_videos_and_shapes_no_weights(continuous, tiny_affwild2, digests, tmp_path):
    for method in METHODS:
        record = read_sidecar(continuous.predictions(0, 0, method))
        assert record is not None
        assert record["details"]["smoothing_s"] in tiny_affwild2.evaluation.smoothing
    shutil.copytree(continuous.root, tmp_path / "w")
    before = digests(tmp_path / "w")
    run_all(override_recipe(tiny_affwild2, **{"evaluation.smoothing": [2.0]}), Workspace(tmp_path / "w"), workers=1)
    changed = {name for name, digest in digests(tmp_path / "w").items() if before.get(name) != digest}
    assert changed
    students = {name for name in changed if name.endswith("student.safetensors")}
    assert all(name.startswith(("predictions", "results")) for name in changed - students), changed
    for name in students:
        mine, theirs = (load_checkpoint(root / name) for root in (tmp_path / "w", continuous.root))
        assert all(np.array_equal(mine.state[key], theirs.state[key]) for key in theirs.state)
        assert mine.schema["calibration"]["smoothing_s"] == 2.0
    smooth, rough = (predictions(w, "none") for w in (Workspace(tmp_path / "w"), continuous))
    steps = [np.abs(np.diff([float(r["score_valence"]) for r in rows])).mean() for rows in (smooth, rough)]
    assert steps[0] < steps[1]


def test_labels_of_test_trials_change_no_prediction(continuous, tiny_affwild2, tmp_path):
    """Nor the smoothing of it: every label of the test part is turned over, and every score stays."""
    shutil.copytree(continuous.root, tmp_path / "w")
    workspace = Workspace(tmp_path / "w")
    (cell,) = load_cells(tiny_affwild2, workspace)
    for group in cell.split.test:
        trials = read_annotations(workspace.shard("annotations", group))
        turned = {clip: Annotation(-trial.values[::-1], trial.times) for clip, trial in trials.items()}
        with atomic_path(workspace.shard("annotations", group)) as path:
            write_annotations(path, turned)
    evaluate.run(tiny_affwild2, workspace, workers=1)
    for method in METHODS:
        before, after = predictions(continuous, method), predictions(workspace, method)
        for name in ("clip", "frame", "score_valence", "score_arousal"):
            assert [row[name] for row in after] == [row[name] for row in before]
        assert [row["target_valence"] for row in after] != [row["target_valence"] for row in before]


def test_no_stage_before_evaluate_reads_test_videos(continuous, tiny_affwild2, tmp_path):
    workspace = Workspace(tmp_path / "w")
    shutil.copytree(continuous.root / "cache", workspace.root / "cache")
    (cell,) = load_cells(tiny_affwild2, workspace)
    for group in cell.split.test:
        for kind in ("faces", "audio", "annotations"):
            workspace.shard(kind, group).unlink()
    for stage in (train_teachers, align, distill):
        stage.run(tiny_affwild2, workspace, workers=1)
    for path in sorted((continuous.root / "fold-0").rglob("*.safetensors")):
        assert (workspace.root / path.relative_to(continuous.root)).read_bytes() == path.read_bytes()


def test_a_silent_video_is_missing_its_sound_and_nothing_stands_in_for_it(continuous, tiny_affwild2):
    rows = read_clips(continuous.clips)
    (silent,) = [row for row in rows if row.coverage["audio"] == 0]
    assert not AudioShard(continuous.shard("audio", silent.group)).is_present
    (cell,) = load_cells(tiny_affwild2, continuous)
    store = read_embeddings(cell.embeddings(cell.full))
    mine = np.array([name.startswith(silent.clip + "@") for name in store.clips])
    assert mine.any()
    audio = store.columns["audio"]
    assert not audio.present[mine].any()
    assert np.isnan(audio.embeddings[mine]).all()
    assert audio.present[~mine].any()
    assert store.columns["faces"].present[mine].any()


def test_each_teacher_sees_its_neighbours_and_the_student_carries_the_encoder(continuous, tiny_affwild2):
    (cell,) = load_cells(tiny_affwild2, continuous)
    for name in ("faces", "audio", "joint"):
        assert "fusion.temporal.layers.0.taps.weight" in load_checkpoint(cell.teacher(cell.full, name)).state
    encoder, student = (
        load_checkpoint(cell.encoder(cell.full, "faces")),
        load_checkpoint(continuous.student(0, 0, "none")),
    )
    assert all(np.array_equal(student.part("encoders.faces")[key], encoder.state[key]) for key in encoder.state)
    assert not [key for key in student.state if "audio" in key]


def test_both_trials_of_a_video_are_on_one_side_of_every_split(continuous, tiny_affwild2):
    recipe = override_recipe(tiny_affwild2, **{"protocol.name": "k-fold", "protocol.folds": 3})
    for cell in load_cells(recipe, continuous):
        sides = [{row.clip for row in cell.clips_of(part)} for part in (cell.split.train, cell.split.test)]
        assert not {clip.rpartition("_")[0] for clip in sides[0]} & {clip.rpartition("_")[0] for clip in sides[1]} - {
            ""
        }
        assert sum(clip.endswith(("_left", "_right")) for side in sides for clip in side) % 2 == 0


def test_a_training_trial_of_a_video_that_is_tested_on_is_left_out(continuous, tiny_affwild2, tmp_path, caplog):
    shutil.copytree(continuous.root / "cache", tmp_path / "cache")
    workspace = Workspace(tmp_path)
    rows = read_clips(workspace.clips)
    left = next(r for r in rows if r.attributes["side"] == "left" and r.attributes["set"] == "validation")
    text = workspace.clips.read_text().splitlines()
    changed = [line.replace("validation", "train") if line.startswith(left.clip + ",") else line for line in text]
    workspace.clips.write_text("\n".join(changed) + "\n")
    (cell,) = load_cells(tiny_affwild2, workspace)
    assert left.group in cell.split.test
    assert left.clip not in {row.clip for row in cell.clips_of(cell.split.test)}
    assert left.clip in caplog.text
    k_fold = load_cells(override_recipe(tiny_affwild2, **{"protocol.name": "k-fold", "protocol.folds": 2}), workspace)
    assert left.clip in {row.clip for cell in k_fold for row in cell.clips_of(cell.split.test)}


def test_a_submission_holds_every_frame_of_every_test_trial(continuous, tiny_affwild2, tmp_path):
    written = evaluate.write_submissions(tiny_affwild2, continuous, tmp_path / "submission")
    assert [path.name for path in written] == ["none.seed-0.txt", "none-matched.seed-0.txt", "mt-pkdot.seed-0.txt"]
    lines = written[-1].read_text().splitlines()
    assert lines[0] == "image_location,valence,arousal"
    rows = predictions(continuous, "mt-pkdot")
    assert len(lines) == len(rows) + 1
    place, valence, arousal = lines[1].split(",")
    assert place == f"{rows[0]['clip']}/00001.jpg"
    assert float(valence) == pytest.approx(float(rows[0]["score_valence"]), abs=1e-6)
    assert float(arousal) == pytest.approx(float(rows[0]["score_arousal"]), abs=1e-6)


def test_a_trial_that_could_not_be_predicted_is_submitted_as_neutral_with_a_warning(
    continuous, tiny_affwild2, tmp_path, caplog
):
    shutil.copytree(continuous.root, tmp_path / "w")
    workspace = Workspace(tmp_path / "w")
    path = workspace.predictions(0, 0, "none")
    header, *lines = path.read_text().splitlines()
    lost = lines[0].split(",")[0]
    path.write_text("\n".join([header, *(line for line in lines if not line.startswith(lost + ","))]) + "\n")
    written = evaluate.write_submissions(tiny_affwild2, workspace, tmp_path / "submission")[0].read_text().splitlines()
    assert len(written) == len(lines) + 1
    assert f"{lost}/00001.jpg,0.000000,0.000000" in written
    assert lost in caplog.text


def test_kl_between_classes_is_refused_before_any_work(tiny_affwild2):
    with pytest.raises(SettingsError, match=r"alignment.term = 'kl'"):
        override_recipe(tiny_affwild2, **{"alignment.term": "kl"})


def test_the_transformer_fuses_windows_too(tiny_affwild2, continuous, tmp_path):
    shutil.copytree(continuous.root / "cache", tmp_path / "w" / "cache")
    recipe = override_recipe(tiny_affwild2, **{"model.fusion": "transformer", "teachers.cross_fit": 0})
    run_all(recipe, Workspace(tmp_path / "w"), workers=1)
    assert load_checkpoint(Workspace(tmp_path / "w").student(0, 0, "mt-pkdot")).recipe == recipe


def test_one_window_without_a_context_needs_no_fused_teacher_of_one_modality(tiny_affwild2, continuous, tmp_path):
    shutil.copytree(continuous.root / "cache", tmp_path / "w" / "cache")
    workspace = Workspace(tmp_path / "w")
    recipe = override_recipe(tiny_affwild2, **{"windows.context": 1, "distillation.methods": ["none"]})
    run_all(recipe, workspace, workers=1)
    names = {path.name for path in (workspace.cell(0, 0) / "teachers").glob("*.safetensors")}
    assert names == {"faces.safetensors", "audio.safetensors", "joint.safetensors"}
    assert not (workspace.cell(0, 0) / "encoders").exists()
    with pytest.raises(SettingsError, match=r"windows\.context = 2 has no middle"):
        override_recipe(tiny_affwild2, **{"windows.context": 2})


def test_all_of_a_video_is_made_before_the_next_one_is_read(continuous):
    """So that a slow disk gives every video once."""
    shards = sorted(continuous.cache.glob("*/*.h5"), key=lambda path: path.stat().st_mtime_ns)
    kinds = ["annotations", "faces", "audio"]
    assert len(shards) > len(kinds)
    for first in range(0, len(shards), len(kinds)):
        assert [path.parent.name for path in shards[first : first + len(kinds)]] == kinds
        assert len({path.stem for path in shards[first : first + len(kinds)]}) == 1


def test_a_clip_that_ends_its_reader_is_left_out_of_what_was_being_made_only(affwild2, continuous, tmp_path):
    workspace = Workspace(tmp_path / "w")
    shutil.copytree(continuous.cache, workspace.cache)
    group, clips = next(iter(index_corpus(affwild2.corpus).by_group().items()))
    unit = GroupUnit(
        tuple(
            ShardUnit(kind=kind, group=group, clips=clips, recipe=affwild2, workspace=workspace)
            for kind in kinds_of(affwild2)
        )
    )
    run_units("preprocess", [unit], artifacts_of, workers=0, root=workspace.root)
    whole = read_sidecar(workspace.shard("audio", group))
    workspace.shard("faces", group).unlink()
    left_out = without(unit, clips[0].name, "crashes")
    assert [dict(shard.skipped) for shard in left_out.shards] == [{}, {clips[0].name: "crashes"}, {}]
    run_units("preprocess", [left_out], artifacts_of, workers=0, root=workspace.root)
    (failure,) = read_sidecar(workspace.shard("faces", group))["details"]["failures"]
    assert (failure["clip"], failure["modality"], failure["reason"]) == (clips[0].name, "faces", "crashes")
    assert read_sidecar(workspace.shard("audio", group)) == whole
