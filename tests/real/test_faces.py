"""Face tracking in real videos; see the fixture `real_data`."""

import numpy as np
import pytest

from pipelines.media.detectors import HaarDetector
from pipelines.media.faces import crop_faces
from pipelines.media.tracking import follow
from pipelines.media.video import probe, read_frames
from pipelines.recipe import FaceSettings


@pytest.mark.parametrize(
    ("name", "frames", "faces"),
    [
        ("single_face.mp4", 72, range(72)),
        ("face_noface.mov", 169, range(72)),
        ("noface_face.mov", 169, range(96, 168)),
        ("no_face.mp4", 95, range(0)),
    ],
)
def test_faces_are_where_a_person_sees_them(name, frames, faces, real_data):
    """In the two .mov files the face is cut in and out, to black and to a cartoon, at exactly these frames."""
    crops = list(crop_faces(real_data / "faces" / name, FaceSettings()))
    assert len(crops) == frames
    assert [crop.index for crop in crops if crop.box is not None] == list(faces)


def test_an_edit_list_hides_frames_and_truncates_nothing(real_data):
    assert probe(real_data / "faces" / "no_face.mp4").frames == 98
    assert sum(1 for _ in read_frames(real_data / "faces" / "no_face.mp4")) == 95


def test_a_lively_face_is_never_lost_and_moves_smoothly(real_data):
    """20 s with hands before the face, laughter and a tilted head."""
    frames = read_frames(real_data / "faces" / "WolfgangLanger_Pexels.mp4")
    boxes = [face.box if face else None for _, face in follow(frames, HaarDetector())]
    assert sum(box is None for box in boxes) <= 5
    corners = np.array([box for box in boxes if box is not None])
    side = corners[:, 2] - corners[:, 0]
    assert np.quantile(np.abs(np.diff(corners, axis=0)) / side[1:, None], 0.99) < 0.06


def test_in_a_group_one_is_chosen(real_data):
    (crop,) = crop_faces(real_data / "faces" / "multi_face.jpg", FaceSettings())
    assert crop.image is not None
    assert len(HaarDetector().detect(next(read_frames(real_data / "faces" / "multi_face.jpg")))) >= 3
