"""From windows to frames: a value for every annotated frame of a trial.

- Windows speak at their centres; frames between two that could be predicted are interpolated, also where no face was
  seen, and before the first and after the last the nearest is repeated. So a trial has as many values as rows.
- Predictions are clipped to [-1, 1], the range of the annotation.
- Smoothing is a centred average over time that shrinks at the ends of a trial. Its width is chosen where the epochs of
  the training were chosen, on the validation part of the training groups; the first of equals, so that none wins a tie.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.metrics import concordance_correlation


@dataclass(frozen=True)
class Trial:
    """What was predicted of one trial.

    Attributes:
        clip: its name.
        group: what may not be split, e.g. its video.
        target: (n, K), NaN in frames that are not annotated.
        times: (n,) seconds of the frames.
        values: (n, K) in [-1, 1].
    """

    clip: str
    group: str
    target: np.ndarray
    times: np.ndarray
    values: np.ndarray

    def smoothed(self, seconds: float) -> np.ndarray:
        """(n, K) values averaged over so many seconds around each frame; 0 leaves them as they are."""
        width = smoothing_width(seconds, frames=len(self.times), spread=self.times[-1] - self.times[0])
        if width == 1:
            return self.values
        from scipy.ndimage import uniform_filter1d

        weights = uniform_filter1d(np.ones(len(self.values)), width, mode="constant")
        return uniform_filter1d(self.values, width, axis=0, mode="constant") / weights[:, None]


def smoothing_width(seconds: float, *, frames: int, spread: float) -> int:
    """Frames that are averaged to smooth over so many seconds, an odd number so that the average has a middle.

    Args:
        seconds: 0 or more.
        frames: of the trial.
        spread: seconds from its first frame to its last one.
    """
    width = round(seconds * (frames - 1) / spread) if spread > 0 else 0
    return 1 if width < 2 else width + 1 - width % 2


def dense_values(centres: np.ndarray, values: np.ndarray, frames: int) -> np.ndarray:
    """Interpolate predictions of windows.

    Args:
        centres: (P,) rising frame numbers, at least one.
        values: (P, K) predictions there.
        frames: rows of the trial.

    Returns:
        (frames, K) float64 in [-1, 1].
    """
    every = np.arange(frames)
    columns = [np.interp(every, centres, column) for column in values.T.astype(np.float64)]
    return np.clip(np.stack(columns, axis=1), -1.0, 1.0)


def best_smoothing(widths: Sequence[float], trials: Sequence[Trial]) -> float:
    """The width in seconds with the highest CCC, averaged over dimensions, on trials that were not trained on."""
    if len(widths) == 1 or not trials:
        return widths[0]
    return max(widths, key=lambda width: _concordance(trials, width))


def _concordance(trials: Sequence[Trial], width: float) -> float:
    target = np.concatenate([trial.target for trial in trials])
    values = np.concatenate([trial.smoothed(width) for trial in trials])
    known = ~np.isnan(target).any(axis=1)
    return float(np.mean(concordance_correlation(values[known], target[known]))) if known.any() else 0.0
