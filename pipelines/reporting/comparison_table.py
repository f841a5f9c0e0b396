"""The comparison of methods on the console: a table of paired differences, and below it what they allow to say.

It fits 80 columns and repeats nothing: values and intervals stand in the table, reasons in the sentences.
"""

from collections.abc import Sequence
from math import isnan
from typing import Any

from rich.box import HORIZONTALS
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.metrics import Estimate, Metric
from pipelines.reporting.comparison import CONTROLS, MATCHED, SELF, Compared, Comparison
from pipelines.reporting.table import BASELINE, BASELINE_WORDS, HEADLINE, format_interval, format_number

_AGAINST = {BASELINE: BASELINE_WORDS, MATCHED: MATCHED, SELF: SELF}
_STYLES = {"gain": "green", "worse": "red"}


def comparison_table(
    comparisons: Sequence[Comparison], baseline: Estimate, *, metric: Metric[Any], title: str, note: str
) -> Table:
    """A block a method: its value, and a line for each of those it is compared with.

    Args:
        comparisons: of `compare_methods`.
        baseline: value of visual only.
        metric: what the values are.
        title: what was compared on what.
        note: how it was measured.
    """
    table = bare_table(title, note)
    table.add_column("method", overflow="fold")
    table.add_column(metric.name + (" %" if metric.percent else ""), justify="right", no_wrap=True)
    table.add_column("difference", justify="right", no_wrap=True)
    table.add_column("to", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_row(BASELINE, format_number(baseline.value, metric), "", "", "", style="dim")
    for item in comparisons:
        style = f"{_STYLES.get(item.verdict.kind, '')} {'bold' if item.method == HEADLINE else ''}".strip()
        names = [name for name in _AGAINST if name in item.against]
        for line, name in enumerate(names):
            first = line == 0
            table.add_row(
                item.method if first else "",
                format_number(item.value.value, metric) if first else "",
                format_difference(item.against[name], metric),
                _AGAINST[name],
                "" if isnan(item.p) or not first else f"{item.p:.3f}",
                style=style,
            )
    return table


def sentences(comparisons: Sequence[Comparison], *, metric: Metric[Any], noise: float) -> list[str]:
    """What the numbers allow to say: a sentence a method that is no control, and how much a seed alone changes."""
    judged = [item for item in comparisons if item.method not in CONTROLS]
    lines = []
    for item in judged:
        lines.append(f"{item.method}: {item.verdict.sentence}")
        details = [] if isnan(item.effect.value) else [f"effect over folds g = {item.effect.value:.2f}"]
        if item.negative.losses:
            worst = format_number(item.negative.worst, metric)
            details.append(f"worse for {len(item.negative.losses)} of {item.negative.groups} groups, by up to {worst}")
        lines += [f"  {'; '.join(details)}"] if details else []
    lines += dict.fromkeys(f"test over folds: {item.test.note}" for item in judged if item.test.note)
    if not isnan(noise):
        lines.append(f"two trainings of visual only differ by {format_number(noise, metric)} on average")
    return lines


def print_comparison(console: Console, compared: Compared, *, metric: Metric[Any], title: str, note: str) -> None:
    """Print the table and the sentences. Args are those of `comparison_table`."""
    table = comparison_table(compared.comparisons, compared.baseline, metric=metric, title=title, note=note)
    console.print(table)
    console.print()
    for line in sentences(compared.comparisons, metric=metric, noise=compared.noise):
        console.print(Text(line))


def bare_table(title: str, note: str) -> Table:
    """A table without columns, in the style of all below a comparison; `note` may be empty."""
    return Table(
        title=title, title_justify="left", title_style="bold", box=HORIZONTALS, show_edge=False,
        caption="\n" + note if note else None, caption_justify="left", caption_style="dim", border_style="dim",
        padding=(0, 1, 0, 0),
    )  # fmt: skip


def format_difference(estimate: Estimate | None, metric: Metric[Any]) -> str:
    """E.g. `+3.1 [-0.4, +6.2]`; empty where there is nothing to pair."""
    if estimate is None:
        return ""
    interval = format_interval(estimate.low, estimate.high, metric, signed=True)
    return f"{format_number(estimate.value, metric, signed=True)} {interval}".rstrip()
