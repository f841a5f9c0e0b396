from collections.abc import Callable
from itertools import pairwise
from math import gamma, inf, isnan, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.metrics import corrected_t_test, effect_size, holm, negative_transfer

SAMPLES, DATA_SETS = 60, 1000
P_VALUES = st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8)
DIFFERENCES = st.lists(st.floats(-1, 1).map(lambda x: round(x, 6)), min_size=3, max_size=12).filter(
    lambda values: len(set(values)) > 1
)


def test_values_computed_by_hand():
    # s^2 = 2.5, so t = 3 / sqrt((1/5 + 1/4) 2.5); the distribution function for 4 degrees of freedom is closed.
    test = corrected_t_test(np.array([1.0, 2, 3, 4, 5]), n_train=80, n_test=20)
    t = 2 * sqrt(2)
    scaled = t**2 / (1 + t**2 / 4)
    assert (test.difference, test.t) == pytest.approx((3, t))
    assert test.p == pytest.approx(1 - 2 * 3 / 8 * sqrt(scaled) * (1 - scaled / 12))
    assert test.p == pytest.approx(0.0474, abs=5e-5)
    assert (test.degrees, test.folds, test.undefined, test.note) == (4, 5, 0, None)


def test_test_approaches_the_ordinary_one_where_tests_are_small():
    differences = np.random.default_rng(0).normal(0.3, size=12)
    test = corrected_t_test(differences, n_train=1, n_test=1e-12)
    assert test.t == pytest.approx(differences.mean() / (differences.std(ddof=1) / sqrt(12)))


def naive_p(differences: np.ndarray) -> float:
    """The ordinary paired t-test of all cells: what the correction is measured against."""
    return corrected_t_test(differences.ravel(), n_train=1, n_test=1e-12).p


def rejection_rate(cells: np.ndarray, p_value: Callable[[np.ndarray], float]) -> float:
    return float(np.mean([p_value(differences) < 0.05 for differences in cells]))


def null_cells(tests: list[np.ndarray], *, seeds: int = 1, noise: float = 0.0) -> np.ndarray:
    """(data sets, seeds, tests) differences in accuracy of two models that are equally good on average.

    Each is a linear classifier of its own 5 of 10 exchangeable features, trained on every sample outside of the test; a
    seed perturbs its weights.
    """
    rng = np.random.default_rng(7)
    sign = np.where(np.arange(SAMPLES) % 2, 1.0, -1.0)
    x = rng.normal(size=(DATA_SETS, SAMPLES, 2, 5)) + 0.3 * sign[:, None, None]
    cells = np.empty((DATA_SETS, seeds, len(tests)))
    for fold, test in enumerate(tests):
        train = np.setdiff1d(np.arange(SAMPLES), test)
        fitted = np.einsum("n,rnkd->rkd", sign[train], x[:, train]) / len(train)
        for seed in range(seeds):
            weights = fitted + noise * rng.normal(size=fitted.shape)
            right = np.einsum("rkd,rnkd->rnk", weights, x[:, test]) * sign[test, None] > 0
            cells[:, seed, fold] = right[:, :, 0].mean(axis=1) - right[:, :, 1].mean(axis=1)
    return cells


def k_folds(folds: int) -> list[np.ndarray]:
    # Samples alternate in class: pairs stay together, so that folds are stratified.
    return [np.flatnonzero(np.arange(SAMPLES) // 2 % folds == fold) for fold in range(folds)]


def test_level_is_kept_where_training_sets_overlap():
    draws = np.random.default_rng(1)
    cells = null_cells([draws.permutation(SAMPLES)[:12] for _ in range(15)])
    assert rejection_rate(cells, naive_p) > 0.2
    assert rejection_rate(cells, lambda d: corrected_t_test(d, n_train=48, n_test=12).p) < 0.065


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3, 1.0])
def test_level_is_kept_when_every_fold_is_trained_under_several_seeds(noise: float):
    cells = null_cells(k_folds(5), seeds=5, noise=noise)
    assert rejection_rate(cells, lambda d: corrected_t_test(d, n_train=48, n_test=12).p) < 0.065


def test_seeds_counted_as_observations_would_break_the_level():
    alike, apart = (
        rejection_rate(
            null_cells(k_folds(5), seeds=5, noise=noise),
            lambda d: corrected_t_test(d.ravel(), n_train=48, n_test=12).p,
        )
        for noise in (0.0, 1.0)
    )
    assert alike > 0.08
    assert apart < 0.01


