"""What students' confidence is worth on test groups: into results.json, and in words below the table.

Decisions. Everything is computed from predictions and the calibration in their sidecars, which is that of the
checkpoint. The level is LEVEL, or the highest below it for which every fold and seed has validation groups enough: the
same for all of a method's cells. A coverage is a mean over test groups of the share of each one's frames (or clips), as
it was promised, and over dimensions and seeds. Frames are read once more, a trial at a time.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pipelines.cache.predictions import holds_frames, read_annotated_predictions, read_predictions
from pipelines.errors import MtpkdError
from pipelines.metrics import (
    Covered,
    Predictions,
    concatenate,
    count_covered,
    expected_calibration_error,
    groups_needed,
    interval,
    merge_covered,
    tempered,
)
from pipelines.recipe import Task
from pipelines.reporting.measured import Measured, MeasuredClips
from pipelines.reporting.paired import ByCell, Files, Methods, Sampler
from pipelines.workspace import Workspace, read_sidecar

LEVEL = 0.9
"""Of the intervals that are reported, and the usual one of `mtpkd predict`."""
_NAMED = 4
"""So many dimensions are named in a line."""
ByFoldAndSeed = Mapping[tuple[int, int], Mapping[str, Any]]


def calibration_results(predictions: Mapping[str, Files], known: Methods, task: Task) -> dict[str, dict[str, Any]]:
    """Student -> what its calibration is worth.

    Args:
        predictions: method -> its files; those without a calibration, as teachers, are left out.
        known: the same, read.
        task: what was predicted.

    Returns:
        Of classes `ece`, `ece_untempered`, and `temperature`, `calibration_groups` of every cell. Of continuous labels
        `level`, `coverage`, `coverage_interval` over test groups, `half_width` a dimension (mean over cells), `groups`
        (test groups), `calibration_groups` of every cell, and the whole `curve` of `levels` and their `coverage`; NaN
        where a cell has too few groups for any level, or nothing was predicted.
    """
    found = {}
    for method, files in predictions.items():
        told = _told(files)
        if told:
            groups = {"calibration_groups": [len(each["groups"]) for each in told.values()]}
            if task.kind == "classes":
                worth = _of_classes(known.cells[method], told)
            else:
                worth = _of_values(files, told, known.seeds[method], known.sampler, task)
            found[method] = {**worth, **groups}
    return found


def _told(files: Files) -> ByFoldAndSeed:
    """The calibration of every cell; nothing where one has none."""
    details = {cell: (read_sidecar(path) or {"details": {}})["details"] for cell, path in sorted(files.items())}
    told = {cell: each["calibration"] for cell, each in details.items() if "calibration" in each}
    return told if len(told) == len(files) else {}


def _of_classes(cells: ByCell, told: ByFoldAndSeed) -> dict[str, Any]:
    temperatures = {cell: each["temperature"] for cell, each in told.items()}
    tempered_parts = {cell: part.predictions for cell, part in cells.items() if isinstance(part, MeasuredClips)}
    parts = {
        cell: replace(part, scores=tempered(part.scores, 1 / temperatures[cell]))
        for cell, part in tempered_parts.items()
    }
    return {
        "ece": _calibration_error(tempered_parts),
        "ece_untempered": _calibration_error(parts),
        "temperature": list(temperatures.values()),
    }


def _calibration_error(parts: Mapping[tuple[int, int], Predictions]) -> float:
    """Of all folds together, mean over seeds."""
    seeds = sorted({seed for _, seed in parts})
    wholes = [concatenate([part for (_, s), part in parts.items() if s == seed]) for seed in seeds]
    return float(np.mean([expected_calibration_error(whole.scores, whole.target) for whole in wholes]))


def _of_values(
    files: Files, told: ByFoldAndSeed, seeds: Sequence[Measured], sampler: Sampler, task: Task
) -> dict[str, Any]:
    levels = next(iter(told.values()))["intervals"]["levels"]
    widths = {cell: each["intervals"]["half_widths"] for cell, each in told.items()}
    there = [i for i in range(len(levels)) if all(each[i] is not None for each in widths.values())]
    if not there or not all(seed.group_of for seed in seeds):
        nothing = {"level": np.nan, "coverage": np.nan, "coverage_interval": [np.nan] * 2}
        return {**nothing, "half_width": [np.nan] * task.num_outputs, "groups": 0, "curve": _curve([], [])}
    half_widths = {cell: np.array([each[i] for i in there], np.float64) for cell, each in widths.items()}
    covered = _covered(files, half_widths, task)
    shares = np.mean([seed.shares for seed in covered], axis=(0, 3))
    reached = [levels[i] for i in there]
    chosen = max([n for n, level in enumerate(reached) if level <= LEVEL], default=0)
    return {
        "level": reached[chosen],
        "coverage": float(shares[:, chosen].mean()),
        "coverage_interval": _interval(shares[:, chosen], covered[0].groups, sampler),
        "half_width": np.mean([each[chosen] for each in half_widths.values()], axis=0).tolist(),
        "groups": len(shares),
        "curve": _curve(reached, shares.mean(axis=0).tolist()),
    }


def _curve(levels: list[float], coverage: list[float]) -> dict[str, list[float]]:
    return {"levels": levels, "coverage": coverage}


def _covered(files: Files, half_widths: Mapping[tuple[int, int], np.ndarray], task: Task) -> list[Covered]:
    """What the intervals of every seed cover of the test groups of all folds."""

    def counted(seed: int) -> Iterator[Covered]:
        for cell in (cell for cell in sorted(files) if cell[1] == seed):
            path = files[cell]
            whole: Iterable[Predictions] = (
                read_annotated_predictions(path, task) if holds_frames(path) else [read_predictions(path, task)]
            )
            for part in whole:
                yield count_covered(part.target - part.scores, part.groups, half_widths[cell])

    return [merge_covered(list(counted(seed))) for seed in sorted({seed for _, seed in files})]


def _interval(shares: np.ndarray, groups: tuple[str, ...], sampler: Sampler) -> tuple[float, float]:
    """Of the mean of (G,) shares over resampled groups."""
    there = set(groups)
    weights = sampler.weights[:, [group in there for group in sampler.groups]]
    drawn = weights.sum(axis=1)
    means = np.divide(weights @ shares, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
    return interval(means, sampler.confidence) if len(groups) > 1 else (np.nan, np.nan)


def describe_calibration(workspace: Workspace, task: Task, *, unit: str) -> list[str]:
    """Lines of at most 80 columns below the table; none where no student is calibrated.

    Args:
        workspace: after `evaluate`.
        task: what was predicted.
        unit: what the groups are, in the plural.

    Raises:
        MissingArtifact: before `evaluate`.
        MtpkdError: results.json is not as it was written.
    """
    path = workspace.require(workspace.results(".json"), "mtpkd evaluate")
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get("calibration", {})
        return _lines_of_classes(found) if task.kind == "classes" else _lines_of_values(found, task, unit)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise MtpkdError(f"{path}: holds no results: run `mtpkd evaluate` again") from None


def _lines_of_classes(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    pad = max(map(len, found), default=0)
    lines = [
        f"  {method:{pad}}  {_number(each['ece_untempered'])} -> {_number(each['ece'])}"
        for method, each in found.items()
    ]
    return ["calibration error (ECE) of students, before and after their temperature:", *lines] if lines else []


def _lines_of_values(found: Mapping[str, Mapping[str, Any]], task: Task, unit: str) -> list[str]:
    pad = max(map(len, found), default=0)
    by_level: dict[float | None, list[str]] = {}
    for method, each in found.items():
        by_level.setdefault(each["level"], [])
        if each["level"] is not None:
            low, high = each["coverage_interval"]
            ends = "" if low is None else f" [{100 * low:.0f}, {100 * high:.0f}]"
            widths = " / ".join(map(_number, each["half_width"]))
            by_level[each["level"]].append(f"  {method:{pad}}  {100 * each['coverage']:.0f} %{ends}  +-{widths}")
    named = " / ".join(task.labels) if len(task.labels) <= _NAMED else f"{task.num_outputs} dimensions"
    lines = []
    for level, members in by_level.items():
        fewest = min(min(each["calibration_groups"]) for each in found.values() if each["level"] == level)
        if level is not None:
            lines += [f"{100 * level:.0f} % intervals on test {unit}: covered, half-width of {named}:", *members]
        if level != LEVEL:
            lines.append(
                f"  {100 * LEVEL:.0f} % would take {groups_needed(LEVEL)} validation {unit}, here are {fewest}"
            )
    return lines


def _number(value: float | None) -> str:
    """Three significant digits or decimals, as the table writes them."""
    if value is None:
        return "-"
    return f"{value:.3f}".removeprefix("0") if abs(value) < 10 else f"{value:.3g}"
