import numpy as np

from pipelines.metrics import METRICS, Predictions, bootstrap_weights, group_values

METRIC = METRICS["sign-agreement"]


def measured(scores, target, groups):
    scores, target, groups = np.array(scores, dtype=float), np.array(target, dtype=float), np.array(groups)
    return METRIC.accumulate(Predictions(groups, groups, target, scores))


def test_zero_is_a_sign_of_its_own():
    scores = [[0.1, -0.2], [-0.1, 0.0], [0.0, -0.0], [0.3, 1e-9]]
    target = [[0.5, 0.2], [-1.0, 0.0], [0.2, 0.0], [0.0, 0.0]]
    statistics = measured(scores, target, ["a"] * 4)
    np.testing.assert_array_equal(METRIC.value(statistics, np.ones((1, 1))), [[2 / 4, 2 / 4]])


def test_equals_counting_the_resampled_rows(replicated):
    rng = np.random.default_rng(0)
    groups = np.array([f"v{g}" for g in rng.integers(0, 5, size=200)])
    target, scores = rng.normal(size=(2, 200, 2)).round(1)
    predictions = Predictions(groups, groups, target, scores)
    weights = np.concatenate([np.ones((1, 5)), bootstrap_weights(5, 10, seed=0)])
    expected = [
        (np.sign(part.scores) == np.sign(part.target)).mean(axis=0)
        for part in (replicated(predictions, row) for row in weights)
    ]
    np.testing.assert_allclose(METRIC.value(METRIC.accumulate(predictions), weights), expected, atol=1e-15)


def test_one_frame_one_video_and_no_weight():
    statistics = measured([[0.4, -0.4]], [[0.1, 0.1]], ["v"])
    np.testing.assert_array_equal(METRIC.value(statistics, np.array([[1.0], [0.0]])), [[1, 0], [np.nan, np.nan]])
    assert group_values(METRIC, [statistics]) == {"v": 0.5}
