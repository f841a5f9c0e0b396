"""Statistics of parts, merged, are those of the whole: any parts, shared groups or not, whatever the data."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from pipelines.metrics import METRICS, Predictions, bootstrap_weights, concordance_correlation

CONTINUOUS = ["ccc", "rmse", "pearson", "sign-agreement"]
CLASSES = ["accuracy", "balanced-accuracy", "macro-f1", "ece"]


def frames(n: int, groups: int, *, mean=0.0, spread=1.0, bias=0.1, seed=0) -> Predictions:
    """Videos whose own means differ by `spread` around `mean`."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, size=n)
    target = mean + spread * rng.normal(size=(groups, 2))[group] + rng.normal(size=(n, 2))
    scores = target + bias + 0.7 * rng.normal(size=(n, 2))
    return Predictions(np.array([f"v{g:02d}" for g in group]), np.arange(n).astype(str), target, scores)


def taken(predictions: Predictions, rows) -> Predictions:
    names = ("groups", "clips", "target", "scores")
    return Predictions(*(getattr(predictions, name)[rows] for name in names))


def exact_concordance(x: np.ndarray, y: np.ndarray) -> float:
    """In rational numbers: no rounding at all before the last line."""
    xs, ys = [Fraction(v) for v in x.tolist()], [Fraction(v) for v in y.tolist()]
    n = len(xs)
    mean_x, mean_y = sum(xs) / n, sum(ys) / n
    cov = sum(a * b for a, b in zip(xs, ys, strict=True)) / n - mean_x * mean_y
    var = sum(a * a for a in xs) / n - mean_x**2 + sum(b * b for b in ys) / n - mean_y**2
    return float(2 * cov / (var + (mean_x - mean_y) ** 2))


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (1e6, 1.0), (1e6, 0.0), (-3e7, 0.01), (0.0, 1e6)])
def test_merged_parts_equal_one_pass(name, mean, spread):
    whole = frames(4000, 12, mean=mean, spread=spread)
    metric = METRICS[name]
    one_pass = metric.accumulate(whole)
    order = np.random.default_rng(1).permutation(4000)
    parts = [metric.accumulate(taken(whole, rows)) for rows in np.array_split(order, 37)]
    merged = metric.merge([metric.merge(parts[:10]), *parts[10:]])
    assert merged.groups == one_pass.groups
    np.testing.assert_array_equal(merged.clips, one_pass.clips)
    weights = np.concatenate([np.ones((1, 12)), bootstrap_weights(12, 20, seed=0)])
    tolerance = 1e-12 * (max(1.0, spread) if name == "rmse" else 1)
    np.testing.assert_allclose(metric.value(merged, weights), metric.value(one_pass, weights), rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", CLASSES)
def test_merged_counts_equal_one_pass(name, predictions_of_classes):
    whole = predictions_of_classes(3, 0)
    metric = METRICS[name]
    parts = [metric.accumulate(taken(whole, rows)) for rows in np.array_split(np.arange(len(whole.target)), 5)]
    merged, one_pass = metric.merge(parts), metric.accumulate(whole)
    assert merged.groups == one_pass.groups
    np.testing.assert_array_equal(merged.counts, one_pass.counts)
    np.testing.assert_allclose(metric.value(merged, np.eye(9)), metric.value(one_pass, np.eye(9)), rtol=0, atol=1e-15)


def test_videos_of_several_parts_are_sorted_together():
    metric = METRICS["ccc"]
    whole = frames(300, 3)
    parts = [metric.accumulate(taken(whole, whole.groups == name)) for name in ("v02", "v00", "v01")]
    assert metric.merge(parts).groups == ("v00", "v01", "v02")
    np.testing.assert_allclose(
        metric.value(metric.merge(parts), np.eye(3)), metric.value(metric.accumulate(whole), np.eye(3)), atol=1e-15
    )


@pytest.mark.parametrize("mean", [0.0, 1e6])
def test_merged_concordance_is_exact_to_rational_arithmetic(mean):
    metric = METRICS["ccc"]
    whole = frames(600, 1, mean=mean)
    merged = metric.merge([metric.accumulate(taken(whole, rows)) for rows in np.array_split(np.arange(600), 9)])
    expected = [exact_concordance(whole.scores[:, k], whole.target[:, k]) for k in (0, 1)]
    np.testing.assert_allclose(metric.value(merged, np.ones((1, 1)))[0], expected, rtol=0, atol=1e-13)


def test_one_frame_a_part_and_constant_parts():
    metric = METRICS["ccc"]
    x, y = np.array([0.1, 0.1, 0.1, 0.4]), np.array([0.2, 0.2, 0.2, 0.3])
    parts = [
        metric.accumulate(Predictions(np.array(["v"]), np.array(["t"]), y[None, i : i + 1], x[None, i : i + 1]))
        for i in range(4)
    ]
    assert metric.value(metric.merge(parts), np.ones((1, 1)))[0, 0] == pytest.approx(
        concordance_correlation(x, y), abs=1e-15
    )
    assert metric.value(metric.merge(parts[:3]), np.ones((1, 1)))[0, 0] == 0


def chunks(count: int, size: int, seed: int):
    """Chunks of one recording in float32, as a model gives them."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        target = rng.uniform(-1, 1, size=(size, 2)).astype(np.float32)
        scores = (0.5 * target + 0.3 * rng.normal(size=(size, 2))).astype(np.float32)
        yield Predictions(np.full(size, "v"), np.full(size, "t"), target, scores)


def streamed(count: int, size: int, seed: int = 0) -> np.ndarray:
    metric = METRICS["ccc"]
    total = None
    for chunk in chunks(count, size, seed):
        part = metric.accumulate(chunk)
        total = part if total is None else metric.merge([total, part])
    return metric.value(total, np.ones((1, 1)))[0]


def test_concordance_of_millions_of_frames_in_chunks():
    sums = np.zeros((5, 2), dtype=np.longdouble)
    for chunk in chunks(40, 50_000, seed=0):
        x, y = chunk.scores.astype(np.longdouble), chunk.target.astype(np.longdouble)
        sums += np.stack([part.sum(axis=0) for part in (x, y, x * x, y * y, x * y)])
    x, y, xx, yy, xy = sums / (40 * 50_000)
    expected = 2 * (xy - x * y) / (xx - x**2 + yy - y**2 + (x - y) ** 2)
    np.testing.assert_allclose(streamed(40, 50_000), expected.astype(np.float64), rtol=0, atol=1e-9)


def test_memory_does_not_grow_with_the_number_of_chunks():
    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            streamed(count, 2000)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(100) <= 1.2 * peak(10)


def test_nothing_cannot_be_merged():
    for name in (*CONTINUOUS, *CLASSES):
        with pytest.raises(ValueError, match="no statistics to merge"):
            METRICS[name].merge([])


def test_the_area_under_the_curve_needs_everything_at_once(predictions_of_classes):
    auc = METRICS["auc"]
    whole = auc.accumulate(predictions_of_classes(2, 0))
    assert auc.merge([whole]) is whole
    with pytest.raises(ValueError, match="at once, not 2 parts"):
        auc.merge([whole, whole])
