import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pipelines.cache.predictions import (
    FramePredictions,
    holds_frames,
    read_annotated_predictions,
    read_frame_predictions,
    read_predictions,
    write_frame_predictions,
    write_predictions,
)
from pipelines.errors import MtpkdError
from pipelines.metrics import Predictions
from pipelines.recipe import Task

CLASSES = Task(kind="classes", labels=("BL1", "PA4"))
TASK = Task(kind="continuous", labels=("valence", "arousal"))
HEADER = "clip,group,frame,target_valence,target_arousal,score_valence,score_arousal"
NAN = np.nan


def trial(clip: str, n: int, *, seed: int = 0, dtype=np.float32, missing: float = 0.2) -> FramePredictions:
    rng = np.random.default_rng(seed)
    target = rng.uniform(-1, 1, size=(n, 2)).round(3).astype(dtype)
    target[rng.random(n) < missing] = NAN
    return FramePredictions(clip, clip.removesuffix("_left"), target, rng.normal(size=(n, 2)).astype(dtype))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fold-0" / "none.csv"


def test_classes_survive_the_disk(path):
    scores = np.array([[1 / 3, 2 / 3], [0.9, 0.1]])
    written = Predictions(np.array(["a", "b"]), np.array(["a-1", "b-1"]), np.array([1, 0]), scores)
    write_predictions(path, written, CLASSES)
    read = read_predictions(path, CLASSES)
    assert (read.groups.tolist(), read.clips.tolist(), read.target.tolist()) == (["a", "b"], ["a-1", "b-1"], [1, 0])
    np.testing.assert_array_equal(read.scores, scores)


def test_a_file_of_other_classes_is_refused(path):
    write_frame_predictions(path, [trial("video9", 3)], TASK)
    with pytest.raises(MtpkdError, match=r"none\.csv: columns clip, group, target, score_BL1, score_PA4 expected"):
        read_predictions(path, CLASSES)


