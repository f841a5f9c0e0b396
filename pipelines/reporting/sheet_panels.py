"""Drawing the panels of a contact sheet, each into axes that are given.

Decisions. Whatever is not known is hatched grey, in every panel alike: a frame without a face, a stretch of a signal
that was masked, a gap in the sound, a frame that nobody annotated, a feature that is no number. Hatching is in no
colour map, so it is never taken for data, and filler values of the cache are not drawn. Colours are those of Okabe and
Ito (2008), scales are perceptually uniform. A long signal is drawn as the lowest and highest value of every bin, so no
spike is lost and the picture costs the same for minutes as for seconds.
"""

from typing import TYPE_CHECKING

import numpy as np

from pipelines.reporting.sheet_content import AnnotationPanel, FacesPanel, FeaturesPanel, SoundPanel, WavePanel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NO_DATA = {"facecolor": "#ececec", "edgecolor": "#a6a6a6", "hatch": "////", "linewidth": 0.0}
"""How everything is drawn that is not known."""
BLUE, GREEN, GREY = "#0072B2", "#009E73", "#595959"
_LINES = (("#0072B2", "-"), ("#D55E00", "-"), ("#009E73", "--"), ("#CC79A7", "--"), ("#E69F00", ":"), ("#56B4E9", ":"))
_BINS = 1500
_NARROW = 0.005
"""Share of the axis by which lengths may differ without a mark: 138 frames last 20 ms longer than a wave of 5.5 s."""
_QUIETEST_SHOWN = -80.0
MOST_DEVIATION = 3.0
"""Standard deviations at which the colours end."""
FEATURE_COLUMNS = 4
MOST_FEATURES = 12 * FEATURE_COLUMNS
"""More features than these are not named one by one."""


def draw_tile(axes: "Axes", crop: np.ndarray | None, time_s: float, decimals: int) -> None:
    """One frame with its time: (S, S, 3) uint8, or None for one without a face."""
    axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel(f"{time_s:.{decimals}f} s", fontsize=8, labelpad=2)
    if crop is None:
        axes.patch.set(**NO_DATA)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(0.5, 0.5, "no face", ha="center", va="center", fontsize=9, color=GREY, bbox=box)
        axes.spines[:].set(color="#a6a6a6")
    else:
        axes.imshow(crop, extent=(0, 1, 0, 1), interpolation="antialiased")
        axes.spines[:].set_visible(False)


def draw_mask(axes: "Axes", panel: FacesPanel) -> None:
    """Every frame of the clip: solid with a face, hatched without; a mark over each that is shown above.

    A black line is where the video ends, if something else goes on: beyond it is no frame that could show a face.
    """
    axes.set(ylim=(0, 1), yticks=[])
    shade(axes, panel.times, panel.valid)
    for start_s, stop_s in runs(panel.times, panel.valid):
        axes.axvspan(start_s, stop_s, facecolor=GREEN, linewidth=0, alpha=0.85)
    if len(panel.times):
        end_s = panel.times[-1] + spacing(panel.times)
        if end_s < axes.get_xlim()[1] * (1 - _NARROW):
            axes.axvline(end_s, color="black", linewidth=1.5)
    # Over the middle of a frame, which begins at its time.
    at = panel.times[panel.shown] + spacing(panel.times) / 2
    axes.plot(at, np.full(len(at), 1.2), "v", color="black", markersize=4, clip_on=False)
    axes.set_ylabel("face", rotation=0, ha="right", va="center", fontsize=9)


def draw_wave(axes: "Axes", panel: WavePanel) -> None:
    """A signal over time, broken where it is not valid."""
    shade(axes, panel.times, panel.valid)
    times, values = _envelope(panel.times, np.where(panel.valid, panel.values, np.nan))
    axes.plot(times, values, color=BLUE, linewidth=0.9)
    axes.set_ylabel(panel.unit, fontsize=9)
    axes.locator_params(axis="y", nbins=4)


def draw_annotations(axes: "Axes", panel: AnnotationPanel) -> None:
    """Every dimension over time, on one scale."""
    known = np.all([~np.isnan(values) for values in panel.values.values()], axis=0)
    axes.axhline(0, color="#bbbbbb", linewidth=0.8)
    shade(axes, panel.times, known)
    for number, (name, values) in enumerate(panel.values.items()):
        colour, line = _LINES[number % len(_LINES)]
        axes.plot(*_envelope(panel.times, values), color=colour, linestyle=line, linewidth=1.4, label=name)
    axes.set(ylim=(-1.05, 1.05), yticks=[-1, -0.5, 0, 0.5, 1])
    # Above the panel, at its right end: nowhere inside is always free.
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1.0), ncols=len(panel.values), frameon=False, fontsize=9, borderpad=0
    )


