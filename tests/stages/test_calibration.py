"""A student knows what its confidence is worth: fitted on validation groups, used and reported on test groups."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from pipelines.cache.annotations import read_annotations
from pipelines.cache.embeddings import Column, EmbeddingStore
from pipelines.errors import LeakageError, MtpkdError
from pipelines.metrics import expected_calibration_error
from pipelines.stages import distill, evaluate, prediction
from pipelines.stages.calibration import calibrate
from pipelines.stages.cells import load_cells
from pipelines.stages.prediction import choose_smoothing, predict, predict_validation, trials
from pipelines.training.checkpoints import load_checkpoint, save_checkpoint
from pipelines.training.samples import Sample
from pipelines.workspace import Workspace, read_sidecar, sidecar

STUDENTS = ["none", "none-matched", "mt-pkdot"]
KEYS = {"groups", "temperature", "ece", "smoothing_s", "intervals"}


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished workspace that a test may change."""
    shutil.copytree(finished.root, tmp_path / "copy")
    return Workspace(tmp_path / "copy")


def rows_of(workspace, method, fold=0):
    with workspace.predictions(fold, 0, method).open(newline="") as stream:
        return list(csv.DictReader(stream))


def rewritten(path, **calibration):
    """The checkpoint with another calibration."""
    checkpoint = load_checkpoint(path)
    schema = {**checkpoint.schema, "calibration": {**checkpoint.schema["calibration"], **calibration}}
    save_checkpoint(path, checkpoint.state, schema, checkpoint.recipe)


@pytest.mark.parametrize("method", STUDENTS)
def test_a_student_of_classes_is_calibrated_on_its_validation_groups(finished, crossed_recipe, method):
    for cell in load_cells(crossed_recipe, finished):
        checkpoint = load_checkpoint(finished.student(cell.split.fold, 0, method))
        known = checkpoint.schema["calibration"]
        assert set(known) == KEYS
        assert known["groups"] == list(cell.split.validation)
        assert known["smoothing_s"] is None
        assert known["intervals"] is None
        assert 0.1 <= known["temperature"] <= 10
        rows, outputs, present = predict_validation(cell, method, [checkpoint])
        assert present.all()
        target = np.array([row.label for row in rows])
        for when, temperature in (("before", 1), ("after", known["temperature"])):
            error = expected_calibration_error(softmax(outputs.astype(float) / temperature, axis=1), target)
            assert known["ece"][when] == pytest.approx(error, abs=1e-12)
        truth = (len(rows) * np.eye(2)[target] + 1) / (len(rows) + 2)
        tried = [min(max(known["temperature"] * by, 0.1), 10) for by in (0.98, 1.0, 1.02)]
        losses = [-np.mean(np.sum(truth * np.log(softmax(outputs.astype(float) / t, axis=1)), 1)) for t in tried]
        assert losses[1] <= min(losses) + 1e-7


def test_validation_clips_are_seen_by_their_regular_sampling_as_test_clips_are(finished, crossed_recipe):
    """Embedded anew, as `evaluate` embeds test clips, they give the same outputs."""
    (cell, *_) = load_cells(crossed_recipe, finished)
    checkpoint = load_checkpoint(finished.student(0, 0, "none"))
    rows, outputs, _ = predict_validation(cell, "none", [checkpoint])
    memory = evaluate._Memory(replace(cell, split=replace(cell.split, test=cell.split.validation)))
    column = memory.column(checkpoint, "faces", "encoders.faces")
    assert [row.name for row in memory.rows] == [row.name for row in rows]
    again, _ = predict(cell, "none", [checkpoint], {"faces": column}, rows)
    np.testing.assert_allclose(again, outputs, rtol=0, atol=1e-5)


def test_evaluate_writes_tempered_probabilities_and_leaves_teachers_as_they_are(finished, copy, crossed_recipe):
    before = {method: rows_of(copy, method) for method in (*STUDENTS, "teacher:joint")}
    was = load_checkpoint(copy.student(0, 0, "none")).schema["calibration"]["temperature"]
    rewritten(copy.student(0, 0, "none"), temperature=2 * was)
    evaluate.run(crossed_recipe, copy, workers=1)
    for row, old in zip(rows_of(copy, "none"), before["none"], strict=True):
        (new, cold), (p, q) = ([float(each[f"score_{name}"]) for name in ("PA4", "BL1")] for each in (row, old))
        assert np.log(new / cold) == pytest.approx(np.log(p / q) / 2, abs=1e-9)
    for method in ("mt-pkdot", "teacher:joint"):
        assert rows_of(copy, method) == before[method]
    details = [read_sidecar(finished.predictions(0, 0, name))["details"] for name in ("none", "teacher:joint")]
    assert details[0]["calibration"]["temperature"] == was
    assert "calibration" not in details[1]


