"""Video files as a stream of frames, and frames as a video file.

Decisions:

- Frames come one at a time from a single-threaded decoder, so memory stays flat and preprocessing scales by processes.
- A file that decodes to its end but holds fewer packets than its header declares is refused: a clip that lost its last
  seconds has lost what its label is about. Packets are counted, not frames, because an edit list legitimately hides
  frames (one intact recording declares 98 and shows 95); the packets of intact mp4, mov and avi files match exactly.
- Time always advances: a stamp that does not, as sloppy recorders write, is replaced by the one before plus a frame.
  Whoever looks ahead by time would otherwise hold the whole video.
- A picture that the decoder had to conceal is marked `damaged` and left to the reader.
- Encoding gives the same bytes on every run and processor. A single thread is not enough for that: libx264's AVX-512
  code made one input into several files, `cpu-independent` did not, at no measurable cost.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.stream import Disposition

from pipelines.errors import UnreadableMedia
from pipelines.media.frame import VideoFrame

MAX_SIDE = 16384
"""Sides beyond this are a broken or hostile header, not a face video."""

DECLARED_SHARE = 0.98
"""Least share of the declared packets; avi headers may count a few frames that were never written."""


@dataclass(frozen=True)
class VideoInfo:
    """What the container says, and the size of the first frame.

    Attributes:
        width, height: pixels, upright.
        rate: mean frames a second.
        frames: declared number of frames, None where the container does not say.
        duration_s: seconds, None where the container does not say.
    """

    width: int
    height: int
    rate: float
    frames: int | None
    duration_s: float | None


def probe(path: Path | str) -> VideoInfo:
    """Reads the header and decodes the first frame.

    Raises:
        UnreadableMedia: no such file, not a video, or nothing in it can be decoded.
    """
    path = Path(path)
    with _opened(path) as (container, stream):
        first = next(_decoded(path, container, stream), None)
        if first is None:
            raise UnreadableMedia(path, f"no frame could be decoded, {stream.frames} declared")
        seconds = None if container.duration is None else container.duration / av.time_base
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        return VideoInfo(first.width, first.height, rate, stream.frames or None, seconds)


def read_frames(path: Path | str) -> Iterator[VideoFrame]:
    """Yields every frame of the first video stream, or of a still image, in display order.

    A frame holds the decoder's memory for as long as it is kept: keep few.

    Raises:
        UnreadableMedia: no such file or no video in it; later on, decoding failed, the size changed, or the file ended
            before its declared length.
    """
    path = Path(path)
    with _opened(path) as (container, stream):
        first, count = None, 0
        for frame in _decoded(path, container, stream):
            first = first or (frame.width, frame.height)
            if (frame.width, frame.height) != first:
                size = f"{frame.width}x{frame.height}"
                raise UnreadableMedia(path, f"size changes from {first[0]}x{first[1]} to {size} at frame {frame.index}")
            yield frame
            count += 1
        if not count:
            raise UnreadableMedia(path, f"no frame could be decoded, {stream.frames} declared")


def write_video(path: Path | str, frames: Iterable[np.ndarray], rate: float | Fraction, crf: int = 20) -> None:
    """Encodes H.264 in mp4, 4:2:0, with the same bytes for the same input; the file appears whole or not at all.

    Args:
        path: file to write; its folder exists.
        frames: (H, W, 3) uint8 RGB with even H and W, all of one size.
        rate: frames a second.
        crf: libx264's constant rate factor; lower is better and larger.

    Raises:
        ValueError: no frame, an odd size, or a size that changes.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with av.open(f"file:{partial}", "w", format="mp4") as container:
            _encode(container, frames, Fraction(rate).limit_denominator(1001), crf)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _encode(container: OutputContainer, frames: Iterable[np.ndarray], rate: Fraction, crf: int) -> None:
    options = {"preset": "veryfast", "crf": str(crf), "threads": "1", "x264-params": "cpu-independent=1"}
    stream, size = None, None
    for index, image in enumerate(frames):
        if stream is None:
            size = image.shape
            if size[0] % 2 or size[1] % 2:
                raise ValueError(f"4:2:0 video needs an even size, got {size[1]}x{size[0]}")
            stream = container.add_stream("libx264", rate=rate, options=options)
            stream.width, stream.height, stream.pix_fmt = size[1], size[0], "yuv420p"
            stream.codec_context.thread_count = 1
        if image.shape != size:
            raise ValueError(f"frame {index} has shape {image.shape}, the first one {size}")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        picture = picture.reformat(format="yuv420p", threads=1)
        picture.pts, picture.time_base = index, 1 / rate
        container.mux(stream.encode(picture))
    if stream is None:
        raise ValueError("there is no frame to write")
    container.mux(stream.encode())


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    if not path.exists():
        raise UnreadableMedia(path, "the file does not exist")
    if not path.is_file():
        raise UnreadableMedia(path, "this is a folder, not a video file")
    if path.stat().st_size == 0:
        raise UnreadableMedia(path, "the file is empty (0 bytes)")
    try:
        # "file:" keeps a name with a colon from being read as a network protocol.
        container = av.open(f"file:{path}", metadata_errors="ignore")
    except FFmpegError as error:
        raise UnreadableMedia(path, f"not a readable video ({_told(error)})") from error
    with container:
        stream = next((s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)
        if stream is None:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "none"
            raise UnreadableMedia(path, f"there is no video stream (streams: {kinds})")
        _refuse_size(path, stream.codec_context.width, stream.codec_context.height)
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        yield container, stream


def _decoded(path: Path, container: InputContainer, stream: av.VideoStream) -> Iterator[VideoFrame]:
    rate = stream.average_rate or stream.guessed_rate
    index = packets = 0
    latest = float("-inf")
    try:
        for packet in container.demux(stream):
            packets += packet.dts is not None or packet.size > 0
            for picture in packet.decode():
                frame = _frame(path, picture, index, rate, latest)
                yield frame
                index, latest = index + 1, frame.time_s
    except FFmpegError as error:
        raise UnreadableMedia(path, f"decoding stopped at frame {index} ({_told(error)})") from error
    if packets < DECLARED_SHARE * stream.frames:
        raise UnreadableMedia(path, f"truncated: ends after {packets} of {stream.frames} declared frames")


def _frame(path: Path, picture: av.VideoFrame, index: int, rate: Fraction | None, latest: float) -> VideoFrame:
    _refuse_size(path, picture.width, picture.height)
    time_s = None if picture.pts is None else float(picture.time)
    if time_s is None or time_s <= latest:
        if not rate:
            raise UnreadableMedia(path, f"frame {index} has no usable time stamp and the file declares no frame rate")
        time_s = latest + 1 / float(rate) if index else 0.0
    turns = round(picture.rotation / 90) % 4
    return VideoFrame(index=index, time_s=time_s, picture=picture, turns=turns, damaged=bool(picture.is_corrupt))


def _refuse_size(path: Path, width: int, height: int) -> None:
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise UnreadableMedia(path, f"frames of {width}x{height} pixels, sides of 1 to {MAX_SIDE} can be read")


def _told(error: FFmpegError) -> str:
    return (error.strerror or type(error).__name__).lower()
