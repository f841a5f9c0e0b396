"""Confidence: by hand where numbers are few, by simulation where a promise is made."""

import numpy as np
import pytest

from pipelines.metrics import (
    METRICS,
    bootstrap_weights,
    count_covered,
    expected_calibration_error,
    fit_temperature,
    groups_needed,
    interval_half_widths,
    merge_covered,
    tempered,
)

ECE = METRICS["ece"]


def softmax(logits):
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def draw(logits, rng):
    """Classes drawn by the softmax of logits."""
    return (rng.random((len(logits), 1)) > softmax(logits).cumsum(1)).sum(1)


def test_calibration_error_by_hand():
    """Bins of two: (0, .5] holds a hit at .5; (.5, 1] a hit at .9, a hit at .8 and a miss at .7."""
    probabilities = np.array([[0.5, 0.3, 0.2], [0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.0, 0.3, 0.7]])
    found = expected_calibration_error(probabilities, np.array([0, 0, 1, 1]), bins=2)
    assert found == pytest.approx(1 / 4 * (1 - 0.5) + 3 / 4 * (0.8 - 2 / 3))


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    """Were the two in one bin, their gaps would cancel: .5 - 1 and .51 - 0."""
    probabilities = np.array([[0.5, 0.5], [0.51, 0.49]])
    assert expected_calibration_error(probabilities, np.array([0, 1]), bins=2) == pytest.approx((0.5 + 0.51) / 2)
    assert expected_calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == 0
    assert np.isnan(expected_calibration_error(np.zeros((0, 2)), np.zeros(0, int)))


@pytest.mark.parametrize("classes", [2, 5])
def test_the_metric_is_the_error_also_of_resampled_groups(classes, predictions_of_classes, replicated):
    predictions = predictions_of_classes(classes, 3)
    weights = np.concatenate([np.ones((1, 9)), bootstrap_weights(9, 5, 0), np.eye(9)])
    expected = [
        expected_calibration_error(part.scores, part.target)
        for part in (replicated(predictions, row) for row in weights)
    ]
    np.testing.assert_allclose(ECE.value(ECE.accumulate(predictions), weights), expected, rtol=0, atol=1e-12)
    assert np.isnan(ECE.value(ECE.accumulate(predictions), np.zeros((1, 9)))).all()