def test_results_tell_the_error_before_and_after_the_temperature(finished):
    results = json.loads(finished.results(".json").read_text())
    assert list(results["calibration"]) == STUDENTS
    for method in STUDENTS:
        known = results["calibration"][method]
        cells = [load_checkpoint(finished.student(fold, 0, method)).schema["calibration"] for fold in range(3)]
        assert known["temperature"] == [cell["temperature"] for cell in cells]
        assert known["calibration_groups"] == [len(cell["groups"]) for cell in cells]
        rows = [(row, fold) for fold in range(3) for row in rows_of(finished, method, fold)]
        target = np.array([int(row["target"]) for row, _ in rows])
        logits = np.log([[float(row["score_BL1"]), float(row["score_PA4"])] for row, _ in rows])
        temperatures = np.array([known["temperature"][fold] for _, fold in rows])
        assert known["ece"] == pytest.approx(expected_calibration_error(softmax(logits, axis=1), target))
        untempered = softmax(logits * temperatures[:, None], axis=1)
        assert known["ece_untempered"] == pytest.approx(expected_calibration_error(untempered, target), abs=1e-9)
        (row,) = [row for row in results["metrics"]["ece"] if row["method"] == method]
        assert row["value"] == pytest.approx(known["ece"])


def test_a_student_that_was_calibrated_on_a_test_group_is_refused(copy, crossed_recipe):
    (cell, *_) = load_cells(crossed_recipe, copy)
    rewritten(copy.student(0, 0, "mt-pkdot"), groups=[*cell.split.validation, cell.split.test[0]])
    with pytest.raises(LeakageError, match=rf"confidence is calibrated on test subjects \({cell.split.test[0]}\)"):
        evaluate.run(crossed_recipe, copy, workers=1)


def test_calibrating_on_whom_the_split_does_not_validate_on_is_refused(finished, crossed_recipe):
    """What is judged is asked where it comes from, not where the split says that it should."""
    (cell, *_) = load_cells(crossed_recipe, finished)
    checkpoint = load_checkpoint(finished.student(0, 0, "none"))
    (stranger, *_) = cell.of(cell.split.train)

    class Astray(type(cell)):
        def of(self, groups):
            return [stranger] if set(groups) == set(self.split.validation) else super().of(groups)

    with pytest.raises(LeakageError, match="confidence is calibrated on subjects outside its part"):
        calibrate(Astray(cell.study, cell.split), "none", checkpoint)


def test_clips_without_a_label_calibrate_nothing(finished, crossed_recipe):
    (cell, *_) = load_cells(crossed_recipe, finished)
    checkpoint = load_checkpoint(finished.student(0, 0, "none"))

    class Hidden(type(cell)):
        kept: tuple[int, ...] = ()

        def of(self, groups) -> list[Sample]:
            return [row if row.label in self.kept else replace(row, label=None) for row in super().of(groups)]

    hidden = Hidden(cell.study, cell.split)
    assert calibrate(hidden, "none", checkpoint) == {
        "groups": [], "temperature": 1.0, "ece": None, "smoothing_s": None, "intervals": None,
    }  # fmt: skip
    Hidden.kept = (1,)
    assert calibrate(hidden, "none", checkpoint)["temperature"] == 1.0


def test_students_that_are_not_calibrated_are_named_and_trained_again(finished, copy, crossed_recipe):
    """As those are that were made before students were calibrated."""
    path = copy.student(0, 0, "none")
    old = load_checkpoint(path)
    save_checkpoint(path, old.state, {k: v for k, v in old.schema.items() if k != "calibration"}, old.recipe)
    with pytest.raises(MtpkdError, match=r"student.safetensors holds no calibration.*run `mtpkd distill` again"):
        evaluate.run(crossed_recipe, copy, workers=1)
    record = json.loads(sidecar(path).read_text())
    del record["recipe"]["calibration"]
    sidecar(path).write_text(json.dumps(record))
    distill.run(crossed_recipe, copy, workers=1)
    assert path.read_bytes() == finished.student(0, 0, "none").read_bytes()


