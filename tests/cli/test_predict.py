"""`mtpkd predict`: what goes where, the camera, and what a user is told. The student has random weights."""

import csv
import json
import os
import signal

import cv2
import numpy as np
import pytest

from pipelines.media.video import read_frames, write_video
from pipelines.recipe import Task
from pipelines.recipe.loading import load_recipe, override_recipe
from pipelines.training.checkpoints import save_checkpoint
from pipelines.training.restoring import make_student, make_teacher

SIZE = 32


@pytest.fixture
def student(tmp_path):
    """The path of a student of clips of half a second, that was trained before calibration was recorded."""
    import torch

    changes = {"faces.size": SIZE, "model.embedding": 16, "model.width": 8}
    changes |= {"windows.frames": 4, "windows.start": 0.0, "windows.stop": 0.5}
    recipe = override_recipe(load_recipe("demo"), **changes)
    task = Task(kind="classes", labels=("BL1", "PA4"))
    torch.manual_seed(0)
    teacher = make_teacher(recipe, "faces", task, (3, 4, SIZE, SIZE))
    state = {f"encoders.faces.{name}": tensor for name, tensor in teacher.state_dict().items()}
    state |= {f"student.{name}": tensor for name, tensor in make_student(recipe, "none", 2).state_dict().items()}
    schema = {"method": "none", "task": task.model_dump(mode="json"), "encoders": {"faces": {"shape": [3, 4, 32, 32]}}}
    save_checkpoint(tmp_path / "student.safetensors", state, schema, recipe)
    return tmp_path / "student.safetensors"


@pytest.fixture
def video(tmp_path):
    """A second of noise, without a face."""
    rng = np.random.default_rng(0)
    write_video(tmp_path / "noise.mp4", (rng.integers(0, 256, (96, 128, 3), np.uint8) for _ in range(25)), 25)
    return tmp_path / "noise.mp4"


class FakeCamera:
    """Gives grey pictures; after some of them, somebody presses Ctrl-C, or it is pulled out."""

    def __init__(self, *, pictures: int, press: bool = False, there: bool = True) -> None:
        self._left, self._press, self._there = pictures, press, there

    def isOpened(self):
        return self._there

    def read(self):
        self._left -= 1
        if self._left == 0 and self._press:
            os.kill(os.getpid(), signal.SIGINT)
        gone = self._left < 0 and not self._press
        return (False, None) if gone else (True, np.full((96, 128, 3), 90, np.uint8))

    def release(self):
        pass


def test_the_table_is_on_the_standard_output_and_the_rest_beside_it(mtpkd, student, video):
    status, out, err = mtpkd("predict", student, video)
    assert status == 0
    (row,) = csv.DictReader(out.splitlines())
    assert (row["status"], row["label"], row["p_PA4"]) == ("no face", "", "")
    assert f"{video}: no estimate | 0 of 1 windows | " in err
    assert "x real time" in err
    assert "not calibrated" in err


def test_a_file_and_lines_of_json(mtpkd, student, video, tmp_path):
    status, out, _ = mtpkd("predict", student.parent, video, "--format", "jsonl", "--per", "frame", "-o", "t.jsonl")
    assert (status, out) == (0, "")
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(25))
    assert {line["label"] for line in lines} == {None}


def test_a_video_that_cannot_be_read_is_told_and_the_others_go_on(mtpkd, student, video, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    status, out, err = mtpkd("predict", student, "broken.mp4", video)
    assert status == 1
    assert "mtpkd: error: broken.mp4: " in err
    assert f"{video},0," in out


@pytest.mark.parametrize("press", [False, True])
def test_a_camera_that_ends_or_is_stopped_leaves_a_whole_table(mtpkd, student, monkeypatch, press, tmp_path):
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: FakeCamera(pictures=30, press=press))
    before = signal.getsignal(signal.SIGINT)
    options = ("-o", "t.csv", "--per", "frame", "--overlay", "o.mp4", "--plot", "o.png")
    status, _, err = mtpkd("predict", student, "0", *options)
    assert status == 0
    assert "camera 0: no estimate" in err
    assert len(list(csv.DictReader((tmp_path / "t.csv").open()))) == 30
    assert sum(1 for _ in read_frames(tmp_path / "o.mp4")) >= 1
    assert (tmp_path / "o.png").stat().st_size > 0
    assert signal.getsignal(signal.SIGINT) is before


def test_a_camera_is_read_for_so_many_seconds(mtpkd, student, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: FakeCamera(pictures=10**9))
    status, _, err = mtpkd("predict", student, "0", "--seconds", "0.3")
    assert status == 0
    assert "camera 0" in err


def test_a_camera_that_is_not_there_is_told(mtpkd, student, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", lambda index: FakeCamera(pictures=0, there=False))
    status, _, err = mtpkd("predict", student, "7")
    assert status == 1
    assert "camera 7: it cannot be opened" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "a.mp4"), "no such file or folder"),
        (("student.safetensors", "a.mp4", "--seconds", "3"), "no camera is named"),
        (("student.safetensors", "a.mp4", "--abstain", "70"), "abstain = 70"),
        (("student.safetensors", "a.mp4", "--hop", "-1"), "hop = -1"),
        (("student.safetensors", "a.mp4", "--hop", "nan"), "hop = nan"),
        (("student.safetensors", "0", "--seconds", "0"), "--seconds 0: give a number above 0"),
        (("student.safetensors", "a.mp4", "--overlay", "o.txt"), "ends in .mp4"),
        (("student.safetensors", "a.mp4", "--plot", "o.mp4"), "ends in .png"),
        (("noise.mp4", "noise.mp4"), "neither a student.safetensors"),
        (("student.safetensors", "a.mp4", "--runtime", "onnx"), "mtpkd export"),
    ],
)
def test_mistakes_are_told(mtpkd, student, video, arguments, message):
    status, out, err = mtpkd("predict", *arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_help_fits_and_names_the_options(mtpkd):
    status, out, _ = mtpkd("predict", "--help")
    assert status == 0
    assert all(option in out for option in ("--abstain", "--interval", "--overlay", "--hop", "--runtime"))
    assert max(map(len, out.splitlines())) <= 80
