"""Files that are written whole or not at all, and what to say where the system refuses to write them."""

import csv
import errno
import glob
import io
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.errors import CannotWrite

PARTIAL = ".*.partial"
"""What the places that `atomic_path` writes to are called, as a pattern."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A place beside `path` to write to; renamed over `path` when the block ends well, removed when it does not.

    No two processes ever have the same place: one that was told to die may still be writing when the next begins.

    Raises:
        CannotWrite: the disk is full, or nothing may be written there.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    with cannot_write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            with partial.open("rb") as stream:
                os.fsync(stream.fileno())
            os.replace(partial, path)
        finally:
            with suppress(OSError):  # what could not be written may not be removable either
                partial.unlink(missing_ok=True)


def remove_partials(path: Path) -> None:
    """Remove what killed processes left beside `path`; for whoever writes it next."""
    for partial in path.parent.glob(f".{glob.escape(path.name)}{PARTIAL}"):
        partial.unlink(missing_ok=True)


@contextmanager
def cannot_write(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write at or beside `path` into CannotWrite.

    Other files may be read meanwhile: of what a refusal says nothing about its cause, those that concern another file
    are left as they are.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = _refusal(error, path)
        if number is None:
            raise
        remedy = "free some space" if number in _FULL else "allow writing there"
        raise CannotWrite(
            f"{path} cannot be written ({os.strerror(number)}): {remedy}, or choose another --workspace or --output, "
            "and run the command again; what is finished is kept"
        ) from error


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


def _refusal(error: BaseException, path: Path) -> int | None:
    """The system's error number of a failed attempt to write, or None where it was something else."""
    if isinstance(error, OSError) and error.errno is not None:
        if error.errno in _FULL:
            return error.errno
        about = Path(os.fsdecode(error.filename)) if error.filename is not None else path
        return error.errno if error.errno in _FORBIDDEN and _is_beside(about, path) else None
    # HDF5 closes its files with errors that have no number.
    found = re.search(r"errno = (\d+)", str(error))
    return int(found[1]) if found and int(found[1]) in _FULL else None


def _is_beside(about: Path, path: Path) -> bool:
    return about in (path, path.parent) or about.parent == path.parent or about in path.parents


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, or none."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a whole CSV file, or none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())
