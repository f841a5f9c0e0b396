"""The estimate over time as a strip of pixels, drawn anew for every frame of a video from the last minute of values.

Colours are those of Okabe and Ito, which people with any colour vision can tell apart.
"""

from collections import deque
from math import ceil

import cv2
import numpy as np

from pipelines.inference.description import StudentDescription
from pipelines.inference.estimates import FrameEstimate

PALETTE = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167), (0, 114, 178))
FONT = cv2.FONT_HERSHEY_DUPLEX
SPAN_S = 60.0
"""Longest stretch of time that a strip shows."""
_BACKGROUND, _GAP, _GRID, _TEXT = (24, 26, 30), (52, 54, 60), (84, 88, 96), (210, 214, 220)


def colour_of(number: int) -> tuple[int, int, int]:
    """Of the class or dimension with a number, RGB."""
    return PALETTE[number % len(PALETTE)]


def put_text(
    image: np.ndarray,
    text: str,
    at: tuple[int, int],
    *,
    scale: float,
    colour: tuple[int, int, int] = _TEXT,
) -> int:
    """Write a line whose baseline begins `at` x, y, in place; returns where it ends. Scale 1 is 22 pixels high."""
    # OpenCV's letters are strokes and know no more than ASCII.
    text, thick = text.encode("ascii", "replace").decode(), max(1, round(1.2 * scale))
    cv2.putText(image, text, at, FONT, scale, colour, thick, cv2.LINE_AA)
    return at[0] + cv2.getTextSize(text, FONT, scale, thick)[0][0]


class Strip:
    """Values of the frames so far, and their picture.

    Args:
        description: of the student.
        width, height: pixels.
        seconds: of the whole video, None where that is not known; longer ones scroll.
        threshold: least probability that is said; drawn as a line.
    """

    def __init__(
        self, description: StudentDescription, *, width: int, height: int, seconds: float | None, threshold: float = 0.0
    ) -> None:
        self._labels, self._threshold = description.labels, threshold
        self._low, self._high = value_range(description)
        self._span = min(seconds or SPAN_S, SPAN_S)
        self._size = width, height
        self._scale = height / 150
        self._left, self._right = round(58 * self._scale), width - round(14 * self._scale)
        self._top, self._bottom = round(40 * self._scale), height - round(30 * self._scale)
        self._frames: deque[FrameEstimate] = deque()
        self._start_s: float | None = None

    def add(self, frame: FrameEstimate) -> None:
        """The next frame."""
        if self._start_s is None:
            self._start_s = frame.time_s
        self._frames.append(frame)
        while self._frames[0].time_s < frame.time_s - self._span:
            self._frames.popleft()

    def draw(self) -> np.ndarray:
        """(height, width, 3) uint8 RGB, up to the last frame."""
        image = np.full((self._size[1], self._size[0], 3), _BACKGROUND, np.uint8)
        assert self._start_s is not None
        now = self._frames[-1].time_s
        begin = max(self._start_s, now - self._span)
        times = np.array([frame.time_s for frame in self._frames])
        across = self._left + (times - begin) / self._span * (self._right - self._left)
        for gap in runs(np.array([frame.box is None for frame in self._frames])):
            edges = across[[gap.start, min(gap.stop, len(across) - 1)]].round().astype(int)
            image[self._top : self._bottom, edges[0] : edges[1] + 1] = _GAP
        self._draw_axes(image, begin)
        for number in range(len(self._labels)):
            self._draw_curve(image, across, number)
        x = round(float(across[-1]))
        cv2.line(image, (x, self._top), (x, self._bottom), _TEXT, max(1, round(self._scale)), cv2.LINE_AA)
        self._draw_legend(image)
        return image

    def _y(self, values: np.ndarray | float) -> np.ndarray:
        share = (np.asarray(values) - self._low) / (self._high - self._low)
        return self._bottom - share.clip(0, 1) * (self._bottom - self._top)

    def _draw_axes(self, image: np.ndarray, begin: float) -> None:
        scale = 0.5 * self._scale
        for value in (self._low, (self._low + self._high) / 2, self._high):
            y = int(self._y(value))
            cv2.line(image, (self._left, y), (self._right, y), _GRID, 1)
            put_text(image, f"{value:g}", (round(6 * self._scale), y + round(6 * self._scale)), scale=scale)
        if self._threshold:
            y = int(self._y(self._threshold))
            for x in range(self._left, self._right, round(12 * self._scale)):
                cv2.line(image, (x, y), (min(x + round(5 * self._scale), self._right), y), _TEXT, 1)
        step = next((each for each in (0.5, 1, 2, 5, 10) if self._span / each <= 8), 20)
        for second in np.arange(ceil(begin / step) * step, begin + self._span, step):
            x = round(self._left + (second - begin) / self._span * (self._right - self._left))
            cv2.line(image, (x, self._bottom), (x, self._bottom + round(4 * self._scale)), _GRID, 1)
            put_text(image, f"{second:g}s", (x, self._bottom + round(20 * self._scale)), scale=scale)

    def _draw_curve(self, image: np.ndarray, across: np.ndarray, number: int) -> None:
        missing = np.nan
        values = np.array([missing if f.values is None else f.values[number] for f in self._frames])
        low = np.array([missing if f.low is None else f.low[number] for f in self._frames])
        high = np.array([missing if f.high is None else f.high[number] for f in self._frames])
        colour, thick = colour_of(number), max(2, round(2 * self._scale))
        for run in runs(~np.isnan(values)):
            x = across[run]
            if not np.isnan(low[run]).any():
                edge = np.concatenate([np.stack([x, self._y(high[run])], 1), np.stack([x, self._y(low[run])], 1)[::-1]])
                shade = image.copy()
                cv2.fillPoly(shade, [edge.round().astype(np.int32)], colour)
                cv2.addWeighted(shade, 0.22, image, 0.78, 0, dst=image)
            line = np.stack([x, self._y(values[run])], 1).round().astype(np.int32)
            cv2.polylines(image, [line if len(line) > 1 else line.repeat(2, 0)], False, colour, thick, cv2.LINE_AA)

    def _draw_legend(self, image: np.ndarray) -> None:
        x, y, scale = self._left, round(24 * self._scale), 0.62 * self._scale
        for number, label in enumerate(self._labels):
            x = put_text(image, label, (x, y), scale=scale, colour=colour_of(number)) + round(22 * self._scale)


def runs(there: np.ndarray) -> list[slice]:
    """Stretches of a mask (n,) that are True without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return [slice(start, stop) for start, stop in edges.reshape(-1, 2)]


def value_range(description: StudentDescription) -> tuple[float, float]:
    """From where to where an axis of values reaches; of continuous clips three standard deviations around the mean."""
    if description.of_classes:
        return 0.0, 1.0
    if description.is_sliding or description.label_scale is None:
        return -1.0, 1.0
    mean, std = (np.array(each) for each in description.label_scale)
    low, high = float((mean - 3 * std).min()), float((mean + 3 * std).max())
    digits = 1 - ceil(np.log10(max(high - low, 1e-9)))
    return round(low, digits), round(high, digits)
