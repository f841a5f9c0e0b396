"""One decoded frame: luma for detectors, colour for crops, converted only where asked for.

Decisions:

- A frame keeps the decoder's own planes. Luma is a view of the first plane.
- Colour is converted in the region asked for, by libswscale with the frame's own matrix and range (cv2 would assume
  BT.601 at limited range), and shrunk in the same pass, which costs a fifth of converting first and shrinking with cv2.
- In formats other than 8-bit planar, libswscale looks at neighbouring chroma and dithers deep samples in a pattern: a
  region is converted with a margin, its borders at multiples of the pattern, and is then the whole frame's to the bit.
- Frames are upright: the rotation that phones write into the container is applied, as views.
"""

from dataclasses import dataclass

import av
import numpy as np

Region = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels of the upright frame, the right and lower border excluded."""

_Layout = tuple[tuple[int, int, int], ...]
"""Of each plane: pixels of the frame, across and down, that share one group of samples, and the group's bytes."""


def _planar(across: int, down: int, sample: int = 1) -> _Layout:
    return (1, 1, sample), (across, down, sample), (across, down, sample)


# All have 8-bit luma alone in their first plane.
PLANAR_FORMATS = {
    "yuv420p": _planar(2, 2),
    "yuvj420p": _planar(2, 2),
    "yuv422p": _planar(2, 1),
    "yuvj422p": _planar(2, 1),
    "yuv444p": _planar(1, 1),
    "yuvj444p": _planar(1, 1),
}
# What phones (10 bits), hardware decoders (semi-planar) and webcams (packed) give besides; others are converted whole.
OTHER_FORMATS = {
    **{f"yuv420p{bits}le": _planar(2, 2, 2) for bits in (10, 12)},
    **{f"yuv422p{bits}le": _planar(2, 1, 2) for bits in (10, 12)},
    **{f"yuv444p{bits}le": _planar(1, 1, 2) for bits in (10, 12)},
    "p010le": ((1, 1, 2), (2, 2, 4)),
    **dict.fromkeys(("nv12", "nv21"), ((1, 1, 1), (2, 2, 2))),
    **dict.fromkeys(("yuyv422", "uyvy422"), ((2, 1, 4),)),
    **dict.fromkeys(("rgb24", "bgr24"), ((1, 1, 3),)),
    **dict.fromkeys(("rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr"), ((1, 1, 4),)),
    "gbrp": _planar(1, 1),
    "gray": ((1, 1, 1),),
    "gray10le": ((1, 1, 2),),
}
_LAYOUTS = PLANAR_FORMATS | OTHER_FORMATS
_MARGIN = 8
"""Pixels of margin, and the multiple at which its borders lie: beyond the reach of chroma, a period of the dither."""


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

    def luma(self, region: Region | None = None) -> np.ndarray:
        """(h, w) uint8 read-only brightness of a region, of the whole frame by default, in the stream's own range.

        A view where the format is planar 8-bit.

        Raises:
            ValueError: the region is empty or reaches beyond the frame.
        """
        x0, y0, x1, y1 = stored = self._stored(region)
        if self.picture.format.name in PLANAR_FORMATS:
            plane = _plane(self.picture, 0)[y0:y1, x0:x1]
        else:
            plane = _converted(self.picture, stored, "gray")
        plane.flags.writeable = False
        return np.rot90(plane, self.turns)

    def rgb(self, region: Region | None = None, size: tuple[int, int] | None = None) -> np.ndarray:
        """(h, w, 3) uint8 colours of a region, of the whole frame by default; only the region is converted.

        Args:
            region: borders at even numbers (or at the frame's) keep the chroma exactly in place when a size is given.
            size: width and height to shrink to, by area averaging while it is converted; by default the region's.

        Raises:
            ValueError: the region is empty or reaches beyond the frame.
        """
        stored = self._stored(region)
        if size is not None and self.turns % 2:
            size = size[1], size[0]
        return np.rot90(_colours(self.picture, stored, size), self.turns)

    def _stored(self, region: Region | None) -> Region:
        x0, y0, x1, y1 = region or (0, 0, self.width, self.height)
        if not (0 <= x0 < x1 <= self.width and 0 <= y0 < y1 <= self.height):
            raise ValueError(f"region {region} does not lie in a frame of {self.width}x{self.height}")
        return _stored_region((x0, y0, x1, y1), self.picture.width, self.picture.height, self.turns)


def _colours(picture: av.VideoFrame, region: Region, size: tuple[int, int] | None) -> np.ndarray:
    if size is not None:
        part = _part(picture, region)
        return part.to_ndarray(format="rgb24", width=size[0], height=size[1], interpolation="AREA", threads=1)
    if picture.format.name in PLANAR_FORMATS:
        # Even borders: libswscale takes another, visibly different path for an odd height.
        return _cut(picture, region, _outward(region, picture, multiple=2), "rgb24")
    return _converted(picture, region, "rgb24")


def _converted(picture: av.VideoFrame, region: Region, target: str) -> np.ndarray:
    """The region in another format, as if the whole picture had been converted."""
    # libswscale takes another path for odd sizes: a part of even size would not be like the whole.
    if picture.format.name not in _LAYOUTS or picture.width % 2 or picture.height % 2:
        return _cut(picture, region, (0, 0, picture.width, picture.height), target)
    return _cut(picture, region, _outward(region, picture, multiple=_MARGIN, margin=_MARGIN), target)


def _cut(picture: av.VideoFrame, region: Region, around: Region, target: str) -> np.ndarray:
    """Convert what lies around the region, and cut the region out of it."""
    x0, y0, x1, y1 = region
    left, top = around[:2]
    part = _part(picture, around)
    converted: np.ndarray = part.to_ndarray(format=target, threads=1)
    return converted[y0 - top : y1 - top, x0 - left : x1 - left]


def _outward(region: Region, picture: av.VideoFrame, *, multiple: int, margin: int = 0) -> Region:
    """The region and a margin, with borders at multiples of a number or at the picture's."""
    x0, y0, x1, y1 = region
    left, top = (max(0, start - margin) // multiple * multiple for start in (x0, y0))
    right, bottom = (-(-(stop + margin) // multiple) * multiple for stop in (x1, y1))
    return left, top, min(right, picture.width), min(bottom, picture.height)


def _part(picture: av.VideoFrame, region: Region) -> av.VideoFrame:
    x0, y0, x1, y1 = region
    if region == (0, 0, picture.width, picture.height):
        return picture
    name = picture.format.name
    if name not in _LAYOUTS:
        colours = _converted(picture, region, "rgb24")
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(colours), format="rgb24")
    part = av.VideoFrame(x1 - x0, y1 - y0, name)
    part.colorspace, part.color_range = picture.colorspace, picture.color_range
    for number, (across, down, size) in enumerate(_LAYOUTS[name]):
        target, source = _plane(part, number), _plane(picture, number)
        height, width = -(-part.height // down), -(-part.width // across) * size
        top, left = y0 // down, x0 // across * size
        target[:height, :width] = source[top : top + height, left : left + width]
    return part


def _plane(picture: av.VideoFrame, number: int) -> np.ndarray:
    plane = picture.planes[number]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)


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
