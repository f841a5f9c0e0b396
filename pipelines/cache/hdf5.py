"""What all HDF5 files of the cache share: opening, a format version, and reading without trusting what is read.

Decisions. A file may have been damaged since it was written, and the HDF5 library believes what a file says of itself.
So every array is measured before it is read: one that claims more than its file has, that is compressed, or that lies
in another file is refused and never allocated. Text is stored with a fixed length: text of variable length lies on a
heap without checksums, where two flipped bits made the library loop for minutes or take gigabytes; it is never read.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipelines.errors import DamagedFile

FORMAT = 2
"""2: text has a fixed length."""
TEXT, NUMBER, WHOLE, MASK = "S", "f", "iu", "b"
"""Kinds of numpy's types."""

_PLAIN = TEXT + NUMBER + WHOLE + MASK
# What h5py makes of an error of the HDF5 library, by its kind (h5py/_errors.pyx), and of text that is none.
_LIBRARY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, NotImplementedError)


def create(path: Path, kind: str) -> h5py.File:
    """A new file of a kind (`faces`, `biosignals`, `embeddings`); the caller writes it through `atomic_path`."""
    file = h5py.File(path, "w", libver="latest")
    file.attrs["kind"] = fixed_text(kind)
    file.attrs["format"] = FORMAT
    return file


def fixed_text(text: str | Sequence[str]) -> np.ndarray:
    """A text () or several (N,), to be stored with a fixed length."""
    encoded = np.char.encode(np.asarray(text, np.str_), "utf-8")
    return encoded.astype(f"S{max(1, encoded.dtype.itemsize)}")


def open_for_reading(path: Path, kind: str) -> h5py.File:
    """Open a file of a kind.

    Raises:
        DamagedFile: absent, damaged, of another kind or format.
    """
    try:
        file = h5py.File(path, "r", rdcc_nbytes=0)  # or 8 MiB of each open shard stay in memory (HDF5 2)
    except FileNotFoundError:
        raise DamagedFile(path, "is missing", "run `mtpkd preprocess` again") from None
    except _LIBRARY_ERRORS as error:
        raise DamagedFile(path, f"is damaged ({error})") from None
    try:
        found = f"{attribute(file, 'kind')} format {attribute(file, 'format')}"
        if found != f"{kind} format {FORMAT}":
            raise DamagedFile(path, f"holds {found[:80]}, expected {kind} format {FORMAT}")
    except BaseException:
        file.close()
        raise
    return file


@contextmanager
def _readable(where: h5py.File | h5py.Dataset, what: str = "") -> Iterator[None]:
    """Turn whatever the HDF5 library raises into DamagedFile, which names what cannot be read: a dataset itself."""
    try:
        yield
    except _LIBRARY_ERRORS as error:
        raise DamagedFile(where.file.filename, f"has {what or where.name} that cannot be read ({error})") from None


def dataset(
    file: h5py.File, name: str, shape: tuple[int | None, ...] | None = None, kinds: str = _PLAIN
) -> h5py.Dataset:
    """A dataset that can be read.

    Args:
        file: where it lies.
        name: in the file.
        shape: what it must be, where None stands for any length; by default it is not judged.
        kinds: letters of numpy's types that it may have.

    Raises:
        DamagedFile: there is none, or it is not of this shape and type, larger than its file, packed or elsewhere.
    """
    with _readable(file, name):
        found = file.get(name)
        if not isinstance(found, h5py.Dataset):
            raise DamagedFile(file.filename, f"has no {name}")
        actual, dtype, size = found.shape, found.dtype, found.nbytes
        is_plain = not (found.is_virtual or found.external or found.id.get_create_plist().get_nfilters())
        is_here = found.file.filename == file.filename
    if dtype.kind not in kinds or not _fits(actual, shape):
        wanted = "any" if shape is None else f"({', '.join('any' if n is None else str(n) for n in shape)})"
        raise DamagedFile(file.filename, f"has {name} of shape {actual} and type {dtype}, expected {wanted} of {kinds}")
    if not (is_plain and is_here):
        raise DamagedFile(file.filename, f"has {name} that is compressed or lies in another file")
    there = Path(file.filename).stat().st_size
    if size > there:
        raise DamagedFile(file.filename, f"has {name} of {size:,} bytes in a file of {there:,}")
    return found