def test_a_student_of_trials_keeps_its_smoothing_and_intervals(continuous, tiny_affwild2):
    """Half-widths by their definition, from predictions of the validation trials that are made frame by frame here."""
    (cell,) = load_cells(tiny_affwild2, continuous)
    checkpoint = load_checkpoint(continuous.student(0, 0, "mt-pkdot"))
    known = checkpoint.schema["calibration"]
    assert set(known) == KEYS
    assert known["groups"] == list(cell.split.validation)
    assert (known["temperature"], known["ece"]) == (None, None)
    assert known["smoothing_s"] == choose_smoothing(cell, "mt-pkdot", [checkpoint])
    assert read_sidecar(continuous.predictions(0, 0, "mt-pkdot"))["details"]["smoothing_s"] == known["smoothing_s"]
    assert known["intervals"]["levels"] == [percent / 100 for percent in range(50, 100)]
    rows, outputs, present = predict_validation(cell, "mt-pkdot", [checkpoint])
    distances = {group: [] for group in known["groups"]}
    for clip in dict.fromkeys(row.clip for row in rows):
        mine = [i for i, row in enumerate(rows) if row.clip == clip and present[i]]
        group = rows[mine[0]].group
        trial = read_annotations(continuous.shard("annotations", group))[clip]
        every = np.arange(len(trial.values))
        said = np.stack([np.interp(every, [rows[i].frame for i in mine], outputs[mine, k]) for k in (0, 1)], 1)
        said = said.clip(-1, 1)
        if known["smoothing_s"]:
            step = (trial.times[-1] - trial.times[0]) / (len(every) - 1)
            half = (round(known["smoothing_s"] / step)) // 2
            said = np.stack([said[max(i - half, 0) : i + half + 1].mean(0) for i in every])
        differences = np.abs(trial.values - said)
        distances[group].append(differences[~np.isnan(differences).any(1)])
    share = {g: np.concatenate(each) for g, each in distances.items()}
    reached = [i for i, each in enumerate(known["intervals"]["half_widths"]) if each is not None]
    count = len(known["groups"])
    assert len(reached) == 1 + int(100 * count / (count + 1) + 1e-9) - 50
    for i in reached:
        for k, width in enumerate(known["intervals"]["half_widths"][i]):
            mass = sum(np.mean(each[:, k] <= width + 1e-9) for each in share.values()) / (count + 1)
            below = sum(np.mean(each[:, k] < width - 1e-9) for each in share.values()) / (count + 1)
            assert below - 1e-6 < known["intervals"]["levels"][i] <= mass + 1e-6


def test_results_tell_how_much_of_new_videos_the_intervals_cover(continuous):
    known = json.loads(continuous.results(".json").read_text())["calibration"]["mt-pkdot"]
    intervals = read_sidecar(continuous.predictions(0, 0, "mt-pkdot"))["details"]["calibration"]["intervals"]
    index = intervals["levels"].index(known["level"])
    assert known["half_width"] == pytest.approx(intervals["half_widths"][index])
    videos = {}
    for row in rows_of(continuous, "mt-pkdot"):
        if row["target_valence"]:
            distance = [abs(float(row[f"target_{n}"]) - float(row[f"score_{n}"])) for n in ("valence", "arousal")]
            videos.setdefault(row["group"], []).append(np.array(distance) <= known["half_width"])
    assert known["groups"] == len(videos)
    assert known["coverage"] == pytest.approx(np.mean([np.mean(each) for each in videos.values()]))
    low, high = known["coverage_interval"]
    assert 0 <= low <= known["coverage"] <= high <= 1


def test_smoothing_is_chosen_on_the_sampling_that_test_clips_are_seen_by(continuous, tiny_affwild2, monkeypatch):
    (cell,) = load_cells(tiny_affwild2, continuous)
    checkpoint = load_checkpoint(continuous.student(0, 0, "mt-pkdot"))
    store = prediction.read_embeddings(cell.embeddings(cell.full))
    blind = {
        name: Column(
            embeddings=np.concatenate([column.embeddings[:, :1], np.zeros_like(column.embeddings)], 1),
            present=column.present,
            outputs=None,
        )
        for name, column in store.columns.items()
    }
    rows, outputs, present = predict_validation(cell, "mt-pkdot", [checkpoint])
    judged = []
    monkeypatch.setattr(prediction, "read_embeddings", lambda path: EmbeddingStore(clips=store.clips, columns=blind))
    monkeypatch.setattr(prediction, "best_smoothing", lambda widths, known: judged.extend(known) or widths[0])
    choose_smoothing(cell, "mt-pkdot", [checkpoint])
    for trial, there in zip(judged, trials(cell, rows, outputs, present), strict=True):
        np.testing.assert_array_equal(trial.values, there.values)
