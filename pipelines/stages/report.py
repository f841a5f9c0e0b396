"""The report: a finished workspace -> one page of HTML.

No stage of its own: it reads what the five left and changes nothing, so it waits for no lock. Every number is read from
the files of results. What those do not hold (values by sex and age) is computed from the predictions as `compare` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import SettingsError
from pipelines.metrics import metrics_for
from pipelines.recipe import Recipe
from pipelines.recipe.loading import parse_recipe, render_recipe
from pipelines.reporting.paired import Files, load_methods
from pipelines.reporting.report.facts import CellFiles, Facts
from pipelines.reporting.report.page import render
from pipelines.reporting.report.reading import read_fold_results, read_group_results, read_json, read_shares
from pipelines.reporting.results import TEACHER, describe_protocol, read_rows
from pipelines.reporting.strata import Stratum, clips_by_stratum, compare_strata, stratify
from pipelines.reporting.table import BASELINE
from pipelines.stages.cells import Cell, load_cells
from pipelines.stages.compare import read_record
from pipelines.stages.evaluate import prediction_files
from pipelines.stages.inspection import overview
from pipelines.workspace import Workspace, write_text

_EVALUATE, _COMPARE = "mtpkd evaluate", "mtpkd compare"


@dataclass(frozen=True)
class Written:
    """Where the page lies, and how large it is in bytes."""

    path: Path
    size: int


def run(recipe: Recipe, workspace: Workspace, *, output: Path | None = None) -> Written:
    """Write the page, by default report.html in the workspace.

    Args:
        recipe: of recipe.yaml; where the results were made with another, the page says so and describes theirs.

    Raises:
        SettingsError: `output` is a folder.
        MissingArtifact: before `evaluate`, or an artifact is gone since.
        MtpkdError: a file of the workspace is damaged.
        CannotWrite: the page cannot be written there.
    """
    path = output or workspace.root / "report.html"
    if path.is_dir():
        raise SettingsError(f"{path} is a folder: name a file, such as {path / 'report.html'}")
    text = render(gather(recipe, workspace))
    write_text(path, text)
    return Written(path, len(text.encode()))


def gather(recipe: Recipe, workspace: Workspace) -> Facts:
    """Read everything that the page shows. Raises as `run` does."""
    source = workspace.require(workspace.results(".json"), _EVALUATE)
    results = read_json(source, {"version": str, "metrics": dict, "recipe": dict}, f"run `{_EVALUATE}` again")
    used = parse_recipe(results["recipe"], source=str(source))
    cells = load_cells(used, workspace)
    rows = {name: read_rows(workspace, name) for name in results["metrics"]}
    predictions = _predictions(next(iter(rows.values())), cells)
    return Facts(
        recipe=used,
        recipe_text=render_recipe(used),
        workspace=workspace,
        task=cells[0].task,
        results=results,
        rows=rows,
        folds=read_fold_results(workspace.require(workspace.results(".csv"), _EVALUATE)),
        groups=read_group_results(workspace.require(workspace.results("_by_group.csv"), _EVALUATE)),
        comparison=_of_students(_comparison(workspace, results["recipe"]), next(iter(rows.values()))),
        curve=_curve(workspace, results["recipe"], metrics_for(cells[0].task)[0].name),
        predictions=predictions,
        strata=_strata(predictions, cells),
        clips=cells[0].clips,
        contents=overview(used, workspace),
        cells=[_files(cell, predictions) for cell in cells],
        record=read_record(cells, _students(predictions)),
        protocol=describe_protocol(used),
        changed=render_recipe(recipe) != render_recipe(used),
    )


def _predictions(rows: Any, cells: list[Cell]) -> dict[str, Files]:
    """The files behind the rows of a table. Raises MissingArtifact where one is gone."""
    names = [(TEACHER if row.role == "teacher" else "") + row.method for row in rows]
    files = prediction_files(names, cells)
    for path in (path for known in files.values() for path in known.values()):
        cells[0].workspace.require(path, _EVALUATE)
    return files


def _students(predictions: Mapping[str, Files]) -> list[str]:
    return [method for method in predictions if not method.startswith(TEACHER)]


def _comparison(workspace: Workspace, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """comparison.json where it is of these settings, else nothing."""
    path = workspace.root / "comparison.json"
    if not path.exists():
        return None
    content = read_json(path, {"metrics": dict, "recipe": dict}, f"run `{_COMPARE}` again")
    return content if content["recipe"] == settings else None


def _of_students(comparison: dict[str, Any] | None, rows: Any) -> dict[str, Any] | None:
    """A comparison of all students of the results, else nothing: with fewer methods its p-values are others."""
    students = {row.method for row in rows if row.role == "student" and not row.is_baseline}
    by_metric = comparison["metrics"].values() if comparison else ()
    same = all({item["method"] for item in known["comparisons"]} == students for known in by_metric)
    return comparison if same else None


def _curve(workspace: Workspace, settings: Mapping[str, Any], metric: str) -> dict[float, Any]:
    """Share -> its comparison, for those of these settings but for the labels; one alone is no curve."""
    path = workspace.whole.comparison / "labelled.csv"
    found: dict[float, Any] = {}
    for share in read_shares(path) if path.exists() else ():
        same = {**settings, "protocol": {**settings["protocol"], "labelled": share}}
        compared = _comparison(workspace.labelled(share), same)
        if compared is not None:
            found[share] = compared["metrics"][metric]
    return found if len(found) > 1 else {}


def _strata(predictions: Mapping[str, Files], cells: list[Cell]) -> list[Stratum]:
    """By sex and age, students only; empty where the corpus knows neither or there is nothing to compare with."""
    students = {method: predictions[method] for method in _students(predictions)}
    attributes = {row.clip: row.attributes for row in cells[0].clips}
    if BASELINE not in students or not clips_by_stratum(attributes):
        return []
    known = load_methods(students, cells[0].task, cells[0].recipe.evaluation)
    return compare_strata(stratify(known, attributes), metrics_for(cells[0].task)[0])


def _files(cell: Cell, predictions: Mapping[str, Files]) -> CellFiles:
    split = cell.split
    return CellFiles(
        split=split,
        embeddings=cell.embeddings(cell.full),
        aligned=cell.aligned(cell.full),
        hallucination=cell.hallucination,
        students={method: cell.workspace.student(split.fold, split.seed, method) for method in _students(predictions)},
    )
