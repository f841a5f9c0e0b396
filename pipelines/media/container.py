"""Opening a recording to read its pictures, its sound or its time stamps, with errors that a user can act on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from pipelines.errors import UnreadableMedia
from pipelines.media.picture_size import MAX_PIXELS

LIMITS = {"max_pixels": str(MAX_PIXELS)}
"""For decoders: what a picture says of its size is judged before there is room for it."""

_READS_OTHER_FILES = frozenset(
    {
        "concat", "dash", "hds", "hls", "imf", "lavfi", "rtp", "rtsp", "sap", "sdp", "smoothstreaming", "vobsub",
        "webm_dash_manifest",
    }
)  # fmt: skip
_OPTIONS = {
    **LIMITS,
    # A playlist would lead out of the corpus, whatever the name of its file: FFmpeg looks at the content.
    "format_whitelist": ",".join(sorted(av.formats_available - _READS_OTHER_FILES)),
    "protocol_whitelist": "file",
    "pattern_type": "none",  # "%d" in the name of an image is no number
}


@contextmanager
def open_container(path: Path, kind: str) -> Iterator[InputContainer]:
    """Opens a file for reading.

    Args:
        path: the file.
        kind: what is expected of it, for messages: "video".

    Raises:
        UnreadableMedia: no such file, a folder, empty, a playlist, or nothing that FFmpeg can read.
    """
    if not path.exists():
        raise UnreadableMedia(path, "the file does not exist")
    if not path.is_file():
        raise UnreadableMedia(path, f"this is a folder, not a {kind} file")
    if path.stat().st_size == 0:
        raise UnreadableMedia(path, "the file is empty (0 bytes)")
    try:
        # "file:" keeps a name with a colon from being read as a network protocol.
        container = av.open(f"file:{path}", metadata_errors="ignore", options=_OPTIONS)
    except FFmpegError as error:
        raise UnreadableMedia(path, f"not a readable {kind} ({told(error)})") from error
    with container:
        yield container


def demux(path: Path, container: InputContainer, stream: av.VideoStream | av.AudioStream) -> Iterator[av.Packet]:
    """Yields the packets of one stream, and an empty one at the end that flushes its decoder.

    Raises:
        UnreadableMedia: nothing can decode the stream, or another one begins midway (damaged transport streams).
        FFmpegError: reading failed.
    """
    refuse_unknown_codec(path, stream)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except IndexError:  # PyAV looks streams up in the list that it made on opening
            raise UnreadableMedia(path, "a stream begins midway that its header does not declare") from None
        yield packet


def refuse_unknown_codec(path: Path, stream: av.VideoStream | av.AudioStream) -> None:
    """Raises UnreadableMedia where FFmpeg has no decoder for a stream."""
    if stream.codec_context is None:
        raise UnreadableMedia(path, f"its {stream.type} is in a format that cannot be decoded")


def find_video(container: InputContainer) -> av.VideoStream | None:
    """The first video stream that is not the cover picture of a sound file."""
    return next((s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)


def told(error: FFmpegError) -> str:
    """FFmpeg's reason in lower case."""
    return (error.strerror or type(error).__name__).lower()
