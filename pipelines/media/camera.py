"""A camera as a stream of frames, stamped with the seconds since the first one."""

import time
from collections.abc import Callable, Iterator

import av
import cv2
import numpy as np

from pipelines.errors import UnreadableMedia
from pipelines.media.frame import VideoFrame


def read_camera(
    index: int, *, seconds: float | None = None, stopped: Callable[[], bool] = lambda: False
) -> Iterator[VideoFrame]:
    """Yields what a camera sees as it comes, until it is stopped, the time is over or the camera gives nothing more.

    Frames that come while the reader is busy are the driver's to keep or to drop: stamps are those of arrival.

    Args:
        index: of the camera, from 0.
        seconds: how long.
        stopped: asked before every frame.

    Raises:
        UnreadableMedia: there is no such camera, or it gives no picture.
    """
    camera = cv2.VideoCapture(index)
    try:
        if not camera.isOpened():
            raise UnreadableMedia(f"camera {index}", "it cannot be opened: is it connected, and free?")
        start, count = None, 0
        while not stopped():
            there, picture = camera.read()
            now = time.monotonic()
            start = now if start is None else start
            if not there or (seconds is not None and now - start >= seconds):
                break
            frame = av.VideoFrame.from_ndarray(np.asarray(picture, np.uint8), format="bgr24")
            yield VideoFrame(index=count, time_s=now - start, picture=frame)
            count += 1
        if not count:
            reason = "it was stopped before its first picture" if stopped() else "it is open, but gives no picture"
            raise UnreadableMedia(f"camera {index}", reason)
    finally:
        camera.release()
