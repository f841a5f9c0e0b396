from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.metrics import Estimate, judge_gain

BETTER, UNCLEAR, WORSE = (0.01, 0.05), (-0.01, 0.03), (-0.05, -0.01)
NO_INTERVAL = (nan, nan)
SHARED = "gain, but the control has it too"


def difference(ends: tuple[float, float], groups: int = 20) -> Estimate:
    return Estimate(sum(ends) / 2, *ends, groups=groups, resamples=1000, undefined=0)


def judge(baseline, matched=None, own=None, p=None, higher_is_better=True):
    """Of intervals as they are for a metric where more is better."""
    ends = [e if e is None or higher_is_better else (-e[1], -e[0]) for e in (baseline, matched, own)]
    vs_baseline, vs_matched, vs_self = (None if e is None else difference(e) for e in ends)
    assert vs_baseline is not None
    return judge_gain(vs_baseline, vs_matched=vs_matched, vs_self=vs_self, p=p, higher_is_better=higher_is_better)


@pytest.mark.parametrize("higher_is_better", [True, False])
@pytest.mark.parametrize(
    ("baseline", "matched", "own", "p", "kind"),
    [
        (BETTER, BETTER, BETTER, 0.01, "gain"),
        (BETTER, None, BETTER, 0.049, "gain"),
        (BETTER, None, None, None, "gain"),
        (BETTER, BETTER, BETTER, nan, "gain"),
        (BETTER, BETTER, BETTER, 0.05, "no detectable gain"),
        (BETTER, UNCLEAR, WORSE, 0.2, "no detectable gain"),
        (UNCLEAR, BETTER, BETTER, 0.001, "no detectable gain"),
        ((0.0, 0.02), BETTER, BETTER, 0.001, "no detectable gain"),
        ((-0.02, 0.0), None, None, 0.001, "no detectable gain"),
        (NO_INTERVAL, BETTER, BETTER, 0.001, "no detectable gain"),
        (BETTER, UNCLEAR, BETTER, 0.01, SHARED),
        (BETTER, BETTER, UNCLEAR, 0.01, SHARED),
        (BETTER, BETTER, (0.0, 0.02), 0.01, SHARED),
        (BETTER, None, WORSE, None, SHARED),
        (BETTER, NO_INTERVAL, None, 0.01, SHARED),
        (WORSE, BETTER, BETTER, 0.5, "worse"),
        (WORSE, None, None, None, "worse"),
    ],
)
def test_the_rule(baseline, matched, own, p, kind, higher_is_better):
    assert judge(baseline, matched, own, p, higher_is_better).kind == kind


SENTENCES = {
    "gain over visual only, none-matched and self-kd (p = 0.012)": judge(BETTER, BETTER, BETTER, 0.0123),
    "gain over visual only and none-matched (p < 0.001); self-kd not run, so the cause is open": judge(
        BETTER, BETTER, None, 1e-9
    ),
    "gain over visual only; none-matched and self-kd not run, so the cause is open": judge(BETTER),
    "gain over visual only, but the control has it too: none shown over self-kd": judge(BETTER, BETTER, UNCLEAR),
    "gain over visual only, but the control has it too: none shown over none-matched and self-kd (p = 0.010)": judge(
        BETTER, UNCLEAR, WORSE, 0.01
    ),
    "no detectable gain over visual only; the interval over test groups excludes zero, the test over folds does not "
    "(p = 0.200)": judge(BETTER, p=0.2),
    "no detectable gain over visual only; the interval of the difference includes zero": judge(UNCLEAR),
    "no detectable gain over visual only; there is no interval": judge(NO_INTERVAL),
    "worse than visual only (p = 0.300)": judge(WORSE, BETTER, BETTER, 0.3),
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_sentence_gives_the_reason(sentence):
    assert SENTENCES[sentence].sentence == sentence


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_test_that_folds_are_worse_is_no_proof_of_a_gain(higher_is_better):
    sign = 1 if higher_is_better else -1

    def judged(p, fold_difference):
        return judge_gain(
            difference((0.01, 0.05) if higher_is_better else (-0.05, -0.01)),
            vs_matched=None,
            vs_self=None,
            p=p,
            higher_is_better=higher_is_better,
            fold_difference=sign * fold_difference,
        )

    assert judged(0.01, 0.02).kind == "gain"
    assert judged(nan, nan).kind == "gain"
    assert judged(0.01, -0.02).sentence == (
        "no detectable gain over visual only; better over test groups, worse over folds (p = 0.010)"
    )


def test_one_test_group_is_named_as_the_reason():
    alone = judge_gain(difference(NO_INTERVAL, groups=1), vs_matched=None, vs_self=None, p=None, higher_is_better=True)
    assert alone.sentence.endswith("visual only; no interval: there is one test group only")


INTERVALS = st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(lambda ends: (min(ends), max(ends)))


@given(INTERVALS, st.none() | INTERVALS, st.none() | INTERVALS, st.none() | st.floats(0, 1))
def test_more_evidence_asked_never_makes_a_gain(baseline, matched, own, p):
    strict, lax = judge(baseline, matched, own, p), judge(baseline)
    assert strict.kind != "gain" or lax.kind == "gain"
    assert (strict.kind == "worse") == (lax.kind == "worse")
    assert strict.sentence.startswith(strict.kind.split(",")[0])
