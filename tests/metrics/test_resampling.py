from math import isnan, sqrt

import numpy as np
import pytest

from pipelines.metrics import (
    METRICS,
    Predictions,
    bootstrap_weights,
    group_values,
    interval,
    paired_difference,
    summarise,
)

ACCURACY = METRICS["accuracy"]


def subjects(hits: list[int], clips: int, names: list[str] | None = None):
    """Accuracy statistics of subjects with `clips` clips each, of which `hits` are right."""
    names = names or [f"s{i:03d}" for i in range(len(hits))]
    right = np.concatenate([np.arange(clips) < h for h in hits])
    groups = np.repeat(names, clips)
    target = np.arange(len(groups)) % 2
    predicted = np.where(right, target, 1 - target)
    return ACCURACY.accumulate(Predictions(groups, groups, target, np.eye(2)[predicted]))


def test_weights_are_counts_of_drawn_groups():
    weights = bootstrap_weights(7, 5000, seed=3)
    assert weights.shape == (5000, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == weights.round()).all()
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(weights.var(axis=0), 6 / 7, atol=0.08)
    np.testing.assert_array_equal(weights, bootstrap_weights(7, 5000, seed=3))
    assert (weights != bootstrap_weights(7, 5000, seed=4)).any()


def test_weights_of_nothing_are_refused():
    with pytest.raises(ValueError, match="no group"):
        bootstrap_weights(0, 10, seed=0)


def test_interval_is_the_percentile_of_what_is_defined():
    values = np.array([np.nan, *np.arange(101.0), np.nan])
    assert interval(values, 0.9) == pytest.approx((5, 95))
    assert all(isnan(end) for end in interval(np.full(3, np.nan), 0.95))


def test_interval_has_the_width_of_the_groups_standard_error():
    hits = np.random.default_rng(0).integers(4, 21, size=100).tolist()
    estimate = summarise(ACCURACY, [subjects(hits, 20)], weights=bootstrap_weights(100, 20_000, 0), confidence=0.95)
    error = np.std(np.array(hits) / 20) / sqrt(100)
    assert estimate.value == pytest.approx(np.mean(hits) / 20, abs=1e-12)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * error, rel=0.03)
    assert estimate.low < estimate.value < estimate.high
    assert (estimate.groups, estimate.resamples, estimate.undefined, estimate.note) == (100, 20_000, 0, None)


def test_value_is_the_mean_over_seeds_on_the_same_resamples():
    first, second = subjects([10, 0, 5], 10), subjects([0, 10, 5], 10)
    weights = bootstrap_weights(3, 500, seed=0)
    both = summarise(ACCURACY, [first, second], weights=weights, confidence=0.95)
    # Whatever subjects are drawn, one seed gains what the other loses only if both see the same draw.
    assert (both.value, both.low, both.high) == pytest.approx((0.5, 0.5, 0.5))
    alone = summarise(ACCURACY, [first], weights=weights, confidence=0.95)
    assert alone.high - alone.low > 0.5


def test_difference_is_paired():
    baseline, method = subjects([2, 9, 4, 7], 10), subjects([3, 10, 5, 8], 10)
    weights = bootstrap_weights(4, 1000, seed=0)
    difference = paired_difference(ACCURACY, [method], [baseline], weights=weights, confidence=0.95)
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.1, 0.1, 0.1))
    against_itself = paired_difference(ACCURACY, [method], [method], weights=weights, confidence=0.95)
    assert (against_itself.value, against_itself.low, against_itself.high) == (0, 0, 0)


def test_difference_between_seeds_of_unequal_number():
    weights = bootstrap_weights(2, 100, seed=0)
    method, baseline = [subjects([8, 8], 10)], [subjects([6, 6], 10), subjects([4, 4], 10)]
    assert paired_difference(ACCURACY, method, baseline, weights=weights, confidence=0.9).value == pytest.approx(0.3)


def test_one_group_has_a_value_and_no_interval():
    estimate = summarise(ACCURACY, [subjects([7], 10)], weights=bootstrap_weights(1, 100, 0), confidence=0.95)
    assert estimate.value == pytest.approx(0.7)
    assert isnan(estimate.low)
    assert isnan(estimate.high)
    assert estimate.note is not None
    assert "one test group" in estimate.note


def test_resamples_without_a_value_are_counted_and_left_out():
    auc = METRICS["auc"]
    # One subject holds all the positives: whenever it is not drawn there is no AUC.
    groups = np.array(["a", "a", "b", "c"])
    scores = np.array([0.9, 0.4, 0.5, 0.1])
    statistics = auc.accumulate(
        Predictions(groups, groups, np.array([1, 1, 0, 0]), np.stack([1 - scores, scores], axis=1))
    )
    weights = bootstrap_weights(3, 400, seed=0)
    estimate = summarise(auc, [statistics], weights=weights, confidence=0.95)
    undefined = int(((weights[:, 0] == 0) | (weights[:, 1:].sum(axis=1) == 0)).sum())
    assert 0 < undefined == estimate.undefined < 400
    assert (estimate.low, estimate.high) == (0.5, 1.0)
    assert estimate.note is not None
    assert f"{undefined} of 400" in estimate.note


def test_values_of_single_groups():
    assert group_values(ACCURACY, [subjects([1, 5, 10], 10), subjects([3, 5, 8], 10)]) == pytest.approx(
        {"s000": 0.2, "s001": 0.5, "s002": 0.9}
    )


def test_methods_tested_on_other_groups_cannot_be_paired():
    weights = bootstrap_weights(2, 10, seed=0)
    here, there = subjects([1, 2], 5, ["a", "b"]), subjects([1, 2], 5, ["a", "c"])
    with pytest.raises(ValueError, match=r"same groups.*b, c"):
        paired_difference(ACCURACY, [here], [there], weights=weights, confidence=0.95)
    with pytest.raises(ValueError, match="same groups"):
        summarise(ACCURACY, [here, there], weights=weights, confidence=0.95)
    with pytest.raises(ValueError, match="weights for 3 groups"):
        summarise(ACCURACY, [here], weights=np.ones((1, 3)), confidence=0.95)


def test_continuous_dimensions_and_their_mean():
    rng = np.random.default_rng(0)
    groups = np.array(["a", "b", "c"] * 20)
    target = rng.normal(size=(60, 2))
    ccc = METRICS["ccc"]
    statistics = [ccc.accumulate(Predictions(groups, groups, target, target * [1.0, 0.5]))]
    weights = bootstrap_weights(3, 200, seed=0)
    valence, arousal, mean = (
        summarise(ccc, statistics, weights=weights, confidence=0.95, dimension=k) for k in (0, 1, None)
    )
    assert valence.value == pytest.approx(1)
    assert arousal.value < 0.9
    assert mean.value == pytest.approx((valence.value + arousal.value) / 2)
    assert valence.low <= valence.high
    assert set(group_values(ccc, statistics, dimension=0)) == {"a", "b", "c"}
