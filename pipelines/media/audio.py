"""The sound of a recording as a stream of blocks on the container's time axis, the one that video frames are on.

Decisions:

- Where sound lies is said by its time stamps and never by counting: tracks start apart, packets get lost, clocks drift.
  Stamps that leave a hole of more than 20 ms (an AAC frame lasts 21 to 23) make a gap, filled with silence and marked;
  stamps that go back cut what was already there. So sound is never further than 20 ms from where its stamps put it.
  An AVI has no stamps: FFmpeg counts its sound from the beginning of the file.
- Samples that an encoder put before the first one, and those that an edit list hides, are dropped by FFmpeg's decoders.
- Channels are averaged. FFmpeg's own mixing weights them by layout, adds 3 dB for float and fails on unknown layouts.
- What lies between two gaps is resampled as one piece, so a sample's value does not depend on how packets were cut.
- Blocks last a second at most, so memory is flat in the length of the recording.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError

from pipelines.errors import UnreadableMedia
from pipelines.media.container import demux, find_video, open_container, told

NO_TRACK = "there is no sound track"
"""Reason why there is no sound of a recording: nothing went wrong in reading it."""
TOLERANCE_SECONDS = 0.020
"""Time stamps may be off the count of samples by so much: some containers round them to a millisecond or more."""
LONGEST_GAP_SECONDS = 3600.0
"""A hole longer than this is a broken clock, not a pause, and would be written to disk as silence."""
PIECE_SECONDS = 0.25
"""About how much sound is resampled in one call."""
RATES = (1000, 1_000_000)
"""Sampling rates in Hz beyond these are a broken or hostile header: at 1 Hz a second of bytes is hours of sound."""
DECLARED_SHARE = 0.98
"""Least share of the length that the index of an mp4 or mov declares."""


@dataclass(frozen=True)
class AudioInfo:
    """The sound track of a recording, and where it begins.

    Attributes:
        rate: samples a second, as recorded.
        channels: as recorded.
        start_s: seconds on the container's axis of the first sample.
        video_start_s: of the first frame; None where there is no video.
        duration_s: length of the track, None where the container does not say.
    """

    rate: int
    channels: int
    start_s: float
    video_start_s: float | None
    duration_s: float | None


@dataclass(frozen=True, eq=False)
class SoundBlock:
    """Up to a second of sound; the next block begins where this one ends.

    Attributes:
        start_s: seconds on the container's axis of the first sample.
        samples: (n,) float32, mono, full scale at 1.
        is_gap: nothing was recorded here, and the samples are zeros that only keep the place.
    """

    start_s: float
    samples: np.ndarray
    is_gap: bool = False


def probe_audio(path: Path | str) -> AudioInfo | None:
    """Reads the header, and decodes no more than what says where sound and pictures begin; None without a sound track.

    Raises:
        UnreadableMedia: no such file, not a recording, or its sound cannot be decoded.
    """
    path = Path(path)
    with open_container(path, "recording") as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            return None
        first = next(_decoded(path, container, stream), None)
        if first is None:
            raise UnreadableMedia(path, "no sound could be decoded from its sound track")
        length = None if stream.duration is None or not stream.time_base else stream.duration * stream.time_base
        if length is None and container.duration is not None:
            length = container.duration / av.time_base
        video = find_video(container)
        begin = None if video is None or not video.time_base else (video.start_time or 0) * video.time_base
        return AudioInfo(
            rate=first.rate,
            channels=stream.channels,
            start_s=first.start_s,
            video_start_s=None if begin is None else float(begin),
            duration_s=None if length is None else float(length),
        )


def read_sound(path: Path | str, rate: int) -> Iterator[SoundBlock]:
    """Yields the first sound track, mono and resampled, without a break from its first sample to its last.

    A file without a sound track yields nothing.

    Args:
        path: the recording.
        rate: samples a second to resample to.

    Raises:
        UnreadableMedia: no such file or not a recording; later on, decoding failed, the sampling rate changed, samples
            are no numbers, time stamps jump by more than an hour, or the file ended before its declared length.
    """
    path = Path(path)
    with open_container(path, "recording") as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            return
        timeline = None
        for piece in _resampled(_placed(path, _decoded(path, container, stream)), rate):
            if timeline is None:
                timeline = _Timeline(piece.start_s, rate)
            elif not piece.goes_on:
                yield from timeline.advance(piece.start_s)
            yield from timeline.put(piece.samples)
        if timeline is None:
            raise UnreadableMedia(path, "no sound could be decoded from its sound track")
        yield from timeline.finish()


@dataclass(frozen=True, eq=False)
class _Piece:
    """Decoded sound: where it lies, (n,) float32, its rate, and whether it goes on where the piece before ended."""

    start_s: float
    samples: np.ndarray
    rate: int
    goes_on: bool = False


def _decoded(path: Path, container: InputContainer, stream: av.AudioStream) -> Iterator[_Piece]:
    ticks, end_s = 0, 0.0
    try:
        for packet in demux(path, container, stream):
            ticks += packet.duration or 0
            for frame in packet.decode():
                if not frame.samples:
                    continue
                if not RATES[0] <= frame.sample_rate <= RATES[1]:
                    raise UnreadableMedia(
                        path, f"sampled at {frame.sample_rate} Hz, {RATES[0]} to {RATES[1]} can be read"
                    )
                start_s = end_s if frame.time is None else float(frame.time)
                samples = _mono(path, frame)
                if not np.isfinite(samples).all():
                    raise UnreadableMedia(path, f"sound is infinite or not a number at second {start_s:.2f}")
                end_s = start_s + frame.samples / frame.sample_rate
                yield _Piece(start_s, samples, frame.sample_rate)
    except FFmpegError as error:
        raise UnreadableMedia(path, f"sound is damaged at second {end_s:.2f} ({told(error)})") from error
    # Other containers than mp4 and mov have no index, or declare what they guess.
    declared = stream.duration or 0
    if "mp4" in container.format.name and ticks < DECLARED_SHARE * declared:
        told_s, found_s = (float(value * (stream.time_base or 0)) for value in (declared, ticks))
        raise UnreadableMedia(path, f"sound is truncated: {found_s:.2f} of {told_s:.2f} declared seconds")


def _mono(path: Path, frame: av.AudioFrame) -> np.ndarray:
    """(n,) float32, full scale at 1, the mean of all channels."""
    try:
        values = frame.to_ndarray()
    except ValueError:  # PyAV knows no array of 64-bit integers
        raise UnreadableMedia(path, f"samples of type {frame.format.name} cannot be read") from None
    if not frame.format.is_planar:
        values = values.reshape(frame.samples, -1).T
    if values.dtype.kind == "f":
        return values.mean(0, dtype=np.float32)
    middle = 128.0 if values.dtype.kind == "u" else 0.0
    full = 2.0 ** (8 * values.dtype.itemsize - 1)
    return ((values.mean(0) - middle) / full).astype(np.float32)


def _placed(path: Path, pieces: Iterator[_Piece]) -> Iterator[_Piece]:
    """The same sound, each piece going on where the one before ended unless there is a gap; what overlaps is cut."""
    rate, begin_s, count = 0, 0.0, 0
    for piece in pieces:
        expected = begin_s + count / rate if rate else piece.start_s
        apart = piece.start_s - expected
        if rate and piece.rate != rate:
            raise UnreadableMedia(
                path, f"sampling rate changes from {rate} to {piece.rate} Hz at second {piece.start_s:.2f}"
            )
        if apart > LONGEST_GAP_SECONDS:
            raise UnreadableMedia(path, f"time stamps of the sound jump by {apart:.0f} s at second {expected:.2f}")
        if not rate or apart > TOLERANCE_SECONDS:
            rate, begin_s, count = piece.rate, piece.start_s, len(piece.samples)
            yield piece
            continue
        samples = piece.samples[round(-apart * rate) :] if apart < -TOLERANCE_SECONDS else piece.samples
        if len(samples):
            count += len(samples)
            yield _Piece(expected, samples, rate, goes_on=True)


def _resampled(pieces: Iterator[_Piece], rate: int) -> Iterator[_Piece]:
    """The same sound at another rate; a piece's `start_s` is where its run without a gap began."""
    resampler = None
    start_s, source, goes_on = 0.0, 0, False
    waiting: list[np.ndarray] = []
    for piece in pieces:
        if resampler is None or not piece.goes_on:
            if resampler is not None:
                yield _Piece(start_s, _resample(resampler, waiting, source, flush=True), rate, goes_on)
            resampler, start_s, source, goes_on, waiting = _resampler(rate), piece.start_s, piece.rate, False, []
        waiting.append(piece.samples)
        if sum(map(len, waiting)) >= PIECE_SECONDS * source:
            yield _Piece(start_s, _resample(resampler, waiting, source), rate, goes_on)
            goes_on, waiting = True, []
    if resampler is not None:
        yield _Piece(start_s, _resample(resampler, waiting, source, flush=True), rate, goes_on)


