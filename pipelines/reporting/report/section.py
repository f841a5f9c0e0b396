"""A section of the page, and what a module must have to be one.

Decisions. A module writes one section: `section(facts)` returns it, or None where the workspace has nothing to show,
and the page then prints the module's `ABSENT`, which says what would make it appear. Markup is built by `html`, which
escapes whatever is not Markup already: names of groups and files are text, never HTML.
"""

from dataclasses import dataclass
from typing import Protocol

from markupsafe import Markup

from pipelines.reporting.report.facts import Facts


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        anchor: its id, unique on the page; lower case with hyphens.
        title: its heading.
        html: what stands below the heading.
    """

    anchor: str
    title: str
    html: Markup


class Part(Protocol):
    """A module that writes one section.

    Attributes:
        ANCHOR, TITLE: of the section, be it there or not.
        ABSENT: one sentence that says which command would make it appear.
    """

    @property
    def ANCHOR(self) -> str: ...

    @property
    def TITLE(self) -> str: ...

    @property
    def ABSENT(self) -> str: ...

    def section(self, facts: Facts) -> Section | None:
        """The section, or None where the workspace holds nothing for it."""
        ...