def test_a_steady_gain_is_found():
    differences = 0.04 + 0.01 * np.random.default_rng(0).normal(size=(3, 5))
    assert corrected_t_test(differences, n_train=4, n_test=1).p < 0.01


@given(DIFFERENCES, st.integers(1, 4))
def test_repeating_the_seeds_adds_no_evidence(values: list[float], seeds: int):
    once = corrected_t_test(np.array(values), n_train=4, n_test=1)
    again = corrected_t_test(np.tile(values, (seeds, 1)), n_train=4, n_test=1)
    assert (again.p, again.t, again.folds) == (pytest.approx(once.p), pytest.approx(once.t), once.folds)


@given(DIFFERENCES, st.floats(0.01, 100))
def test_two_sided_and_free_of_unit(values: list[float], unit: float):
    differences = np.array(values)
    test = corrected_t_test(differences, n_train=4, n_test=1)
    other = corrected_t_test(-unit * differences, n_train=40, n_test=10)
    assert 0 <= test.p <= 1
    assert (other.p, other.t) == (pytest.approx(test.p), pytest.approx(-test.t))
    assert effect_size(-unit * differences).value == pytest.approx(-effect_size(differences).value)
    assert test.p >= naive_p(differences)


def test_nothing_but_zeros_is_no_difference():
    # The first fold's seeds cancel but for rounding.
    differences = np.array([[0.1 + 0.2, 0.0, 0.0], [-0.3, 0.0, 0.0]])
    test = corrected_t_test(differences, n_train=2, n_test=1)
    assert (test.t, test.p, test.note) == (0, 1, None)
    assert (effect_size(differences).value, effect_size(differences).note) == (0, None)


def test_equal_differences_are_no_proof():
    differences = np.array([0.1, 0.1, 0.1 + 1e-17, 0.3 - 0.2])
    test = corrected_t_test(differences, n_train=3, n_test=1)
    assert isnan(test.p)
    assert test.difference == pytest.approx(0.1)
    assert "all 4 folds are equal" in str(test.note)
    assert isnan(effect_size(differences).value)
    assert "no effect size" in str(effect_size(differences).note)


def test_one_fold_is_not_tested_however_many_seeds():
    test = corrected_t_test(np.array([[0.1], [0.2], [0.3]]), n_train=4, n_test=1)
    assert (isnan(test.p), test.folds, test.degrees) == (True, 1, 0)
    assert test.difference == pytest.approx(0.2)
    assert test.note == "no p-value: 1 fold with a value, it takes 2"


def test_folds_without_a_value_are_left_out_and_counted():
    differences = np.array([[0.1, nan, 0.3, 0.5], [0.3, 0.2, 0.1, 0.9]])
    test, kept = (
        corrected_t_test(d, n_train=3, n_test=1) for d in (differences, np.array([[0.1, 0.3, 0.5], [0.3, 0.1, 0.9]]))
    )
    assert (test.p, test.folds, test.undefined) == (kept.p, 3, 1)
    assert test.note == "1 of 4 folds had no value and were left out"
    nothing = corrected_t_test(np.full(3, nan), n_train=3, n_test=1)
    assert isnan(nothing.difference)
    assert nothing.note == "no p-value: 0 folds with a value, it takes 2; 3 of 3 folds had no value and were left out"


def test_what_cannot_be_tested_is_refused():
    with pytest.raises(ValueError, match=r"not \(0,\)"):
        corrected_t_test(np.array([]), n_train=4, n_test=1)
    with pytest.raises(ValueError, match=r"not \(1, 2, 3\)"):
        effect_size(np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match="not 4 and 0"):
        corrected_t_test(np.array([1.0, 2.0]), n_train=4, n_test=0)


def test_effect_size_computed_by_hand():
    effect = effect_size(np.array([1.0, 2, 3, 4, 5]))
    assert effect.d_z == pytest.approx(3 / sqrt(2.5))
    assert effect.value == pytest.approx(3 / sqrt(2.5) * gamma(2) / (sqrt(2) * gamma(1.5)))
    assert (effect.folds, effect.undefined, effect.note) == (5, 0, None)


