"""The report of finished workspaces: whole, the same every time, true to the files, and refused before evaluate."""

import hashlib
import json
import re
import shutil
from html import unescape

import pytest

from pipelines.errors import MissingArtifact, MtpkdError, SettingsError
from pipelines.recipe.loading import load_recipe, override_recipe
from pipelines.reporting.report.page import PARTS
from pipelines.stages import report
from pipelines.workspace import Workspace


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished workspace that a test may change."""
    shutil.copytree(finished.root, tmp_path / "copy")
    return Workspace(tmp_path / "copy")


def recipe_of(workspace):
    return load_recipe(workspace.recipe)


def test_the_same_workspace_gives_the_same_page_and_is_not_changed(copy):
    def state():
        files = sorted(path for path in copy.root.rglob("*") if path.is_file() and path.name != "report.html")
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = state()
    written = report.run(recipe_of(copy), copy)
    first = written.path.read_bytes()
    assert written.path == copy.root / "report.html"
    assert written.size == len(first) < 3_000_000
    assert report.run(recipe_of(copy), copy).path.read_bytes() == first
    assert state() == before


def test_the_page_says_the_verdict_and_values_of_the_results(finished, tmp_path):
    page = report.run(recipe_of(finished), finished, output=tmp_path / "page.html").path.read_text(encoding="utf-8")
    rows = json.loads(finished.results(".json").read_text())["metrics"]["accuracy"]
    assert re.findall(r'<section id="([^"]+)"', page) == [part.ANCHOR for part in PARTS]
    student = next(row for row in rows if row["method"] == "mt-pkdot")
    assert f"mt-pkdot: {student['verdict']}." in unescape(page)
    for row in rows:
        assert f'data-value="{row["value"]!r}"' in page
    assert "24 clips of 6 subjects" in page
    assert "women" in page
    assert page.count("<svg") == page.count("<desc ")
    assert "nan" not in re.findall(r">\s*nan\s*<", page)


def test_a_continuous_corpus_has_predictions_over_time_and_no_strata(continuous, tmp_path):
    facts = report.gather(recipe_of(continuous), continuous)
    assert facts.labels == ("valence", "arousal")
    assert facts.unit == "videos"
    assert facts.strata == []
    page = report.run(recipe_of(continuous), continuous, output=tmp_path / "page.html").path.read_text(encoding="utf-8")
    assert "One trial over time" in page
    assert '<th scope="col" class="number"><button type="button">valence</button></th>' in page


def test_before_evaluate_it_says_what_to_run(copy):
    copy.results(".json").unlink()
    with pytest.raises(MissingArtifact, match=r"results\.json is missing: run `mtpkd evaluate"):
        report.run(recipe_of(copy), copy)
    assert not (copy.root / "report.html").exists()


def test_predictions_that_are_gone_are_named(copy):
    copy.predictions(0, 0, "none").unlink()
    with pytest.raises(MissingArtifact, match=r"none\.fold-0\.seed-0\.csv is missing: run `mtpkd evaluate"):
        report.run(recipe_of(copy), copy)


def test_histories_that_are_gone_are_named(copy):
    copy.student(0, 0, "none").with_suffix(".history.csv").unlink()
    with pytest.raises(MissingArtifact, match=r"student\.history\.csv is missing: run `mtpkd distill"):
        report.run(recipe_of(copy), copy)


def test_a_folder_is_no_page(finished, tmp_path):
    with pytest.raises(SettingsError, match=r"is a folder: name a file, such as .*report\.html"):
        report.run(recipe_of(finished), finished, output=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", '{"version": "1"}'])
def test_results_that_are_none_are_refused(copy, text):
    copy.results(".json").write_text(text)
    with pytest.raises(MtpkdError, match=r"results\.json: holds no version, metrics, recipe: run `mtpkd evaluate`"):
        report.run(recipe_of(copy), copy)


@pytest.mark.parametrize(("suffix", "text"), [(".csv", "method,fold\nnone,0\n"), ("_by_group.csv", "a\n1\n")])
def test_tables_that_are_none_are_refused(copy, suffix, text):
    copy.results(suffix).write_text(text)
    with pytest.raises(MtpkdError, match="no table of results"):
        report.run(recipe_of(copy), copy)


def test_a_recipe_that_changed_since_is_told_and_not_believed(copy):
    changed = override_recipe(recipe_of(copy), **{"protocol.folds": 2})
    facts = report.gather(changed, copy)
    assert facts.changed
    assert facts.recipe.protocol.folds == 3
    assert not report.gather(recipe_of(copy), copy).changed


def compared(results, *methods, labelled=1.0):
    """comparison.json of these settings but for the share of labels, with as much as is read here."""
    by_metric = {"accuracy": {"comparisons": [{"method": name} for name in methods], "noise": None}}
    protocol = {**results["recipe"]["protocol"], "labelled": labelled}
    return {"metrics": by_metric, "recipe": {**results["recipe"], "protocol": protocol}}


def students_of(results):
    rows = results["metrics"]["accuracy"]
    return [row["method"] for row in rows if row["role"] == "student" and row["method"] != "none"]


def test_a_comparison_of_other_settings_or_methods_is_not_shown(copy):
    results = json.loads(copy.results(".json").read_text())
    content = compared(results, *students_of(results))
    path = copy.root / "comparison.json"
    path.write_text(json.dumps(content))
    assert report.gather(recipe_of(copy), copy).comparison == content
    for other in ({**content, "recipe": {}}, compared(results, "mt-pkdot", "kd")):
        path.write_text(json.dumps(other))
        assert report.gather(recipe_of(copy), copy).comparison is None


def test_a_curve_is_of_the_shares_that_were_compared_with_these_settings(copy):
    results = json.loads(copy.results(".json").read_text())
    copy.comparison.mkdir()
    table = copy.comparison / "labelled.csv"
    table.write_text("labelled,metric\n0.3,accuracy\n0.5,accuracy\n1.0,accuracy\n")
    (copy.root / "comparison.json").write_text(json.dumps(compared(results, "mt-pkdot")))
    assert report.gather(recipe_of(copy), copy).curve == {}, "one share is no curve"
    for share, content in ((0.3, compared(results, "mt-pkdot", labelled=0.3)), (0.5, compared(results, "mt-pkdot"))):
        copy.labelled(share).root.mkdir()
        (copy.labelled(share).root / "comparison.json").write_text(json.dumps(content))
    curve = report.gather(recipe_of(copy), copy).curve
    assert list(curve) == [0.3, 1.0]
    assert curve[0.3]["comparisons"] == [{"method": "mt-pkdot"}]
    table.write_text("a,b\n1,2\n")
    with pytest.raises(MtpkdError, match=r"labelled\.csv: no curve"):
        report.gather(recipe_of(copy), copy)
