"""From predictions to results.csv, results_by_group.csv and results.json, and back from results.json to table rows.

A method is measured on every test clip that it can predict, and compared with the visual-only baseline on the clips
that both predict; how many those are stands beside the numbers. All folds of a seed are one set of predictions.

A metric of continuous dimensions has one result for their mean, under its own name (`ccc` is P of the Aff-Wild2
challenge), and one a dimension (`ccc-valence`, `ccc-arousal`). Over all test clips, or the frames of all test trials,
together: a mean of the trials' own values would be another, larger or smaller, number.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import nan
from typing import Any

import numpy as np

from pipelines import __version__
from pipelines.errors import MtpkdError
from pipelines.metrics import (
    Estimate,
    Metric,
    confusion_matrix,
    group_values,
    metrics_for,
)
from pipelines.recipe import EvaluationSettings, Recipe, Task
from pipelines.recipe.loading import plain
from pipelines.reporting.calibration import calibration_results
from pipelines.reporting.comparison import compare_methods
from pipelines.reporting.measured import Measured, MeasuredClips
from pipelines.reporting.paired import ByCell, Files, Methods, PairedStatistics, load_methods
from pipelines.reporting.table import BASELINE, ResultRow
from pipelines.reporting.writers import (
    FoldResult,
    GroupResult,
    write_results_by_group_csv,
    write_results_csv,
    write_results_json,
)
from pipelines.workspace import Workspace

TEACHER = "teacher:"
"""Prefix that tells a teacher's results from those of a method."""


@dataclass(frozen=True)
class Results:
    """Everything that is computed from predictions.

    Attributes:
        rows: metric, and metric-dimension of continuous ones -> one row a method, teachers first.
        folds: every metric of every trained model on its test fold.
        groups: every metric of a method on every group.
        confusion: method -> (C, C) counts over all seeds, rows are true classes; empty where there are no classes.
        notes: what a reader must know about single estimates.
        calibration: student -> what its calibration is worth, see `calibration_results`.
    """

    rows: dict[str, list[ResultRow]]
    folds: list[FoldResult]
    groups: list[GroupResult]
    confusion: dict[str, np.ndarray]
    notes: list[str]
    calibration: dict[str, dict[str, Any]]


def compute_results(predictions: Mapping[str, Files], task: Task, settings: EvaluationSettings) -> Results:
    """Every metric that fits the task, with intervals over test groups and paired differences to the baseline.

    Files of frames are read one trial at a time: memory does not grow with the number of frames.

    Raises:
        MtpkdError: a file does not hold the task's predictions, or no method predicted anything.
    """
    known = load_methods(predictions, task, settings)
    cells, seeds = known.cells, known.seeds
    rows, notes = _rows(known, task)
    return Results(
        rows=rows,
        folds=_fold_results(cells, task),
        groups=_group_results(seeds, task),
        confusion=_confusion(seeds),
        notes=notes,
        calibration=calibration_results(predictions, known, task),
    )


def write_results(workspace: Workspace, results: Results, recipe: Recipe, task: Task) -> None:
    """Write the three files of results."""
    write_results_csv(workspace.results(".csv"), results.folds)
    write_results_by_group_csv(workspace.results("_by_group.csv"), results.groups)
    content = {
        "version": __version__,
        "task": plain(task),
        "metrics": {name: [asdict(row) for row in rows] for name, rows in results.rows.items()},
        **({"confusion": results.confusion} if results.confusion else {}),
        **({"calibration": results.calibration} if results.calibration else {}),
        "notes": results.notes,
        "recipe": plain(recipe),
    }
    write_results_json(workspace.results(".json"), content)


def read_rows(workspace: Workspace, metric: str) -> list[ResultRow]:
    """The table rows of a metric, e.g. `ccc`, or of one dimension, `ccc-valence`.

    Raises:
        MissingArtifact: before `evaluate`.
        MtpkdError: the results were computed without that metric.
    """
    path = workspace.require(workspace.results(".json"), "mtpkd evaluate")
    try:
        known = {**json.loads(path.read_text(encoding="utf-8"))["metrics"]}
        rows = [_row_of(values) for values in known[metric]] if metric in known else None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise MtpkdError(f"{path}: holds no results: run `mtpkd evaluate` again") from None
    if rows is None:
        raise MtpkdError(f"{path}: holds no {metric}, only {', '.join(known)}: run `mtpkd evaluate` again")
    return rows


def _row_of(values: Any) -> ResultRow:
    """A row of results.json. Raises TypeError where it has other fields, or values of another type."""
    fields: dict[str, Any] = {key: nan if value is None else value for key, value in dict(values).items()}
    row = ResultRow(**fields)
    texts = {"method", "role", "verdict"}
    for name, value in asdict(row).items():
        if not isinstance(value, str if name in texts else int | float):
            raise TypeError(name)
    return row


