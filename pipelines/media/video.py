"""Video files as a stream of frames, and frames as a video file.

Decisions:

- Frames come one at a time from a single-threaded decoder, so memory stays flat and preprocessing scales by processes.
- A file that decodes to its end but holds fewer packets than its header declares is refused: a clip that lost its last
  seconds has lost what its label is about. Packets are counted, not frames, because an edit list legitimately hides
  frames (one intact recording declares 98 and shows 95); the packets of intact mp4, mov and avi files match exactly.
- AVI stores the order of decoding only, and FFmpeg's guess at times of display jumps back and forth where H.264 has
  pictures that look ahead. There, pictures take the packets' stamps in turn.
- Time always advances: a stamp that does not, as sloppy recorders write, is replaced by the one before plus a frame.
  Whoever looks ahead by time would otherwise hold the whole video.
- A picture that the decoder had to conceal is marked `damaged` and left to the reader.
- Encoding gives the same bytes on every run and processor. A single thread is not enough for that: libx264's AVX-512
  code made one input into several files, `cpu-independent` did not, at no measurable cost.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError

from pipelines.errors import UnreadableMedia
from pipelines.media.container import LIMITS, demux, find_video, open_container, refuse_unknown_codec, told
from pipelines.media.frame import VideoFrame
from pipelines.media.picture_size import size_fault
from pipelines.media.sound_track import Sound, SoundTrack

DECLARED_SHARE = 0.98
"""Least share of the declared packets; avi headers may count a few frames that were never written."""

PICTURE_A_PACKET = frozenset({"h264", "hevc", "mjpeg"})
"""Codecs whose packets hold one shown picture each. MPEG-4 Part 2 and VP8 also have pictures without a packet of their
own, and packets without a picture."""


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
    with open_video(path) as (container, stream):
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
    with open_video(path) as (container, stream):
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


def write_video(
    path: Path | str,
    frames: Iterable[np.ndarray],
    rate: float | Fraction,
    crf: int = 20,
    *,
    sound: Sound | None = None,
) -> None:
    """Encodes H.264, 4:2:0, with the same bytes for the same input; the file appears whole or not at all.

    Args:
        path: file to write; its folder exists. An avi file where the name ends in `.avi`, else mp4.
        frames: (H, W, 3) uint8 RGB with even H and W, all of one size.
        rate: frames a second.
        crf: libx264's constant rate factor; lower is better and larger.
        sound: what is heard with it; its blocks are drawn as the pictures are, one after the other.

    Raises:
        ValueError: no frame, an odd size, a size that changes, or sound that starts late in an avi file.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    container_format = "avi" if path.suffix.lower() == ".avi" else "mp4"
    try:
        with av.open(f"file:{partial}", "w", format=container_format) as container:
            _encode(container, frames, Fraction(rate).limit_denominator(1001), crf, sound)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _encode(
    container: OutputContainer, frames: Iterable[np.ndarray], rate: Fraction, crf: int, sound: Sound | None
) -> None:
    stream, track, size = None, None, None
    for index, image in enumerate(frames):
        if stream is None:
            size = image.shape
            stream = _add_video(container, size, rate, crf)
            # The header is written with the first packet: every stream must be there by then.
            track = SoundTrack(container, sound) if sound else None
        if image.shape != size:
            raise ValueError(f"frame {index} has shape {image.shape}, the first one {size}")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        picture = picture.reformat(format="yuv420p", threads=1)
        picture.pts, picture.time_base = index, 1 / rate
        container.mux(stream.encode(picture))
        if track is not None:
            track.encode_until(float((index + 1) / rate))
    if stream is None:
        raise ValueError("there is no frame to write")
    container.mux(stream.encode())
    if track is not None:
        track.finish()


def _add_video(container: OutputContainer, size: tuple[int, ...], rate: Fraction, crf: int) -> av.VideoStream:
    height, width = size[:2]
    if height % 2 or width % 2:
        raise ValueError(f"4:2:0 video needs an even size, got {width}x{height}")
    options = {"preset": "veryfast", "crf": str(crf), "threads": "1", "x264-params": "cpu-independent=1"}
    if container.format.name == "avi":
        options["bf"] = "0"  # avi knows only the order of decoding
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.thread_count = 1
    return stream


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, av.VideoStream]]:
    """Opens a file and its video stream, for a decoder with one thread.

    Raises:
        UnreadableMedia: see `open_container`; there is no video stream, or its size is not plausible.
    """
    with open_container(path, "video") as container:
        stream = find_video(container)
        if stream is None:
            kinds = ", ".join(sorted({s.type for s in container.streams})) or "none"
            raise UnreadableMedia(path, f"there is no video stream (streams: {kinds})")
        refuse_unknown_codec(path, stream)
        _refuse_size(path, stream.codec_context.width, stream.codec_context.height)
        stream.codec_context.options = LIMITS
        stream.codec_context.thread_count = 1
        stream.codec_context.thread_type = "NONE"
        yield container, stream


def is_stamped_in_turn(container: InputContainer, stream: av.VideoStream) -> bool:
    """Whether the n-th picture shown has the n-th packet's stamp of decoding, for want of one of display."""
    return container.format.name == "avi" and stream.codec_context.name in PICTURE_A_PACKET


def count_packet(before: int, packet: av.Packet, container: InputContainer) -> int:
    """Packets up to this one; an AVI also declares dropped frames, which have no packet but advance its stamps."""
    if container.format.name == "avi" and packet.dts is not None:
        return packet.dts + 1
    return before + (packet.dts is not None or packet.size > 0)


def _decoded(path: Path, container: InputContainer, stream: av.VideoStream) -> Iterator[VideoFrame]:
    rate = stream.average_rate or stream.guessed_rate
    index = packets = 0
    latest = float("-inf")
    in_turn, stamps = is_stamped_in_turn(container, stream), deque[int | None]()
    try:
        for packet in demux(path, container, stream):
            packets = count_packet(packets, packet, container)
            if in_turn and packet.size:
                stamps.append(packet.dts)
            for picture in packet.decode():
                if stamps:
                    picture.pts = stamps.popleft()
                frame = _frame(path, picture, index, rate, latest)
                yield frame
                index, latest = index + 1, frame.time_s
    except FFmpegError as error:
        raise UnreadableMedia(path, f"decoding stopped at frame {index} ({told(error)})") from error
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
    if fault := size_fault(width, height):
        raise UnreadableMedia(path, fault)
