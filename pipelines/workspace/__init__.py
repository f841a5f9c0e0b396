"""Where artifacts lie, what shaped them, whether they must be made again, and how they are written."""

from pipelines.workspace.paths import Workspace
from pipelines.workspace.sidecars import (
    Fingerprint,
    Recording,
    identify,
    is_as_written,
    is_unchanged,
    read_sidecar,
    sidecar,
    stale_reason,
    status_of,
)
from pipelines.workspace.writing import atomic_path, cannot_write, remove_partials, write_csv, write_text

__all__ = [
    "Fingerprint", "Recording", "Workspace", "atomic_path", "cannot_write", "identify", "is_as_written", "is_unchanged",
    "read_sidecar", "remove_partials", "sidecar", "stale_reason", "status_of", "write_csv", "write_text",
]  # fmt: skip
