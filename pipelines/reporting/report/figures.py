"""Pictures of the page: matplotlib figures as SVG inside the HTML.

Decisions. Text stays text (`svg.fonttype: none`): files are small, letters are the page's own and can be searched;
they are laid out with DejaVu Sans, which is wider than what a system shows, so that nothing grows into its neighbour.
Colours are those of Okabe and Ito (2008), written as CSS variables with values for light and for dark pages; what is
black is drawn in the colour of the page's text. Colour is never alone: a marker, line style or place says the same.
Every id has a prefix made from the picture itself, so that pictures do not share clip paths, and nothing depends on
when it was drawn. Coordinates have two decimals, a hundredth of a point.
"""

import hashlib
import io
import re
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours of series, in order; every series also has a marker of `MARKERS` or a line style of `LINES`."""
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MUTED, GRID, PAPER = "#767676", "#dddddd", "#fefefd"
"""What is read second, lines behind the data, and the page itself, e.g. inside of hollow markers."""
SEQUENTIAL, DIVERGING = "cividis", "PuOr"
"""Colour maps for amounts and for what has a middle; both are read with any colour vision."""

_VARIABLES = {
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)},
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    PAPER: "var(--paper)",
    "#000000": "currentColor",
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mtpkd",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
_TAG = re.compile(r"<[^<>]+>")
_GEOMETRY = re.compile(r'\b(d|x|y|x1|x2|y1|y2|width|height|transform|points)="([^"]*)"')
_DECIMALS = re.compile(r"(-?\d+\.\d{3,})(e-?\d+)?")
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 7.0, height: float = 3.0, **options: Any
) -> "tuple[Figure, list[Axes]]":
    """A figure in the style of the page and its axes, row by row.

    Args:
        rows, columns: of axes.
        width, height: in inches; 7 inches are 672 CSS pixels, which fit the page's column.
        options: of `Figure.subplots`, e.g. `sharey`, `width_ratios`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, grid.ravel().tolist()


def svg(figure: "Figure", *, title: str, description: str) -> Markup:
    """A figure as an inline SVG that follows the page's colours.

    Args:
        figure: of `panels`; drawn with the colours named above, others stay as they are on light and dark pages.
        title: what it shows, in a few words.
        description: what there is to see, with the numbers that matter: the picture for who cannot see it.

    Returns:
        An `<svg role="img">` with `<title>` and `<desc>`. Equal figures give equal bytes.
    """
    from matplotlib import rc_context

    stream = io.StringIO()
    _tidy(figure)
    with rc_context(_STYLE):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    drawing = stream.getvalue()
    name = "f" + hashlib.sha256(f"{title}\n{description}\n{drawing}".encode()).hexdigest()[:10]
    width, height = (float(text) for text in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)[0])
    inner = drawing[drawing.index("</defs>", drawing.index("</metadata>")) + len("</defs>") : drawing.rindex("</svg>")]
    inner = _TAG.sub(lambda match: _adapted(match[0], name), inner)
    # Numbers and names only: everything of the caller's is escaped by matplotlib, or here.
    head = (
        f'<svg class="plot" id="{name}" role="img" aria-labelledby="{name}-title" aria-describedby="{name}-desc" '
        f'viewBox="0 0 {width:g} {height:g}" style="--natural: {4 / 3 * width:.0f}px" fill="currentColor" '
        'stroke-linejoin="round" stroke-linecap="butt" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    words = f'<title id="{name}-title">{escape(title)}</title>\n<desc id="{name}-desc">{escape(description)}</desc>'
    return Markup(f"{head}\n{words}\n{inner.strip()}\n</svg>")


def _tidy(figure: "Figure") -> None:
    """Titles and legends, made after `panels` in matplotlib's style, get the page's; small titles stay small."""
    for axes in figure.axes:
        axes.title.set(fontsize=min(10, axes.title.get_fontsize()), fontweight="bold")
    for legend in (*figure.legends, *(axes.get_legend() for axes in figure.axes)):
        if legend is not None:
            legend.set_frame_on(False)


def _adapted(tag: str, name: str) -> str:
    """One tag with its own ids, short numbers, the page's colours and font."""
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = tag.replace('xlink:href="#', f'xlink:href="#{name}-').replace("url(#", f"url(#{name}-")
    tag = _GEOMETRY.sub(lambda match: f'{match[1]}="{_DECIMALS.sub(_shortened, match[2])}"', tag)
    tag = re.sub(r" ?font-family: [^;\"]*;?", "", tag)
    return _COLOUR.sub(lambda match: _VARIABLES.get(match[0], match[0]), tag)


def _shortened(match: re.Match[str]) -> str:
    text = f"{float(match[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
