"""From predictions to results.csv, results_by_group.csv and results.json, and back from results.json to table rows.

A method is measured on every test clip that it can predict, and compared with the visual-only baseline on the clips
that both predict; how many those are stands beside the numbers. All folds of a seed are one set of predictions.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import nan
from typing import Any

import numpy as np

from pipelines import __version__
from pipelines.metrics import (
    Estimate,
    Metric,
    Predictions,
    bootstrap_weights,
    concatenate,
    confusion_matrix,
    group_values,
    metrics_for,
    paired_difference,
    summarise,
)
from pipelines.recipe import EvaluationSettings, Recipe, Task
from pipelines.recipe.loading import plain
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
_BOOTSTRAP_SEED = 20240819
ByCell = Mapping[tuple[int, int], Predictions]
"""(fold, seed) -> predictions of that fold's test clips."""


@dataclass(frozen=True)
class Results:
    """Everything that is computed from predictions.

    Attributes:
        rows: metric -> one row a method, teachers first.
        folds: every metric of every trained model on its test fold.
        groups: every metric of a method on every group.
        confusion: method -> (C, C) counts over all seeds, rows are true classes.
        notes: what a reader must know about single estimates.
    """

    rows: dict[str, list[ResultRow]]
    folds: list[FoldResult]
    groups: list[GroupResult]
    confusion: dict[str, np.ndarray]
    notes: list[str]


def compute_results(predictions: Mapping[str, ByCell], task: Task, settings: EvaluationSettings) -> Results:
    """Every metric that fits the task, with intervals over test groups and paired differences to the baseline."""
    seeds = {method: _by_seed(cells) for method, cells in predictions.items()}
    everyone = sorted({group for parts in seeds.values() for part in parts for group in part.groups.tolist()})
    weights = bootstrap_weights(len(everyone), settings.resamples, _BOOTSTRAP_SEED)
    sampler = _Sampler(everyone, weights, settings.confidence)
    rows: dict[str, list[ResultRow]] = {}
    notes: list[str] = []
    for metric in metrics_for(task):
        rows[metric.name] = [
            _row(method, parts, seeds.get(BASELINE), metric, sampler, notes) for method, parts in seeds.items()
        ]
    return Results(
        rows=rows,
        folds=_fold_results(predictions, task),
        groups=_group_results(seeds, task),
        confusion={m: np.sum([confusion_matrix(part) for part in parts], axis=0) for m, parts in seeds.items()},
        notes=list(dict.fromkeys(notes)),
    )


def write_results(workspace: Workspace, results: Results, recipe: Recipe, task: Task) -> None:
    """Write the three files of results."""
    write_results_csv(workspace.results(".csv"), results.folds)
    write_results_by_group_csv(workspace.results("_by_group.csv"), results.groups)
    content = {
        "version": __version__,
        "task": plain(task),
        "metrics": {name: [asdict(row) for row in rows] for name, rows in results.rows.items()},
        "confusion": results.confusion,
        "notes": results.notes,
        "recipe": plain(recipe),
    }
    write_results_json(workspace.results(".json"), content)


def read_rows(workspace: Workspace, metric: str) -> list[ResultRow]:
    """The table rows of a metric. Raises MissingArtifact before `evaluate`."""
    path = workspace.require(workspace.results(".json"), "mtpkd evaluate")
    content = json.loads(path.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = [
        {key: nan if value is None else value for key, value in row.items()} for row in content["metrics"][metric]
    ]
    return [ResultRow(**row) for row in rows]


@dataclass(frozen=True)
class _Sampler:
    """One matrix of resampled groups for all methods and metrics, so that differences are paired."""

    groups: list[str]
    weights: np.ndarray
    confidence: float

    def options(self, predictions: Predictions) -> dict[str, Any]:
        there = set(predictions.groups.tolist())
        return {"weights": self.weights[:, [g in there for g in self.groups]], "confidence": self.confidence}


def _row(
    method: str,
    parts: list[Predictions],
    baseline: list[Predictions] | None,
    metric: Metric,
    sampler: _Sampler,
    notes: list[str],
) -> ResultRow:
    estimate = summarise(metric, [metric.accumulate(part) for part in parts], **sampler.options(parts[0]))
    difference = None
    if baseline is not None and method != BASELINE:
        difference = _difference(parts, baseline, metric, sampler)
    for item in (estimate, difference):
        if item is not None and item.note:
            notes.append(f"{method}, {metric.name}: {item.note}")
    return ResultRow(
        method=method.removeprefix(TEACHER),
        role="teacher" if method.startswith(TEACHER) else "student",
        clips=len(parts[0].clips),
        groups=len(set(parts[0].groups.tolist())),
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        difference=difference.value if difference else nan,
        difference_low=difference.low if difference else nan,
        difference_high=difference.high if difference else nan,
    )


def _difference(
    parts: list[Predictions], baseline: list[Predictions], metric: Metric, sampler: _Sampler
) -> Estimate | None:
    common = set(parts[0].clips.tolist()) & set(baseline[0].clips.tolist())
    if not common:
        return None
    mine, theirs = ([_only(part, common) for part in side] for side in (parts, baseline))
    statistics = [[metric.accumulate(part) for part in side] for side in (mine, theirs)]
    return paired_difference(metric, *statistics, **sampler.options(mine[0]))


def _only(predictions: Predictions, clips: set[str]) -> Predictions:
    kept = np.array([clip in clips for clip in predictions.clips.tolist()])
    return Predictions(
        predictions.groups[kept], predictions.clips[kept], predictions.target[kept], predictions.scores[kept]
    )


def _by_seed(cells: ByCell) -> list[Predictions]:
    seeds = sorted({seed for _, seed in cells})
    return [concatenate([part for (_, s), part in sorted(cells.items()) if s == seed]) for seed in seeds]


def _fold_results(predictions: Mapping[str, ByCell], task: Task) -> list[FoldResult]:
    results = []
    for method, cells in predictions.items():
        for (fold, seed), part in sorted(cells.items()):
            for metric in metrics_for(task):
                statistics = metric.accumulate(part)
                value = metric.value(statistics, np.ones((1, len(statistics.groups))))
                results.append(FoldResult(method, fold, seed, metric.name, float(np.mean(value[0]))))
    return results


def _group_results(seeds: Mapping[str, list[Predictions]], task: Task) -> list[GroupResult]:
    results = []
    for method, parts in seeds.items():
        names, counts = np.unique(parts[0].groups, return_counts=True)
        values = {m.name: group_values(m, [m.accumulate(part) for part in parts]) for m in metrics_for(task)}
        for group, clips in zip(names.tolist(), counts.tolist(), strict=True):
            by_metric = {name: known[group] for name, known in values.items()}
            results.append(GroupResult(method, group, clips, by_metric))
    return results


def describe_protocol(recipe: Recipe) -> str:
    """How the numbers were measured, and with a single seed what that means."""
    protocol = recipe.protocol
    name = {
        "k-fold": f"{protocol.folds} folds by subject",
        "loso": "leave one subject out",
        "hold-out": "published hold-out",
    }[protocol.name]
    seeds = f"{len(protocol.seeds)} seed{'s' if len(protocol.seeds) > 1 else ''}"
    note = f"{name}, {seeds}, {recipe.evaluation.resamples} resamples of test subjects"
    if len(protocol.seeds) > 1:
        return note
    # Two trainings of one model differ by points, and the interval over subjects does not know.
    return note + "\none seed proves nothing; average three: --set 'protocol.seeds=[0, 1, 2]'"
