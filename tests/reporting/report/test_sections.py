"""Every section says the numbers of the files of results, and nothing else."""

import csv
import hashlib
import json
import re
import shutil
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from pipelines.cache.predictions import read_frame_predictions
from pipelines.metrics import METRICS, negative_transfer
from pipelines.recipe.loading import override_recipe
from pipelines.reporting.report import coverage, errors, points, reproduce, results, strata, verdict
from pipelines.reporting.report.continuous import Density
from pipelines.reporting.report.points import Pairs
from pipelines.reporting.table import format_interval, format_number
from pipelines.workspace import Workspace


def text_of(section):
    """What is read, without tags, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", section.html)).split())


def cells_of(html, caption):
    """Rows of the table with that in its caption: texts, and the values that they are sorted by."""
    (table,) = [part for part in re.findall(r"<table.*?</table>", html, re.S) if caption in part]
    body = table[table.index("<tbody>") :]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)]
    values = [re.findall(r'data-value="([^"]*)"', row) for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)]
    return [[unescape(re.sub(r"<[^>]*>", "", cell)) for cell in row] for row in rows], values


def test_the_first_sentence_is_the_verdict_of_the_results(classes):
    section = verdict.section(classes)
    known = json.loads(classes.workspace.results(".json").read_text())
    row = next(row for row in known["metrics"]["accuracy"] if row["method"] == "mt-pkdot")
    assert row["verdict"]
    assert section.html.startswith(f'<p class="lead">mt-pkdot: {row["verdict"]}.</p>')
    text = text_of(section)
    assert f"mt-pkdot: accuracy {100 * row['value']:.1f} %; visual only: " in text
    assert f"{100 * row['difference']:+.1f} [{100 * row['difference_low']:+.1f}" in text
    assert "120 clips of 12 subjects" in text
    assert "3 folds by subject" in text


def test_the_verdict_counts_who_is_worse_as_the_groups_table_has_it(classes):
    with classes.workspace.results("_by_group.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    of = {m: {r["group"]: float(r["accuracy"]) for r in rows if r["method"] == m} for m in ("none", "mt-pkdot")}
    worse = sum(of["mt-pkdot"][group] < of["none"][group] for group in of["none"])
    assert 0 < worse < 12
    most = max(of["none"][group] - of["mt-pkdot"][group] for group in of["none"])
    told = f"worse for {worse} of 12 subjects, by up to {100 * most:.1f} points."
    assert told in text_of(verdict.section(classes))
    assert f"{worse} worse" in text_of(points.section(classes))
    html = points.section(classes).html
    table, _ = cells_of(html, "of results_by_group.csv")
    assert sum(row[-1] == "worse" for row in table) == worse
    assert len(table) == 12


def test_settings_that_changed_since_are_named(classes):
    assert "was changed after these numbers" not in text_of(verdict.section(classes))
    assert "was changed after these numbers" in text_of(verdict.section(replace(classes, changed=True)))


def test_every_row_of_the_tables_is_that_of_the_results(classes):
    known = json.loads(classes.workspace.results(".json").read_text())["metrics"]
    html = results.section(classes).html
    for name, rows in known.items():
        metric = METRICS[name]
        shown, values = cells_of(html, f"<caption>{name} of every")
        names = {("none", "student"): "visual only (none)"}
        assert [row[0] for row in shown] == [names.get((row["method"], row["role"]), row["method"]) for row in rows]
        for row, cells, sorted_by in zip(rows, shown, values, strict=True):
            assert cells[2] == format_number(row["value"], metric)
            assert cells[3] == format_interval(row["low"], row["high"], metric)
            assert float(sorted_by[0]) == row["value"]
            if row["difference"] is not None:
                assert float(sorted_by[2]) == row["difference"]
                assert cells[4].startswith(format_number(row["difference"], metric, signed=True))


def test_the_picture_of_the_methods_says_their_numbers(classes):
    html = results.section(classes).html
    description = re.search(r"<desc[^>]*>(.*?)</desc>", html)[1]
    for row in classes.rows["accuracy"]:
        assert f"{row.role} {row.method} {format_number(row.value, METRICS['accuracy'])}" in description


def test_controls_appear_with_a_comparison_and_are_asked_for_without(classes, compared):
    assert "once mtpkd compare has run with these methods" in text_of(results.section(classes))
    (row,), (values,) = cells_of(results.section(compared).html, "of comparison.json")
    assert row == [
        "mt-pkdot", "+8.0 [+3.0, +13.0]", "+8.0 [-2.0, +13.0]", "0.042", "1.23", "1 of 12",
        "gain, but the control has it too",
    ]  # fmt: skip
    assert values[:3] == ["0.08", "0.08", "0.0421"]
    assert "differ by 1.2 points on average" in text_of(verdict.section(compared))


def test_every_fold_is_that_of_the_results(classes):
    with classes.workspace.results(".csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] == "accuracy"]
    shown, values = cells_of(points.section(classes).html, "of results.csv")
    assert len(shown) == 3
    for fold, row in enumerate(values):
        known = {r["method"]: r["value"] for r in rows if int(r["fold"]) == fold}
        assert row[2:] == [known["none"], known["mt-pkdot"], known["none-matched"]]


def test_pairs_are_sorted_by_what_they_lose():
    theirs, mine = {"a": 0.5, "b": 0.7, "c": 0.2, "d": float("nan")}, {"a": 0.6, "b": 0.4, "c": 0.2, "d": 0.1}
    pairs = Pairs.of("kd", mine, theirs, METRICS["accuracy"])
    assert list(pairs.pairs) == ["b", "c", "a"]
    assert list(pairs.worse.losses) == ["b"]
    error = Pairs.of("kd", mine, theirs, METRICS["rmse"])
    assert list(error.pairs) == ["a", "c", "b"]
    assert error.worse == negative_transfer(mine, theirs, higher_is_better=False)


def test_seeds_that_come_to_the_same_in_another_order_make_nobody_better():
    theirs, mine = {"a": (0.8 + 0.7 + 0.9) / 3}, {"a": (0.9 + 0.8 + 0.7) / 3}
    assert mine["a"] != theirs["a"]
    for metric in (METRICS["accuracy"], METRICS["rmse"]):
        pairs = Pairs.of("kd", mine, theirs, metric)
        assert (pairs.better, len(pairs.worse.losses), pairs.worse.groups) == (0, 0, 1)


def test_without_another_method_there_is_no_point(only_baseline):
    assert points.section(only_baseline) is None
    assert "nothing to compare it with" in text_of(verdict.section(only_baseline))


def test_leaving_one_out_has_no_folds_beside_the_groups(classes):
    loso = replace(classes, recipe=override_recipe(classes.recipe, **{"protocol.name": "loso"}))
    assert "Every fold and seed" in text_of(points.section(classes))
    assert "Every fold and seed" not in text_of(points.section(loso))


def test_confusion_matrices_are_those_of_the_results(classes):
    known = json.loads(classes.workspace.results(".json").read_text())["confusion"]
    html = errors.section(classes).html
    for method in ("none", "mt-pkdot", "teacher:joint"):
        name = {"none": "visual only (none)", "teacher:joint": "joint (teacher)"}.get(method, method)
        shown, _ = cells_of(html, f"test clips of {name}:")
        assert [[int(cell) for cell in row[1:]] for row in shown] == known[method]
    right = known["mt-pkdot"][1]
    assert f"mt-pkdot: BL1 right in {known['mt-pkdot'][0][0]} of 60, PA4 right in {right[1]} of 60" in text_of(
        errors.section(classes)
    )


def test_frames_are_all_counted_and_a_typical_trial_is_drawn(facts_of):
    facts = facts_of(continuous=True)
    section = errors.section(facts)
    text = text_of(section)
    assert section.title == "Predictions against targets"
    assert f"counts {12 * 87:,} annotated test frames of seed 0" in text
    assert re.search(r"Trial \S+-trial: the one with the median error of mt-pkdot", text)
    assert "root mean squared error of mt-pkdot" in text
    low, high = map(float, re.search(r"valence: 90 percent of targets from (\S+) to ([\d.]+),", text).groups())
    target = np.concatenate(
        [
            t.target[3:, 0]
            for path in facts.predictions["none"].values()
            for t in read_frame_predictions(path, facts.task)
        ]
    )
    assert (low, high) == pytest.approx(np.quantile(target, (0.05, 0.95)), abs=0.05), "a bin is that wide"


def test_letters_on_every_shade_can_be_read():
    from matplotlib import colormaps

    def luminance(colour):
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
        return np.dot(parts, (0.2126, 0.7152, 0.0722))

    for share in np.linspace(0, 1, 101):
        letters = [int(errors.ink(share)[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        low, high = sorted((luminance(letters), luminance(colormaps[errors.SHADES](share)[:3])))
        assert (high + 0.05) / (low + 0.05) > 4.2, share


def test_densities_count_every_pair_and_clip_what_lies_outside():
    parts = [(np.array([[0.0], [5.0]]), np.array([[0.01], [-5.0]])), (np.array([[-1.0]]), np.array([[1.0]]))]
    density = Density.of(parts, 1, -1.0, 1.0)
    assert density.number == density.counts.sum() == 3
    assert density.counts[0, 20, 20] == 1
    assert density.counts[0, 39, 0] == 1
    assert density.counts[0, 0, 39] == 1


def test_strata_have_their_values_and_too_few_groups_no_interval(classes):
    shown, values = cells_of(strata.section(classes).html, "by sex and age")
    by_name = {(row[0], row[4]): row for row in shown}
    for stratum in classes.strata:
        name = f"age {stratum.name}" if stratum.attribute == "age" else stratum.name
        row = by_name[name, "mt-pkdot"]
        assert row[2:4] == [str(stratum.groups), str(stratum.clips)]
        assert row[5] == format_number(stratum.values["mt-pkdot"].value, METRICS["accuracy"])
        assert (row[6] == "") == (stratum.groups < 5)
    assert {row[4] for row in shown} == {"visual only (none)", "mt-pkdot"}
    assert values


def test_a_stratum_without_a_value_is_sorted_last_like_every_missing_number(classes):
    empty = replace(classes.strata[0], values={"none": None, "mt-pkdot": None}, differences={})
    _, values = cells_of(strata.section(replace(classes, strata=[empty])).html, "by sex")
    assert [row[2:] for row in values] == [["", "", ""], ["", "", ""]]


def test_strata_are_absent_where_the_corpus_knows_none(classes):
    assert strata.section(replace(classes, strata=[])) is None


def test_coverage_counts_clips_and_failures(classes):
    text = text_of(coverage.section(classes))
    assert "120 clips of 12 subjects; 5 failures are on record" in text
    assert "faces: 100 whole, 15 partly, 5 missing" in text
    assert coverage.section(replace(classes, clips=[])) is None


def test_reproducing_names_recipe_splits_files_and_digests(classes):
    section = reproduce.section(classes)
    text = text_of(section)
    assert "mtpkd run runs/clips/recipe.yaml --workspace runs/clips-again" in text
    assert "--set 'distillation.methods=[none,none-matched,mt-pkdot]'" not in text
    tested, _ = cells_of(section.html, "no one is on two sides")
    assert [row[-1] for row in tested] == [", ".join(cell.split.test) for cell in classes.cells]
    files, _ = cells_of(section.html, "SHA-256")
    digests = {row[0]: row[2] for row in files}
    written = sorted(path for each in classes.predictions.values() for path in each.values())
    joined = b"".join(path.read_bytes() for path in written)
    assert digests["predictions/*.csv"] == hashlib.sha256(joined).hexdigest()[:16]
    assert digests["results.json"] == hashlib.sha256(classes.workspace.results(".json").read_bytes()).hexdigest()[:16]
    assert str(classes.workspace.root) not in section.html
    assert "# Which recordings, and what is predicted from them." in text


def test_what_was_evaluated_is_run_again_even_where_the_recipe_names_other_methods(classes):
    recipe = override_recipe(classes.recipe, **{"distillation.methods": ["none", "kd"]})
    text = text_of(reproduce.section(replace(classes, recipe=recipe)))
    assert "--set 'distillation.methods=[none,none-matched,mt-pkdot]'" in text


def test_a_workspace_for_some_labels_is_named_within_that_for_all(classes, tmp_path):
    inner = Workspace(tmp_path / "whole" / "labelled-0.3")
    shutil.copytree(classes.workspace.root, inner.root)
    (tmp_path / "whole" / "recipe.yaml").touch()
    (tmp_path / "whole" / "cache").mkdir()
    inner.clips.touch()
    facts = replace(classes, workspace=inner)
    assert facts.name == "whole/labelled-0.3"
    text = text_of(reproduce.section(facts))
    assert "mtpkd run runs/whole/labelled-0.3/recipe.yaml --workspace runs/whole-labelled-0.3-again" in text
    files, _ = cells_of(reproduce.section(facts).html, "SHA-256")
    assert {"labelled-0.3/results.json", "cache/clips.csv"} <= {row[0] for row in files}


@pytest.mark.parametrize("module", [verdict, results, points, errors, strata, coverage])
def test_names_are_text_and_never_html(classes, module):
    html = module.section(classes).html
    assert "<b>" not in html


def test_a_name_with_markup_is_shown_as_it_is(classes):
    assert "&lt;b&gt;bold&lt;/b&gt;_w_21" in points.section(classes).html
    assert "&lt;3..9&gt;" in coverage.section(classes).html
