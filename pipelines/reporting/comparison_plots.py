"""What a comparison found, drawn: differences of methods, teachers over time, and what labels are worth.

Decisions. Colours are those of Okabe and Ito (2008), which people with any colour vision tell apart; marker or line
style says the same once more. What is judged is drawn with its interval against a line at zero, and a marker is filled
where the interval spares it. A plot that has nothing to show is not written, and the one of an earlier comparison is
removed: it would be taken for this one's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import MtpkdError
from pipelines.metrics import Estimate, Metric
from pipelines.reporting.comparison import CONTROLS, SELF, Compared, Comparison
from pipelines.reporting.table import BASELINE, BASELINE_WORDS
from pipelines.reporting.training_record import Teaching
from pipelines.workspace import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"
_COLUMNS = 4
_GREY = "#767676"


def plot_differences(comparisons: Sequence[Comparison], metric: Metric[Any], path: Path) -> None:
    """One row a method: its paired difference to visual only, and beside it to `self-kd` where that was run.

    Raises:
        MtpkdError: the file cannot be written.
    """
    references = [name for name in (BASELINE, SELF) if any(name in item.against for item in comparisons)]
    if not references:
        path.unlink(missing_ok=True)
        return
    figure, panels = _figure(
        len(references), width=2.2 + 3.3 * len(references), height=1.5 + 0.32 * len(comparisons), sharex=True
    )
    for axes, reference in zip(panels, references, strict=True):
        for row, item in enumerate(comparisons):
            if reference in item.against:
                _draw_interval(axes, item.against[reference], row, metric, control=item.method in CONTROLS)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_title(f"minus {BASELINE_WORDS if reference == BASELINE else reference}", fontsize=10)
        axes.set_xlabel(_unit(metric, difference=True))
        axes.set_yticks(range(len(comparisons)), [item.method for item in comparisons])
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_ylim(len(comparisons) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
    figure.supxlabel("intervals over test groups; filled: zero lies outside; grey: a control", fontsize=8, color=_GREY)
    _save(figure, path)


def plot_selection(teaching: Mapping[str, Teaching], path: Path) -> None:
    """One panel a method that chooses among teachers: the share of the samples each spoke for, epoch by epoch.

    Raises:
        MtpkdError: the file cannot be written.
    """
    from matplotlib.ticker import MaxNLocator

    chosen = {method: known for method, known in teaching.items() if known.chosen}
    if not chosen:
        path.unlink(missing_ok=True)
        return
    figure, panels = _figure(len(chosen), width=1.6 + 4.2 * len(chosen), height=3.4)
    for axes, (method, known) in zip(panels, chosen.items(), strict=True):
        # Few cells train long, and a mean over few jumps: from where half of them have stopped the line is thin.
        most = next((e for e, cells in enumerate(known.cells) if 2 * cells < known.cells[0]), len(known.cells))
        for number, (teacher, shares) in enumerate(known.chosen.items()):
            percent = [100 * share for share in shares]
            style = {"color": _colour(number), "marker": _marker(number), "markersize": 5, "markevery": (number, 5)}
            axes.plot(range(most), percent[:most], linewidth=1.6, label=teacher, clip_on=False, **style)
            rest = range(max(most - 1, 0), len(percent))
            axes.plot(rest, percent[rest.start :], linewidth=0.6, color=_colour(number), clip_on=False)
        axes.set_title(method, fontsize=10)
        axes.set_xlabel(f"epoch (thin: fewer than half of {known.cells[0]} trainings go on)")
        axes.set_ylim(0, 100)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].set_ylabel("samples it spoke for (%)")
    panels[-1].legend(title="teacher", loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    _save(figure, path)


def plot_curve(curve: Mapping[float, Compared], metric: Metric[Any], path: Path) -> None:
    """What labels are worth, over the share of labelled groups: a panel for the value of visual only, and one a method
    for its paired difference to that, with `self-kd` in all of them.

    Raises:
        MtpkdError: the file cannot be written.
    """
    shares = sorted(curve)
    names = [item.method for item in curve[shares[0]].comparisons]
    against = {
        name: _Line.of([_of(name, curve[share]).against.get(BASELINE) for share in shares], metric) for name in names
    }
    panels = 1 + len(names)
    rows = ceil(panels / _COLUMNS)
    columns = ceil(panels / rows)
    figure, (first, *others) = _figure(
        panels, rows=rows, width=1.0 + 2.5 * columns, height=0.7 + 2.2 * rows, sharey=False
    )
    _draw_line(first, shares, _Line.of([curve[share].baseline for share in shares], metric), "black")
    first.set_title(BASELINE_WORDS, fontsize=10)
    first.set_ylabel(_unit(metric, difference=False))
    for number, (axes, name) in enumerate(zip(others, names, strict=True), start=1):
        if axes is not others[0]:
            axes.sharey(others[0])
        axes.axhline(0, color="black", linewidth=0.8)
        if name != SELF and SELF in against:
            axes.plot(shares, against[SELF].values, color=_GREY, linestyle="--", linewidth=1.2)
        _draw_line(axes, shares, against[name], _GREY if name in CONTROLS else _COLOURS[0])
        axes.set_title(name, fontsize=10)
        if number == 1 or number % columns == 0:
            axes.set_ylabel(f"minus {BASELINE_WORDS}{' (points)' if metric.percent else ''}")
    note = "training groups with labels (%); intervals over test groups; grey: a control"
    figure.supxlabel(note + (f"; dashed: {SELF}" if SELF in against else ""), fontsize=8, color=_GREY)
    _save(figure, path)


def _of(method: str, compared: Compared) -> Comparison:
    return next(item for item in compared.comparisons if item.method == method)


@dataclass(frozen=True)
class _Line:
    """Estimates as people read them, in percent or not; NaN where there is none."""

    values: list[float]
    lows: list[float]
    highs: list[float]

    @classmethod
    def of(cls, estimates: Sequence[Estimate | None], metric: Metric[Any]) -> "_Line":
        factor = 100 if metric.percent else 1
        known = [(nan, nan, nan) if e is None else (e.value, e.low, e.high) for e in estimates]
        return cls(*([factor * entry[k] for entry in known] for k in range(3)))


def _figure(
    panels: int, *, width: float, height: float, rows: int = 1, sharex: bool = False, sharey: bool = True
) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(rows, ceil(panels / rows), sharex=sharex, sharey=sharey, squeeze=False).ravel().tolist()
    for one in grid[panels:]:
        one.remove()
    for one in grid[:panels]:
        one.spines[["top", "right"]].set_visible(False)
    return figure, grid[:panels]


def _draw_line(axes: "Axes", shares: Sequence[float], line: _Line, colour: str) -> None:
    """Estimates over shares of labels, which lie on a logarithmic scale."""
    axes.vlines(shares, line.lows, line.highs, color=colour, linewidth=1.6)
    axes.plot(shares, line.values, color=colour, linewidth=1.6, marker="o", markersize=5)
    axes.set_xscale("log")
    axes.set_xticks(shares, [f"{100 * share:g}" for share in shares])
    axes.minorticks_off()
    axes.margins(x=0.08)


def _draw_interval(axes: "Axes", estimate: Estimate, row: int, metric: Metric[Any], *, control: bool) -> None:
    line = _Line.of([estimate], metric)
    (value,), (low,), (high,) = line.values, line.lows, line.highs
    spares_zero = low > 0 or high < 0
    colour = _GREY if control else _COLOURS[0]
    if not isnan(low):
        axes.hlines(row, low, high, color=colour, linewidth=1.6)
    axes.plot(value, row, "o", color=colour, markerfacecolor=colour if spares_zero else "white", markersize=6)


def _unit(metric: Metric[Any], *, difference: bool) -> str:
    unit = (" (points)" if difference else " (%)") if metric.percent else ""
    return f"{metric.name}{unit}{'' if metric.higher_is_better else ', less is better'}"


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _marker(number: int) -> str:
    return _MARKERS[(number + number // len(_COLOURS)) % len(_MARKERS)]


def _save(figure: "Figure", path: Path) -> None:
    try:
        with atomic_path(path) as partial:
            figure.savefig(partial, dpi=150, format="png")
    except OSError as error:
        raise MtpkdError(f"{path}: cannot be written ({error.strerror or error})") from error