def part(stored: h5py.Dataset, rows: Any = ()) -> np.ndarray:
    """Some rows of a dataset, or all of it. Raises DamagedFile where they cannot be read."""
    with _readable(stored):
        return stored[rows]


def chunk_begins(stored: h5py.Dataset) -> dict[int, int]:
    """First row of a chunk -> where it begins in the file. Raises DamagedFile where the chunks cannot be found."""
    begins: dict[int, int] = {}
    with _readable(stored):
        stored.id.chunk_iter(lambda chunk: begins.__setitem__(chunk.chunk_offset[0], chunk.byte_offset))
    return begins


def values(file: h5py.File, name: str, shape: tuple[int | None, ...] | None = None, kinds: str = _PLAIN) -> np.ndarray:
    """A whole dataset, see `dataset`."""
    return part(dataset(file, name, shape, kinds))


def names(file: h5py.File, name: str = "clips") -> list[str]:
    """A dataset of texts as a list. Raises DamagedFile where it holds none."""
    try:
        return [value.decode() for value in values(file, name, (None,), TEXT)]
    except UnicodeDecodeError:
        raise DamagedFile(file.filename, f"has names of {name} that are no text") from None


def members(file: h5py.File, name: str) -> list[str]:
    """Names of what a group holds. Raises DamagedFile where a file of the right kind lacks the group."""
    with _readable(file, f"a group {name!r}"):
        found = file.get(name)
        if isinstance(found, h5py.Group):
            return list(found)
    raise DamagedFile(file.filename, f"has no group {name!r}")


def holds(file: h5py.File, name: str) -> bool:
    """Whether there is something of this name. Raises DamagedFile where nobody can tell."""
    with _readable(file, name):
        return name in file


def attribute(file: h5py.File, name: str, *, of: str = "/") -> Any:
    """An attribute of the file, or of a group in it: a number of numpy, a text, or an array of them; None for none.

    Raises:
        DamagedFile: it cannot be read.
    """
    with _readable(file, f"an attribute {name}"):
        attributes = file[of].attrs
        if name not in attributes:
            return None
        stored = attributes.get_id(name)
        size = stored.dtype.itemsize * int(np.prod(stored.shape, dtype=object))
        if stored.dtype.kind not in _PLAIN or size > Path(file.filename).stat().st_size:
            raise DamagedFile(file.filename, f"has an attribute {name} of shape {stored.shape} and type {stored.dtype}")
        value: Any = attributes[name]
        return np.char.decode(value, "utf-8")[()] if stored.dtype.kind in TEXT else value


def text(file: h5py.File, name: str) -> str:
    """An attribute that is a text. Raises DamagedFile where it is none."""
    value = attribute(file, name)
    if not isinstance(value, str):
        raise DamagedFile(file.filename, _not_a(value, name, "text"))
    return str(value)


def number(file: h5py.File, name: str) -> float:
    """An attribute that is a finite number. Raises DamagedFile where it is none."""
    value = attribute(file, name)
    if not isinstance(value, np.number) or not np.isfinite(value):
        raise DamagedFile(file.filename, _not_a(value, name, "number"))
    return float(value)


def _not_a(value: Any, name: str, kind: str) -> str:
    return f"has no attribute {name}" if value is None else f"has an attribute {name} that is no {kind}"


def _fits(actual: tuple[int, ...], wanted: tuple[int | None, ...] | None) -> bool:
    if wanted is None:
        return True
    return len(actual) == len(wanted) and all(n in (None, m) for n, m in zip(wanted, actual, strict=True))
