"""What the numbers allow to say about a method, in words.

Decisions. One rule, `judge_gain`, for every report. It asks two questions that do not know each other's answer: would
other test subjects change the sign (the interval over groups), and would other training subjects (the test over folds).
A gain that a control shares comes from architecture or regularisation, not from privileged information, and the words
say so. Numbers in the metric's unit stand in the table beside the sentence and are not repeated in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

from pipelines.metrics.resampling import Estimate

SIGNIFICANCE = 0.05
"""Level of the two-sided test that a gain must pass."""


@dataclass(frozen=True)
class Verdict:
    """What the numbers allow to say: a kind to count and sort by, and a sentence that gives the reason."""

    kind: Literal["gain", "no detectable gain", "gain, but the control has it too", "worse"]
    sentence: str


def judge_gain(
    vs_baseline: Estimate,
    *,
    vs_matched: Estimate | None,
    vs_self: Estimate | None,
    p: float | None,
    higher_is_better: bool,
) -> Verdict:
    """The one rule by which a comparison is put into words: the first that holds.

    1. "worse": the whole interval of the difference to visual only is on the worse side of zero, whatever p: a warning
       needs less proof than a claim.
    2. "no detectable gain": that interval is not wholly on the better side (or there is none), or p >= .05.
    3. "gain, but the control has it too": against a control that was run, the interval is not wholly better.
    4. "gain": everything else. The sentence names the controls that were not run.

    Args:
        vs_baseline: paired difference, method minus visual only.
        vs_matched: method minus `none-matched`, None where that was not run.
        vs_self: method minus `self-kd`, None where that was not run.
        p: of `corrected_t_test` against visual only, after `holm` where several methods are tested. Where it is None or
            NaN the intervals decide alone.
        higher_is_better: of the metric.
    """
    p = None if p is None or isnan(p) else p
    side = _side(vs_baseline, higher_is_better)
    if side < 0:
        return Verdict("worse", f"worse than visual only{_test(p)}")
    if side == 0 or (p is not None and p >= SIGNIFICANCE):
        doubt = _doubt(vs_baseline, side)
        return Verdict("no detectable gain", f"no detectable gain over visual only; {doubt}{_test(p)}")
    controls = {"none-matched": vs_matched, "self-kd": vs_self}
    run = {name: _side(control, higher_is_better) for name, control in controls.items() if control is not None}
    tied = _listed([name for name, better in run.items() if better <= 0])
    if tied:
        sentence = f"gain over visual only, but the control has it too: none shown over {tied}{_test(p)}"
        return Verdict("gain, but the control has it too", sentence)
    missing = _listed([name for name in controls if name not in run])
    caveat = f"; {missing} not run, so the cause is open" if missing else ""
    return Verdict("gain", f"gain over {_listed(['visual only', *run])}{_test(p)}{caveat}")


def _doubt(vs_baseline: Estimate, side: int) -> str:
    """Why there is no gain to speak of."""
    if isnan(vs_baseline.low):
        return vs_baseline.note or "there is no interval"
    if side == 0:
        return "the interval of the difference includes zero"
    return "the interval over test groups excludes zero, the test over folds does not"


def _test(p: float | None) -> str:
    if p is None:
        return ""
    return f" (p = {p:.3f})" if p >= 0.001 else " (p < 0.001)"


def _side(estimate: Estimate, higher_is_better: bool) -> int:
    """1 where the whole interval is on the better side of zero, -1 on the worse, else 0."""
    above, below = estimate.low > 0, estimate.high < 0
    return (above - below) if higher_is_better else (below - above)


def _listed(names: Sequence[str]) -> str:
    """E.g. `a`, `a and b`, `a, b and c`; empty for none."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