def test_effect_size_is_not_biased_by_few_folds():
    draws = np.random.default_rng(0).normal(0.8, 1, size=(10_000, 5))
    sizes = [effect_size(d) for d in draws]
    assert np.mean([size.value for size in sizes]) == pytest.approx(0.8, abs=0.02)
    assert np.mean([size.d_z for size in sizes]) > 0.95


def test_effect_size_of_two_folds_cannot_be_corrected():
    effect = effect_size(np.array([1.0, 2.0]))
    assert effect.d_z == pytest.approx(1.5 / sqrt(0.5))
    assert isnan(effect.value)
    assert effect.note == "no effect size: 2 folds with a value, it takes 3"


def test_groups_made_worse():
    method = {"a": 0.5, "b": 0.2, "c": 0.9, "d": nan, "e": 0.1, "g": (0.1 + 0.2) / 3}
    baseline = {"a": 0.6, "b": 0.6, "c": 0.8, "d": 0.5, "f": 0.3, "g": 0.1 + 1e-17}
    transfer = negative_transfer(method, baseline, higher_is_better=True)
    assert list(transfer.losses) == ["b", "a"]
    assert transfer.losses == pytest.approx({"a": 0.1, "b": 0.4})
    assert (transfer.groups, transfer.undefined, transfer.share) == (4, 3, 0.5)
    assert transfer.worst == pytest.approx(0.4)


def test_rounding_makes_no_group_worse():
    method, baseline = {"a": 0.3}, {"a": 0.1 + 0.2}
    assert baseline["a"] > method["a"]
    assert negative_transfer(method, baseline, higher_is_better=True).losses == {}


def test_groups_made_worse_by_an_error():
    transfer = negative_transfer({"a": 2.0, "b": 1.0}, {"a": 1.5, "b": 1.5}, higher_is_better=False)
    assert transfer.losses == {"a": 0.5}


def test_negative_transfer_of_nobody():
    transfer = negative_transfer({"a": 0.5}, {"b": 0.5}, higher_is_better=True)
    assert (transfer.groups, transfer.undefined, transfer.worst) == (0, 2, 0)
    assert isnan(transfer.share)


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1)), st.booleans())
def test_whoever_loses_with_one_gains_with_the_other(values: dict[str, float], higher: bool):
    zero = dict.fromkeys(values, 0.5)
    there, back = (
        set(negative_transfer(*pair, higher_is_better=higher).losses) for pair in ((values, zero), (zero, values))
    )
    assert not there & back
    assert there | back == {group for group, value in values.items() if abs(value - 0.5) > 5e-13}


def test_holm_computed_by_hand():
    adjusted = holm({"kd": 0.03, "sp": nan, "rkd": 0.01, "fitnet": 0.04, "pkdot": 0.6})
    assert list(adjusted) == ["kd", "sp", "rkd", "fitnet", "pkdot"]
    assert isnan(adjusted.pop("sp"))
    # 4 x .01; 3 x .03; 2 x .04 = .08 is below its predecessor's .09.
    assert adjusted == pytest.approx({"kd": 0.09, "rkd": 0.04, "fitnet": 0.09, "pkdot": 0.6})


@given(P_VALUES)
def test_holm_keeps_order_and_lies_between_no_correction_and_bonferroni(p_values: dict[str, float]):
    adjusted = holm(p_values)
    assert list(adjusted) == list(p_values)
    for name, p in p_values.items():
        assert p <= adjusted[name] <= min(1, len(p_values) * p)
    ranked = [adjusted[name] for name in sorted(p_values, key=lambda name: p_values[name])]
    assert all(a <= b for a, b in pairwise(ranked))


@settings(max_examples=50)
@given(P_VALUES, st.floats(0.001, 0.5))
def test_holm_rejects_what_stepping_down_rejects(p_values: dict[str, float], alpha: float):
    rejected, ranked = set(), sorted(p_values, key=lambda name: p_values[name])
    for step, name in enumerate(ranked):
        if (len(ranked) - step) * p_values[name] > alpha:
            break
        rejected.add(name)
    assert {name for name, p in holm(p_values).items() if p <= alpha} == rejected


@pytest.mark.parametrize("value", [-0.1, 1.5, inf])
def test_holm_refuses_what_is_no_probability(value: float):
    with pytest.raises(ValueError, match=r"kd: .* is no p-value"):
        holm({"sp": 0.1, "kd": value})
