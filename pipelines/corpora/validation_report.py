"""What validating a corpus yields, in a shape that can be printed without knowing the corpus."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.corpora.clip import Failure


@dataclass
class FileCount:
    """The files of one kind: `there` + `missing` are all that the index names, `unreadable` are among `there`.

    `seen` counts the values of each property that should be the same everywhere, e.g. {"Hz": {"25": 8700}}.
    """

    there: int = 0
    missing: int = 0
    unreadable: int = 0
    seen: dict[str, Counter[str]] = field(default_factory=dict)

    def see(self, name: str, value: str) -> None:
        """Count the value of one file's property."""
        self.seen.setdefault(name, Counter())[value] += 1


@dataclass(frozen=True)
class Total:
    """One number of the summary, and what it is made of, in words: "subjects", 87, "44 m, 43 w"."""

    name: str
    number: int
    parts: str = ""


@dataclass(frozen=True, kw_only=True)
class ValidationReport:
    """What was found.

    Attributes:
        root: the folder looked at.
        totals: the summary.
        files: kind of file -> how many there are and what they hold.
        problems: what should be mended, or will be lost: missing and unreadable files, lines that cannot be used.
        noted: what is in the nature of the corpus and will do no harm.
        layout: (what, where) of the parts that had to be searched for.
        examples: places shown of each kind of problem, each of another clip.
    """

    root: Path
    totals: tuple[Total, ...]
    files: Mapping[str, FileCount]
    problems: tuple[Failure, ...]
    noted: tuple[Failure, ...] = ()
    layout: tuple[tuple[str, str], ...] = ()
    examples: int = 1

    def total(self, name: str) -> Total:
        """One line of the summary."""
        return next(total for total in self.totals if total.name == name)
