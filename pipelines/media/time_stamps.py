"""When each frame of a video is shown, without decoding it.

A face crop that came from elsewhere is known by its frame's number only; where sound lies is known in seconds. The
container's index holds both at a small share of the price of decoding, but only where a packet is a picture: an edit
list hides packets, some codecs code pictures that are never shown or leave out ones that are, and some containers store
no time of display. What the index does not settle is decoded, so the answer is always that of `read_frames`.
"""

from pathlib import Path

import numpy as np
from av.error import FFmpegError

from pipelines.errors import UnreadableMedia
from pipelines.media.container import demux, told
from pipelines.media.video import (
    DECLARED_SHARE,
    PICTURE_A_PACKET,
    count_packet,
    is_stamped_in_turn,
    open_video,
    read_frames,
)


def frame_times(path: Path | str) -> np.ndarray:
    """(n,) float64 seconds of every frame in display order: `time_s` of `read_frames`, without the pictures.

    A packet that is damaged inside is not noticed where the index settles it.

    Raises:
        UnreadableMedia: see `pipelines.media.video.read_frames`.
    """
    times = _indexed(Path(path))
    if times is None:
        times = np.array([frame.time_s for frame in read_frames(path)])
    return times


def _indexed(path: Path) -> np.ndarray | None:
    """The times that the packets tell; None where they leave a doubt."""
    with open_video(path) as (container, stream):
        if stream.codec_context.name not in PICTURE_A_PACKET or not stream.time_base:
            return None
        in_turn = is_stamped_in_turn(container, stream)
        shown: list[int] = []
        packets, begun = 0, False
        try:
            for packet in demux(path, container, stream):
                if packet.dts is None and not packet.size:
                    continue
                packets = count_packet(packets, packet, container)
                stamp = packet.dts if in_turn else packet.pts
                if stamp is None or not packet.size or not (begun or packet.is_keyframe):
                    return None
                begun = True
                if not packet.is_discard:
                    shown.append(stamp)
        except FFmpegError as error:
            raise UnreadableMedia(path, f"reading stopped at packet {packets} ({told(error)})") from error
        if packets < DECLARED_SHARE * stream.frames:
            raise UnreadableMedia(path, f"truncated: ends after {packets} of {stream.frames} declared frames")
        ticks = np.sort(np.array(shown, np.int64))
        if not len(ticks) or (np.diff(ticks) <= 0).any():
            return None
        base = stream.time_base
        return ticks * base.numerator / base.denominator
