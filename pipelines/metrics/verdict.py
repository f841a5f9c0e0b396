"""What the numbers allow to say about a method, in words.

Decisions. One rule, `judge_gain`, for every report. It asks two questions that do not know each other's answer: would
other test subjects change the sign (the interval over groups), and would other training subjects (the test over folds).
A gain that a control shares comes from architecture or regularisation, not from privileged information, and the words
say so. A warning needs less proof than a claim: to be called worse takes the interval alone. A gain must be one over
folds too, because a pooled AUC or CCC can rise while that of every fold falls. Numbers in the metric's unit stand in
the table beside the sentence and are not repeated in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Literal

from pipelines.metrics.resampling import Estimate

SIGNIFICANCE = 0.05
"""Level of the two-sided test that a gain must pass."""


@dataclass(frozen=True)
class Verdict:
    """What the numbers allow to say: a kind to count and sort by, and a sentence that gives the reason.

    Of a control nothing is claimed: its kind is `control`, and `judge_gain` is not asked.
    """

    kind: Literal["gain", "no detectable gain", "gain, but the control has it too", "worse", "control"]
    sentence: str


def judge_gain(
    vs_baseline: Estimate,
    *,
    vs_matched: Estimate | None,
    vs_self: Estimate | None,
    p: float | None,
    higher_is_better: bool,
    fold_difference: float = nan,
) -> Verdict:
    """The one rule by which a comparison is put into words: the first that holds.

    1. "worse": the whole interval of the difference to visual only is on the worse side of zero, whatever p.
    2. "no detectable gain": it is not wholly on the better side (or there is none), or p >= .05, or folds lose.
    3. "gain, but the control has it too": against a control that was run, the interval is not wholly better.
    4. "gain": everything else. The sentence names the controls that were not run.

    Args:
        vs_baseline: paired difference, method minus visual only.
        vs_matched: method minus `none-matched`, None where that was not run.
        vs_self: method minus `self-kd`, likewise.
        p: of `corrected_t_test` against visual only, after `holm` over methods; None or NaN is not asked.
        higher_is_better: of the metric.
        fold_difference: what p is of, method minus visual only, mean over folds; NaN where that is not known.
    """
    p = None if p is None or isnan(p) else p
    opposed = better_side(fold_difference, fold_difference, higher_is_better) < 0
    side = better_side(vs_baseline.low, vs_baseline.high, higher_is_better)
    if side < 0:
        return Verdict("worse", f"worse than visual only{_test(p)}")
    if side == 0 or (p is not None and (p >= SIGNIFICANCE or opposed)):
        doubt = _doubt(vs_baseline, side, opposed)
        return Verdict("no detectable gain", f"no detectable gain over visual only; {doubt}{_test(p)}")
    controls = {"none-matched": vs_matched, "self-kd": vs_self}
    run = {name: known for name, known in controls.items() if known is not None}
    tied = _listed([name for name, c in run.items() if better_side(c.low, c.high, higher_is_better) <= 0])
    if tied:
        sentence = f"gain over visual only, but the control has it too: none shown over {tied}{_test(p)}"
        return Verdict("gain, but the control has it too", sentence)
    caveat = _caveat([name for name in controls if name not in run])
    return Verdict("gain", f"gain over {_listed(['visual only', *run])}{_test(p)}{caveat}")


def _doubt(vs_baseline: Estimate, side: int, opposed: bool) -> str:
    """Why there is no gain to speak of."""
    if isnan(vs_baseline.low):
        return vs_baseline.note or "there is no interval"
    if side == 0:
        return "the interval of the difference includes zero"
    if opposed:
        return "better over test groups, worse over folds"
    return "the interval over test groups excludes zero, the test over folds does not"


def _caveat(missing: Sequence[str]) -> str:
    """What cannot be said where controls were not run."""
    return f"; {_listed(missing)} not run, so the cause is open" if missing else ""


def _test(p: float | None) -> str:
    if p is None:
        return ""
    return f" (p = {p:.3f})" if p >= 0.001 else " (p < 0.001)"


def better_side(low: float, high: float, higher_is_better: bool) -> int:
    """1 where a whole interval is on the better side of zero, -1 on the worse, else 0; 0 where there is none."""
    above, below = low > 0, high < 0
    return (above - below) if higher_is_better else (below - above)


def _listed(names: Sequence[str]) -> str:
    """E.g. `a`, `a and b`, `a, b and c`; empty for none."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
