import numpy as np
import pytest

from pipelines.training.dense import Trial, best_smoothing, dense_values


def trial(values, target=None, rate=25.0):
    values = np.asarray(values, float).reshape(len(values), -1)
    target = np.zeros_like(values) if target is None else np.asarray(target, float).reshape(len(values), -1)
    return Trial("t", "v", target, np.arange(len(values)) / rate, values)


def test_frames_between_windows_are_interpolated_and_the_ends_repeated():
    values = dense_values(np.array([2, 4, 8]), np.array([[0.0, 0.5], [0.4, 0.5], [-0.4, 0.5]]), 11)
    assert values[:, 0] == pytest.approx([0, 0, 0, 0.2, 0.4, 0.2, 0, -0.2, -0.4, -0.4, -0.4])
    assert (values[:, 1] == 0.5).all()
    assert values.shape == (11, 2)


def test_predictions_are_clipped_and_cut_to_the_trial():
    values = dense_values(np.array([0, 4]), np.array([[3.0], [-3.0]]), 3)
    assert values[:, 0] == pytest.approx([1.0, 1.0, 0.0])
    assert dense_values(np.array([1]), np.array([[0.25]]), 4)[:, 0].tolist() == [0.25] * 4


def test_smoothing_averages_over_seconds_and_shrinks_at_the_ends():
    rough = trial(np.tile([1.0, -1.0], 50))
    assert rough.smoothed(0.0) is rough.values
    smooth = rough.smoothed(0.4)[:, 0]
    middle = rough.values[45:56, 0].mean()
    assert smooth[50] == pytest.approx(middle)
    assert smooth[0] == pytest.approx(rough.values[:6, 0].mean())
    assert trial([0.5] * 30).smoothed(1.0)[:, 0] == pytest.approx([0.5] * 30), "a constant stays one, ends too"


def test_the_width_is_that_of_the_best_ccc_on_annotated_frames():
    rng = np.random.default_rng(0)
    truth = np.sin(np.arange(1000) / 60)
    noisy = np.clip(truth + rng.normal(0, 0.5, 1000), -1, 1)
    target = truth.copy()
    target[::7] = np.nan
    widths = (0.0, 0.8, 40.0)
    assert best_smoothing(widths, [trial(noisy, target), trial(-noisy, -target)]) == 0.8
    assert best_smoothing(widths, [trial(truth, target)]) == 0.0
    assert best_smoothing((2.0,), []) == 2.0
    assert best_smoothing(widths, []) == 0.0


def test_a_trial_of_one_frame_is_left_alone():
    assert trial([0.3]).smoothed(5.0).tolist() == [[0.3]]
