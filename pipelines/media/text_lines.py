"""Reading a text file of numbers whole, for parsers that look at its bytes."""

from pathlib import Path

from pipelines.errors import UnreadableMedia


def read_lines(path: Path, *, max_bytes: int) -> tuple[bytes, bytes]:
    """The first line of a file, and the rest; without a byte order mark, every line ended by a newline alone.

    Raises:
        UnreadableMedia: the file cannot be read, or is larger than such a file can be.
    """
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise UnreadableMedia(path, f"{size / 2**20:.0f} MiB, at most {max_bytes // 2**20} MiB are plausible")
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableMedia(path, (error.strerror or "cannot be read").lower()) from None
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    header, _, body = content.partition(b"\n")
    return header, body
