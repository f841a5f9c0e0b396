"""From a face in a frame to its crop."""

import cv2
import numpy as np
import pytest

from pipelines.media.alignment import ARCFACE_TEMPLATE, crop_face, similarity_transform
from pipelines.media.detectors import Detection

COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255]])


def dotted(points: np.ndarray, radius: int) -> np.ndarray:
    """A grey picture of 480x640 with a dot of its own colour at each point."""
    image = np.full((480, 640, 3), 90, np.uint8)
    for point, colour in zip(points, COLOURS.tolist(), strict=True):
        cv2.circle(image, [int(value) for value in np.round(point * 16)], radius * 16, colour, -1, cv2.LINE_AA, 4)
    return image


def centre_of(image: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """x, y of the pixels of one colour."""
    near = np.abs(image.astype(int) - colour).max(2) < 100
    return np.argwhere(near)[:, ::-1].mean(0)


@pytest.mark.parametrize("size", [112, 160])
@pytest.mark.parametrize(("scale", "degrees"), [(0.8, 0), (1.7, 35), (3.0, -70), (2.2, 180)])
def test_a_turned_face_comes_out_upright_with_its_eyes_at_the_template(scale, degrees, size, as_frame):
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = scale * (ARCFACE_TEMPLATE - 56) @ turn.T + [320, 240]
    frame = as_frame(dotted(points, max(2, round(4 * scale))))
    face = Detection((0, 0, 640, 480), 1.0, points + 0.5)
    crop = crop_face(frame, face, size, 0.2)
    assert crop.shape == (size, size, 3)
    expected = (ARCFACE_TEMPLATE + 0.5) * size / 112 - 0.5
    for colour, point in zip(COLOURS, expected, strict=True):
        np.testing.assert_allclose(centre_of(crop, colour), point, atol=0.8)


def test_landmarks_unlike_a_face_give_no_crop(as_frame):
    """Points orthogonal to the template, as complex numbers: the similarity that fits best has scale 0."""
    template = ARCFACE_TEMPLATE @ [1, 1j]
    template -= template.mean()
    points = np.exp(1j * np.arange(5) ** 2)
    points -= points.mean()
    points -= template * np.vdot(template, points) / np.vdot(template, template)
    face = Detection((0.0, 0.0, 9.0, 9.0), 1.0, 20 * np.stack([points.real, points.imag], 1) + 30)
    assert crop_face(as_frame(np.zeros((48, 64, 3), np.uint8)), face, 112, 0.2) is None


def test_similarities_are_recovered_exactly_and_fitted_without_mirroring():
    points = np.random.default_rng(0).normal(size=(5, 2))
    truth = np.array([[1.2, -0.5, 3.0], [0.5, 1.2, -7.0]])
    np.testing.assert_allclose(similarity_transform(points, points @ truth[:, :2].T + truth[:, 2]), truth, atol=1e-12)
    mirrored = similarity_transform(ARCFACE_TEMPLATE, ARCFACE_TEMPLATE * [-1, 1])
    assert np.linalg.det(mirrored[:, :2]) >= 0


@pytest.mark.parametrize("scale", [0.5, 1, 2.5, 6])
def test_the_square_has_its_margin_at_any_resolution(scale, as_frame):
    """Brightness rises with x and y, so that a pixel tells where it came from."""
    side = int(100 * scale)
    ramp = np.linspace(0, 255, side, dtype=np.float32)
    image = np.stack([np.tile(ramp, (side, 1)), np.tile(ramp[:, None], (1, side)), np.zeros((side, side))], 2)
    frame = as_frame(image.astype(np.uint8))
    crop = crop_face(frame, Detection((30 * scale, 40 * scale, 70 * scale, 80 * scale), 1.0), 112, 0.25)
    across, down = crop[56, :, 0] / 2.55, crop[:, 56, 1] / 2.55
    np.testing.assert_allclose([across[0], across[-1]], [20, 80], atol=1)
    np.testing.assert_allclose([down[0], down[-1]], [30, 90], atol=1)


def test_a_lower_box_gives_a_square_around_its_centre(as_frame):
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 100:] = 255
    crop = crop_face(as_frame(image), Detection((60.0, 40.0, 140.0, 60.0), 1.0), 64, 0.0)
    assert (crop[:, :31] < 10).all()
    assert (crop[:, 33:] > 245).all()


def test_beyond_the_border_the_frame_goes_on(as_frame):
    image = np.full((120, 160, 3), 200, np.uint8)
    image[:, :4] = 120
    crop = crop_face(as_frame(image), Detection((-60.0, -60.0, 60.0, 60.0), 1.0), 112, 0.2)
    assert crop.min() >= 118
    np.testing.assert_allclose(crop[:, :50], 120, atol=3)
    assert crop_face(as_frame(image), Detection((300.0, 0.0, 400.0, 100.0), 1.0), 112, 0.2) is None


def test_a_box_that_moves_by_less_than_a_pixel_moves_the_crop(as_frame):
    image = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8), (0, 0), 12)
    boxes = [(100.0 + shift, 100.0, 300.0 + shift, 300.0) for shift in (0.0, 0.5, 1.0)]
    first, middle, last = (crop_face(as_frame(image), Detection(b, 1.0), 112, 0.0).astype(float) for b in boxes)
    step, whole = np.abs(middle - first).mean(), np.abs(last - first).mean()
    assert 0.3 * whole < step < 0.7 * whole


def test_fine_stripes_are_averaged_and_not_aliased(as_frame):
    image = np.zeros((900, 900, 3), np.uint8)
    image[:, ::2] = 255
    crop = crop_face(as_frame(image), Detection((50.0, 50.0, 850.0, 850.0), 1.0), 112, 0.0)
    np.testing.assert_allclose(crop, 127, atol=12)
