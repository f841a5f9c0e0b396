import cv2
import numpy as np
import pytest

from pipelines.corpora.synthetic_face import draw_frames, frame_times, height_of
from pipelines.corpora.synthetic_truth import ACTIONS, draw_course, draw_subjects, stream

MOMENTS = np.array([0.5, 3.0, 5.0])


def frames_of(subject, actions, *, width=320, number=0):
    rng = stream(0, subject.index, 0, number, 2)
    return list(draw_frames(rng, subject, actions, seed=0, width=width, rate=25))


def posed(**strength):
    actions = np.zeros((1, len(ACTIONS)))
    for name, value in strength.items():
        actions[0, ACTIONS.index(name)] = value
    return actions


def changed(subject, **strength):
    """Centre and share of the pixels that an action changes clearly, in shares of the picture."""
    (neutral,), (moved,) = frames_of(subject, posed()), frames_of(subject, posed(**strength))
    rows, columns = np.nonzero(np.abs(moved.astype(int) - neutral).max(axis=2) > 25)
    assert len(rows) > 20
    return rows.mean() / neutral.shape[0], columns.mean() / neutral.shape[1]


def test_frames_of_a_clip():
    assert len(frame_times(5.5, 25)) == 138
    assert len(frame_times(2.2, 25)) == 55
    assert frame_times(5.5, 25)[-1] == pytest.approx(5.48)
    assert height_of(320) == 240
    assert height_of(98) % 2 == 0
    (frame,) = frames_of(draw_subjects(0, 1)[0], posed(), width=98)
    assert frame.shape == (height_of(98), 98, 3)
    assert frame.dtype == np.uint8


def test_the_same_clip_is_drawn_the_same_and_another_one_differently():
    subject, other = draw_subjects(0, 2)
    first = frames_of(subject, posed(brow=0.5))[0]
    assert np.array_equal(frames_of(subject, posed(brow=0.5))[0], first)
    assert not np.array_equal(frames_of(subject, posed(brow=0.5), number=1)[0], first)
    assert not np.array_equal(frames_of(other, posed(brow=0.5))[0], first)


@pytest.mark.parametrize("index", range(4))
def test_actions_move_their_own_part_of_the_face(index):
    subject = draw_subjects(0, 4)[index]
    places = {name: changed(subject, **{name: 1.0}) for name in ("brow", "eyes", "open", "mouth", "smile")}
    assert places["brow"][0] < places["eyes"][0] + 0.02
    assert places["eyes"][0] < places["mouth"][0] - 0.1
    assert abs(places["open"][0] - places["mouth"][0]) < 0.08
    assert all(abs(column - 0.5) < 0.15 for _, column in places.values())


def test_a_small_change_of_an_action_is_a_small_change_of_the_picture():
    subject = draw_subjects(0, 1)[0]
    drawn = [frames_of(subject, posed(brow=value))[0].astype(int) for value in (0.5, 0.51, 0.6)]
    step, leap = np.abs(drawn[1] - drawn[0]).sum(), np.abs(drawn[2] - drawn[0]).sum()
    assert 0 < step < 0.5 * leap


@pytest.mark.parametrize("width", [320, 240])
def test_the_bundled_cascade_finds_the_faces(width):
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    found = []
    for subject in draw_subjects(0, 20):
        course = draw_course(stream(0, subject.index, 7), subject, "PA4", 5.5)
        for frame in frames_of(subject, course.actions(MOMENTS, subject.pattern), width=width):
            grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            found.append(len(cascade.detectMultiScale(grey, 1.1, 5, minSize=(40, 40))) == 1)
    assert np.mean(found) >= 0.95