def test_a_frame_is_a_row_and_an_unknown_target_is_empty(path):
    target = np.array([[0.102, -0.5], [NAN, NAN]], dtype=np.float32)
    scores = np.array([[0.1, 1 / 3], [0.0, -1.0]], dtype=np.float32)
    write_frame_predictions(path, [FramePredictions("video9_left", "video9", target, scores)], TASK)
    assert path.read_text().splitlines() == [
        HEADER,
        "video9_left,video9,1,0.102,-0.5,0.1,0.33333334",
        "video9_left,video9,2,,,0.0,-1.0",
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_number_survives_the_disk(path, dtype):
    written = [trial("video9_left", 500, seed=1, dtype=dtype), trial("7-60-1920x1080", 1, seed=2, dtype=dtype)]
    write_frame_predictions(path, iter(written), TASK)
    read = list(read_frame_predictions(path, TASK))
    assert [(part.clip, part.group) for part in read] == [("video9_left", "video9"), ("7-60-1920x1080",) * 2]
    for before, after in zip(written, read, strict=True):
        np.testing.assert_array_equal(after.target.astype(dtype), before.target)
        np.testing.assert_array_equal(after.scores.astype(dtype), before.scores)


def test_names_with_separators_survive_the_disk(path):
    write_frame_predictions(path, [trial('one, "two"', 2), trial("NA", 2), trial("00012", 2)], TASK)
    assert [part.clip for part in read_frame_predictions(path, TASK)] == ['one, "two"', "NA", "00012"]


def test_metrics_see_annotated_frames_only(path):
    target = np.array([[0.1, 0.2], [NAN, NAN], [0.3, NAN], [0.5, 0.6]])
    scores = np.arange(8.0).reshape(4, 2) / 10
    nothing = FramePredictions("silent", "silent", np.full((3, 2), NAN), np.zeros((3, 2)))
    write_frame_predictions(path, [nothing, FramePredictions("a_left", "a", target, scores)], TASK)
    (part,) = read_annotated_predictions(path, TASK)
    assert (part.clips.tolist(), part.groups.tolist()) == (["a_left"] * 2, ["a"] * 2)
    np.testing.assert_array_equal(part.target, target[[0, 3]])
    np.testing.assert_array_equal(part.scores, scores[[0, 3]])


def test_no_trial_is_an_empty_table(path):
    write_frame_predictions(path, [], TASK)
    assert path.read_text() == HEADER + "\n"
    assert list(read_annotated_predictions(path, TASK)) == []


def test_a_diverged_model_is_an_error_that_names_trial_and_frame():
    scores = np.zeros((3, 2))
    scores[1, 1] = NAN
    with pytest.raises(MtpkdError, match=r"trial video9, frame 2 .* \(1 of 3 frames\).*learning rate"):
        FramePredictions("video9", "video9", np.zeros((3, 2)), scores)


@pytest.mark.parametrize(("target", "scores"), [((3, 2), (4, 2)), ((3,), (3,)), ((0, 2), (0, 2))])
def test_shapes_that_do_not_fit_are_refused(target, scores):
    with pytest.raises(ValueError, match="trial video9"):
        FramePredictions("video9", "video9", np.zeros(target), np.zeros(scores))


def test_an_interrupted_write_leaves_the_old_file(path):
    write_frame_predictions(path, [trial("video9", 3)], TASK)
    before = path.read_bytes()

    def breaking():
        yield trial("video8", 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_frame_predictions(path, breaking(), TASK)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["none.csv"]


def test_a_trial_that_comes_twice_is_refused(path):
    with pytest.raises(ValueError, match="trial a comes twice"):
        write_frame_predictions(path, [trial("a", 2), trial("b", 2), trial("a", 2)], TASK)
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected, found none"),
        ("clip,group,target,score_BL1,score_PA4\n", "columns clip, group, frame, target_valence.*found clip, group, t"),
        (f"{HEADER}\na,a,1,0,0,0,0\na,a,3,0,0,0,0\n", "trial a, up to line 3: its frames are not 1 to 2 in order"),
        (f"{HEADER}\na,a,1,0,0,0,0\nb,b,1,0,0,0,x\n", "trial b, up to line 3: could not convert.*'x'"),
        (f"{HEADER}\na,a,1,0,0,0,\n", "trial a, up to line 2: could not convert"),
        (f"{HEADER}\na,a,1,0,0,0\n", "trial a, up to line 2"),
        (f"{HEADER}\na,a,1,0,0,0,0\na,a,2,0,0\n", "trial a, up to line 3"),
        (f"{HEADER}\n\n", r"trial \?, up to line 2"),
        (f"{HEADER}\na,a,1,0,0,0,inf\n", "trial a.*not a finite number"),
        (f"{HEADER}\na,a,1,0,0,0,0\nb,b,1,0,0,0,0\na,a,1,0,0,0,0\n", "trial a, up to line 4: it was there before"),
    ],
)  # fmt: skip
def test_a_file_that_was_changed_is_named_with_a_remedy(path, text, message):
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(MtpkdError, match=rf"none\.csv.*{message}.*delete it and run `mtpkd evaluate` again"):
        list(read_frame_predictions(path, TASK))


def test_memory_does_not_grow_with_the_number_of_trials(tmp_path):
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.csv"
        tracemalloc.start()
        try:
            write_frame_predictions(path, (trial(f"v{i}", 400, seed=i) for i in range(count)), TASK)
            for _ in read_annotated_predictions(path, TASK):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(60) <= 1.2 * peak(6)


def test_continuous_values_of_whole_clips_survive_the_disk(path):
    target, scores = np.array([[0.1, -1 / 3], [2.0, 40.0]]), np.array([[1e-30, 7.0], [0.2, 1 / 7]])
    written = Predictions(np.array(["g", "h"]), np.array(["a", "b"]), target, scores)
    write_predictions(path, written, TASK)
    header = "clip,group,target_valence,target_arousal,score_valence,score_arousal"
    assert path.read_text().splitlines()[0] == header
    assert not holds_frames(path)
    read = read_predictions(path, TASK)
    np.testing.assert_array_equal(read.target, target)
    np.testing.assert_array_equal(read.scores, scores)


@pytest.mark.parametrize("task", [CLASSES, TASK])
def test_predictions_of_no_clip_survive_the_disk(path, task):
    target = np.zeros(0, np.int64) if task is CLASSES else np.zeros((0, 2))
    write_predictions(path, Predictions(np.zeros(0, str), np.zeros(0, str), target, np.zeros((0, 2))), task)
    read = read_predictions(path, task)
    assert read.target.shape == target.shape
    assert read.scores.shape == (0, 2)


def test_frames_are_told_from_whole_clips(path):
    write_frame_predictions(path, [trial("a", 3)], TASK)
    assert holds_frames(path)
