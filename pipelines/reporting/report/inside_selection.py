"""Which teacher spoke for how many clips, epoch by epoch.

Decisions. An epoch is the mean of the folds and seeds that reached it; from where half of them had stopped the line is
thin, because a mean over few jumps. The table has the first epoch and the last one of every cell.
"""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from pipelines.recipe import JOINT
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.figures import GRID, LINES, MARKERS, SERIES, panels, svg
from pipelines.reporting.report.html import Cell, Number, figure, join, paragraph, table
from pipelines.reporting.report.inside_words import joined, share
from pipelines.reporting.report.section import Section
from pipelines.reporting.report.words import shown_first
from pipelines.reporting.training_record import Teaching

ANCHOR, TITLE = "selection", "Which teacher spoke"
ABSENT = (
    "Shares of teachers are recorded when mtpkd distill trains a method that chooses among several, such as mt-pkdot."
)
_READ = {
    "batch": "In every batch one teacher speaks for all clips: the one with the lowest loss on them",
    "sample": "For every clip the teacher with the lowest loss on it speaks",
    "confidence": "All teachers speak, those with a lower loss on a clip more",
    "joint": "The joint teacher speaks wherever it knows the clip",
}


def section(facts: Facts) -> Section | None:
    """Every method that chooses among teachers."""
    known = {method: teaching for method, teaching in facts.record.teaching.items() if teaching.chosen}
    first = shown_first(facts)
    known = dict(sorted(known.items(), key=lambda item: item[0] != first))
    if not known:
        return None
    parts = [paragraph(_how_to_read(facts, known)), _picture(known), _numbers(known)]
    return Section(ANCHOR, TITLE, join(parts))


def _how_to_read(facts: Facts, known: Mapping[str, Teaching]) -> str:
    method, teaching = next(iter(known.items()))
    rule = _READ["batch" if method == "mt-pkdot-published" else facts.recipe.distillation.selection]
    judged = f", judged by teachers that had not seen the {facts.unit[:-1]}" if facts.recipe.teachers.cross_fit else ""
    return (
        f"{rule}{judged}. These losses do not change while a student learns, so the lines move only with the clips "
        f"that meet in a batch. In the last epoch of {method}, {_spoke(teaching)}. A teacher that never speaks helps "
        "by its place in the joint one only."
    )


def _spoke(teaching: Teaching) -> str:
    """Who spoke for how many clips in the end, the most frequent first."""
    ranked = sorted(teaching.last.items(), key=lambda item: (-item[1], item[0]))
    heard = [f"{teacher} spoke for {share(value)} % of the clips" for teacher, value in ranked if value > 0]
    alone = ", as it always does in PKDOT" if len(heard) == 1 and ranked[0][0] == JOINT else ""
    return (joined(heard) or "nobody spoke") + alone


def _picture(known: Mapping[str, Teaching]) -> Markup:
    from matplotlib.ticker import MaxNLocator

    drawing, axes = panels(1, len(known), width=7.0 if len(known) > 1 else 5.5, height=2.8, sharey=True)
    for panel, (method, teaching) in zip(axes, known.items(), strict=True):
        # Few cells train long: from where half of them have stopped the line is thin.
        most = next((e for e, cells in enumerate(teaching.cells) if 2 * cells < teaching.cells[0]), len(teaching.cells))
        for number, (teacher, shares) in enumerate(teaching.chosen.items()):
            percent, colour = [100 * value for value in shares], SERIES[number % len(SERIES)]
            style = {"color": colour, "marker": MARKERS[number % len(MARKERS)], "linestyle": LINES[number % len(LINES)]}
            epochs = range(1, len(percent) + 1)
            spacing = (number, max(1, len(percent) // 8))
            panel.plot(
                epochs[:most], percent[:most], linewidth=1.5, markersize=4.5, markevery=spacing, label=teacher, **style
            )
            panel.plot(epochs[most - 1 :], percent[most - 1 :], color=colour, linewidth=0.7)
        panel.set_title(method)
        panel.set_xlabel("epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        panel.set_ylim(-3, 103)
        panel.grid(axis="y", color=GRID)
    axes[0].set_ylabel("clips it spoke for (%)")
    drawing.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    told = ". ".join(
        f"{method}, first and last epoch: " + "; ".join(_first_and_last(teaching, name) for name in teaching.chosen)
        for method, teaching in known.items()
    )
    return figure(svg(drawing, title="Share of the clips that each teacher spoke for", description=f"{told}."))


def _first_and_last(teaching: Teaching, teacher: str) -> str:
    return f"{teacher} {share(teaching.chosen[teacher][0])} % and {share(teaching.last[teacher])} %"


def _numbers(known: Mapping[str, Teaching]) -> Markup:
    lines: list[Sequence[Cell]] = [
        [
            method,
            teacher,
            *(Number(share(value), value) for value in (teaching.chosen[teacher][0], teaching.last[teacher])),
        ]
        for method, teaching in known.items()
        for teacher in teaching.chosen
    ]
    cells = max(teaching.cells[0] for teaching in known.values())
    over = f", mean over {cells} folds and seeds" if cells > 1 else ""
    caption = f"Share of the clips that each teacher spoke for{over}, of student.history.csv"
    return table(["method", "teacher", "first epoch %", "last epoch %"], lines, caption=caption)
