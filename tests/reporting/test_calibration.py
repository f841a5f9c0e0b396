"""What results say of confidence, from predictions and sidecars alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.cache.predictions import FramePredictions, write_frame_predictions, write_predictions
from pipelines.errors import MtpkdError
from pipelines.metrics import Predictions
from pipelines.recipe import EvaluationSettings, Task
from pipelines.reporting.calibration import calibration_results, describe_calibration
from pipelines.reporting.paired import load_methods
from pipelines.workspace import Fingerprint, Recording, Workspace

CLASSES = Task(kind="classes", labels=("BL1", "PA4"))
FRAMES = Task(kind="continuous", labels=("valence", "arousal"))
STRAIN = Task(kind="continuous", labels=("strain",))
LEVELS = [0.5, 0.75, 0.9, 0.95]


@pytest.fixture
def written(tmp_path: Path):
    """Write one cell of a method, with or without a calibration in its sidecar; returns the path."""

    def write(name, predictions, task, calibration=None) -> Path:
        path = tmp_path / f"{name}.csv"
        recording = Recording(Fingerprint({}))
        if isinstance(predictions, Predictions):
            write_predictions(path, predictions, task)
        else:
            write_frame_predictions(path, predictions, task)
        recording.finish(path, **({"calibration": calibration} if calibration else {}))
        return path

    return write


def computed(files, task):
    return calibration_results(files, load_methods(files, task, EvaluationSettings(resamples=200)), task)


def of_values(*half_widths, groups=3):
    return {
        "groups": [f"v{i}" for i in range(groups)],
        "intervals": {"levels": LEVELS, "half_widths": list(half_widths)},
    }


def clips(scores, target, groups, name="c"):
    return Predictions(
        np.array(groups), np.array([f"{name}{i}" for i in range(len(groups))]), np.array(target), np.array(scores)
    )


def trial(name, group, differences):
    """Every frame is predicted as zero."""
    target = np.array(differences, float)
    return FramePredictions(name, group, target, np.zeros_like(target))


def test_errors_of_classes_are_pooled_over_folds_and_averaged_over_seeds(written):
    files = {}
    for seed, right in ((0, 1), (1, 0)):
        for fold in (0, 1):
            part = clips([[0.1, 0.9], [0.9, 0.1]], [1, 1 - right], ["a", "b"], name=f"{fold}-")
            told = {"groups": ["v", "w"], "temperature": 0.5}
            files[fold, seed] = written(f"{fold}{seed}", part, CLASSES, told)
    known = computed({"none": files}, CLASSES)["none"]
    before = 0.9**0.5 / (0.9**0.5 + 0.1**0.5)
    assert known["ece"] == pytest.approx((0.1 + abs(0.5 - 0.9)) / 2)
    assert known["ece_untempered"] == pytest.approx(((1 - before) + (before - 0.5)) / 2)
    assert known["temperature"] == [0.5] * 4
    assert known["calibration_groups"] == [2] * 4


def test_what_is_not_calibrated_is_left_out(written):
    part = clips([[0.1, 0.9]], [1], ["a"])
    told = {"groups": ["v"], "temperature": 2.0}
    files = {
        "teacher:joint": {(0, 0): written("teacher", part, CLASSES)},
        "half": {(0, 0): written("a", part, CLASSES, told), (1, 0): written("b", part, CLASSES)},
        "whole": {(0, 0): written("c", part, CLASSES, told)},
    }
    assert list(computed(files, CLASSES)) == ["whole"]


def test_coverage_is_the_mean_over_videos_however_long_and_their_trials_count_together(written):
    trials = [
        trial("v_left", "v", [[0.1, 0.1]] * 3),
        trial("v_right", "v", [[0.9, 0.1], [np.nan, np.nan]]),
        trial("w", "w", [[0.9, 0.1]] * 100),
    ]
    path = written("none", trials, FRAMES, of_values([0.05, 0.05], [0.2, 0.2], [1.0, 1.0], None, groups=9))
    known = computed({"none": {(0, 0): path}}, FRAMES)["none"]
    assert (known["level"], known["coverage"], known["groups"]) == (0.9, 1.0, 2)
    assert known["half_width"] == [1.0, 1.0]
    assert known["curve"]["levels"] == [0.5, 0.75, 0.9]
    assert known["curve"]["coverage"] == pytest.approx([0, ((3 / 4 + 0) / 2 + 1) / 2, 1])
    assert known["coverage_interval"] == (1.0, 1.0)


def test_the_level_is_one_that_every_fold_can_promise_and_each_has_its_own_widths(written):
    files = {}
    for fold, widths in enumerate([([1.0], [2.0], [3.0], None), ([5.0], [6.0], None, None)]):
        part = clips([[0.0]] * 2, [[1.5], [5.5]], ["abcd"[fold]] * 2, name=f"{fold}-")
        files[fold, 0] = written(str(fold), part, STRAIN, of_values(*widths, groups=9 - 5 * fold))
    known = computed({"none": files}, STRAIN)["none"]
    assert known["level"] == 0.75
    assert known["half_width"] == [4.0]
    assert known["coverage"] == pytest.approx((1 / 2 + 1) / 2)
    assert known["calibration_groups"] == [9, 4]


def test_without_groups_there_is_no_coverage(written):
    part = clips([[0.0]], [[1.5]], ["a"])
    path = written("none", part, STRAIN, of_values(None, None, None, None, groups=0))
    known = computed({"none": {(0, 0): path}}, STRAIN)["none"]
    assert np.isnan(known["coverage"])
    assert known["groups"] == 0


@pytest.fixture
def described(tmp_path: Path):
    def describe(content, task, unit="videos"):
        workspace = Workspace(tmp_path)
        workspace.results(".json").write_text(content if isinstance(content, str) else json.dumps(content))
        return describe_calibration(workspace, task, unit=unit)

    return describe


def test_lines_of_classes(described):
    known = {name: {"ece": 0.0412, "ece_untempered": 0.112, "temperature": [2.0]} for name in ("none", "mt-pkdot")}
    assert described({"calibration": known}, CLASSES) == [
        "calibration error (ECE) of students, before and after their temperature:",
        "  none      .112 -> .041",
        "  mt-pkdot  .112 -> .041",
    ]


def test_lines_of_values_say_what_a_level_takes_where_groups_are_few(described):
    half = {"level": 0.75, "coverage": 0.811, "coverage_interval": [0.7, 0.9], "calibration_groups": [4, 3]}
    nothing = {"level": None, "coverage": None, "coverage_interval": [None, None], "calibration_groups": [0]}
    known = {"none": {**half, "half_width": [0.314, 12.5]}, "kd": {**nothing, "half_width": [None, None]}}
    assert described({"calibration": known}, FRAMES) == [
        "75 % intervals on test videos: covered, half-width of valence / arousal:",
        "  none  81 % [70, 90]  +-.314 / 12.5",
        "  90 % would take 9 validation videos, here are 3",
        "  90 % would take 9 validation videos, here are 0",
    ]
    full = {**half, "level": 0.9, "half_width": [0.3, 0.2]}
    assert len(described({"calibration": {"mt-pkdot": full}}, FRAMES)) == 2


def test_results_without_calibration_have_no_line_and_changed_ones_are_named(described):
    assert described({"metrics": {}}, CLASSES) == []
    for broken in ("[1]", "{", '{"calibration": {"none": {}}}', '{"calibration": {"none": {"level": "x"}}}'):
        with pytest.raises(MtpkdError, match=r"results.json: holds no results"):
            described(broken, FRAMES)
