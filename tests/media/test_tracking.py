"""One person followed, by a detector that answers from a script."""

from collections.abc import Callable, Iterator

import av
import numpy as np
import pytest

from pipelines.media.detectors import Box, Detection, overlap
from pipelines.media.frame import VideoFrame
from pipelines.media.tracking import follow

RATE = 25
RED, GREEN = (200, 60, 50), (40, 160, 70)
Script = Callable[[int], list[tuple[Box, tuple[int, int, int]]]]


class Scripted:
    """Finds the faces of a script, and counts how often it was asked."""

    def __init__(self, script: Script, misses: tuple[int, ...] = ()) -> None:
        self.script, self.misses, self.asked = script, misses, []

    def detect(self, frame: VideoFrame, near: Box | None = None) -> list[Detection]:
        self.asked.append(frame.index)
        if frame.index in self.misses:
            return []
        boxes = [box for box, _ in self.script(frame.index)]
        return [Detection(box, 1.0) for box in boxes if near is None or overlap(box, near) > 0]


def video(script: Script, count: int, rate: float = RATE, damaged: tuple[int, ...] = ()) -> Iterator[VideoFrame]:
    """Grey frames of 160x320 with a coloured square for each face."""
    for index in range(count):
        image = np.full((160, 320, 3), 110, np.uint8)
        for (x0, y0, x1, y1), colour in script(index):
            image[int(y0) : int(y1), int(x0) : int(x1)] = colour
        picture = av.VideoFrame.from_ndarray(image, format="rgb24")
        yield VideoFrame(index=index, time_s=index / rate, picture=picture, damaged=index in damaged)


def square(x: float, side: float = 40.0) -> Box:
    return x, 50.0, x + side, 50.0 + side


def followed(script: Script, count: int, **more) -> list[Box | None]:
    """The subject's box in every frame."""
    detector = Scripted(script, more.pop("misses", ()))
    sightings = list(follow(video(script, count, **more), detector))
    assert [frame.index for frame, _ in sightings] == list(range(count))
    return [tuple(round(value, 6) for value in face.box) if face else None for _, face in sightings]


def seen(boxes: list[Box | None]) -> list[int]:
    return [index for index, box in enumerate(boxes) if box is not None]


def test_a_resting_face_is_looked_for_in_every_sixth_frame():
    detector = Scripted(lambda _: [(square(50), RED)])
    boxes = [face.box for _, face in follow(video(detector.script, 61), detector) if face]
    np.testing.assert_allclose(boxes, [square(50)] * 61)
    assert len(detector.asked) == 11


def test_a_moving_face_is_interpolated():
    boxes = followed(lambda index: [(square(50 + index), RED)], 100)
    np.testing.assert_allclose([box[0] for box in boxes], 50 + np.arange(100), atol=0.01)


def test_a_face_that_jumps_is_found_where_it_went():
    boxes = followed(lambda index: [(square(50 if index < 33 else 72), RED)], 70)
    assert seen(boxes) == list(range(70))
    assert [box[0] for box in boxes] == [50] * 33 + [72] * 37


@pytest.mark.parametrize("first", range(20, 27))
@pytest.mark.parametrize("last", [60, 63])
def test_entrance_and_exit_are_found_to_the_frame(first, last):
    boxes = followed(lambda index: [(square(50), RED)] if first <= index <= last else [], 90)
    assert seen(boxes) == list(range(first, last + 1))


@pytest.mark.parametrize("rate", [10, 25, 60, 120])
def test_a_flash_of_a_face_is_a_false_alarm_at_any_rate(rate):
    short, long = int(0.3 * rate), int(0.6 * rate)
    assert not seen(followed(lambda i: [(square(50), RED)] if rate <= i < rate + short else [], 3 * rate, rate=rate))
    assert seen(followed(lambda i: [(square(50), RED)] if rate <= i < rate + long else [], 3 * rate, rate=rate))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_video_shorter_than_that_is_taken_at_its_word(count):
    assert followed(lambda _: [(square(50), RED)], count) == [square(50)] * count


