"""The few shapes that sections are made of. Whatever is not Markup is text and is escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isnan

from markupsafe import Markup, escape

EMPTY = Markup("")


@dataclass(frozen=True)
class Number:
    """A cell that is shown as text and sorted as a number; NaN is sorted last, whichever way."""

    text: str
    value: float


Cell = str | Markup | Number


def join(parts: Iterable[str | Markup]) -> Markup:
    """Pieces one after the other."""
    return Markup("\n").join(parts)


def paragraph(*text: str | Markup, kind: str = "") -> Markup:
    """A paragraph; `kind` is its CSS class, e.g. `note` for what is read after the numbers."""
    body = Markup("").join(escape(part) for part in text)
    return Markup('<p class="{}">{}</p>').format(kind, body) if kind else Markup("<p>{}</p>").format(body)


def heading(text: str) -> Markup:
    """A heading within a section."""
    return Markup("<h3>{}</h3>").format(text)


def code(text: str) -> Markup:
    """A name of a file, or a command within a sentence."""
    return Markup("<code>{}</code>").format(text)


def pre(text: str) -> Markup:
    """Lines as they are, in a box that scrolls by itself."""
    return Markup('<pre tabindex="0">{}</pre>').format(text)


def details(summary: str, *content: str | Markup) -> Markup:
    """What is long and opened on demand; in print it is open."""
    return Markup("<details><summary>{}</summary>\n{}\n</details>").format(summary, join(content))


def figure(picture: Markup, caption: str | Markup = "") -> Markup:
    """A picture of `figures.svg` with a line below it."""
    below = Markup("<figcaption>{}</figcaption>").format(caption) if caption else EMPTY
    return Markup('<figure><div class="scroll">{}</div>{}</figure>').format(picture, below)


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, caption: str) -> Markup:
    """A table that sorts by a click, or Enter, on a column's heading.

    Args:
        columns: headings; a column is numeric where its first row has a Number.
        rows: cells, as many as columns each. A row's first cell is its heading.
        caption: what the table holds, in words; also its name for screen readers.
    """
    lines = [list(row) for row in rows]
    numeric = [any(isinstance(line[place], Number) for line in lines) for place in range(len(columns))]
    heads = join(
        Markup('<th scope="col"{}><button type="button">{}</button></th>').format(
            Markup(' class="number"') if is_number else EMPTY, name
        )
        for name, is_number in zip(columns, numeric, strict=True)
    )
    body = join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(_cell(cell, numeric[place], first=place == 0) for place, cell in enumerate(line))
        )
        for line in lines
    )
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{caption}">\n<table class="sortable">'
        "<caption>{caption}</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table>\n</div>"
    ).format(caption=caption, heads=heads, body=body)


def _cell(cell: Cell, numeric: bool, *, first: bool) -> Markup:
    tag = Markup('th scope="row"') if first else Markup("td")
    end = Markup("th") if first else Markup("td")
    kind = Markup(' class="number"') if numeric else EMPTY
    if isinstance(cell, Number):
        key = "" if isnan(cell.value) else repr(float(cell.value))
        return Markup('<{}{} data-value="{}">{}</{}>').format(tag, kind, key, cell.text, end)
    return Markup("<{}{}>{}</{}>").format(tag, kind, cell, end)
