"""A video with what the student says drawn into it: the face, the estimate, and below it the estimate over time.

A frame's estimate comes after the frame: of a file the pictures are decoded a second time, a camera keeps them as JPEG.
"""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from pipelines.inference.description import StudentDescription
from pipelines.inference.estimates import FrameEstimate, WindowEstimate
from pipelines.inference.sources import Source
from pipelines.inference.strip import FONT, Strip, colour_of, put_text

LIVE_RATE = 25.0
"""Frames a second of the overlaid video of a camera, whose own come as they come."""
_LONGEST = 1920
"""Pixels; larger pictures are shrunk."""
_WHITE, _SHADE = (245, 245, 245), 0.6


def overlaid(
    estimates: Iterable[WindowEstimate | FrameEstimate],
    source: Source,
    description: StudentDescription,
    *,
    threshold: float = 0.0,
) -> Iterator[np.ndarray]:
    """Yields the pictures of the overlaid video, (H, W, 3) uint8 RGB of even size, as the estimates come.

    Args:
        estimates: of the source, from `Student.stream`.
        source: the video; a camera has to keep its pictures.
        description: of the student.
        threshold: least probability of a class that is said.
    """
    pictures, strip, shown = source.pictures(), None, 0
    seconds, steady = source.seconds, source.rate is not None  # both open a file
    for estimate in estimates:
        if not isinstance(estimate, FrameEstimate):
            continue
        picture, factor = _fitted(next(pictures))
        if strip is None:
            height = 2 * max(round(picture.shape[0] * 0.13), 52)
            strip = Strip(description, width=picture.shape[1], height=height, seconds=seconds, threshold=threshold)
        strip.add(estimate)
        times = 1 if steady else round(estimate.time_s * LIVE_RATE) + 1 - shown
        if times > 0:
            image = np.concatenate([annotated(picture, estimate, description, factor=factor), strip.draw()])
            yield from [image] * times
            shown += times


def annotated(
    picture: np.ndarray, estimate: FrameEstimate, description: StudentDescription, *, factor: float = 1.0
) -> np.ndarray:
    """A copy of a picture (H, W, 3) with the face's box and what is said of it.

    Args:
        picture: uint8 RGB.
        estimate: of the frame.
        description: of the student.
        factor: by which the picture was shrunk; boxes are in pixels of the whole one.
    """
    image = picture.copy()
    scale = max(image.shape[0] / 900, 0.5)
    if estimate.box is None:
        _panel(image, [("no face", _WHITE)], (round(16 * scale), round(16 * scale)), scale=scale)
        return image
    corners = [round(edge * factor) for edge in estimate.box]
    lines = _lines(estimate, description)
    colour = lines[0][1] if description.of_classes else _WHITE
    cv2.rectangle(image, corners[:2], corners[2:], colour, max(2, round(3 * scale)), cv2.LINE_AA)
    _panel(image, lines, (corners[0], corners[1]), scale=scale, above=True)
    return image


def _lines(estimate: FrameEstimate, description: StudentDescription) -> list[tuple[str, tuple[int, int, int]]]:
    """What is written at the face, in which colours."""
    if estimate.values is None:
        return [("no estimate", _WHITE)]
    if description.of_classes:
        top = int(estimate.values.argmax())
        if estimate.abstained:
            return [(f"unsure ({estimate.values[top]:.0%})", _WHITE)]
        return [(f"{description.labels[top]} {estimate.values[top]:.0%}", colour_of(top))]
    pairs = zip(description.labels, estimate.values, strict=True)
    return [(f"{label} {value:+.2f}", colour_of(number)) for number, (label, value) in enumerate(pairs)]


def _panel(
    image: np.ndarray,
    lines: list[tuple[str, tuple[int, int, int]]],
    at: tuple[int, int],
    *,
    scale: float,
    above: bool = False,
) -> None:
    """Lines on a darkened ground with its upper left corner `at`, or its lower left one; moved into the picture."""
    pad, step = round(10 * scale), round(36 * scale)
    width = 2 * pad + max(cv2.getTextSize(text, FONT, scale, max(1, round(1.2 * scale)))[0][0] for text, _ in lines)
    height = step * len(lines) + pad
    x = min(max(at[0], 0), max(image.shape[1] - width, 0))
    y = min(max(at[1] - (height if above else 0), 0), max(image.shape[0] - height, 0))
    ground = image[y : y + height, x : x + width]
    ground[:] = (ground * (1 - _SHADE)).astype(np.uint8)
    for number, (text, colour) in enumerate(lines):
        put_text(image, text, (x + pad, y + step * (number + 1) - round(6 * scale)), scale=scale, colour=colour)


def _fitted(picture: np.ndarray) -> tuple[np.ndarray, float]:
    """The picture with even sides and none above `_LONGEST`, and the factor by which it was shrunk."""
    factor = min(1.0, _LONGEST / max(picture.shape[:2]))
    if factor < 1:
        size = round(picture.shape[1] * factor), round(picture.shape[0] * factor)
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    height, width = picture.shape[:2]
    return np.ascontiguousarray(picture[: height - height % 2, : width - width % 2]), factor