def draw_sound(axes: "Axes", panel: SoundPanel, scale: "Axes") -> None:
    """A spectrogram, low frequencies first, and its scale in axes of its own."""
    axes.patch.set(**NO_DATA)
    axes.grid(visible=False)
    bands = len(panel.frequencies)
    loudest = float(panel.decibels.max())
    image = axes.imshow(
        panel.decibels.T, origin="lower", aspect="auto", extent=(panel.start_s, panel.stop_s, -0.5, bands - 0.5),
        cmap="magma", vmin=loudest + _QUIETEST_SHOWN, vmax=loudest, interpolation="nearest",
    )  # fmt: skip
    for start_s, stop_s in panel.gaps:
        axes.axvspan(start_s, stop_s, **NO_DATA)
    ticks = np.linspace(0, bands - 1, 5).round().astype(int)
    axes.set_yticks(ticks, [f"{panel.frequencies[tick]:.0f}" for tick in ticks])
    axes.set_ylabel("Hz", fontsize=9)
    axes.figure.colorbar(image, cax=scale)
    scale.set_title("dB", fontsize=8, pad=3)
    scale.locator_params(axis="y", nbins=4)


def draw_strip(axes: "Axes", panel: FeaturesPanel) -> None:
    """All features in their order: hatched where there is no number, coloured by how unusual it is."""
    axes.patch.set(**NO_DATA)
    axes.imshow(_colours(panel)[None], aspect="auto", extent=(0, len(panel.names), 0, 1), interpolation="nearest")
    axes.set(xticks=[], yticks=[], xlim=(0, len(panel.names)), ylim=(0, 1))


def draw_features(axes: "Axes", panel: FeaturesPanel) -> None:
    """Names and values in columns, read downwards, the most unusual first."""
    chosen = listed(panel)
    rows = feature_rows(panel)
    axes.set(xlim=(0, FEATURE_COLUMNS), ylim=(rows, 0))
    axes.set_axis_off()
    colours = _colours(panel)
    for position, feature in enumerate(chosen):
        column, row = divmod(position, rows)
        _draw_square(axes, column, row, colours[feature])
        name, value = panel.names[feature], panel.values[feature]
        axes.text(column + 0.06, row + 0.5, _clipped(name), va="center", fontsize=8, parse_math=False)
        text = "no number" if np.isnan(value) else f"{value:.5g}"
        axes.text(column + 0.93, row + 0.5, text, va="center", ha="right", fontsize=8, color=GREY)


def _draw_square(axes: "Axes", column: int, row: int, colour: np.ndarray) -> None:
    from matplotlib.patches import Rectangle

    known = colour[3] > 0
    style = {"facecolor": colour, "edgecolor": "#a6a6a6", "linewidth": 0.5} if known else NO_DATA
    axes.add_patch(Rectangle((column, row + 0.18), 0.045, 0.64, **style))


def listed(panel: FeaturesPanel) -> np.ndarray:
    """Numbers of the features that are named: the most unusual first, those without a number last."""
    unusual = np.where(np.isnan(panel.deviations), 0.0, np.abs(panel.deviations))
    order = np.lexsort((np.arange(len(panel.names)), -unusual, np.isnan(panel.values)))
    return order[:MOST_FEATURES]


def feature_rows(panel: FeaturesPanel) -> int:
    """Lines that the named features take."""
    return -(-min(len(panel.names), MOST_FEATURES) // FEATURE_COLUMNS)


def _colours(panel: FeaturesPanel) -> np.ndarray:
    """(K, 4) a colour a feature: transparent without a number, white where nothing is known to compare it with."""
    from matplotlib import colormaps

    share = np.clip(np.nan_to_num(panel.deviations) / MOST_DEVIATION, -1, 1)
    # The ends of the map are brown and black: too dark to be told apart.
    colours = np.asarray(colormaps["PuOr_r"](0.5 + 0.4 * share))
    colours[np.isnan(panel.values)] = 0
    return colours


def _clipped(name: str) -> str:
    return name if len(name) <= 34 else name[:33] + "…"


def runs(times: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(R, 2) seconds of the stretches in which a mask (n,) is True; a sample lasts until the next one."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    until = np.append(times, times[-1:] + spacing(times))
    return until[edges].reshape(-1, 2)


def spacing(times: np.ndarray) -> float:
    """Seconds from one sample to the next; of a single one, a still image, that of a usual video."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.04


def shade(axes: "Axes", times: np.ndarray, valid: np.ndarray) -> None:
    """Hatch what is not valid, and what lies before the first and after the last sample."""
    for start_s, stop_s in runs(times, ~valid):
        axes.axvspan(start_s, stop_s, **NO_DATA)
    low, high = axes.get_xlim()
    least = max(spacing(times), _NARROW * (high - low))
    first, last = (times[0], times[-1] + spacing(times)) if len(times) else (high, high)
    for start_s, stop_s in ((low, min(first, high)), (max(last, low), high)):
        if stop_s - start_s > least:
            axes.axvspan(start_s, stop_s, **NO_DATA)


def _envelope(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest value of every bin of a long signal, NaN where it has none; a short one as it is."""
    size = -(-len(values) // _BINS)
    if size < 4:
        return times, values
    padded = np.pad(values.astype(float), (0, -len(values) % size), constant_values=np.nan).reshape(-1, size)
    empty = np.isnan(padded).all(axis=1)
    low = np.where(empty, np.nan, np.where(np.isnan(padded), np.inf, padded).min(axis=1))
    high = np.where(empty, np.nan, np.where(np.isnan(padded), -np.inf, padded).max(axis=1))
    return np.repeat(times[::size], 2), np.stack([low, high], axis=1).ravel()
