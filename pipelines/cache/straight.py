"""Reading bytes of a dataset straight from its file, past the HDF5 library.

Decision. The library copies every chunk that it touches into memory of its own, and what was asked for out of there. A
chunk that is not packed lies in the file as it is, so it is enough to ask the library once where the chunks begin: ten
frames of raw pixels were read in half the time.
"""

import os
from functools import cached_property

import h5py
import numpy as np

from pipelines.cache.hdf5 import chunk_begins
from pipelines.errors import DamagedFile


class StraightReader:
    """The bytes of a dataset of uint8, one row after the other.

    Args:
        stored: as `pipelines.cache.hdf5.dataset` returns it, in chunks that divide its first axis only.

    Raises:
        DamagedFile: its type or its chunks are others.
    """

    def __init__(self, stored: h5py.Dataset) -> None:
        self._stored, self._path = stored, stored.file.filename
        chunks: tuple[int, ...] = stored.chunks or ()
        if stored.dtype != np.uint8 or not chunks or chunks[1:] != stored.shape[1:]:
            raise DamagedFile(self._path, f"has {stored.name} of type {stored.dtype} in chunks of {stored.chunks}")
        self._rows, self._chunk = chunks[0], int(np.prod(chunks, dtype=object))
        self._descriptor = stored.file.id.get_vfd_handle()

    @cached_property
    def _begins(self) -> dict[int, int]:
        """Number of a chunk -> where it begins in the file; found at the first read, not at opening."""
        return {row // self._rows: begin for row, begin in chunk_begins(self._stored).items()}

    def fill(self, target: memoryview, first: int) -> None:
        """Fill writable bytes with those of the dataset from `first` on.

        Raises:
            DamagedFile: they are not there.
        """
        if not self._stored.id.valid:  # closed: the descriptor may be another file's by now
            raise ValueError(f"{self._path} is closed")
        filled = 0
        while filled < len(target):
            number, within = divmod(first + filled, self._chunk)
            part = target[filled : filled + self._chunk - within]
            begin = self._begins.get(number)
            if begin is None or os.preadv(self._descriptor, [part], begin + within) != len(part):
                raise DamagedFile(self._path, f"has {self._stored.name} that cannot be read (it ends too early)")
            filled += len(part)
