"""What a comparison found, drawn: differences of methods, teachers over time, and what labels are worth.

Decisions. Colours are those of Okabe and Ito (2008), which people with any colour vision tell apart; marker or line
style says the same once more. What is judged is drawn with its interval against a line at zero, and a marker is filled
where the interval spares it. A plot that has nothing to show is not written, and the one of an earlier comparison is
removed: it would be taken for this one's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import MtpkdError
from pipelines.metrics import Estimate, Metric
from pipelines.reporting.comparison import CONTROLS, Compared, Comparison
from pipelines.reporting.table import BASELINE, BASELINE_WORDS
from pipelines.reporting.training_record import Teaching
from pipelines.workspace import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"
_GREY = "#767676"
_SELF = CONTROLS[1]


def plot_differences(comparisons: Sequence[Comparison], metric: Metric[Any], path: Path) -> None:
    """One row a method: its paired difference to visual only, and beside it to `self-kd` where that was run.

    Raises:
        MtpkdError: the file cannot be written.
    """
    references = [name for name in (BASELINE, _SELF) if any(name in item.against for item in comparisons)]
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
    """What labels are worth: value over the share of labelled groups, and the difference to visual only with intervals.

    Raises:
        MtpkdError: the file cannot be written.
    """
    figure, (values, differences) = _figure(2, width=10.5, height=4.0, sharey=False)
    shares = sorted(curve)
    baseline = _Line.of([curve[share].baseline for share in shares], metric)
    values.plot(shares, baseline.values, color="black", linewidth=1.6, label=BASELINE_WORDS)
    values.fill_between(shares, baseline.lows, baseline.highs, color="black", alpha=0.08, linewidth=0)
    names = [item.method for item in curve[shares[0]].comparisons]
    nearest = min((b / a for a, b in pairwise(shares)), default=2.0)
    step = min(1.035, nearest ** (0.6 / len(names)))
    for number, name in enumerate(names):
        items = [next(item for item in curve[share].comparisons if item.method == name) for share in shares]
        style = _line_style(number, name)
        values.plot(shares, _Line.of([item.value for item in items], metric).values, label=name, **style)
        # Methods side by side: intervals on top of each other cannot be read.
        places = [share * step ** (number - (len(names) - 1) / 2) for share in shares]
        line = _Line.of([item.against.get(BASELINE) for item in items], metric)
        differences.vlines(places, line.lows, line.highs, color=style["color"], linewidth=1.2)
        differences.plot(places, line.values, **style)
    differences.axhline(0, color="black", linewidth=0.8)
    values.set_ylabel(_unit(metric, difference=False))
    differences.set_ylabel(_unit(metric, difference=True))
    values.set_title(f"value (band: interval of {BASELINE_WORDS})", fontsize=10)
    differences.set_title(f"minus {BASELINE_WORDS}", fontsize=10)
    for axes in (values, differences):
        _label_shares(axes, shares)
    handles = values.get_legend_handles_labels()
    differences.legend(*handles, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    _save(figure, path)


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


def _line_style(number: int, method: str) -> dict[str, Any]:
    control = method in CONTROLS
    return {
        "color": _GREY if control else _colour(number),
        "linestyle": "--" if control else "-",
        "linewidth": 1.2,
        "marker": _marker(number),
        "markersize": 4,
    }


def _label_shares(axes: "Axes", shares: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(shares, [f"{100 * share:g}" for share in shares])
    axes.minorticks_off()
    axes.set_xlabel("training groups with labels (%)")


def _figure(
    panels: int, *, width: float, height: float, sharex: bool = False, sharey: bool = True
) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, panels, sharex=sharex, sharey=sharey, squeeze=False)[0].tolist()
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


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
