"""What every corpus adapter yields: clips, the files behind them, and what could not be found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pipelines.recipe import Task


@dataclass(frozen=True)
class Clip:
    """One labelled recording.

    Attributes:
        name: unique in the corpus and safe as a file name, e.g. `071309_w_21-BL1-081`.
        group: what may not be split between training and test, e.g. the subject.
        label: class index, or the value of every dimension where they are continuous; None where there is no label.
        files: source kind -> file, e.g. {"video": ..., "biosignals": ...}; in a manifest the modality's name -> file. A
            kind whose file does not exist is absent.
        attributes: what is known about the group, e.g. {"sex": "w", "age": "21"}.
    """

    name: str
    group: str
    label: int | tuple[float, ...] | None
    files: Mapping[str, Path]
    attributes: Mapping[str, str] = field(default_factory=dict)


class InGroup(Protocol):
    """What is known of a clip: one of the index, or a row of clips.csv."""

    @property
    def group(self) -> str:
        """What may not be split."""
        ...

    @property
    def attributes(self) -> Mapping[str, str]:
        """What else the corpus says of it."""
        ...


@dataclass(frozen=True)
class Failure:
    """One line of failures.csv: a modality of a clip that could not be used, and why.

    `tolerated` is one that is in the nature of the corpus (a video that never had sound) or costs a few frames only:
    it is recorded, and the clip does not count as failed.
    """

    clip: str
    modality: str
    file: str
    reason: str
    tolerated: bool = False


@dataclass(frozen=True)
class Corpus:
    """An indexed corpus: what is there, and what its index promised but the disk does not hold."""

    name: str
    root: Path
    task: Task
    clips: tuple[Clip, ...]
    missing: tuple[Failure, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """Group names in sorted order."""
        return tuple(sorted({clip.group for clip in self.clips}))

    def by_group(self) -> dict[str, tuple[Clip, ...]]:
        """Group, in sorted order -> its clips, in theirs."""
        members: dict[str, list[Clip]] = {group: [] for group in self.groups}
        for clip in self.clips:
            members[clip.group].append(clip)
        return {group: tuple(clips) for group, clips in members.items()}
