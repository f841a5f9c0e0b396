"""What long jobs over a corpus tell the caller."""

from typing import Protocol


class Progress(Protocol):
    """A progress bar that counts clips; tqdm's is one."""

    def reset(self, total: float | None = None) -> None:
        """Start over, with this many clips to come."""

    def update(self, n: float = 1) -> object:
        """Some more clips are done."""
