"""A comparison on a finished workspace: what it reads, what it writes, and what it shares between shares of labels."""

import csv
import json
import logging
import shutil

import pytest
import torch

from pipelines.cache.embeddings import read_embeddings
from pipelines.errors import SettingsError
from pipelines.metrics import METRICS
from pipelines.recipe.loading import load_recipe, override_recipe
from pipelines.stages import compare
from pipelines.stages.cells import load_cells
from pipelines.workspace import Workspace, read_sidecar

METHODS = ("none-matched", "mt-pkdot")


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished workspace that a test may change."""
    shutil.copytree(finished.root, tmp_path / "copy")
    return Workspace(tmp_path / "copy")


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_gap_after_alignment_is_that_of_the_embeddings_on_disk(finished, crossed_recipe):
    cell = load_cells(crossed_recipe, finished)[0]
    path = cell.aligned(cell.full)
    gaps = read_sidecar(path)["details"]["alignment_gap"]
    assert set(gaps) == {"faces", "eda", "ecg", "emg"}
    store = read_embeddings(path)
    held_out = {row.name for row in cell.of(cell.split.validation)}
    rows = [i for i, clip in enumerate(store.clips) if clip in held_out]
    assert 0 < len(rows) < len(store.clips)
    joint = torch.from_numpy(store.columns["joint"].embeddings[rows, 0])
    for name, gap in gaps.items():
        adapted = torch.from_numpy(store.columns[name].embeddings[rows, 0])
        expected = (1 - torch.nn.functional.cosine_similarity(adapted, joint)).mean().item()
        assert gap["after"] == pytest.approx(expected, abs=1e-5), name
        assert 0 <= gap["before"] <= 2
        assert gap["before"] != pytest.approx(gap["after"], abs=1e-3)


def test_everything_is_written_beside_the_results_and_nothing_is_trained_again(copy, crossed_recipe, caplog):
    with caplog.at_level(logging.INFO, "mtpkd"):
        outcome = compare.run(crossed_recipe, copy, methods=METHODS, workers=1)
    assert sum("up to date, nothing to do" in message for message in caplog.messages) == 6
    content = json.loads((copy.root / "comparison.json").read_text())
    assert list(content) == ["version", "metrics", "teaching", "alignment_gap", "hallucination", "recipe"]
    accuracy = content["metrics"]["accuracy"]
    assert [item["method"] for item in accuracy["comparisons"]] == ["none-matched", "mt-pkdot"]
    assert {(stratum["attribute"], stratum["name"]) for stratum in accuracy["strata"]} >= {("sex", "women")}
    by_sex = [stratum["clips"] for stratum in accuracy["strata"] if stratum["attribute"] == "sex"]
    assert sum(by_sex) == 24
    taught = content["teaching"]["mt-pkdot"]
    assert taught["cells"] == [3, 3]
    assert [sum(shares) for shares in zip(*taught["chosen"].values(), strict=True)] == pytest.approx([1, 1])
    assert len(taught["diagonal_mass"]) == 2
    assert set(content["alignment_gap"]) == {"faces", "eda", "ecg", "emg"}
    assert sorted(path.name for path in copy.comparison.iterdir()) == ["methods.png", "selection.png"]
    found = {row["metric"] for row in rows_of(copy.root / "comparison.csv")}
    assert found == set(outcome.by_metric)


def test_evaluate_and_compare_say_the_same(copy, crossed_recipe):
    outcome = compare.run(crossed_recipe, copy, methods=METHODS, workers=1)
    results = json.loads(copy.results(".json").read_text())
    for metric, compared in outcome.by_metric.items():
        said = {row["method"]: row["verdict"] for row in results["metrics"][metric] if row["role"] == "student"}
        assert said == {"none": ""} | {item.method: item.verdict.sentence for item in compared.comparisons}


def test_shares_of_the_labels_have_workspaces_of_their_own_around_one_cache(copy, crossed_recipe, digests, caplog):
    recipe = override_recipe(crossed_recipe, **{"teachers.cross_fit": 0, "protocol.validation_share": 0.5})
    before = digests(copy.root / "cache")
    with caplog.at_level(logging.INFO, "mtpkd"):
        outcomes = compare.run_curve(
            recipe, copy, (1.0, 0.5), methods=("none-matched",), metric=METRICS["auc"], workers=1
        )
    assert list(outcomes) == [0.5, 1.0], "the share that may not do comes first"
    assert digests(copy.root / "cache") == before
    assert not [message for message in caplog.messages if message.startswith("preprocess") and "to make" in message]
    inner = copy.labelled(0.5)
    assert not (inner.root / "cache").exists()
    assert load_recipe(inner.recipe).protocol.labelled == 0.5
    assert load_recipe(copy.recipe).protocol.labelled == 1.0
    rows = rows_of(copy.comparison / "labelled.csv")
    assert {(row["labelled"], row["method"]) for row in rows} == {
        (share, method) for share in ("0.5", "1.0") for method in ("none", "none-matched")
    }
    assert (copy.comparison / "labelled.png").exists()
    assert not (inner.comparison / "labelled.png").exists()
    assert (inner.root / "comparison.csv").exists()


def test_what_cannot_be_compared_is_refused_before_any_work(crossed_recipe, tmp_path):
    workspace = Workspace(tmp_path / "w")
    with pytest.raises(SettingsError, match="there is nothing to compare none with"):
        compare.run(crossed_recipe, workspace, methods=("none",))
    with pytest.raises(SettingsError, match="unknown method 'kdd'"):
        compare.run_curve(crossed_recipe, workspace, (0.5, 1.0), methods=("kdd",))
    with pytest.raises(SettingsError, match=r"protocol\.labelled"):
        compare.run_curve(crossed_recipe, workspace, (0.5, 1.5))
    assert not workspace.root.exists()
