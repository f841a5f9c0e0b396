"""A contact sheet: one clip as a picture, so that people see the data before they train on it.

Decisions. Everything that has a time stands on one axis: crops above, then which frames show a face, waves, sound and
annotations below one another. Places are computed in inches, so that nothing overlaps whatever a clip has, and a sheet
is read at its own size. A modality that is missing keeps its place, with the reason. The same clip makes the same
bytes: the file says nothing of when or by which version it was drawn.
"""

import textwrap
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import MtpkdError
from pipelines.reporting.sheet_content import (
    AnnotationPanel,
    FacesPanel,
    FeaturesPanel,
    MissingPanel,
    Panel,
    Sheet,
    SoundPanel,
    WavePanel,
)
from pipelines.reporting.sheet_panels import (
    GREY,
    MOST_DEVIATION,
    MOST_FEATURES,
    NO_DATA,
    draw_annotations,
    draw_features,
    draw_mask,
    draw_sound,
    draw_strip,
    draw_tile,
    draw_wave,
    feature_rows,
)
from pipelines.workspace import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TILES = 12
"""Crops in a row."""
_WIDTH, _LEFT, _RIGHT = 14.0, 0.85, 0.8
_HEADING, _GAP, _TICKS = 0.3, 0.14, 0.42
_TILE_GAP, _TILE_TEXT = 0.06, 0.24
_LINE = 0.21
_HEIGHTS = {WavePanel: 1.15, SoundPanel: 1.5, AnnotationPanel: 1.5, MissingPanel: 0.45}
_STRIP = 0.26
_DPI = 100
_CHARACTERS = 150
"""Characters of the usual size that fit into a line."""


def save_sheet(sheet: Sheet, path: Path) -> None:
    """Draw a sheet as a PNG.

    Raises:
        MtpkdError: the file cannot be written.
    """
    figure = draw_sheet(sheet)
    try:
        with atomic_path(path) as partial:
            figure.savefig(partial, dpi=_DPI, format="png", metadata={"Software": None})
    except OSError as error:
        raise MtpkdError(f"{path}: cannot be written ({error.strerror or error})") from error


def draw_sheet(sheet: Sheet) -> "Figure":
    """A figure of the whole sheet. Axes bear the label `<panel>` (`<panel> mask`, `<panel> tile` for faces)."""
    from matplotlib.figure import Figure

    heights = [_height(panel) for panel in sheet.panels]
    facts = [line for fact in sheet.facts for line in textwrap.wrap(fact, _CHARACTERS)]
    top = 0.62 + _LINE * len(facts)
    last = max((i for i, panel in enumerate(sheet.panels) if _is_timed(panel)), default=None)
    ticks = sum(_TICKS for i, panel in enumerate(sheet.panels) if i == last or _has_own_axis(panel))
    total = top + sum(heights) + ticks + _LINE
    figure = Figure(figsize=(_WIDTH, total))
    page = _Page(figure, sheet, total)
    page.write_title(facts)
    y = top
    for number, (panel, height) in enumerate(zip(sheet.panels, heights, strict=True)):
        page.draw(panel, y, height, with_ticks=number == last)
        y += height + (_TICKS if number == last or _has_own_axis(panel) else 0.0)
    figure.text(_LEFT / _WIDTH, 0.1 / total, "hatched grey: not known, and not drawn", fontsize=8.5, color=GREY)
    return figure


def _is_timed(panel: Panel) -> bool:
    """Whether a panel stands on the axis of the clip's seconds."""
    return isinstance(panel, FacesPanel | WavePanel | AnnotationPanel) or (
        isinstance(panel, SoundPanel) and panel.is_placed
    )


def _has_own_axis(panel: Panel) -> bool:
    return isinstance(panel, SoundPanel) and not panel.is_placed


