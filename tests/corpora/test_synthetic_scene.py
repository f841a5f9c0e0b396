from dataclasses import replace

import numpy as np
import pytest

from pipelines.corpora.synthetic_affwild2_truth import Waves, draw_performances, speech_of
from pipelines.corpora.synthetic_scene import draw_scene, size_of
from pipelines.corpora.synthetic_truth import stream

NOTHING = np.empty((0, 2))


def constant(value: float) -> Waves:
    return Waves(value, np.empty(0), np.empty(0), np.empty(0))


def actor(*, number=0, people=1, valence=0.0, arousal=0.0, shown=1.0, covered=NOTHING, gone=NOTHING):
    """Someone silent, of one mind, seen unless said otherwise."""
    performance = draw_performances(0, 0, people, 8.0)[number]
    return replace(
        performance,
        person=replace(performance.person, arousal_shown=shown),
        valence_waves=constant(valence),
        arousal_waves=constant(arousal),
        covered=np.asarray(covered, float),
        gone=np.asarray(gone, float),
        phrases=NOTHING,
    )


def scene(*performances, times=(0.5,), width=320, crops=True):
    speeches = [speech_of(performance, 8.0) for performance in performances]
    drawn = draw_scene(stream(0, 0, 0, 4), performances, speeches, np.asarray(times), seed=0, width=width, crops=crops)
    return list(drawn)


def crop(**changes) -> np.ndarray:
    ((_, (image,)),) = scene(actor(**changes))
    return image.astype(int)


def changed_rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Share of clearly changed pixels in each of seven bands of a crop, from the forehead down."""
    return (np.abs(first - second).max(axis=2) > 25).reshape(7, 16, 112).mean(axis=(1, 2))


@pytest.mark.parametrize("width", [320, 100, 96])
def test_sizes(width):
    ((one, _),) = scene(actor(), width=width)
    ((two, _),) = scene(actor(people=2), actor(people=2, number=1), width=width)
    assert one.shape == (*size_of(width, 1)[::-1], 3)
    assert two.shape == (*size_of(width, 2)[::-1], 3)
    assert one.shape[1] == two.shape[1] == width
    assert one.shape[0] / width == pytest.approx(0.75, abs=0.02)
    assert two.shape[0] / width == pytest.approx(0.5625, abs=0.02)
    assert (one.shape[0] % 2, two.shape[0] % 2) == (0, 0)


def test_valence_moves_mouth_and_brows():
    change = changed_rows(crop(valence=-0.9), crop(valence=0.9))
    assert change[4:6].max() > 0.03
    assert change[1:3].max() > 0.01


def test_only_some_faces_show_arousal():
    shown = changed_rows(crop(arousal=-0.9), crop(arousal=0.9)).sum()
    hidden = changed_rows(crop(arousal=-0.9, shown=0.0), crop(arousal=0.9, shown=0.0)).sum()
    assert shown > 0.03
    assert hidden == 0


def test_a_hidden_face_has_no_crop():
    times = np.arange(0.0, 6.0, 0.04)
    for runs in ({"covered": [(2.0, 3.0)]}, {"gone": [(2.0, 3.0)]}):
        frames = scene(actor(**runs), times=times, width=160)
        there = np.array([image is not None for _, (image,) in frames])
        hidden = (times >= 2.0) & (times <= 3.0)
        assert not there[hidden].any()
        assert there[(times < 1.5) | (times > 3.5)].mean() > 0.95
        difference = np.abs(frames[60][0].astype(int) - frames[0][0]).max(axis=2) > 25
        assert difference[30:90, 55:105].mean() > 0.4, "the face's place shows something else"


def test_each_crop_is_of_its_own_side():
    left, right = actor(people=2), actor(people=2, number=1)
    ((picture, crops),) = scene(left, right)
    half = picture.shape[1] // 2
    for image, side in zip(crops, (picture[:, :half], picture[:, half:]), strict=True):
        centre = image[40:72, 40:72].reshape(-1, 3).mean(axis=0)
        face = side[70:100, half // 2 - 15 : half // 2 + 15].reshape(-1, 3).mean(axis=0)
        assert np.abs(centre - face).max() < 20
    ((_, others),) = scene(left, replace(right, gone=np.array([[0.0, 1.0]])))
    assert others[1] is None
    assert np.abs(others[0].astype(int) - crops[0]).mean() < 3


def test_no_crops_where_none_are_wanted():
    ((with_crops, _),) = scene(actor())
    ((without, crops),) = scene(actor(), crops=False)
    assert crops == [None]
    assert np.array_equal(with_crops, without)
