"""Comparisons whose truth is known: predictions are made up, so that a method is better, equal or worse on purpose."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.cache.predictions import write_predictions
from pipelines.metrics import Estimate, Predictions, corrected_t_test, get_metric
from pipelines.recipe import EvaluationSettings, Task
from pipelines.reporting.comparison import cell_differences, compare_methods, seed_noise
from pipelines.reporting.comparison_table import comparison_table, sentences
from pipelines.reporting.paired import load_methods

TASK = Task(kind="classes", labels=("BL1", "PA4"))
FOLDS, SEEDS, GROUPS, CLIPS = 5, 2, 8, 10
ACCURACY = get_metric("accuracy", TASK)


def write(path, fold, seed, right, lost=()):
    """Predictions of a fold's groups that are right with a probability."""
    rng = np.random.default_rng([fold, seed, round(1000 * right)])
    groups = np.repeat([f"f{fold}g{g}" for g in range(GROUPS)], CLIPS)
    clips = np.array([f"{group}c{i % CLIPS}" for i, group in enumerate(groups)])
    target = np.arange(len(clips)) % 2
    hit = rng.random(len(clips)) < right
    scores = np.where((target == 1) == hit, 0.9, 0.1)
    kept = ~np.isin(groups, list(lost))
    predictions = Predictions(groups[kept], clips[kept], target[kept], np.stack([1 - scores, scores], 1)[kept])
    write_predictions(path, predictions, TASK)


@pytest.fixture
def methods(tmp_path):
    def load(**right):
        files = {}
        for name, share in right.items():
            method = name.replace("_", "-")
            files[method] = {}
            for fold in range(FOLDS):
                for seed in range(SEEDS):
                    path = files[method][fold, seed] = tmp_path / f"{method}.{fold}.{seed}.csv"
                    write(path, fold, seed, share, lost=["f0g0"] if name == "lossy" else ())
        return load_methods(files, TASK, EvaluationSettings(resamples=300))

    return load


def compared(known):
    return {item.method: item for item in compare_methods(known, ACCURACY)}


def test_a_gain_over_everything_is_a_gain_and_equals_the_plain_difference(methods):
    known = methods(none=0.6, none_matched=0.61, mt_pkdot=0.85)
    item = compared(known)["mt-pkdot"]
    assert item.verdict.kind == "gain"
    assert set(item.against) == {"none", "none-matched"}
    values = {
        m: np.mean([part.statistics(ACCURACY).counts.trace(axis1=1, axis2=2).sum() for part in known.seeds[m]])
        for m in known.seeds
    }
    clips = FOLDS * GROUPS * CLIPS
    assert item.against["none"].value == pytest.approx((values["mt-pkdot"] - values["none"]) / clips)
    assert item.test.difference == pytest.approx(item.against["none"].value), "folds are of one size here"
    assert item.p < 0.05


def test_what_the_control_has_too_is_not_privilege(methods):
    items = compared(methods(none=0.6, none_matched=0.85, self_kd=0.6, mt_pkdot=0.851))
    assert items["mt-pkdot"].verdict.kind == "gain, but the control has it too"
    assert set(items["mt-pkdot"].against) == {"none", "none-matched", "self-kd"}
    assert set(items["none-matched"].against) == {"none", "self-kd"}
    assert np.isnan(items["none-matched"].p)


def test_the_hallucination_net_alone_is_shown_and_neither_tested_nor_put_into_words(methods):
    right = {"none": 0.6, "none_matched": 0.61, "kd": 0.7, "mt_pkdot": 0.72}
    items = compared(methods(**right, none_hallucinated=0.85))
    control = items.pop("none-hallucinated")
    assert np.isnan(control.p)
    assert (control.verdict.kind, control.against["none"].low > 0) == ("control", True)
    assert "none-hallucinated" not in items["mt-pkdot"].against
    assert {name: item.p for name, item in items.items()} == pytest.approx(
        {name: item.p for name, item in compared(methods(**right)).items()}, nan_ok=True
    )
    lines = sentences([control, *items.values()], metric=ACCURACY, noise=np.nan)
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == ["kd", "mt-pkdot"]


