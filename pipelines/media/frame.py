"""One decoded frame: luma for detectors, colour for crops, converted only where asked for.

Decisions:

- A frame keeps the decoder's own planes. Luma is a view of the first plane.
- Colour is converted in the region asked for, by libswscale with the frame's own matrix and range (cv2 would assume
  BT.601 at limited range), and shrunk in the same pass, which costs a fifth of converting first and shrinking with cv2.
- Frames are upright: the rotation that phones write into the container is applied, as views.
"""

from dataclasses import dataclass

import av
import numpy as np

Region = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels of the upright frame, the right and lower border excluded."""

# Chroma is sub-sampled by these factors (horizontal, vertical); all have 8-bit luma alone in their first plane.
PLANAR_FORMATS = {
    "yuv420p": (2, 2),
    "yuvj420p": (2, 2),
    "yuv422p": (2, 1),
    "yuvj422p": (2, 1),
    "yuv444p": (1, 1),
    "yuvj444p": (1, 1),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class VideoFrame:
    """One decoded frame, upright.

    Attributes:
        index: from 0 in display order.
        time_s: the container's time stamp in seconds; streams need not start at 0.
        damaged: the decoder concealed an error in this picture.
        picture: the decoder's frame, as stored.
        turns: counter-clockwise quarter turns that make it upright.
    """

    index: int
    time_s: float
    picture: av.VideoFrame
    turns: int = 0
    damaged: bool = False

    @property
    def width(self) -> int:
        """Pixels, upright."""
        return self.picture.height if self.turns % 2 else self.picture.width

    @property
    def height(self) -> int:
        """Pixels, upright."""
        return self.picture.width if self.turns % 2 else self.picture.height

    def luma(self) -> np.ndarray:
        """(H, W) uint8 read-only brightness, in the stream's own range; a view where the format is planar 8-bit."""
        picture = self.picture
        if picture.format.name not in PLANAR_FORMATS:
            picture = picture.reformat(format="gray", threads=1)
        plane = _plane(picture, 0)[:, : picture.width]
        plane.flags.writeable = False
        return np.rot90(plane, self.turns)

    def rgb(self, region: Region | None = None, size: tuple[int, int] | None = None) -> np.ndarray:
        """(h, w, 3) uint8 colours of a region, of the whole frame by default; only the region is converted.

        Args:
            region: borders at even numbers (or at the frame's) keep the chroma exactly in place when a size is given.
            size: width and height to shrink to by area averaging; by default those of the region.

        Raises:
            ValueError: the region is empty or reaches beyond the frame.
        """
        x0, y0, x1, y1 = region or (0, 0, self.width, self.height)
        if not (0 <= x0 < x1 <= self.width and 0 <= y0 < y1 <= self.height):
            raise ValueError(f"region {region} does not lie in a frame of {self.width}x{self.height}")
        stored = _stored_region((x0, y0, x1, y1), self.picture.width, self.picture.height, self.turns)
        if size is not None and self.turns % 2:
            size = size[1], size[0]
        return np.rot90(_colours(self.picture, stored, size), self.turns)


def _colours(picture: av.VideoFrame, region: Region, size: tuple[int, int] | None) -> np.ndarray:
    x0, y0, x1, y1 = region
    if size is None:
        # Even borders: libswscale takes another, visibly different path for an odd height.
        left, top = x0 - x0 % 2, y0 - y0 % 2
        right, bottom = min(x1 + x1 % 2, picture.width), min(y1 + y1 % 2, picture.height)
        part = _part(picture, (left, top, right, bottom))
        return part.to_ndarray(format="rgb24", threads=1)[y0 - top : y1 - top, x0 - left : x1 - left]
    return _part(picture, region).to_ndarray(
        format="rgb24", width=size[0], height=size[1], interpolation="AREA", threads=1
    )


def _part(picture: av.VideoFrame, region: Region) -> av.VideoFrame:
    x0, y0, x1, y1 = region
    if region == (0, 0, picture.width, picture.height):
        return picture
    if picture.format.name not in PLANAR_FORMATS:
        colours: np.ndarray = picture.to_ndarray(format="rgb24", threads=1)
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(colours[y0:y1, x0:x1], np.uint8), format="rgb24")
    across, down = PLANAR_FORMATS[picture.format.name]
    part = av.VideoFrame(x1 - x0, y1 - y0, picture.format.name)
    part.colorspace, part.color_range = picture.colorspace, picture.color_range
    for number, (step_x, step_y) in enumerate(((1, 1), (across, down), (across, down))):
        target = _plane(part, number)
        source = _plane(picture, number)[y0 // step_y :, x0 // step_x :]
        width = -(-part.width // step_x)
        target[:, :width] = source[: target.shape[0], :width]
    return part


def _plane(picture: av.VideoFrame, number: int) -> np.ndarray:
    plane = picture.planes[number]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)


def _stored_region(region: Region, width: int, height: int, turns: int) -> Region:
    """The region of the stored picture (width x height) that np.rot90(., turns) turns into the upright one."""
    x0, y0, x1, y1 = region
    if turns == 1:
        return width - y1, x0, width - y0, x1
    if turns == 2:
        return width - x1, height - y1, width - x0, height - y0
    if turns == 3:
        return y0, height - x1, y1, height - x0
    return region
