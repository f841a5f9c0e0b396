"""`predict` on recordings of people: something is said wherever the face is seen, and nowhere else."""

import pytest

from pipelines.inference.description import StudentDescription
from pipelines.inference.student import Student
from pipelines.media.video import read_frames
from pipelines.recipe.loading import load_recipe, override_recipe
from pipelines.stages.predict import Outputs, find_videos, run


class EvenRuntime:
    """Says that all classes are as probable."""

    def __init__(self, description):
        self.description = description

    def __call__(self, windows, present):
        """See Runtime."""
        return windows.mean(axis=(1, 2, 3, 4))[:, None] * [0.0, 0.0]


@pytest.fixture
def student():
    recipe = override_recipe(load_recipe("demo"), **{"windows.start": 0.0, "windows.stop": 1.0, "windows.frames": 4})
    task = {"kind": "classes", "labels": ["BL1", "PA4"]}
    return Student(EvenRuntime(StudentDescription(recipe, {"method": "none", "task": task})))


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("single_face.mp4", (0.8, 1)),
        ("no_face.mp4", (0, 0)),
        ("noface_face.mov", (0.2, 0.9)),
        ("face_noface.mov", (0.1, 0.9)),
    ],
)
def test_estimates_are_where_the_face_is(real_data, student, name, share, tmp_path):
    video = real_data / "faces" / name
    (item,) = find_videos([str(video)], keep=True)
    summaries = []
    outputs = Outputs(file=tmp_path / "t.csv", per="frame", overlay=tmp_path / "o.mp4", plot=tmp_path / "p.png")
    assert run(student, [item], outputs, report=summaries.append) == []
    frames = sum(1 for _ in read_frames(video))
    assert sum(1 for _ in read_frames(tmp_path / "o.mp4")) == frames == summaries[0].frames
    assert share[0] <= summaries[0].frames_estimated / frames <= share[1]
    said = [line.split(",") for line in (tmp_path / "t.csv").read_text().splitlines()[1:]]
    assert all((status == "no face") == (x0 == "") for _, _, _, x0, _, _, _, status, *_ in said)
