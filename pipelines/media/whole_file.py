"""Reading a file whole, where a file of its kind is small."""

from pathlib import Path

from pipelines.errors import UnreadableMedia


def read_whole(path: Path, *, max_bytes: int) -> bytes:
    """The content of a file.

    Raises:
        UnreadableMedia: the file cannot be read, or is larger than such a file can be.
    """
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise UnreadableMedia(path, f"{size / 2**20:.0f} MiB, at most {max_bytes // 2**20} MiB are plausible")
        return path.read_bytes()
    except OSError as error:
        raise UnreadableMedia(path, (error.strerror or "cannot be read").lower()) from None
