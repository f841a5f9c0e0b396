"""Reading a text file of numbers whole, for parsers that look at its bytes."""

from pathlib import Path

from pipelines.media.whole_file import read_whole


def read_lines(path: Path, *, max_bytes: int) -> tuple[bytes, bytes]:
    """The first line of a file, and the rest; without a byte order mark, every line ended by a newline alone.

    Raises:
        UnreadableMedia: the file cannot be read, or is larger than such a file can be.
    """
    content = read_whole(path, max_bytes=max_bytes).removeprefix(b"\xef\xbb\xbf")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    header, _, body = content.partition(b"\n")
    return header, body