def _rows(known: Methods, task: Task) -> tuple[dict[str, list[ResultRow]], list[str]]:
    """The rows of every metric, and the notes on them."""
    rows: dict[str, list[ResultRow]] = {}
    notes: dict[str, None] = {}
    for metric in metrics_for(task):
        verdicts = _verdicts(known, metric)
        for method, parts in known.seeds.items():
            baseline = known.seeds.get(BASELINE) if method != BASELINE else None
            pair = PairedStatistics(metric, parts, baseline)
            for name, dimension in _columns(metric, task).items():
                estimates = pair.value(known.sampler, dimension), pair.difference(known.sampler, dimension)
                notes |= {f"{method}, {name}: {item.note}": None for item in estimates if item and item.note}
                sentence = verdicts.get(method, "") if dimension is None else ""
                rows.setdefault(name, []).append(_row(method, parts[0], *estimates, sentence))
    return rows, list(notes)


def _verdicts(known: Methods, metric: Metric[Any]) -> dict[str, str]:
    """Student -> what its comparison with the baseline allows to say; empty without a baseline."""
    students = {method: parts for method, parts in known.cells.items() if not method.startswith(TEACHER)}
    if BASELINE not in students:
        return {}
    found = compare_methods(replace(known, cells=students, seeds={m: known.seeds[m] for m in students}), metric)
    return {item.method: item.verdict.sentence for item in found}


def _columns(metric: Metric[Any], task: Task) -> dict[str, int | None]:
    """Name of a result -> its dimension, None for the only number or the mean of all dimensions."""
    labels = task.labels if task.kind == "continuous" else ()
    return {metric.name: None} | {f"{metric.name}-{label}": k for k, label in enumerate(labels)}


def _row(method: str, part: Measured, value: Estimate | None, difference: Estimate | None, verdict: str) -> ResultRow:
    return ResultRow(
        method=method.removeprefix(TEACHER),
        role="teacher" if method.startswith(TEACHER) else "student",
        clips=len(part.group_of),
        groups=len(part.clips_by_group),
        value=value.value if value else nan,
        low=value.low if value else nan,
        high=value.high if value else nan,
        difference=difference.value if difference else nan,
        difference_low=difference.low if difference else nan,
        difference_high=difference.high if difference else nan,
        frames=part.frames,
        verdict=verdict,
    )


def _fold_results(cells: Mapping[str, ByCell], task: Task) -> list[FoldResult]:
    results = []
    for method, parts in cells.items():
        for (fold, seed), part in parts.items():
            for metric in metrics_for(task):
                values = part.value(metric) if part.group_of else np.full(task.num_outputs, nan)
                for name, dimension in _columns(metric, task).items():
                    value = values.mean() if dimension is None else values[dimension]
                    results.append(FoldResult(method, fold, seed, name, float(value)))
    return results


def _group_results(seeds: Mapping[str, Sequence[Measured]], task: Task) -> list[GroupResult]:
    results = []
    for method, parts in seeds.items():
        values: dict[str, dict[str, float]] = {}
        for metric in metrics_for(task) if parts[0].group_of else ():
            statistics = [part.statistics(metric) for part in parts]
            for name, dimension in _columns(metric, task).items():
                values[name] = group_values(metric, statistics, dimension=dimension)
        for group, clips in parts[0].clips_by_group.items():
            by_metric = {name: known[group] for name, known in values.items()}
            results.append(GroupResult(method, group, clips, by_metric))
    return results


def _confusion(seeds: Mapping[str, Sequence[Measured]]) -> dict[str, np.ndarray]:
    whole = {m: [part.predictions for part in parts if isinstance(part, MeasuredClips)] for m, parts in seeds.items()}
    classes = {method: [part for part in parts if part.of_classes] for method, parts in whole.items()}
    return {
        method: np.sum([confusion_matrix(part) for part in parts], axis=0) for method, parts in classes.items() if parts
    }


def describe_protocol(recipe: Recipe, three_seeds: str = "--set 'protocol.seeds=[0, 1, 2]'") -> str:
    """How the numbers were measured, and with a single seed what that means and which option averages three."""
    protocol = recipe.protocol
    unit = "video" if recipe.corpus.continuous else "subject"
    published = "the manifest's split" if recipe.corpus.name == "manifest" else "published hold-out"
    name = {
        "k-fold": f"{protocol.folds} folds by {unit}",
        "loso": f"leave one {unit} out",
        "hold-out": "official split" if recipe.corpus.continuous else published,
    }[protocol.name]
    seeds = f"{len(protocol.seeds)} seed{'s' if len(protocol.seeds) > 1 else ''}"
    note = f"{name}, {seeds}, {recipe.evaluation.resamples} resamples of test {unit}s"
    if protocol.labelled < 1:
        note += f", {100 * protocol.labelled:g} % of training {unit}s labelled"
    if len(protocol.seeds) > 1:
        return note
    # Two trainings of one model differ by points, and the interval over groups does not know.
    return f"{note}\none seed proves nothing; average three: {three_seeds}"
