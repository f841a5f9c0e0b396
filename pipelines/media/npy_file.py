"""Reading a `.npy` of one axis.

The header is judged before its values are read: the length it claims must be the file's, and the type one of numbers.
So nothing in such a file can be code, or more than what lies on disk.
"""

import io
import tokenize
from pathlib import Path

import numpy as np

from pipelines.errors import UnreadableMedia
from pipelines.media.whole_file import read_whole

MAX_BYTES = 256 * 2**20
"""Largest file that is read."""


def read_npy(path: Path) -> np.ndarray:
    """(n,) float64 of a file of shape (n,), (n, 1) or (1, n); integers and floats of any width.

    Raises:
        UnreadableMedia: no such file, implausibly large, not a `.npy`, cut short, more than one axis, no value, or
            values that are no real numbers.
    """
    content = read_whole(path, max_bytes=MAX_BYTES)
    stream = io.BytesIO(content)
    shape, dtype = _read_header(path, stream)
    values = memoryview(content)[stream.tell() :]
    if dtype.kind not in "fiu":
        raise UnreadableMedia(path, f"its values are of type {str(dtype)[:80]}, numbers were expected")
    if not 1 <= len(shape) <= 2 or (len(shape) == 2 and 1 not in shape):
        raise UnreadableMedia(path, f"its shape is {shape}, one axis was expected")
    count = int(np.prod(shape, dtype=object))
    if not count:
        raise UnreadableMedia(path, f"its shape is {shape}: there is no value in it")
    if len(values) != count * dtype.itemsize:
        raise UnreadableMedia(path, f"{len(values)} bytes of values, its header says {count * dtype.itemsize}")
    with np.errstate(over="ignore", invalid="ignore"):  # long doubles beyond float64 become infinite
        return np.frombuffer(values, dtype).astype(np.float64)


def _read_header(path: Path, stream: io.BytesIO) -> tuple[tuple[int, ...], np.dtype]:
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        if version not in readers:
            raise UnreadableMedia(path, f"a .npy of version {version[0]}.{version[1]}, which holds no plain numbers")
        shape, _, dtype = readers[version](stream)
    except (ValueError, SyntaxError, TypeError, RecursionError, tokenize.TokenError) as error:
        # What numpy raises for the text of a header depends on how far its parser gets.
        raise UnreadableMedia(path, f"not a .npy file: {' '.join(str(error).split())[:80]}") from None
    return shape, dtype
