import numpy as np
import pytest

from pipelines.metrics import METRICS, Predictions, bootstrap_weights, concordance_correlation

NAMES = ["ccc", "rmse", "pearson"]


def independent(name: str, x: np.ndarray, y: np.ndarray) -> float:
    """Textbook formulas on the rows themselves, in extended precision."""
    x, y = x.astype(np.longdouble), y.astype(np.longdouble)
    dx, dy = x - x.mean(), y - y.mean()
    cov = (dx * dy).mean()
    if name == "ccc":
        return float(2 * cov / ((dx**2).mean() + (dy**2).mean() + (x.mean() - y.mean()) ** 2))
    if name == "rmse":
        return float(np.sqrt(((x - y) ** 2).mean()))
    return float(cov / np.sqrt((dx**2).mean() * (dy**2).mean()))


def continuous(seed: int, *, mean: float = 0.0, spread: float = 1.0, n: int = 3000) -> Predictions:
    """Two dimensions, 12 videos whose own means differ by `spread` around `mean`."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 12, size=n)
    group[:12] = np.arange(12)
    target = mean + spread * rng.normal(size=(12, 2))[group] + rng.normal(size=(n, 2))
    scores = target + 0.1 + 0.7 * rng.normal(size=(n, 2))
    return Predictions(np.array([f"v{g:02d}" for g in group]), np.arange(n).astype(str), target, scores)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (1e6, 1.0), (-3e7, 0.01), (0.0, 1e6), (0.0, 0.0)])
def test_equals_an_independent_computation_on_resampled_rows(name, mean, spread, replicated):
    predictions = continuous(3, mean=mean, spread=spread)
    metric = METRICS[name]
    statistics = metric.accumulate(predictions)
    weights = np.concatenate([np.ones((1, 12)), bootstrap_weights(12, 8, seed=1), np.eye(12)])
    resampled = [replicated(predictions, row) for row in weights]
    expected = [[independent(name, p.scores[:, k], p.target[:, k]) for k in range(2)] for p in resampled]
    value = metric.value(statistics, weights)
    assert value.shape == (21, 2)
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_ordinal_classes_compare_the_expected_index(name, predictions_of_classes):
    predictions = predictions_of_classes(5, 2)
    metric = METRICS[name]
    value = metric.value(metric.accumulate(predictions), np.ones((1, 9)))
    expected = independent(name, predictions.scores @ np.arange(5), predictions.target)
    assert value.shape == (1,)
    assert value[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_concordance_correlation_shapes_and_precision(dtype):
    rng = np.random.default_rng(0)
    y = (1000 + rng.normal(size=(500, 2))).astype(dtype)
    x = (y + rng.normal(size=(500, 2))).astype(dtype)
    per_dimension = concordance_correlation(x, y)
    assert isinstance(per_dimension, np.ndarray)
    np.testing.assert_allclose(per_dimension, [independent("ccc", x[:, k], y[:, k]) for k in (0, 1)], atol=1e-9)
    one = concordance_correlation(x[:, 0], y[:, 0])
    assert isinstance(one, float)
    assert one == per_dimension[0]


def test_concordance_correlation_uses_population_variance():
    # var = 1/4 and 1, cov = 1/2, means 1/2 and 1: 2 * 1/2 / (1/4 + 1 + 1/4).
    assert concordance_correlation(np.array([0, 1]), np.array([0, 2])) == pytest.approx(2 / 3, abs=1e-15)


@pytest.mark.parametrize(
    ("x", "y", "value"),
    [
        ([0.1] * 7, [0.1] * 7, 0.0),
        ([0.1] * 7, [0, 1, 2, 3, 4, 5, 6], 0.0),
        ([0, 1, 2, 3, 4, 5, 6], [0.1] * 7, 0.0),
        ([0.3, 0.5, 0.1], [0.3, 0.5, 0.1], 1.0),
        ([0, 1], [1, 0], -1.0),
    ],
)
def test_concordance_correlation_at_its_limits(x, y, value):
    assert concordance_correlation(np.array(x), np.array(y)) == pytest.approx(value, abs=1e-15)


def test_small_variation_on_a_large_mean_is_not_taken_for_a_constant():
    x = 1 + 1e-7 * np.arange(50.0)
    assert concordance_correlation(x, x) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("x", "y"), [(np.zeros(3), np.zeros(4)), (np.zeros(0), np.zeros(0)), (np.zeros(()),) * 2])
def test_concordance_correlation_refuses_shapes(x, y):
    with pytest.raises(ValueError, match="must both be"):
        concordance_correlation(x, y)


def values_of(name: str, scores: list[float], target: list[float], weights: np.ndarray) -> np.ndarray:
    groups = np.array(["a", "b", "b", "c"])
    predictions = Predictions(groups, groups, np.array(target)[:, None], np.array(scores)[:, None])
    return METRICS[name].value(METRICS[name].accumulate(predictions), weights)[:, 0]


def test_a_collapsed_model_scores_zero_and_a_constant_target_has_no_correlation():
    everything = np.ones((1, 3))
    assert values_of("pearson", [0.1] * 4, [1, 2, 3, 4], everything) == 0
    assert values_of("ccc", [0.1] * 4, [1, 2, 3, 4], everything) == 0
    assert np.isnan(values_of("pearson", [1, 2, 3, 4], [0.1] * 4, everything))
    assert values_of("ccc", [1, 2, 3, 4], [0.1] * 4, everything) == 0


def test_a_resample_that_draws_one_constant_group_only_is_constant():
    weights = np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    assert np.isnan(values_of("pearson", [0.3, 1, 2, 0.7], [0.1, 0.5, 0.9, 0.3], weights)).all()


def test_equal_constants_of_several_groups_do_not_vary_by_rounding():
    groups = np.repeat([f"v{g}" for g in range(12)], np.arange(1, 13))
    target = np.where(groups == "v0", 0.9, 0.1)[:, None]
    metric = METRICS["pearson"]
    statistics = metric.accumulate(Predictions(groups, groups, target, np.arange(78.0)[:, None]))
    weights = bootstrap_weights(12, 200, seed=0)
    weights[:, statistics.groups.index("v0")] = 0
    assert np.isnan(metric.value(statistics, weights)).all()


@pytest.mark.parametrize("name", NAMES)
def test_no_weight_no_value(name):
    assert np.isnan(values_of(name, [1, 2, 3, 4], [1, 2, 3, 5], np.zeros((1, 3)))).all()
