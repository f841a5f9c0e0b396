"""The numbers of a model card: results with intervals, also by sex and age band, and what confidence is worth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

from pipelines.metrics import Estimate, Metric, better_side
from pipelines.recipe import Task
from pipelines.reporting.strata import LEAST_GROUPS, Stratum
from pipelines.reporting.table import BASELINE, ResultRow, format_interval, format_number


@dataclass(frozen=True)
class Result:
    """One line of the results.

    Attributes:
        metric: by which, it decides the digits.
        own: the student's.
        baseline: of visual only, or None.
        on_own_fold: of this very file on its own test groups, NaN where not known.
    """

    metric: Metric[Any]
    own: ResultRow
    baseline: ResultRow | None
    on_own_fold: float = nan


@dataclass(frozen=True)
class Numbers:
    """What `evaluate` found out about a method.

    Attributes:
        headline: the metric of the task.
        rows: name of a result, e.g. `ccc-valence` -> it.
        strata: by sex and age band, by the headline; empty where the corpus knows neither.
        harmed: groups that do worse than with visual only, and all that were compared; None for visual only itself.
        calibration: what the results say of the student's confidence.
        models: trained models, one a fold and seed, behind the rows.
    """

    headline: Metric[Any]
    rows: Mapping[str, Result]
    strata: Sequence[Stratum]
    harmed: tuple[int, int] | None
    calibration: Mapping[str, Any] | None
    models: int


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def bullets(lines: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def describe_numbers(numbers: Numbers | str, task: Task, method: str, protocol: str) -> str:
    """Results, and for whom they are worse; or why there are none."""
    if isinstance(numbers, str):
        return f"Not known: {numbers}"
    row = numbers.rows[numbers.headline.name].own
    seen = f"{row.clips} {'trials' if row.frames else 'clips'} of {row.groups} groups"
    whole = (
        f"Measured on {seen} that the predicting model had never seen: {protocol}. Every fold and seed has a model of "
        f"its own, {numbers.models} in all, trained alike; this file is one of them, and the last column is its own "
        "part of the test groups."
    )
    parts = [whole, _results(numbers)]
    if method != BASELINE:
        parts.append(f"Against visual only, by {numbers.headline.name}, in words: **{row.verdict or 'not compared'}**.")
    return "\n\n".join([*parts, "### Who it works worse for", _worse(numbers, method)])


def _results(numbers: Numbers) -> str:
    rows = [
        (
            name + (" %" if item.metric.percent else ""),
            _with_interval(item.own.value, item.own.low, item.own.high, item.metric),
            _with_interval(
                item.own.difference, item.own.difference_low, item.own.difference_high, item.metric, signed=True
            ),
            "-" if item.baseline is None else format_number(item.baseline.value, item.metric),
            format_number(item.on_own_fold, item.metric),
        )
        for name, item in numbers.rows.items()
    ]
    return table(("metric", "value", "minus visual only", "visual only", "this file, own fold"), rows)


def _worse(numbers: Numbers, method: str) -> str:
    metric, parts = numbers.headline, []
    if numbers.harmed is not None:
        worse, compared = numbers.harmed
        parts.append(f"Worse than visual only for {worse} of {compared} test groups, by {metric.name} of each alone.")
    if not numbers.strata:
        parts.append("By sex and age: not known, the table of clips has neither.")
        return "\n\n".join(parts)
    rows = []
    for item in numbers.strata:
        value, difference = item.values.get(method), item.differences.get(method)
        sign = _in_words(difference, metric) if method != BASELINE else ""
        rows.append((item.attribute, item.name, str(item.groups), _estimate(value, metric), _estimate(
            difference, metric, signed=True), sign))  # fmt: skip
    header = ("by", "", "groups", metric.name + (" %" if metric.percent else ""), "minus visual only", "in words")
    parts += [table(header, rows), _lowest(numbers, method)]
    parts.append(
        f"Below {LEAST_GROUPS} groups there is no interval. That two intervals overlap does not show that it works "
        "equally well for both."
    )
    return "\n\n".join(parts)


def _lowest(numbers: Numbers, method: str) -> str:
    """Names the stratum with the worst value of every attribute."""
    metric, lines = numbers.headline, []
    for attribute in dict.fromkeys(item.attribute for item in numbers.strata):
        known = [(each.value, item.name) for item in numbers.strata if item.attribute == attribute
                 and (each := item.values.get(method)) and not isnan(each.value)]  # fmt: skip
        if len(known) > 1:
            value, name = (min if metric.higher_is_better else max)(known)
            lines.append(f"By {attribute}, the worst value is that of {name}: {format_number(value, metric)}.")
    return " ".join(lines)


def _in_words(difference: Estimate | None, metric: Metric[Any]) -> str:
    if difference is None or isnan(difference.low):
        return "too few groups to say"
    side = better_side(difference.low, difference.high, metric.higher_is_better)
    return {1: "better than visual only", 0: "no difference shown", -1: "worse than visual only"}[side]


def _estimate(estimate: Estimate | None, metric: Metric[Any], *, signed: bool = False) -> str:
    return "" if estimate is None else _with_interval(
        estimate.value, estimate.low, estimate.high, metric, signed=signed
    )  # fmt: skip


def _with_interval(value: float, low: float, high: float, metric: Metric[Any], *, signed: bool = False) -> str:
    text = f"{format_number(value, metric, signed=signed)} {format_interval(low, high, metric, signed=signed)}"
    return "" if isnan(value) else text.strip()


def describe_calibration(calibration: Mapping[str, Any] | None, numbers: Numbers | str, task: Task, method: str) -> str:
    """What the student's confidence is worth, as the checkpoint and the results know it."""
    if calibration is None:
        return "Not known: the student was trained before calibration was recorded; `mtpkd distill` trains it again."
    lines = [f"Validation groups that it was fitted on, and that were not trained on: {len(calibration['groups'])}."]
    measured = None if isinstance(numbers, str) else numbers.calibration
    if task.kind == "classes":
        lines.append(f"Temperature {calibration['temperature']:.3f}: probabilities are softmax(outputs / temperature).")
        if measured:
            error, before = _plain(measured["ece"]), _plain(measured["ece_untempered"])
            lines.append(
                f"Expected calibration error on test groups, all models together: {error} ({before} without their "
                "temperatures)."
            )
    elif measured and measured["level"] is not None:
        low, high = measured["coverage_interval"]
        interval = "" if low is None else f" [{100 * low:.0f}, {100 * high:.0f}]"
        widths = ", ".join(f"{name} ±{_plain(w)}" for name, w in zip(task.labels, measured["half_width"], strict=True))
        lines.append(
            f"{100 * measured['level']:.0f} % intervals hold {100 * measured['coverage']:.0f} %{interval} of what test "
            f"groups had, all models together; mean of their half-widths: {widths}."
        )
    elif task.kind == "continuous":
        lines.append("Intervals: none for which there are validation groups enough, or not evaluated yet.")
    if task.kind == "classes" and not measured:
        lines.append("What that is worth on test groups is not known: run `mtpkd evaluate`.")
    return bullets(lines)


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