def _height(panel: Panel) -> float:
    """Inches that a panel takes, with its heading and the space below, but without the labels of its axis."""
    if isinstance(panel, FacesPanel):
        rows = -(-len(panel.shown) // TILES)
        inside = rows * (_tile() + _TILE_TEXT) + 0.12 + _STRIP
    elif isinstance(panel, FeaturesPanel):
        inside = _STRIP + 0.1 + _LINE * feature_rows(panel)
    else:
        inside = _HEIGHTS[type(panel)]
    return _HEADING + inside + _GAP + _LINE * len(panel.notes)


def _tile() -> float:
    """Side of a crop in inches."""
    return (_WIDTH - _LEFT - _RIGHT + _TILE_GAP) / TILES - _TILE_GAP


class _Page:
    """A figure that is filled from the top, in inches."""

    def __init__(self, figure: "Figure", sheet: Sheet, height: float) -> None:
        self._figure, self._sheet, self._height = figure, sheet, height

    def write_title(self, facts: Sequence[str]) -> None:
        """Name of the clip, as large as the page allows, and lines of facts."""
        size = min(15.0, 15.0 * 75 / len(self._sheet.title))
        self._text(_LEFT, 0.36, self._sheet.title, fontsize=size, weight="bold")
        for number, line in enumerate(facts):
            self._text(_LEFT, 0.62 + _LINE * number, line, fontsize=9.5, color=GREY)

    def draw(self, panel: Panel, y: float, height: float, *, with_ticks: bool) -> None:
        """One panel `y` inches from the top."""
        self._text(_LEFT, y + _HEADING - 0.09, panel.name, fontsize=11, weight="bold")
        details = _details(panel)
        self._text(_WIDTH - _RIGHT, y + _HEADING - 0.09, details, fontsize=8.5, color=GREY, ha="right")
        y += _HEADING
        for note in panel.notes:
            self._text(_LEFT, y + 0.1, _clipped(note), fontsize=9, color="#B34700")
            y += _LINE
        inside = height - _HEADING - _GAP - _LINE * len(panel.notes)
        axes = self._fill(panel, y, inside)
        if axes is not None:
            axes.tick_params(labelsize=8, labelbottom=with_ticks or _has_own_axis(panel))
            if with_ticks:
                axes.set_xlabel("time (s)", fontsize=9)

    def _fill(self, panel: Panel, y: float, height: float) -> "Axes | None":
        """Draw what is inside a panel; the axes of its time, where it has any."""
        if isinstance(panel, FacesPanel):
            return self._draw_faces(panel, y, height)
        if isinstance(panel, FeaturesPanel):
            draw_strip(self._axes(panel.name + " strip", y, _STRIP), panel)
            draw_features(self._axes(panel.name, y + _STRIP + 0.1, height - _STRIP - 0.1), panel)
            return None
        if isinstance(panel, SoundPanel) and not panel.is_placed:
            return self._draw_unplaced(panel, y, height)
        axes = self._timed(panel.name, y, height)
        if isinstance(panel, WavePanel):
            draw_wave(axes, panel)
        elif isinstance(panel, AnnotationPanel):
            draw_annotations(axes, panel)
        elif isinstance(panel, SoundPanel):
            draw_sound(axes, panel, self._scale(panel, y, height))
        elif isinstance(panel, MissingPanel):
            self._draw_missing(axes, panel)
            return None
        axes.set_xlim(self._sheet.start_s, self._sheet.stop_s)
        return axes

    def _draw_faces(self, panel: FacesPanel, y: float, height: float) -> "Axes":
        side = _tile()
        decimals = 2 if self._sheet.stop_s - self._sheet.start_s < 60 else 1
        for number, frame in enumerate(panel.shown.tolist()):
            row, column = divmod(number, TILES)
            x, top = _LEFT + column * (side + _TILE_GAP), y + row * (side + _TILE_TEXT)
            tile = self._axes(panel.name + " tile", top, side, x=x, width=side)
            draw_tile(tile, panel.crops.get(frame), float(panel.times[frame]), decimals)
        axes = self._timed(panel.name + " mask", y + height - _STRIP, _STRIP)
        draw_mask(axes, panel)
        return axes

    def _draw_missing(self, axes: "Axes", panel: MissingPanel) -> None:
        axes.patch.set(**NO_DATA)
        axes.set(xticks=[], yticks=[])
        box = {"facecolor": "white", "edgecolor": "none", "pad": 2.5}
        place = {"transform": axes.transAxes, "ha": "center", "va": "center", "fontsize": 9, "bbox": box}
        axes.text(0.5, 0.5, _clipped(f"missing: {panel.reason}"), parse_math=False, **place)

    def _draw_unplaced(self, panel: SoundPanel, y: float, height: float) -> "Axes":
        axes = self._axes(panel.name, y, height)
        draw_sound(axes, panel, self._scale(panel, y, height))
        axes.set_xlabel("time since its beginning (s)", fontsize=9)
        return axes

    def _scale(self, panel: SoundPanel, y: float, height: float) -> "Axes":
        return self._axes(panel.name + " scale", y, height, x=_WIDTH - _RIGHT + 0.12, width=0.12)

    def _timed(self, label: str, y: float, height: float) -> "Axes":
        axes = self._axes(label, y, height)
        axes.set_xlim(self._sheet.start_s, self._sheet.stop_s)
        axes.grid(axis="x", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        return axes

    def _axes(self, label: str, y: float, height: float, *, x: float = _LEFT, width: float | None = None) -> "Axes":
        width = _WIDTH - _LEFT - _RIGHT if width is None else width
        bottom = 1 - (y + height) / self._height
        axes = self._figure.add_axes((x / _WIDTH, bottom, width / _WIDTH, height / self._height), label=label)
        axes.spines[:].set(color="#a6a6a6", linewidth=0.8)
        axes.tick_params(labelsize=8, color="#a6a6a6")
        return axes

    def _text(self, x: float, y: float, text: str, **style: Any) -> None:
        self._figure.text(x / _WIDTH, 1 - y / self._height, text, parse_math=False, **style)


def _details(panel: Panel) -> str:
    """What stands at the right end of a panel's heading."""
    if isinstance(panel, FacesPanel):
        if not len(panel.valid):
            return "no frame in this stretch"
        return f"a face in {int(panel.valid.sum()):,} of {len(panel.valid):,} frames, {len(panel.shown)} shown (▾)"
    if isinstance(panel, WavePanel):
        return _measured(panel.features)
    if isinstance(panel, FeaturesPanel):
        return _counted(panel)
    if isinstance(panel, SoundPanel) and not panel.is_placed:
        return "what a model hears of the clip; at which of its seconds is not in the cache"
    return ""


def _counted(panel: FeaturesPanel) -> str:
    missing = sum(isnan(value) for value in panel.values.tolist())
    compared = f"orange above, purple below the group's other clips, full at {MOST_DEVIATION:g} of their SD"
    if all(map(isnan, panel.deviations.tolist())):
        compared = "the group has too few other clips to compare with"
    listed = [f"{MOST_FEATURES} most unusual are listed"] if len(panel.names) > MOST_FEATURES else []
    return ", ".join([f"{len(panel.names)} features", f"{missing} without a number", *listed, compared])


def _measured(features: Mapping[str, float]) -> str:
    return "    ".join(f"{name} {'no number' if isnan(value) else f'{value:.4g}'}" for name, value in features.items())


def _clipped(text: str) -> str:
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"
