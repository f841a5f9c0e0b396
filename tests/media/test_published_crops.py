"""Crops that a corpus publishes, as a stream of FaceCrops."""

import cv2
import numpy as np
import pytest

from pipelines.errors import UnreadableMedia
from pipelines.media.faces import decode_jpeg, encode_jpeg
from pipelines.media.published_crops import read_published_crops

SIZE = 112


def image(seed: int, size: int = SIZE) -> np.ndarray:
    """(size, size, 3) uint8 RGB: a ramp in a colour of its own."""
    colour = np.random.default_rng(seed).uniform(60, 200, 3)
    return (np.linspace(-50, 50, size)[:, None, None] + colour + np.zeros((1, size, 1))).astype(np.uint8)


def times(count: int) -> np.ndarray:
    return 0.2 + np.arange(count) / 30


@pytest.fixture
def folder(tmp_path):
    """Frames 2, 3, 4, 6 and 12, among other files; the listing's order is not that of the frames."""
    for number in (2, 3, 12):
        (tmp_path / f"{number:05d}.jpg").write_bytes(encode_jpeg(image(number)))
    (tmp_path / "4.JPEG").write_bytes(encode_jpeg(image(4)))
    cv2.imwrite(str(tmp_path / "000006.png"), np.ascontiguousarray(image(6)[..., ::-1]))
    for name in ("._00001.jpg", "Thumbs.db", "face.jpg", "00001.txt"):
        (tmp_path / name).write_bytes(encode_jpeg(image(0)))
    return tmp_path


def test_numbers_are_frames_and_gaps_are_frames_without_a_face(folder):
    crops = list(read_published_crops(folder, times(12), SIZE))
    assert [crop.index for crop in crops] == list(range(12))
    assert [crop.time_s for crop in crops] == times(12).tolist()
    there = [crop.index + 1 for crop in crops if crop.image is not None]
    assert there == [2, 3, 4, 6, 12]
    for crop in crops:
        assert crop.box is None
        if crop.image is not None:
            assert np.abs(crop.image.astype(int) - image(crop.index + 1)).max() <= 8


def test_a_jpeg_of_the_right_size_is_passed_on_byte_by_byte(folder):
    crops = {crop.index + 1: crop for crop in read_published_crops(folder, times(12), SIZE)}
    assert crops[3].jpeg == (folder / "00003.jpg").read_bytes()
    assert crops[4].jpeg == (folder / "4.JPEG").read_bytes()
    assert crops[6].jpeg is None  # a PNG
    np.testing.assert_array_equal(crops[3].image, decode_jpeg(crops[3].jpeg))


@pytest.mark.parametrize("size", [48, 128])
def test_other_sizes_are_resized_and_encoded_anew(folder, size):
    for crop in read_published_crops(folder, times(12), size):
        if crop.image is not None:
            assert crop.image.shape == (size, size, 3)
            assert crop.jpeg is None
            assert np.abs(crop.image.astype(int) - image(crop.index + 1, size)).max() <= 10


def test_images_beyond_the_last_frame_are_counted_and_left_out(folder):
    (folder / "00000.jpg").write_bytes(encode_jpeg(image(1)))
    crops = read_published_crops(folder, times(5), SIZE)
    assert len(list(crops)) == 5
    assert crops.beyond == 3


def test_what_cannot_be_read_costs_its_frame_only(folder):
    whole = (folder / "00002.jpg").read_bytes()
    (folder / "00002.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "00003.jpg").write_bytes(b"")
    (folder / "000006.png").write_bytes(b"not an image")
    (folder / "00008.jpg").mkdir()
    crops = read_published_crops(folder, times(12), SIZE)
    for _ in range(2):
        assert [crop.index + 1 for crop in crops if crop.image is not None] == [4, 12]
        assert crops.unreadable == ["00002.jpg", "00003.jpg", "000006.png", "00008.jpg"]


def test_two_images_of_one_frame_are_one(folder):
    (folder / "2.jpg").write_bytes(encode_jpeg(image(7)))
    crops = list(read_published_crops(folder, times(12), SIZE))
    assert crops[1].jpeg == (folder / "00002.jpg").read_bytes()


def test_a_folder_without_images_has_frames_without_faces(tmp_path):
    assert [crop.image for crop in read_published_crops(tmp_path, times(3), SIZE)] == [None] * 3


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UnreadableMedia, match="no such file or directory"):
        read_published_crops(tmp_path / "absent", times(3), SIZE)
