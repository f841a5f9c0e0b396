"""`mtpkd crop-faces` on one file."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mtpkd_cli.crop_faces import crop_faces
from pipelines.errors import SettingsError, UnreadableMedia
from pipelines.media.video import write_video


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command with arguments in an empty folder."""
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(crop_faces)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def clip(tmp_path) -> Path:
    """20 frames of a face."""
    folder = importlib.util.find_spec("skimage").submodule_search_locations[0]
    image = cv2.imread(str(Path(folder) / "data" / "astronaut.png"))[:300, :400, ::-1]
    write_video(tmp_path / "subject.mp4", [np.ascontiguousarray(image)] * 20, 25)
    return tmp_path / "subject.mp4"


def test_it_writes_crops_and_says_where(run, clip):
    result = run(clip, "--size", 64)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [f"{clip}: 20 frames, a face in 20 of them, 64x64 crops in faces/subject"]
    files = sorted(file.name for file in Path("faces/subject").iterdir())
    assert files == [*(f"{index:05d}.jpg" for index in range(1, 21)), "faces.csv"]
    assert cv2.imread("faces/subject/00001.jpg").shape == (64, 64, 3)


def test_a_still_image_is_cropped_too(run, clip, tmp_path):
    cv2.imwrite(str(tmp_path / "still.png"), cv2.VideoCapture(str(clip)).read()[1])
    result = run("still.png", "--output", "out")
    assert "1 frames, a face in 1 of them" in result.stdout
    assert Path("out/still/00001.jpg").exists()


def test_a_video_without_a_face_fails_with_that_reason(run, tmp_path):
    write_video(tmp_path / "grey.mp4", [np.full((120, 160, 3), 90, np.uint8)] * 12, 25)
    result = run("grey.mp4")
    assert isinstance(result.exception, UnreadableMedia)
    assert str(result.exception) == "grey.mp4: no face was found in any of 12 frames"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--size", "5"], "faces.size = 5"),
        (["--margin", "-1"], "faces.margin = -1"),
        (["--margin", "0.1", "--detector", "face-alignment"], "template fixes the margin"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_before_work(run, clip, options, words):
    result = run(clip, *options)
    assert isinstance(result.exception, SettingsError)
    assert words in str(result.exception)
    assert not Path("faces").exists()


def test_missing_weights_leave_earlier_crops_alone(run, clip, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    run(clip)
    before = sorted(Path("faces/subject").iterdir())
    result = run(clip, "--detector", "face-alignment")
    assert "--detector haar" in str(result.exception)
    assert sorted(Path("faces/subject").iterdir()) == before
