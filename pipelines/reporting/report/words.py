"""Methods and numbers in the words of the page, the same in every section."""

from collections.abc import Mapping
from math import isnan, nan
from typing import Any

from pipelines.metrics import METRICS, Metric
from pipelines.reporting.comparison import CONTROLS
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.html import Number
from pipelines.reporting.results import TEACHER
from pipelines.reporting.table import BASELINE, BASELINE_WORDS, HEADLINE, format_interval, format_number


def metric_of(name: str) -> Metric[Any]:
    """The metric of `ccc-valence` is that of `ccc`."""
    known = [metric for metric in METRICS.values() if name == metric.name or name.startswith(f"{metric.name}-")]
    return max(known, key=lambda metric: len(metric.name))


def named(method: str) -> str:
    """A method as the page calls it: `visual only (none)`, `joint (teacher)`, others by their name."""
    if method.startswith(TEACHER):
        return f"{method.removeprefix(TEACHER)} (teacher)"
    return f"{BASELINE_WORDS} ({BASELINE})" if method == BASELINE else method


def headed(metric: Metric[Any]) -> str:
    """A metric as a column is called, e.g. `accuracy %`."""
    return metric.name + (" %" if metric.percent else "")


def unit(metric: Metric[Any], *, difference: bool = False) -> str:
    """A metric as an axis is called, e.g. `accuracy (points)` of differences."""
    percent = " (points)" if difference else " (%)"
    return metric.name + (percent if metric.percent else "") + ("" if metric.higher_is_better else ", less is better")


def scaled(value: float, metric: Metric[Any]) -> float:
    """A value as people read it: percent where the metric is read in percent."""
    return 100 * value if metric.percent else value


def amount(value: float, metric: Metric[Any]) -> str:
    """A distance between two values, e.g. `10.0 points` of accuracy."""
    return format_number(value, metric) + (" points" if metric.percent else "")


def value_cell(value: float, metric: Metric[Any]) -> Number:
    """A cell with a value."""
    return Number(format_number(value, metric), value)


def difference_cell(value: float, low: float, high: float, metric: Metric[Any]) -> Number:
    """A cell with a paired difference and its interval, sorted by the difference."""
    return Number(difference_text(value, low, high, metric), value)


def difference_text(value: float, low: float, high: float, metric: Metric[Any]) -> str:
    """E.g. `+3.1 [-0.4, +6.2]`, `-` where there is none."""
    interval = format_interval(low, high, metric, signed=True)
    return f"{format_number(value, metric, signed=True)} {interval}".rstrip()


def shown_first(facts: Facts) -> str | None:
    """The student that the page is about: MT-PKDOT, else the first that is neither visual only nor a control."""
    judged = [method for method in facts.students if method != BASELINE and method not in CONTROLS]
    others = [method for method in facts.students if method != BASELINE]
    if HEADLINE in judged:
        return HEADLINE
    return next(iter([*judged, *others]), None)


def by_group(facts: Facts, method: str) -> dict[str, float]:
    """Group -> a method's headline value in results_by_group.csv, NaN where it is not defined."""
    return {row.group: row.values.get(facts.metric.name, nan) for row in facts.groups if row.method == method}


def by_cell(facts: Facts, method: str) -> dict[tuple[int, int], float]:
    """(fold, seed) -> a method's headline value in results.csv."""
    name = facts.metric.name
    return {(row.fold, row.seed): row.value for row in facts.folds if (row.method, row.metric) == (method, name)}


def number(values: Mapping[str, Any], key: str) -> float:
    """A number of a JSON file, NaN for null or nothing."""
    value = values.get(key)
    return nan if value is None else float(value)


def p_text(p: float) -> str:
    """E.g. `.034`, `< .001`, `-` where nothing was tested."""
    if isnan(p):
        return "-"
    return f"{p:.3f}" if p >= 0.001 else "< 0.001"


def counted(count: int, word: str) -> str:
    """E.g. `1 clip`, `1,200 clips`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
