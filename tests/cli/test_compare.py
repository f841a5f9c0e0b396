"""`mtpkd compare` with several shares of labels: what it asks of the stage, what it prints, and mistakes."""

import pytest

from pipelines.metrics import EffectSize, Estimate, FoldTest, NegativeTransfer, Verdict
from pipelines.recipe.loading import load_recipe, render_recipe
from pipelines.reporting.comparison import Compared, Comparison
from pipelines.reporting.training_record import TrainingRecord
from pipelines.stages import compare as stage


@pytest.fixture
def workspace(tmp_path):
    """The folder of a workspace that holds a recipe and nothing else."""
    folder = tmp_path / "runs" / "synthetic"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(render_recipe(load_recipe("demo")))
    return folder


def outcome(gain: float) -> stage.Outcome:
    """kd is better than visual only by so much."""
    difference = Estimate(gain, gain - 0.02, gain + 0.02, groups=20, resamples=100, undefined=0)
    kd = Comparison(
        method="kd",
        value=Estimate(0.7 + gain, 0.6, 0.9, groups=20, resamples=100, undefined=0),
        against={"none": difference},
        test=FoldTest(gain, 2.0, 0.04, degrees=4, folds=5, undefined=0),
        p=0.04,
        effect=EffectSize(0.9, 1.1, folds=5, undefined=0),
        negative=NegativeTransfer({}, groups=20, undefined=0),
        verdict=Verdict("gain", f"gain of {gain}"),
    )
    baseline = Estimate(0.7, 0.6, 0.8, groups=20, resamples=100, undefined=0)
    compared = Compared(baseline=baseline, comparisons=[kd], noise=0.01, strata=[])
    return stage.Outcome(by_metric={"auc": compared}, record=TrainingRecord({}, {}, {}))


def test_several_shares_of_labels_are_one_table(mtpkd, workspace, monkeypatch):
    asked = {}

    def run_curve(recipe, place, shares, *, methods, metric, workers, track):
        asked.update(shares=shares, methods=methods, seeds=recipe.protocol.seeds, metric=metric.name)
        return {share: outcome(gain) for share, gain in zip(sorted(shares), (0.08, 0.03), strict=True)}

    monkeypatch.setattr(stage, "run_curve", run_curve)
    status, out, _ = mtpkd("compare", "--methods", "kd", "--seeds", 2, "--labelled", "1.0, 0.5,1", "--metric", "auc")
    assert status == 0
    assert asked == {"shares": (1.0, 0.5), "methods": ("kd",), "seeds": (0, 1), "metric": "auc"}
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "auc, BL1 / PA4" in lines
    assert "kd 50 % .780 +.080 [+.060, +.100]" in lines
    assert "100 % .730 +.030 [+.010, +.050]" in lines
    assert "kd, 50 % labelled: gain of 0.08" in lines
    assert "each share in full: runs/synthetic/labelled-0.5, runs/synthetic" in lines
    assert "the curve: runs/synthetic/comparison/labelled.csv, runs/synthetic/comparison/labelled.png" in lines


@pytest.mark.parametrize("text", ["a lot", "0.3,", "0.3;1.0"])
def test_a_share_that_is_no_number_is_refused(mtpkd, workspace, text):
    status, _, err = mtpkd("compare", "--labelled", text)
    assert status == 2
    assert f"--labelled {text}: give a share such as 0.3" in err


def test_a_share_out_of_range_is_refused_before_any_work(mtpkd, workspace):
    status, _, err = mtpkd("compare", "--labelled", "0.5,1.5")
    assert status == 2
    assert "protocol.labelled" in err
    assert [path.name for path in workspace.iterdir()] == ["recipe.yaml"]