def test_tempering_divides_logits_and_can_be_undone():
    logits = np.random.default_rng(0).normal(size=(50, 4)) * 3
    shares = softmax(logits)
    np.testing.assert_allclose(tempered(shares, 2.5), softmax(logits / 2.5), rtol=0, atol=1e-15)
    np.testing.assert_allclose(tempered(tempered(shares, 2.5), 1 / 2.5), shares, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(tempered(np.array([[1.0, 0.0]]), 3.0), [[1.0, 0.0]])


@pytest.mark.parametrize("pseudo_count", [0.0, 1.0])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_logits_were_distorted_by_is_found(temperature, pseudo_count):
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((20000, 3))
    target = draw(logits, rng)
    found = fit_temperature(logits * temperature, target, pseudo_count=pseudo_count)
    assert found == pytest.approx(temperature, rel=0.04)


def test_a_temperature_takes_the_overconfidence_away_and_changes_no_decision():
    rng = np.random.default_rng(1)
    logits = rng.standard_normal((8000, 2))
    target, confident = draw(logits, rng), softmax(5 * logits)
    calm = tempered(confident, fit_temperature(5 * logits[:4000], target[:4000], pseudo_count=1.0))
    before, after = (expected_calibration_error(p[4000:], target[4000:]) for p in (confident, calm))
    assert before > 0.15
    assert after < 0.04
    np.testing.assert_array_equal(confident.argmax(1), calm.argmax(1))


def test_a_few_right_answers_make_nobody_certain():
    logits, target = np.tile([2.0, 0.0], (8, 1)), np.zeros(8, int)
    assert fit_temperature(logits, target) == pytest.approx(0.1, rel=0.01), "the cross-entropy alone asks for certainty"
    temperature = fit_temperature(logits, target, pseudo_count=1.0)
    assert softmax(logits / temperature)[0, 0] == pytest.approx(9 / 10, abs=1e-4)


def test_half_widths_by_hand():
    """K = 3 groups of mass 1/4 each: a has two observations, b and c have one; an eighth is below 1, and so on."""
    residuals = np.array([[1.0], [-4.0], [2.0], [-3.0]])
    groups = np.array(["a", "a", "b", "c"])
    levels = [1 / 8, 0.13, 3 / 8, 0.6, 5 / 8, 3 / 4, 0.76]
    assert interval_half_widths(residuals, groups, levels) == [[1.0], [2.0], [2.0], [3.0], [3.0], [4.0], None]


def test_each_dimension_has_its_own_width():
    residuals = np.array([[0.1, -3.0], [-0.2, 1.0]])
    assert interval_half_widths(residuals, np.array(["a", "b"]), [0.5, 2 / 3]) == [[0.2, 3.0], [0.2, 3.0]]


def test_a_level_takes_groups_enough():
    assert [groups_needed(level) for level in (0.5, 0.75, 0.9, 0.95, 0.99)] == [1, 3, 9, 19, 99]
    for level in (0.5, 0.75, 0.9, 0.95, 0.99):
        for count, there in ((groups_needed(level), True), (groups_needed(level) - 1, False)):
            groups = np.repeat(np.arange(count).astype(str), 7)
            (width,) = interval_half_widths(np.ones((7 * count, 1)), groups, [level])
            assert (width is not None) == there
    assert interval_half_widths(np.zeros((0, 2)), np.zeros(0, str), [0.5]) == [None]


def test_rounding_over_many_frames_costs_no_level():
    groups = np.repeat([f"v{i}" for i in range(9)], [7001, 12347, 3, 40001, 999, 1, 30011, 777, 20011])
    (width,) = interval_half_widths(np.linspace(-1, 1, len(groups))[:, None], groups, [0.9])
    assert width == [1.0]


def hierarchical(rng, count, most=20):
    """Groups that differ more than what is in them."""
    sizes = rng.integers(1, most, count)
    groups = np.repeat(np.arange(count), sizes)
    return rng.normal(size=count)[groups] + 0.3 * rng.normal(size=len(groups)), groups.astype(str)


@pytest.mark.parametrize(("count", "level"), [(9, 0.9), (4, 0.8), (19, 0.95)])
def test_a_new_group_is_covered_as_promised_where_a_pooled_quantile_covers_too_little(count, level):
    rng = np.random.default_rng(0)
    promised, pooled = [], []
    for _ in range(1500):
        residuals, groups = hierarchical(rng, count)
        new, _ = hierarchical(rng, 1)
        (width,) = interval_half_widths(residuals[:, None], groups, [level])
        assert width is not None
        promised.append(np.mean(np.abs(new) <= width[0]))
        n = len(residuals)
        pooled.append(np.mean(np.abs(new) <= np.sort(np.abs(residuals))[min(int(np.ceil(level * (n + 1))), n) - 1]))
    error = np.std(promised) / np.sqrt(len(promised))
    assert np.mean(promised) >= level - 3 * error
    assert np.mean(promised) <= level + 1 / (count + 1) + 3 * error
    assert np.mean(pooled) < level - 3 * error


def test_covered_shares_are_those_of_each_group_and_parts_merge():
    rng = np.random.default_rng(0)
    residuals, groups = rng.normal(size=(200, 2)), rng.choice(["a", "b", "c"], 200)
    half_widths = np.array([[0.5, 0.1], [1.0, 2.0]])
    whole = count_covered(residuals, groups, half_widths)
    for number, name in enumerate("abc"):
        mine = np.abs(residuals[groups == name])
        expected = [[np.mean(mine[:, k] <= half_widths[row, k]) for k in (0, 1)] for row in (0, 1)]
        np.testing.assert_allclose(whole.shares[number], expected)
    parts = [count_covered(residuals[rows], groups[rows], half_widths) for rows in np.split(np.arange(200), [3, 90])]
    merged = merge_covered(parts)
    assert merged.groups == whole.groups
    np.testing.assert_array_equal(merged.counts, whole.counts)
    np.testing.assert_array_equal(merged.clips, whole.clips)