def _resampler(rate: int) -> av.AudioResampler:
    return av.AudioResampler(format="flt", layout="mono", rate=rate)


def _resample(resampler: av.AudioResampler, waiting: list[np.ndarray], source: int, flush: bool = False) -> np.ndarray:
    frames = []
    if waiting:
        frame = av.AudioFrame.from_ndarray(np.concatenate(waiting)[None], format="flt", layout="mono")
        frame.sample_rate = source
        frames += resampler.resample(frame)
    if flush:
        frames += resampler.resample(None)
    return np.concatenate([np.zeros(0, np.float32), *(frame.to_ndarray()[0] for frame in frames)])


class _Timeline:
    """Counts samples from the first one, fills gaps, and cuts the sound into blocks of a second."""

    def __init__(self, begin_s: float, rate: int) -> None:
        self._begin_s = begin_s
        self._rate = rate
        self._count = 0
        self._surplus = 0
        self._waiting = np.zeros(0, np.float32)

    def advance(self, time_s: float) -> Iterator[SoundBlock]:
        """Goes to where a run of sound begins."""
        ahead = round((time_s - self._begin_s) * self._rate) - self._count - len(self._waiting)
        self._surplus = max(0, -ahead)
        if ahead > 0:
            yield from self._blocks(0)
            while ahead > 0:
                length = min(ahead, self._rate)
                yield self._block(np.zeros(length, np.float32), is_gap=True)
                ahead -= length

    def put(self, samples: np.ndarray) -> Iterator[SoundBlock]:
        """Appends sound."""
        cut = min(self._surplus, len(samples))
        self._surplus -= cut
        self._waiting = np.concatenate([self._waiting, samples[cut:]])
        yield from self._blocks(self._rate)

    def finish(self) -> Iterator[SoundBlock]:
        """What is left."""
        yield from self._blocks(0)

    def _blocks(self, keep_below: int) -> Iterator[SoundBlock]:
        while len(self._waiting) and len(self._waiting) >= keep_below:
            block, self._waiting = self._waiting[: self._rate], self._waiting[self._rate :]
            yield self._block(block)

    def _block(self, samples: np.ndarray, is_gap: bool = False) -> SoundBlock:
        start_s = self._begin_s + self._count / self._rate
        self._count += len(samples)
        return SoundBlock(start_s, samples, is_gap)
