"""What validating a corpus yields, in a shape that can be printed without knowing the corpus."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.corpora.clip import Failure
from pipelines.media.audio import AudioInfo
from pipelines.media.video import VideoInfo


@dataclass
class FileCount:
    """The files of one kind: `there` + `missing` are all that the index names, `unreadable` are among `there`.

    `seen` counts the values of each property that should be the same everywhere, e.g. {"Hz": {"25": 8700}}.
    """

    there: int = 0
    missing: int = 0
    unreadable: int = 0
    seen: dict[str, Counter[str]] = field(default_factory=dict)

    def see(self, name: str, value: str, files: int = 1) -> None:
        """Count a value of a property, of one file or of several."""
        self.seen.setdefault(name, Counter())[value] += files

    def see_video(self, info: VideoInfo) -> None:
        """Count what every video should have in common."""
        self.see("pixels", f"{info.width}x{info.height}")
        self.see("Hz", f"{info.rate:.4g}")

    def see_sound(self, info: AudioInfo) -> None:
        """Count what every sound track should have in common."""
        self.see("Hz", str(info.rate))
        self.see("sound", {1: "mono", 2: "stereo"}.get(info.channels, f"{info.channels}-channel"))


def count_missing(kinds: Iterable[str], failures: Iterable[Failure]) -> dict[str, FileCount]:
    """A count of each kind of file, in which those are missing that an index has found absent."""
    files = {kind: FileCount() for kind in kinds}
    for failure in failures:
        if failure.modality in files:
            files[failure.modality].missing += 1
    return files


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
        found: all that is worth telling; `problems` and `noted` are its two parts.
        layout: (what, where) of the parts that had to be searched for.
        examples: places shown of each kind of problem, each of another clip.
    """

    root: Path
    totals: tuple[Total, ...]
    files: Mapping[str, FileCount]
    found: tuple[Failure, ...]
    layout: tuple[tuple[str, str], ...] = ()
    examples: int = 1

    @property
    def problems(self) -> tuple[Failure, ...]:
        """What should be mended, or will be lost: missing and unreadable files, lines that cannot be used."""
        return tuple(failure for failure in self.found if not failure.tolerated)

    @property
    def noted(self) -> tuple[Failure, ...]:
        """What is in the nature of the corpus and will do no harm."""
        return tuple(failure for failure in self.found if failure.tolerated)

    def total(self, name: str) -> Total:
        """One line of the summary."""
        return next(total for total in self.totals if total.name == name)
