"""From a video to crops, and crops as files."""

import csv
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines.corpora.synthetic_face import draw_frames
from pipelines.corpora.synthetic_truth import ACTIONS, draw_subjects, stream
from pipelines.errors import UnreadableMedia
from pipelines.media.detectors import HaarDetector, overlap
from pipelines.media.faces import FaceCrop, crop_faces, decode_jpeg, encode_jpeg, write_crops
from pipelines.media.video import write_video
from pipelines.recipe import FaceSettings

FACE = (175.0, 63.0, 276.0, 165.0)


@pytest.fixture(scope="module")
def clip(portrait, tmp_path_factory) -> Path:
    """50 frames: grey for 20, then the portrait, drifting to the right by a pixel a frame."""
    path = tmp_path_factory.mktemp("faces") / "clip.mp4"
    grey = np.full_like(portrait, 100)
    write_video(path, [grey] * 20 + [np.roll(portrait, index, 1) for index in range(30)], 25)
    return path


def test_every_frame_is_told_of_and_faces_are_where_they_are(clip):
    crops = list(crop_faces(clip, FaceSettings()))
    assert [crop.index for crop in crops] == list(range(50))
    assert [crop.time_s for crop in crops] == pytest.approx([index / 25 for index in range(50)], abs=1e-4)
    assert [crop.index for crop in crops if crop.box is None] == list(range(20))
    for crop in crops:
        assert (crop.image is None) == (crop.box is None)
    for shift, crop in enumerate(crops[20:]):
        assert overlap(crop.box, (FACE[0] + shift, FACE[1], FACE[2] + shift, FACE[3])) > 0.85
        assert crop.image.shape == (112, 112, 3)


def test_crops_show_the_face_upright_in_colour_and_steadily(clip, portrait):
    crops = [crop.image.astype(float) for crop in crop_faces(clip, FaceSettings(size=64)) if crop.image is not None]
    margin = 0.2 * 101
    expected = portrait[int(63 - margin) : int(165 + margin), int(175 - margin) : int(276 + margin)]
    expected = cv2.resize(expected, (64, 64), interpolation=cv2.INTER_AREA).astype(float)
    for crop in crops:
        assert np.abs(crop - expected).mean() < 25
        assert np.corrcoef(crop.ravel(), expected.ravel())[0, 1] > 0.85
    assert np.mean([np.abs(a - b).mean() for a, b in pairwise(crops)]) < 6


def test_margin_and_size_are_those_of_the_settings(clip):
    tight = next(c for c in crop_faces(clip, FaceSettings(size=96, margin=0.0)) if c.image is not None)
    wide = next(c for c in crop_faces(clip, FaceSettings(size=96, margin=0.5)) if c.image is not None)
    assert tight.box == wide.box
    middle = cv2.resize(tight.image, (48, 48), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(middle - wide.image[24:72, 24:72]).mean() < 8


def test_one_detector_serves_many_videos(clip):
    detector = HaarDetector()
    first, second = ([crop.box for crop in crop_faces(clip, FaceSettings(), detector=detector)] for _ in range(2))
    assert first == second


def test_a_damaged_picture_has_no_crop(clip, monkeypatch):
    from dataclasses import replace

    from pipelines.media import faces

    read = faces.read_frames
    monkeypatch.setattr(faces, "read_frames", lambda path: (replace(f, damaged=f.index == 33) for f in read(path)))
    crops = list(crop_faces(clip, FaceSettings()))
    assert [crop.index for crop in crops[20:] if crop.box is None] == [33]
    assert crops[33].image is None


@pytest.fixture(scope="module")
def couple(tmp_path_factory) -> Path:
    """75 frames of two drawn people side by side, the right one larger; the left one hides from frame 25 to 49."""
    people = [
        list(draw_frames(stream(5, 3, index), person, np.zeros((75, len(ACTIONS))), seed=5, width=width, rate=25))
        for index, (person, width) in enumerate(zip(draw_subjects(5, 2), (240, 320), strict=True))
    ]
    left = [cv2.copyMakeBorder(image, 60, 0, 40, 40, cv2.BORDER_REPLICATE) for image in people[0]]
    left[25:50] = [np.full_like(left[0], 90)] * 25
    path = tmp_path_factory.mktemp("couple") / "couple.mp4"
    write_video(path, [np.hstack(pair) for pair in zip(left, people[1], strict=True)], 25)
    return path


def test_of_two_people_the_one_at_the_side_asked_for_is_followed_and_never_the_other(couple):
    seen = {side: list(crop_faces(couple, FaceSettings(), side=side)) for side in ("left", "right")}
    for side, crops in seen.items():
        centres = np.array([(crop.box[0] + crop.box[2]) / 2 for crop in crops if crop.box])
        assert (centres < 320).all() if side == "left" else (centres > 320).all()
    assert [crop.index for crop in seen["left"] if crop.box is None] == pytest.approx(list(range(25, 50)), abs=1)
    assert all(crop.box for crop in seen["right"])


def test_without_a_side_the_larger_of_two_people_is_followed(couple):
    assert all(crop.box[0] > 320 for crop in crop_faces(couple, FaceSettings()))


def test_a_still_image_is_a_video_of_one_frame(portrait, tmp_path):
    path = tmp_path / "still.jpg"
    path.write_bytes(encode_jpeg(portrait))
    (crop,) = crop_faces(path, FaceSettings())
    assert overlap(crop.box, FACE) > 0.85


def test_a_truncated_video_fails_by_name(clip, tmp_path):
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[:-500])
    with pytest.raises(UnreadableMedia, match=r"cut\.mp4"):
        list(crop_faces(path, FaceSettings()))


def test_jpeg_keeps_colours_and_shape(portrait):
    data = encode_jpeg(portrait[40:200, 150:310])
    assert data[:2] == b"\xff\xd8"
    assert np.abs(decode_jpeg(data).astype(int) - portrait[40:200, 150:310]).mean() < 4
    assert len(encode_jpeg(portrait, quality=50)) < len(encode_jpeg(portrait)) / 2


@pytest.mark.parametrize("data", [b"", b"not an image"])
def test_what_is_no_jpeg_is_an_error(data):
    with pytest.raises(UnreadableMedia, match=f"{len(data)} bytes"):
        decode_jpeg(data)


def test_crops_are_written_by_frame_number_with_gaps(tmp_path):
    image = np.full((32, 32, 3), 80, np.uint8)
    crops = [FaceCrop(0, 0.0, None, None), FaceCrop(1, 0.04, (1.0, 2.0, 3.5, 4.25), image)]
    folder = tmp_path / "deep" / "clip"
    assert write_crops(crops, folder) == (2, 1)
    assert sorted(file.name for file in folder.iterdir()) == ["00002.jpg", "faces.csv"]
    with (folder / "faces.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["frame", "time_s", "x0", "y0", "x1", "y1"],
        ["1", "0.000000", "", "", "", ""],
        ["2", "0.040000", "1.00", "2.00", "3.50", "4.25"],
    ]


def test_earlier_crops_are_replaced_and_other_files_left_alone(tmp_path):
    image = np.full((32, 32, 3), 80, np.uint8)
    write_crops([FaceCrop(index, index / 25, (0.0, 0.0, 1.0, 1.0), image) for index in range(5)], tmp_path)
    for name in ("notes.txt", "1.jpg", "holiday.jpg"):
        (tmp_path / name).touch()
    write_crops([FaceCrop(0, 0.0, (0.0, 0.0, 1.0, 1.0), image)], tmp_path)
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {"00001.jpg", "faces.csv", "notes.txt", "1.jpg", "holiday.jpg"}
