"""The sound track of a video that is being written.

Decisions:

- Sound comes in blocks and is encoded just ahead of the pictures, so memory stays flat in the length of the video.
- A track may start later than the pictures, as tracks of real recordings do; only the container's time stamps tell. An
  avi file has none, so there it is refused.
- mp4 gets AAC, whose encoder gives the same bytes for the same input under `bitexact`; avi gets 16-bit PCM.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import OutputContainer

BIT_RATE = 64_000
"""Of AAC, for one channel."""


@dataclass(frozen=True)
class Sound:
    """What is to be heard.

    Attributes:
        blocks: consecutive pieces of one channel, (n,) float32 in [-1, 1]; of any lengths.
        rate: samples a second.
        start_s: when the first sample is heard, in seconds after the first picture is shown.
    """

    blocks: Iterable[np.ndarray]
    rate: int
    start_s: float = 0.0

    def __post_init__(self) -> None:
        if self.start_s < 0:
            raise ValueError(f"start_s = {self.start_s}: sound cannot start before the pictures do")


class SoundTrack:
    """Encodes a Sound into a container that is open for writing, piece by piece.

    Raises:
        ValueError: the sound starts late in an avi file.
    """

    def __init__(self, container: OutputContainer, sound: Sound) -> None:
        self._lossless = container.format.name == "avi"
        if self._lossless and sound.start_s:
            raise ValueError(f"start_s = {sound.start_s}: an avi file has no time stamps to say so")
        self._container, self._blocks, self._rate = container, iter(sound.blocks), sound.rate
        if self._lossless:
            self._stream = container.add_stream("pcm_s16le", rate=sound.rate, layout="mono")
        else:
            self._stream = container.add_stream("aac", rate=sound.rate, layout="mono", options={"flags": "+bitexact"})
            self._stream.bit_rate = BIT_RATE
        self._position = round(sound.start_s * sound.rate)

    def encode_until(self, time_s: float) -> None:
        """Encodes what is heard before a time, rounded up to whole blocks."""
        while self._position < time_s * self._rate:
            block = next(self._blocks, None)
            if block is None:
                return
            self._container.mux(self._stream.encode(self._frame(block)))
            self._position += len(block)

    def finish(self) -> None:
        """Encodes the rest of the blocks, and what the encoder holds back."""
        self.encode_until(float("inf"))
        self._container.mux(self._stream.encode())

    def _frame(self, block: np.ndarray) -> av.AudioFrame:
        if block.ndim != 1:
            raise ValueError(f"sound has one channel: blocks of shape (n,), got {block.shape}")
        # Sixteen bits in either case: what differs between processors in the last bits of a float is gone then.
        samples = np.rint(np.clip(block, -1.0, 1.0) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = self._rate
        frame.pts, frame.time_base = self._position, Fraction(1, self._rate)
        return frame