def test_the_cascade_may_blink():
    script = lambda _: [(square(50), RED)]  # noqa: E731
    assert seen(followed(script, 60, misses=(24, 25, 26, 27))) == list(range(60))


def test_a_longer_gap_stays_a_gap():
    script = lambda _: [(square(50), RED)]  # noqa: E731
    gap = set(range(22, 32))
    assert seen(followed(script, 60, misses=tuple(gap))) == sorted(set(range(60)) - gap)


def test_a_face_that_comes_back_elsewhere_is_not_joined():
    script = lambda index: [(square(50 if index < 30 else 200), RED)]  # noqa: E731
    boxes = followed(script, 60)
    assert all(box is None or box[0] in (50, 200) for box in boxes)


def test_a_larger_face_beside_it_does_not_take_over():
    def script(index: int):
        return [(square(50), RED)] + ([(square(200, 80.0), GREEN)] if index > 20 else [])

    assert followed(script, 80) == [square(50)] * 80


def test_a_bystander_does_not_take_over_when_the_subject_leaves_nor_before_it_returns():
    def script(index: int):
        subject = [] if 40 <= index < 120 else [(square(50 if index < 40 else 120), RED)]
        return [*subject, (square(230, 60.0), GREEN)] if index > 20 else subject

    boxes = followed(script, 160)
    assert seen(boxes) == [*range(40), *range(120, 160)]
    assert {box[0] for box in boxes if box} == {50, 120}


def test_a_false_alarm_at_the_start_does_not_become_the_subject():
    def script(index: int):
        return [(square(250, 30.0), GREEN)] if index < 7 else [(square(50), RED)] if index >= 25 else []

    boxes = followed(script, 80)
    assert seen(boxes) == list(range(25, 80))
    assert {box[0] for box in boxes if box} == {50}


def test_of_several_the_largest_begins():
    boxes = followed(lambda _: [(square(50), GREEN), (square(150, 60.0), RED)], 30)
    assert boxes == [square(150, 60.0)] * 30


def test_a_damaged_picture_is_not_asked_about():
    detector = Scripted(lambda _: [(square(50), RED)])
    list(follow(video(detector.script, 61, damaged=(24, 30)), detector))
    assert not {24, 30} & set(detector.asked)


def test_jitter_is_averaged_without_lag():
    random = np.random.default_rng(0)
    noise = random.normal(0, 1.0, 400)
    path = 60 + 20 * np.sin(np.arange(400) / 25)
    boxes = followed(lambda index: [(square(path[index] + noise[index]), RED)], 400)
    x = np.array([box[0] for box in boxes])
    lags = [np.abs(x[20:-20] - path[20 + lag : len(path) - 20 + lag]).mean() for lag in range(-6, 7)]
    assert int(np.argmin(lags)) - 6 == 0
    assert np.abs(np.diff(x, 2)).mean() < 0.2 * np.abs(np.diff(path + noise, 2)).mean()


def test_landmarks_are_interpolated_and_averaged_like_boxes():
    def points(frame: VideoFrame) -> np.ndarray:
        return np.arange(10.0).reshape(5, 2) + np.array([frame.index, 0])

    class Pointed(Scripted):
        def detect(self, frame, near=None):
            return [Detection(face.box, face.score, points(frame)) for face in super().detect(frame, near)]

    detector = Pointed(lambda index: [(square(50 + index), RED)])
    for frame, face in follow(video(detector.script, 60), detector):
        np.testing.assert_allclose(face.landmarks, points(frame), atol=0.01)


@pytest.mark.parametrize("script", [lambda _: [(square(50), RED)], lambda _: []], ids=["face", "no face"])
def test_it_looks_less_than_a_second_ahead(script):
    taken = 0

    def counted():
        nonlocal taken
        for frame in video(script, 200):
            taken += 1
            yield frame

    ahead = [taken - frame.index for frame, _ in follow(counted(), Scripted(script))]
    assert max(ahead) < RATE
