"""What the numbers were measured on: how much of every modality there is, and what could not be used."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.figures import GRID, PAPER, SERIES, panels, svg
from pipelines.reporting.report.html import Cell, Number, details, figure, heading, join, paragraph, table
from pipelines.reporting.report.section import Section
from pipelines.reporting.report.words import counted

ANCHOR, TITLE = "coverage", "Coverage of the data"
ABSENT = "The cache holds no clip: `mtpkd preprocess` fills it."


def section(facts: Facts) -> Section | None:
    """Coverage of every modality, who lacks most, and failures by what they say."""
    if not facts.clips:
        return None
    groups = len({row.group for row in facts.clips})
    failed = sum(kind.number for kind in facts.contents.failures)
    text = (
        f"The cache holds {counted(len(facts.clips), 'clip')} of {groups:,} {facts.unit}; "
        f"{counted(failed, 'failure')} {'is' if failed == 1 else 'are'} on record. A part that is missing is missing "
        "for the models too: nothing is filled in."
    )
    parts = [paragraph(text), _picture(facts), _modalities(facts), *_least(facts), *_failures(facts)]
    return Section(ANCHOR, TITLE, join(parts))


def _modalities(facts: Facts) -> Markup:
    lines: list[list[Cell]] = [
        [
            name,
            _seen(facts, name),
            *(Number(f"{count:,}", count) for count in (known.whole, known.partly, known.missing)),
            Number(f"{100 * known.share:.1f} %", known.share),
        ]
        for name, known in facts.contents.coverage.items()
    ]
    columns = ["modality", "seen by", "whole", "partly", "missing", "mean share"]
    return table(columns, lines, caption="clips by the share of a modality that can be used, of cache/clips.csv")


def _seen(facts: Facts, modality: str) -> str:
    if modality in facts.recipe.prevalent:
        return "student and teachers"
    return "teachers" if modality in facts.recipe.privileged else "nobody"


def _picture(facts: Facts) -> Markup:
    """A bar a modality in three parts, told apart by shade and hatching."""
    coverage = facts.contents.coverage
    drawing, (axes,) = panels(width=6.2, height=0.9 + 0.28 * len(coverage))
    total = len(facts.clips)
    left = [0.0] * len(coverage)
    looks: Sequence[tuple[str, dict[str, Any]]] = (
        ("whole", {"color": SERIES[0]}),
        ("partly", {"color": SERIES[5], "hatch": "////", "edgecolor": PAPER, "linewidth": 0}),
        ("missing", {"facecolor": PAPER, "edgecolor": SERIES[1], "linewidth": 1}),
    )
    for part, look in looks:
        shares = [100 * getattr(known, part) / total for known in coverage.values()]
        axes.barh(range(len(coverage)), shares, left=left, height=0.62, label=part, **look)
        left = [before + share for before, share in zip(left, shares, strict=True)]
    axes.set_yticks(range(len(coverage)), list(coverage))
    axes.set_ylim(len(coverage) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID)
    axes.set_xlabel("clips (%)")
    drawing.legend(loc="outside upper left", ncols=3, fontsize=8)
    spoken = "; ".join(
        f"{name}: {known.whole} whole, {known.partly} partly, {known.missing} missing"
        for name, known in coverage.items()
    )
    return figure(svg(drawing, title="Clips by how much of a modality can be used", description=f"{spoken}."))


def _least(facts: Facts) -> list[Markup]:
    """Groups that lack something; they stand in a table of their own because they may be many."""
    least = facts.contents.least
    if not least:
        return []
    names = list(facts.contents.coverage)
    lines: list[list[Cell]] = [
        [
            group.name,
            Number(str(group.clips), group.clips),
            *(Number(f"{100 * group.shares[name]:.1f} %", group.shares[name]) for name in names),
        ]
        for group in least
    ]
    one = facts.unit[:-1]
    caption = f"mean share of every modality of a {one}"
    return [details(f"{len(least)} {facts.unit} lack something", table([one, "clips", *names], lines, caption=caption))]


def _failures(facts: Facts) -> list[Markup]:
    kinds = facts.contents.failures
    if not kinds:
        return []
    lines: list[list[Cell]] = [
        [kind.modality, kind.reason, Number(f"{kind.number:,}", kind.number), kind.file] for kind in kinds
    ]
    caption = "failures that say the same, of cache/failures.csv"
    return [heading("Failures"), table(["modality", "reason", "failures", "first file"], lines, caption=caption)]