def test_no_difference_is_no_gain_and_a_loss_is_called_one(methods):
    items = compared(methods(none=0.7, kd=0.701, sp=0.45))
    assert items["kd"].verdict.kind == "no detectable gain"
    assert items["sp"].verdict.kind == "worse"
    assert len(items["sp"].negative.losses) > 0.8 * FOLDS * GROUPS


def test_only_clips_that_both_predict_are_compared(methods):
    known = methods(none=0.6, lossy=0.8)
    differences = cell_differences(known, ACCURACY, "lossy", "none")
    assert differences.shape == (SEEDS, FOLDS)
    baseline = known.cells["none"][0, 0].statistics(ACCURACY)
    kept = [group != "f0g0" for group in baseline.groups]
    mine = known.cells["lossy"][0, 0].statistics(ACCURACY)
    expected = ACCURACY.value(mine, np.ones((1, 7)))[0] - ACCURACY.value(baseline, np.array([kept], float))[0]
    assert differences[0, 0] == pytest.approx(expected)


def test_the_noise_of_a_seed_is_the_difference_of_two_trainings(methods):
    known = methods(none=0.6, kd=0.6)
    one, two = (
        ACCURACY.value(part.statistics(ACCURACY), np.ones((1, FOLDS * GROUPS)))[0] for part in known.seeds["none"]
    )
    assert seed_noise(known, ACCURACY) == pytest.approx(abs(one - two))


def test_folds_that_part_the_groups_are_all_that_the_corrected_test_needs_to_know(methods):
    known = methods(none=0.6, kd=0.7)
    differences = cell_differences(known, ACCURACY, "kd", "none")
    expected = corrected_t_test(differences, n_train=(FOLDS - 1) * GROUPS, n_test=GROUPS)
    assert compared(known)["kd"].test == expected
    assert compared(known)["kd"].p == expected.p


def test_a_single_fold_has_intervals_and_no_test(methods):
    known = methods(none=0.6, kd=0.95)
    one = {
        method: {cell: part for cell, part in cells.items() if cell[0] == 0} for method, cells in known.cells.items()
    }
    seeds = {method: list(cells.values()) for method, cells in one.items()}
    (item,) = compare_methods(replace(known.only(set(seeds["none"][0].group_of)), cells=one, seeds=seeds), ACCURACY)
    assert np.isnan(item.p)
    assert sentences([item], metric=ACCURACY, noise=np.nan)[-1] == (
        "test over folds: no p-value: 1 fold with a value, it takes 2"
    )
    assert item.verdict.sentence == ("gain over visual only; none-matched and self-kd not run, so the cause is open")


def test_a_method_that_shares_no_clip_with_the_baseline_is_not_judged_by_one_group(methods):
    known = methods(none=0.6, kd=0.9)
    nothing = known.only(set())
    apart = replace(
        known,
        cells={**known.cells, "kd": nothing.cells["kd"]},
        seeds={**known.seeds, "kd": nothing.seeds["kd"]},
    )
    (item,) = compare_methods(apart, ACCURACY)
    assert item.verdict.sentence == "no detectable gain over visual only; there is no test clip to compare on"


def test_without_a_baseline_there_is_no_comparison(methods):
    with pytest.raises(ValueError, match="without 'none'"):
        compare_methods(methods(kd=0.6), ACCURACY)


def test_the_table_has_a_line_a_control_that_was_run_and_fits_eighty_columns(methods):
    from rich.console import Console

    items = list(compared(methods(none=0.6, none_matched=0.62, self_kd=0.61, mt_pkdot=0.85)).values())
    console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(
        comparison_table(items, Estimate(0.6, 0.5, 0.7, 40, 300, 0), metric=ACCURACY, title="accuracy", note="5 folds")
    )
    text = console.export_text()
    block = text[text.index("mt-pkdot") :].splitlines()
    assert [line.split()[-2 if i == 0 else -1] for i, line in enumerate(block[:3])] == [
        "only",
        "none-matched",
        "self-kd",
    ]
    assert "..." not in text
    assert "…" not in text
    lines = sentences(items, metric=ACCURACY, noise=0.014)
    assert lines[0].startswith("mt-pkdot: gain over visual only, none-matched and self-kd")
    assert lines[-1] == "two trainings of visual only differ by 1.4 on average"
    assert not [line for line in lines if line.startswith("none-matched")]
