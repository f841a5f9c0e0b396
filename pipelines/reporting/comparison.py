"""Methods against visual only and against the controls that tell what a gain is due to.

Every number is paired: the same folds, seeds and test clips on both sides. Two questions are asked of each method and
neither knows the other's answer: would other test groups change the sign (the interval), and would other training
groups (the corrected test over folds, after Holm over the methods compared). `metrics.verdict` puts both into words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import nan
from typing import Any

import numpy as np

from pipelines.metrics import (
    EffectSize,
    Estimate,
    FoldTest,
    Metric,
    NegativeTransfer,
    Verdict,
    corrected_t_test,
    effect_size,
    group_values,
    holm,
    judge_gain,
    negative_transfer,
)
from pipelines.reporting.measured import Measured
from pipelines.reporting.paired import Methods, PairedStatistics
from pipelines.reporting.strata import Stratum, compare_strata
from pipelines.reporting.table import BASELINE

MATCHED, SELF = "none-matched", "self-kd"
"""Methods that have seen nothing privileged: what another shares with them is not what privilege is worth."""
CONTROLS = (MATCHED, "none-hallucinated", SELF)
"""Methods that nobody claims a gain for: they are shown, and neither tested nor put into words."""
_UNJUDGED = Verdict("control", "a control: shown, and neither tested nor judged")


@dataclass(frozen=True)
class Comparison:
    """One method against visual only and what has seen nothing privileged.

    Attributes:
        method: its name.
        value: on all test clips, with its interval.
        against: `none`, `none-matched` and `self-kd`, if run -> paired difference, method minus that one.
        test: against visual only over folds, p not yet adjusted.
        p: adjusted for the number of methods compared; NaN for a control, or where there is no test.
        effect: of the same differences.
        negative: groups made worse than by visual only.
        verdict: in words.
    """

    method: str
    value: Estimate
    against: Mapping[str, Estimate]
    test: FoldTest
    p: float
    effect: EffectSize
    negative: NegativeTransfer
    verdict: Verdict


@dataclass(frozen=True)
class Compared:
    """What a comparison by one metric found.

    Attributes:
        baseline: value of visual only.
        comparisons: every other method, in the order given.
        noise: of `seed_noise`.
        strata: the same by sex and age, where known.
    """

    baseline: Estimate
    comparisons: Sequence[Comparison]
    noise: float
    strata: Sequence[Stratum]


def compare(known: Methods, metric: Metric[Any], strata: Mapping[tuple[str, str], Methods]) -> Compared:
    """Everything that can be said by one metric. Args are those of `compare_methods` and `compare_strata`."""
    return Compared(
        comparisons=compare_methods(known, metric),
        baseline=known.value(metric, BASELINE) or _NOTHING,
        noise=seed_noise(known, metric),
        strata=compare_strata(strata, metric),
    )


def compare_methods(known: Methods, metric: Metric[Any]) -> list[Comparison]:
    """Compare every method that is not the baseline.

    Folds part the groups: with F of them a model is built from F - 1 parts and tested on one, which is all that the
    corrected test needs to know. A single fold has no test.

    Args:
        known: predictions of `none` and at least one other method, on the same cells.
        metric: by which; of continuous dimensions their mean is compared.

    Raises:
        ValueError: there is no baseline.
    """
    if BASELINE not in known.seeds:
        raise ValueError(f"nothing can be compared without {BASELINE!r} among {list(known.seeds)}")
    others = [method for method in known.seeds if method != BASELINE]
    differences = {method: cell_differences(known, metric, method, BASELINE) for method in others}
    tests = {
        method: corrected_t_test(values, n_train=max(values.shape[1] - 1, 1), n_test=1)
        for method, values in differences.items()
    }
    adjusted = holm({method: tests[method].p for method in others if method not in CONTROLS})
    return [
        _compared(known, metric, method, tests[method], adjusted.get(method, nan), effect_size(differences[method]))
        for method in others
    ]


def _compared(
    known: Methods, metric: Metric[Any], method: str, test: FoldTest, p: float, effect: EffectSize
) -> Comparison:
    against = {
        name: difference
        for name in (BASELINE, MATCHED, SELF)
        if name in known.seeds and name != method and (difference := known.difference(metric, method, name))
    }
    verdict = _UNJUDGED
    if method not in CONTROLS:
        verdict = judge_gain(
            against.get(BASELINE, _NOTHING),
            vs_matched=against.get(MATCHED),
            vs_self=against.get(SELF),
            p=p,
            higher_is_better=metric.higher_is_better,
            fold_difference=test.difference,
        )
    return Comparison(
        method=method,
        value=known.value(metric, method) or _NOTHING,
        against=against,
        test=test,
        p=p,
        effect=effect,
        negative=_negative(known, metric, method),
        verdict=verdict,
    )


_NOTHING = Estimate(nan, nan, nan, groups=0, resamples=0, undefined=0)


def cell_differences(known: Methods, metric: Metric[Any], method: str, baseline: str) -> np.ndarray:
    """(S, F) method minus baseline, each on the test clips of a fold that both predict; NaN where there are none."""
    folds, seeds = (sorted({cell[axis] for cell in known.cells[method]}) for axis in (0, 1))
    pairs = known.cells[method], known.cells[baseline]
    return np.array(
        [[_cell_difference(metric, *(side[fold, seed] for side in pairs)) for fold in folds] for seed in seeds]
    )


def _cell_difference(metric: Metric[Any], mine: Measured, theirs: Measured) -> float:
    common = mine.group_of.keys() & theirs.group_of.keys()
    if not common:
        return nan
    return float(mine.only(common).value(metric).mean() - theirs.only(common).value(metric).mean())


def seed_noise(known: Methods, metric: Metric[Any]) -> float:
    """A/A: how much two trainings of visual only differ by their seed alone, mean absolute difference; NaN for one."""
    values = [float(part.value(metric).mean()) for part in known.seeds[BASELINE]]
    return float(np.mean([abs(a - b) for a, b in combinations(values, 2)])) if len(values) > 1 else nan


def _negative(known: Methods, metric: Metric[Any], method: str) -> NegativeTransfer:
    shared = PairedStatistics(metric, known.seeds[method], known.seeds[BASELINE]).shared
    values: Sequence[Mapping[str, float]] = [group_values(metric, side) for side in shared] if shared else [{}, {}]
    return negative_transfer(*values, higher_is_better=metric.higher_is_better)
