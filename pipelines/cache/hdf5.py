"""What all HDF5 files of the cache share: opening with an error a user can act on, and a format version."""

from pathlib import Path
from typing import Any

import h5py

from pipelines.errors import MtpkdError

FORMAT = 1


def create(path: Path, kind: str) -> h5py.File:
    """A new file of a kind (`faces`, `biosignals`, `embeddings`); the caller writes it through `atomic_path`."""
    file = h5py.File(path, "w", libver="latest")
    file.attrs["kind"] = kind
    file.attrs["format"] = FORMAT
    return file


def open_for_reading(path: Path, kind: str) -> h5py.File:
    """Open a file of a kind.

    Raises:
        MtpkdError: absent, damaged, of another kind or format.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise MtpkdError(f"{path} is missing: run `mtpkd preprocess` again") from None
    except OSError as error:
        raise MtpkdError(f"{path} is damaged ({error}): delete it and run the stage that wrote it again") from None
    if file.attrs.get("kind") != kind or file.attrs.get("format") != FORMAT:
        found = f"{file.attrs.get('kind')} format {file.attrs.get('format')}"
        file.close()
        raise MtpkdError(f"{path} holds {found}, expected {kind} format {FORMAT}: delete it and run the stage again")
    return file


def dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A dataset of the file. Raises MtpkdError where a file of the right kind lacks it."""
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise MtpkdError(f"{file.filename} has no dataset {name!r}: delete it and run the stage that wrote it again")
    return found


def names(file: h5py.File, name: str = "clips") -> list[str]:
    """A dataset of strings as a list."""
    return [value.decode() for value in dataset(file, name)[()]]


def members(file: h5py.File, name: str) -> list[str]:
    """Names of what a group holds. Raises MtpkdError where a file of the right kind lacks the group."""
    found = file.get(name)
    if not isinstance(found, h5py.Group):
        raise MtpkdError(f"{file.filename} has no group {name!r}: delete it and run the stage that wrote it again")
    return list(found)


def attribute(file: h5py.File, name: str) -> Any:
    """An attribute of the file; h5py's own type admits what is never written here."""
    return file.attrs[name]
