"""Which frames of a window a model sees, and how their pixels become numbers: the same in training and at work.

Everything here is a pure function of frame numbers, time stamps and pixels.
"""

import numpy as np

# Channel statistics of Kinetics-400, which published R3D-18 weights were trained with (torchvision's transforms).
PIXEL_MEAN = np.array([0.43216, 0.394666, 0.37645], np.float32)
PIXEL_STD = np.array([0.22803, 0.22145, 0.216989], np.float32)


def standardised(pixels: np.ndarray) -> np.ndarray:
    """(T, S, S, 3) uint8 RGB -> (3, T, S, S) float32, standardised by PIXEL_MEAN and PIXEL_STD."""
    values = pixels.transpose(3, 0, 1, 2).astype(np.float32, order="C")
    values *= (1 / (255 * PIXEL_STD))[:, None, None, None]
    values -= (PIXEL_MEAN / PIXEL_STD)[:, None, None, None]
    return values


def middles(frames: int) -> np.ndarray:
    """(T,) where in its segment each of T frames is taken when sampling is regular: in the middle."""
    return np.full(frames, 0.5)


def clip_frames(candidates: np.ndarray, within: np.ndarray) -> np.ndarray:
    """The frames of a clip's window, divided into T equal segments: one from each.

    Args:
        candidates: sorted numbers of the frames that may be drawn, at least one; with fewer than T some repeat.
        within: (T,) in [0, 1), where in its segment each is taken.

    Returns:
        (T,) of the candidates, in order of time.
    """
    segment = (np.arange(len(within)) + within) * len(candidates) / len(within)
    return candidates[segment.astype(int)]


def window_start(frame: int, frames: int, stride: int) -> float:
    """Where the window of `frames` stretches of `stride` frames around a frame begins, as a number of frames."""
    return frame + 0.5 - frames * stride / 2


def window_span(frame: int, frames: int, stride: int) -> tuple[int, int]:
    """First and last + 1 of the frames that the window around a frame touches; the last may not exist."""
    start = window_start(frame, frames, stride)
    return max(int(np.floor(start)), 0), int(np.ceil(start + frames * stride))


def window_frames(candidates: np.ndarray, frame: int, within: np.ndarray, stride: int) -> np.ndarray:
    """T frames around a frame, one from each stretch of `stride`.

    Args:
        candidates: sorted numbers of the frames of `window_span` that show a face, at least one: a frame without is
            replaced by the nearest of these.
        frame: the window's centre.
        within: (T,) in [0, 1), where in its stretch each is taken.
        stride: frames of the video a stretch.

    Returns:
        (T,) of the candidates, in order of time.
    """
    wanted = np.floor(window_start(frame, len(within), stride) + (np.arange(len(within)) + within) * stride)
    nearest = np.abs(candidates[:, None] - wanted).argmin(axis=0)
    return candidates[nearest]
