"""What long jobs over a corpus tell the caller."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """A progress bar that counts clips; tqdm's is one."""

    def reset(self, total: float | None = None) -> None:
        """Start over, with this many clips to come."""

    def update(self, n: float = 1) -> object:
        """Some more clips are done."""


def tracked(clips: Sequence[Item], progress: Progress | None) -> Iterator[Item]:
    """The clips one by one; each counts as done when the next one is asked for."""
    if progress is not None:
        progress.reset(len(clips))
    for clip in clips:
        yield clip
        if progress is not None:
            progress.update(1)
