"""Where artifacts lie, what shaped them, whether they must be made again, and how they are written."""

from pipelines.workspace.paths import JOBS, Workspace, relative
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
from pipelines.workspace.writing import PARTIAL, atomic_path, cannot_write, remove_partials, write_csv, write_text

__all__ = [
    "JOBS", "PARTIAL", "Fingerprint", "Recording", "Workspace", "atomic_path", "cannot_write", "identify",
    "is_as_written", "is_unchanged", "read_sidecar", "relative", "remove_partials", "sidecar", "stale_reason",
    "status_of", "write_csv", "write_text",
]  # fmt: skip
