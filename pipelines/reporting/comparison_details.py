"""What stands below the comparison on the console: who it helped, what the teachers did, and what labels are worth.

Three tables of at most 80 columns. Strata name how many groups they hold, because few of them have no interval.
"""

from collections.abc import Mapping, Sequence
from math import isnan, nan
from typing import Any

from rich.table import Table

from pipelines.metrics import Estimate, Metric
from pipelines.recipe import Recipe
from pipelines.reporting.comparison import CONTROLS, SELF, Compared
from pipelines.reporting.comparison_table import bare_table, format_difference
from pipelines.reporting.strata import LEAST_GROUPS, Stratum
from pipelines.reporting.table import BASELINE, BASELINE_WORDS, format_number
from pipelines.reporting.training_record import TrainingRecord


def strata_table(strata: Sequence[Stratum], *, metric: Metric[Any]) -> Table:
    """A block a stratum: visual only, and every method that is no control with its paired difference to that."""
    few = any(stratum.groups < LEAST_GROUPS for stratum in strata)
    note = f"no interval under {LEAST_GROUPS} groups" if few else ""
    table = bare_table(f"{metric.name} by {' and '.join(dict.fromkeys(stratum.attribute for stratum in strata))}", note)
    table.add_column("who", overflow="fold")
    table.add_column("groups", justify="right", no_wrap=True)
    table.add_column("method", overflow="fold")
    table.add_column(metric.name + (" %" if metric.percent else ""), justify="right", no_wrap=True)
    table.add_column(f"vs {BASELINE_WORDS}", justify="right", no_wrap=True)
    for stratum in strata:
        methods = [method for method in stratum.values if method not in CONTROLS]
        for line, method in enumerate(methods):
            head = (stratum.name, str(stratum.groups)) if line == 0 else ("", "")
            difference = format_difference(stratum.differences.get(method), metric)
            table.add_row(*head, method, _value(stratum.values[method], metric), difference)
    return table


def record_table(record: TrainingRecord, recipe: Recipe) -> Table | None:
    """A row a teacher: how far from the joint one it was and is, how well it is hallucinated, and how often it spoke.

    Args:
        record: what happened inside.
        recipe: of the run; its order of teachers is kept.

    Returns:
        None where there is nothing to show.
    """
    choosers = {method: known for method, known in record.teaching.items() if known.chosen}
    shown = {*record.alignment_gap, *record.hallucination, *(n for known in choosers.values() for n in known.chosen)}
    if not shown:
        return None
    order = dict.fromkeys((*recipe.teacher_subsets, *recipe.privileged))
    note = "on validation groups; gap: 1 - cosine to the joint embedding, before and after alignment; "
    note += f"R2: of the embedding hallucinated from {' and '.join(recipe.prevalent)}"
    note += "; a method: share of samples a teacher spoke for, first and last epoch" if choosers else ""
    table = bare_table("teachers", note)
    table.add_column("teacher", overflow="fold")
    for heading in ("gap", "R2", *choosers):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in (name for name in order if name in shown):
        gap, explained = record.alignment_gap.get(name), record.hallucination.get(name, nan)
        shares = [
            f"{100 * known.chosen[name][0]:.0f} -> {100 * known.last[name]:.0f} %" if name in known.chosen else "-"
            for known in choosers.values()
        ]
        table.add_row(
            name,
            f"{gap.before:.2f} -> {gap.after:.2f}" if gap and not isnan(gap.after) else "-",
            "-" if isnan(explained) else f"{explained:.2f}",
            *shares,
        )
    return table


def curve_table(curve: Mapping[float, Compared], *, metric: Metric[Any], title: str, note: str) -> Table:
    """A block a method, a line a share of labelled groups: its value and differences to visual only and `self-kd`."""
    compared = any(SELF in item.against for part in curve.values() for item in part.comparisons)
    table = bare_table(title, note)
    table.add_column("method", overflow="fold")
    table.add_column("labels", justify="right", no_wrap=True)
    table.add_column(metric.name + (" %" if metric.percent else ""), justify="right", no_wrap=True)
    for heading in (BASELINE_WORDS, SELF) if compared else (BASELINE_WORDS,):
        table.add_column(f"vs {heading}", justify="right", no_wrap=True)
    shares = sorted(curve)
    for line, share in enumerate(shares):
        table.add_row(BASELINE if not line else "", f"{100 * share:g} %", _value(curve[share].baseline, metric))
    for number, first in enumerate(curve[shares[0]].comparisons):
        table.add_section()
        for line, share in enumerate(shares):
            item = curve[share].comparisons[number]
            differences = [format_difference(item.against.get(name), metric) for name in (BASELINE, SELF)]
            head = (first.method if not line else "", f"{100 * share:g} %", _value(item.value, metric))
            table.add_row(*head, *(differences if compared else differences[:1]))
    return table


def curve_sentences(curve: Mapping[float, Compared]) -> list[str]:
    """What the numbers allow to say, a line a share of labels and method that is no control."""
    return [
        f"{item.method}, {100 * share:g} % labelled: {item.verdict.sentence}"
        for share in sorted(curve)
        for item in curve[share].comparisons
        if item.method not in CONTROLS
    ]


def _value(estimate: Estimate | None, metric: Metric[Any]) -> str:
    return "-" if estimate is None else format_number(estimate.value, metric)
