"""What every rendered corpus does with its folder: recorded, locked, never into what is not its own.

- A record beside the corpus says what it was rendered with. A rendering that was killed is finished by the next call,
  another rendering or foreign data in the folder are never touched.
- Work is split into units whose bytes depend on their own arguments only, so any number of processes may share it.
"""

import fcntl
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from pipelines.errors import SettingsError
from pipelines.workspace import write_text

RECORD = "synthetic.json"
"""File in the root that says what the corpus was rendered with."""

_LOCK = ".lock"

Unit = TypeVar("Unit")
Done = TypeVar("Done")


def render_once(root: Path, record: dict[str, Any], render: Callable[[], None]) -> Path:
    """Render a corpus, or keep it where it is there already.

    Args:
        root: folder of the corpus.
        record: everything that the rendered bytes depend on, as JSON knows it.
        render: writes the files that are not there yet.

    Returns:
        The root.

    Raises:
        SettingsError: the folder holds anything but this very rendering, finished or not.
    """
    _refuse_foreign(root, record)
    root.mkdir(parents=True, exist_ok=True)
    with _only_renderer(root):
        _refuse_foreign(root, record)
        if _read_record(root) == record | {"complete": True}:
            return root
        _write_record(root, record | {"complete": False})
        render()
        _write_record(root, record | {"complete": True})
    return root


def render_units(render: Callable[[Unit], Done], units: Iterable[Unit], workers: int) -> Iterator[Done]:
    """What `render` returns for every unit, in order; with several workers it runs in that many processes."""
    if workers <= 1:
        yield from map(render, units)
        return
    # Forking would copy the threads' locks of libraries that the caller has loaded.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        yield from pool.map(render, units)


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)


def _refuse_foreign(root: Path, record: dict[str, Any]) -> None:
    if root.exists() and not root.is_dir():
        raise SettingsError(f"{root} is a file: choose another corpus.root")
    found = _read_record(root)
    if found is None:
        if others := [path.name for path in root.glob("*") if path.name != _LOCK]:
            raise SettingsError(
                f"{root} holds {sorted(others)[0]}, which is no synthetic corpus: choose an empty folder as corpus.root"
            )
    elif found.keys() - {"complete"} != record.keys():
        raise SettingsError(f"{root} holds a synthetic corpus of another layout: choose another corpus.root")
    elif changed := [key for key in record if found[key] != record[key]]:
        key = changed[0]
        raise SettingsError(
            f"{root} holds a synthetic corpus rendered with {key} = {found[key]}, not {record[key]}: "
            "delete that folder, or choose another corpus.root"
        )


def _read_record(root: Path) -> dict[str, Any] | None:
    try:
        record = json.loads((root / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _write_record(root: Path, record: dict[str, Any]) -> None:
    write_text(root / RECORD, json.dumps(record, indent=2) + "\n")


@contextmanager
def _only_renderer(root: Path) -> Iterator[None]:
    """Wait for another process that renders the same folder; the lock ends with the process that holds it."""
    with (root / _LOCK).open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
