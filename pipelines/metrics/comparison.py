"""Whether a method beats another: a corrected test over folds, the effect's size, and the groups that pay for it.

Decisions. All of this compares cells, one trained model on one test fold, where `resampling` compares test groups: the
interval there does not know that other training subjects give other models, the test here does. `verdict` asks both.

Seeds are averaged before anything is tested: a fold is one observation, however often it was trained. Folds do not
depend on the seed here, so seeds share the fold's test subjects and (but for validation) its training subjects;
counting each (fold, seed) cell as an observation makes a test that rejects a true null too often where seeds hardly
differ and almost never where they differ much. tests/metrics/test_comparison.py simulates both. More seeds take noise
out of a fold's difference, only more folds or subjects add evidence.

What cannot be computed is NaN with a note, never a number that looks like evidence: one fold has no variance, and a few
folds that happen to agree to the last digit are no proof of p = 0. A fold without a value (an AUC in which one class is
missing) is left out, counted and noted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, isnan, lgamma, nan, sqrt

import numpy as np

ROUNDING = 1e-12
"""Relative to the values compared: what is smaller than this is the rounding of a mean, not a difference."""


@dataclass(frozen=True)
class _Folds:
    """Paired differences reduced to one value a fold: (F,) `values` with `mean` and `deviation` (divided by F - 1)."""

    values: np.ndarray
    mean: float
    deviation: float
    undefined: int

    @classmethod
    def of(cls, differences: np.ndarray) -> "_Folds":
        cells = np.atleast_2d(np.asarray(differences, dtype=np.float64))
        if cells.ndim != 2 or not cells.size:
            raise ValueError(f"differences are (folds,) or (seeds, folds), not {np.shape(differences)}")
        defined = np.isfinite(cells).all(axis=0)
        cells = cells[:, defined]
        values, undefined = cells.mean(axis=0), int((~defined).sum())
        if not len(values):
            return cls(values, nan, nan, undefined)
        noise = ROUNDING * np.abs(cells).max()
        mean = float(values.mean())
        deviation = float(values.std(ddof=1)) if len(values) > 1 else nan
        return cls(values, mean if abs(mean) > noise else 0.0, 0.0 if deviation <= noise else deviation, undefined)


@dataclass(frozen=True)
class FoldTest:
    """A paired t-test over folds, corrected for their overlap.

    Attributes:
        difference: mean over folds, in the metric's unit.
        t: the statistic, NaN where there is none.
        p: two-sided, NaN where there is none.
        degrees: of freedom, folds - 1.
        folds: that had a value and were tested.
        undefined: folds without a value, left out.
    """

    difference: float
    t: float
    p: float
    degrees: int
    folds: int
    undefined: int

    @property
    def note(self) -> str | None:
        """What a reader must know about the test, in words; None where there is nothing."""
        return _note(self.folds, self.undefined, isnan(self.p), "p-value", least=2)


@dataclass(frozen=True)
class EffectSize:
    """A paired, standardised difference.

    Attributes:
        value: Hedges' g_z, the unbiased estimate, NaN where there is none.
        d_z: Cohen's, the mean divided by the standard deviation of the folds' differences.
        folds: that had a value.
        undefined: folds without a value, left out.
    """

    value: float
    d_z: float
    folds: int
    undefined: int

    @property
    def note(self) -> str | None:
        """What a reader must know about the size, in words; None where there is nothing."""
        return _note(self.folds, self.undefined, isnan(self.value), "effect size", least=3)


@dataclass(frozen=True)
class NegativeTransfer:
    """Who is worse off with a method than with the baseline.

    Attributes:
        losses: group -> how much worse, above zero and in the metric's unit; the worst comes first.
        groups: compared.
        undefined: groups without a value on either side, not compared.
    """

    losses: Mapping[str, float]
    groups: int
    undefined: int

    @property
    def share(self) -> float:
        """Groups made worse, as a share of those compared; NaN where none was."""
        return len(self.losses) / self.groups if self.groups else nan

    @property
    def worst(self) -> float:
        """The largest loss, 0 where nobody lost."""
        return max(self.losses.values(), default=0.0)


def corrected_t_test(differences: np.ndarray, *, n_train: float, n_test: float) -> FoldTest:
    """The corrected resampled t-test of Nadeau and Bengio (Machine Learning 52, 2003).

    t = mean / sqrt((1/F + n_test/n_train) s^2) with F - 1 degrees of freedom, where s^2 is the variance of the F folds'
    differences, each a mean over seeds. The second term stands for the training sets' overlap; without it, folds pass
    for independent and a true null is rejected too often.

    Args:
        differences: (F,) or (S, F) method minus baseline, one a fold or one a seed and fold, in the metric's unit.
        n_train: clips or groups a model is built from, validation included; a mean where folds differ.
        n_test: clips or groups that it is tested on, in the same unit.

    Returns:
        p = 1 where every difference is zero. NaN, with a note, where fewer than two folds have a value, and where all
        are equal and not zero.

    Raises:
        ValueError: the differences have another shape or there are none, or a size is not positive.
    """
    if not (n_train > 0 and n_test > 0):
        raise ValueError(f"a test needs training and test sizes above zero, not {n_train} and {n_test}")
    from scipy.special import stdtr

    folds = _Folds.of(differences)
    count = len(folds.values)
    degrees = max(count - 1, 0)
    t = p = nan
    if count > 1 and folds.deviation > 0:
        t = folds.mean / (folds.deviation * sqrt(1 / count + n_test / n_train))
        p = 2 * float(stdtr(degrees, -abs(t)))
    elif count > 1 and folds.mean == 0:
        t, p = 0.0, 1.0
    return FoldTest(folds.mean, t, p, degrees=degrees, folds=count, undefined=folds.undefined)


def effect_size(differences: np.ndarray) -> EffectSize:
    """Cohen's d_z over folds, and Hedges' correction of its bias for few of them.

    d_z = mean / s (Cohen 1988, p. 48); g_z = J d_z with J = Gamma(m/2) / (sqrt(m/2) Gamma((m-1)/2)) and
    m = F - 1 (Hedges, Journal of Educational Statistics 6, 1981, eq. 6e). It says how steady a gain is over folds, not
    how large; and because folds share training subjects s is too small, so it compares methods on the same folds and
    is not to be held against sizes from independent studies.

    Args:
        differences: as in `corrected_t_test`; seeds are averaged here too.

    Returns:
        0 where every difference is zero. NaN, with a note, where all are equal and not zero, and where fewer than three
        folds have a value (J is not defined; d_z still is for two).

    Raises:
        ValueError: the differences have another shape, or there are none.
    """
    folds = _Folds.of(differences)
    count = len(folds.values)
    d_z = nan
    if count > 1 and folds.deviation > 0:
        d_z = folds.mean / folds.deviation
    elif count > 1 and folds.mean == 0:
        d_z = 0.0
    return EffectSize(d_z * _hedges(count - 1), d_z, folds=count, undefined=folds.undefined)


def negative_transfer(
    by_group_method: Mapping[str, float], by_group_baseline: Mapping[str, float], *, higher_is_better: bool
) -> NegativeTransfer:
    """Groups that a method makes worse than the baseline.

    A group of few clips moves either way by chance: the share means something beside that of two trainings of the
    baseline, not beside zero.

    Args:
        by_group_method: of `group_values`, in the metric's unit.
        by_group_baseline: the same of the baseline. A group that only one of them has is not compared.
        higher_is_better: of the metric.
    """
    everyone = sorted(by_group_method.keys() | by_group_baseline.keys())
    losses, compared = {}, 0
    for group in everyone:
        ours, theirs = by_group_method.get(group, nan), by_group_baseline.get(group, nan)
        if isnan(ours) or isnan(theirs):
            continue
        compared += 1
        loss = theirs - ours if higher_is_better else ours - theirs
        if loss > ROUNDING * max(abs(ours), abs(theirs)):
            losses[group] = loss
    worst_first = dict(sorted(losses.items(), key=lambda item: -item[1]))
    return NegativeTransfer(worst_first, groups=compared, undefined=len(everyone) - compared)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values adjusted for testing several methods (Holm, Scandinavian Journal of Statistics 6, 1979).

    The i-th smallest of m becomes max over j <= i of min(1, (m - j + 1) p_j): comparing it with alpha keeps the chance
    of any false gain among all methods at alpha, whatever their dependence. Names keep their order. A NaN (a method
    that was not tested) stays NaN and is not counted in m.

    Raises:
        ValueError: something is no probability.
    """
    tested = {name: p for name, p in p_values.items() if not isnan(p)}
    adjusted, floor = dict(p_values), 0.0
    for rank, (name, p) in enumerate(sorted(tested.items(), key=lambda item: item[1])):
        if not 0 <= p <= 1:
            raise ValueError(f"{name}: {p} is no p-value")
        floor = max(floor, min(1.0, (len(tested) - rank) * p))
        adjusted[name] = floor
    return adjusted


def _hedges(degrees: int) -> float:
    """J of Hedges (1981); NaN where a variance of one degree of freedom makes it undefined."""
    if degrees < 2:
        return nan
    return exp(lgamma(degrees / 2) - lgamma((degrees - 1) / 2)) / sqrt(degrees / 2)


def _note(folds: int, undefined: int, missing: bool, what: str, *, least: int) -> str | None:
    parts = []
    if folds < least:
        parts.append(f"no {what}: {folds} fold{'s' * (folds != 1)} with a value, it takes {least}")
    elif missing:
        parts.append(f"no {what}: the differences of all {folds} folds are equal, there is no variance to hold them to")
    if undefined:
        parts.append(f"{undefined} of {folds + undefined} folds had no value and were left out")
    return "; ".join(parts) or None
