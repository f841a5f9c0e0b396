"""Continuous labels through the five stages: drawn trials with sound in Aff-Wild2's layout."""

import csv
import json
import logging
import shutil

import numpy as np
import pytest

from pipelines.cache.annotations import read_annotations
from pipelines.cache.audio import AudioShard
from pipelines.cache.embeddings import read_embeddings
from pipelines.cache.tables import read_clips
from pipelines.errors import SettingsError, TooManyFailures
from pipelines.recipe import AffWild2Corpus
from pipelines.recipe.loading import override_recipe, plain
from pipelines.stages import evaluate, preprocess, run_all
from pipelines.stages.cells import load_cells
from pipelines.training.checkpoints import load_checkpoint
from pipelines.workspace import Workspace, read_sidecar

METHODS = ["teacher:faces", "teacher:audio", "teacher:joint", "none", "none-matched", "mt-pkdot"]


@pytest.fixture(scope="session")
def continuous(tiny_affwild2, tmp_path_factory) -> Workspace:
    """A workspace that went through all five stages. Not to be changed by a test."""
    workspace = Workspace(tmp_path_factory.mktemp("runs") / "continuous")
    run_all(tiny_affwild2, workspace, workers=1)
    return workspace


@pytest.fixture
def corpus(tiny_affwild2, continuous, tmp_path):
    """A private copy of the tiny corpus, read as Aff-Wild2, and its recipe."""
    root = tmp_path / "affwild2"
    shutil.copytree(tiny_affwild2.corpus.root, root)
    return override_recipe(tiny_affwild2, corpus=plain(AffWild2Corpus(root=root)))


def table_of(recipe, trial):
    """The annotation file of a trial."""
    return next(recipe.corpus.root.rglob(f"{trial}.txt"))


def predictions(workspace, method):
    with workspace.predictions(0, 0, method).open(newline="") as stream:
        return list(csv.DictReader(stream))


def failures(workspace):
    with workspace.failures.open(newline="") as stream:
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
        "preprocess annotations", "preprocess faces", "preprocess audio", "train-teachers", "align", "distill",
        "evaluate",
    ]  # fmt: skip
    assert digests(continuous.root) == before


def test_smoothing_is_chosen_on_validation_videos_and_shapes_predictions_only(
    continuous, tiny_affwild2, digests, tmp_path
):
    for method in METHODS:
        record = read_sidecar(continuous.predictions(0, 0, method))
        assert record is not None
        assert record["details"]["smoothing_s"] in tiny_affwild2.evaluation.smoothing
    shutil.copytree(continuous.root, tmp_path / "w")
    before = digests(tmp_path / "w")
    run_all(override_recipe(tiny_affwild2, **{"evaluation.smoothing": [2.0]}), Workspace(tmp_path / "w"), workers=1)
    changed = {name for name, digest in digests(tmp_path / "w").items() if before.get(name) != digest}
    assert changed
    assert all(name.startswith(("predictions", "results")) for name in changed), changed
    smooth, rough = (predictions(w, "none") for w in (Workspace(tmp_path / "w"), continuous))
    steps = [np.abs(np.diff([float(r["score_valence"]) for r in rows])).mean() for rows in (smooth, rough)]
    assert steps[0] < steps[1]


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


def test_bad_annotations_are_recorded_by_file_and_line_and_the_rest_goes_on(corpus, continuous, tmp_path):
    rows = {row.clip: row for row in read_clips(continuous.clips)}
    headless, faulty, lost, *_ = sorted(name for name, row in rows.items() if not row.attributes["side"])
    table = table_of(corpus, headless)
    table.write_text(table.read_text().replace("valence,arousal", "v;a", 1))
    lines = table_of(corpus, faulty).read_text().splitlines()
    lines[11] = "1.7,0.1"
    table_of(corpus, faulty).write_text("\n".join(lines) + "\n")
    table_of(corpus, lost).unlink()
    workspace = Workspace(tmp_path / "w")
    with pytest.raises(TooManyFailures):
        preprocess.run(corpus, workspace, workers=2, max_failures=0.0)
    told = {(row["clip"], row["modality"]): row for row in failures(workspace)}
    assert "line 1" in told[headless, "annotations"]["reason"]
    assert told[faulty, "annotations"]["file"] == f"{table_of(corpus, faulty)}:12"
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


def test_tolerated_failures_do_not_fail_a_run(corpus, tmp_path):
    preprocess.run(corpus, Workspace(tmp_path / "w"), workers=2, max_failures=0.0)
    reasons = {row["reason"] for row in failures(Workspace(tmp_path / "w"))}
    assert "there is no sound track" in reasons


def test_trials_without_published_crops_or_without_a_video(corpus, continuous, tmp_path):
    """Published crops need no video for the face, but there is no sound; `own` crops every video itself."""
    rows = {row.clip: row for row in read_clips(continuous.clips)}
    published = next(n for n, r in sorted(rows.items()) if r.attributes["crops"] == "published" and r.coverage["audio"])
    next(
        path for path in corpus.corpus.root.rglob(f"{rows[published].group}.*") if path.suffix in (".mp4", ".avi")
    ).unlink()
    workspace = Workspace(tmp_path / "w")
    preprocess.run(corpus, workspace, workers=2, max_failures=1.0)
    found = {row.clip: row for row in read_clips(workspace.clips)}
    assert found[published].coverage["faces"] == rows[published].coverage["faces"]
    assert found[published].coverage["audio"] == 0
    own = Workspace(tmp_path / "own")
    preprocess.run(override_recipe(corpus, **{"corpus.crops": "own"}), own, only="faces", workers=2, max_failures=1.0)
    cropped = {row.clip: row for row in read_clips(own.clips)}
    assert {row.attributes.get("crops") for row in cropped.values()} <= {"own", ""}
    assert all(row.coverage["faces"] > 0.3 for row in cropped.values() if row.group != rows[published].group)


def test_only_what_the_corpus_has_can_be_asked_for(tiny_affwild2, tmp_path):
    with pytest.raises(SettingsError, match="--only biosignals: synthetic-affwild2 has faces, audio"):
        preprocess.run(tiny_affwild2, Workspace(tmp_path), only="biosignals")


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


def test_unlabelled_videos_are_distilled_on_and_enter_no_task_loss(corpus, tmp_path):
    """A training trial of -5 rows only: embedded, aligned and distilled on, never judged."""
    path = next((corpus.corpus.root).rglob("Train_Set/*_left.txt"))
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *["-5,-5" for _ in lines]]) + "\n")
    workspace = Workspace(tmp_path / "w")
    run_all(override_recipe(corpus, **{"teachers.cross_fit": 0}), workspace, workers=2, max_failures=1.0)
    (cell,) = load_cells(override_recipe(corpus, **{"teachers.cross_fit": 0}), workspace)
    mine = [s for s in cell.of((*cell.split.train, *cell.split.validation)) if s.clip == path.stem]
    assert mine
    assert all(sample.label is None for sample in mine)
    assert {sample.name for sample in mine} <= set(read_embeddings(cell.aligned(cell.full)).clips)


def test_a_test_trial_without_any_label_is_predicted_and_submitted_and_not_judged(corpus, tmp_path):
    path = next(corpus.corpus.root.rglob("Validation_Set/*_right.txt"))
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *["-5,-5" for _ in lines]]) + "\n")
    workspace, recipe = Workspace(tmp_path / "w"), override_recipe(corpus, **{"teachers.cross_fit": 0})
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
