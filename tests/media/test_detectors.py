"""The cascade, and geometry of boxes."""

import cv2
import numpy as np
import pytest

from pipelines.media.detectors import Detection, HaarDetector, OneSided, clipped, make_detector, overlap, shrunk
from pipelines.recipe import FaceSettings

FACE = (175.0, 63.0, 276.0, 165.0)


@pytest.mark.parametrize("enlarged", [1, 2, 3])
def test_the_cascade_finds_the_face_at_any_size(enlarged, portrait, as_frame):
    frame = as_frame(cv2.resize(portrait, None, fx=enlarged, fy=enlarged))
    (face,) = HaarDetector().detect(frame)
    assert overlap(tuple(value / enlarged for value in face.box), FACE) > 0.85
    assert face.landmarks is None
    assert face.score >= HaarDetector.begin


def test_near_a_box_the_cascade_answers_more_finely(portrait, as_frame):
    shifted = tuple(value + 15 for value in FACE)
    (face,) = HaarDetector().detect(as_frame(portrait), near=shifted)
    assert overlap(face.box, FACE) > 0.85


@pytest.mark.parametrize(
    "near",
    [
        (20.0, 200.0, 120.0, 300.0),
        (100.0, 0.0, 400.0, 300.0),
        (900.0, 900.0, 990.0, 990.0),
        (470.0, 350.0, 570.0, 450.0),
    ],
    ids=["elsewhere", "much larger", "beside the frame", "at its corner"],
)
def test_the_cascade_looks_only_around_the_box_and_for_its_size(near, portrait, as_frame):
    assert HaarDetector().detect(as_frame(portrait), near) == []


def test_nothing_is_found_in_noise(as_frame):
    noise = np.random.default_rng(0).integers(0, 255, (360, 480, 3), dtype=np.uint8)
    assert HaarDetector().detect(as_frame(noise)) == []


def test_all_faces_of_a_frame_are_found(portrait, as_frame):
    faces = HaarDetector().detect(as_frame(np.hstack([portrait[:, 120:340]] * 2)))
    assert sorted(round(face.box[0] / 55) for face in faces) == [1, 5]


def test_a_weaker_face_is_kept_than_begins_a_track(portrait, as_frame):
    """Turned by 16 degrees, the face is too doubtful to begin with, and good enough to go on with."""
    turned = cv2.warpAffine(portrait, cv2.getRotationMatrix2D((225, 113), -16, 1), (480, 360))
    detector = HaarDetector()
    assert detector.detect(as_frame(turned)) == []
    assert detector.detect(as_frame(turned), near=FACE)


def test_shrinking_averages_whole_blocks():
    image = np.arange(35, dtype=np.uint8).reshape(5, 7)
    np.testing.assert_array_equal(shrunk(image, 2), [[4, 6, 8], [18, 20, 22]])
    np.testing.assert_array_equal(shrunk(image, 1), image)


def test_overlap_is_intersection_over_union():
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    assert overlap((0, 0, 2, 2), (5, 5, 6, 6)) == 0


def test_clipping_keeps_touched_pixels_inside(as_frame):
    frame = as_frame(np.zeros((10, 20, 3), np.uint8))
    assert clipped((-3.0, 2.4, 5.2, 99.0), frame) == (0, 2, 6, 10)
    assert clipped((20.0, 0.0, 30.0, 5.0), frame) is None


def test_settings_name_the_detector():
    assert isinstance(make_detector(FaceSettings()), HaarDetector)


class Both:
    """Finds the same two faces, whatever it is asked."""

    boxes = ((10.0, 10.0, 110.0, 110.0), (100.0, 10.0, 300.0, 210.0))

    def detect(self, frame, near=None):
        return [Detection(box, 1.0) for box in self.boxes]


@pytest.mark.parametrize("near", [None, Both.boxes[0]], ids=["everywhere", "near the other"])
@pytest.mark.parametrize(("side", "found"), [("left", 0), ("right", 1)])
def test_one_sided_looks_at_centres_in_one_half_of_the_picture(side, found, near, as_frame):
    frame = as_frame(np.zeros((240, 320, 3), np.uint8))
    assert [face.box for face in OneSided(Both(), side).detect(frame, near)] == [Both.boxes[found]]


def test_there_are_two_sides():
    with pytest.raises(ValueError, match="side = 'top'"):
        OneSided(Both(), "top")
