"""All sections in order, as one HTML file that needs nothing else.

Decisions. Style and script stand inside the page: it is one file that opens from disk, is mailed and archived, and asks
nobody for anything, which its content security policy enforces. Without the script everything is there, unsorted. Equal
facts give equal bytes: no date, no random ids.
"""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from pipelines.reporting.report import (
    coverage,
    curve,
    errors,
    inside_calibration,
    inside_embeddings,
    inside_hallucination,
    inside_selection,
    inside_structure,
    points,
    reproduce,
    results,
    strata,
    verdict,
)
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.section import Part, Section

PARTS: Sequence[Part] = (
    verdict,
    results,
    points,
    errors,
    strata,
    curve,
    inside_calibration,
    inside_structure,
    inside_selection,
    inside_embeddings,
    inside_hallucination,
    coverage,
    reproduce,
)
"""What was found, whom it holds for, what happened inside, what it was measured on, how to get it again."""
_HERE = Path(__file__).resolve().parent


def render(facts: Facts, parts: Sequence[Part] = PARTS) -> str:
    """The whole page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2").render(
        title=facts.name,
        version=facts.results["version"],
        sections=[part.section(facts) or _absent(part) for part in parts],
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup((_HERE / "page.js").read_text(encoding="utf-8")),
    )


def _absent(part: Part) -> Section:
    return Section(part.ANCHOR, part.TITLE, Markup('<p class="absent">{}</p>').format(part.ABSENT))
