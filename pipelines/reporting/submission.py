"""Predictions in the format of the ABAW valence-arousal challenge.

Decisions. The challenge judges every frame, so every frame of a trial is written, annotated or not, and a value outside
[-1, 1], which no annotation can have, is clipped. Values have six digits after the point: the annotations have three.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipelines.cache.predictions import FramePredictions
from pipelines.errors import MtpkdError
from pipelines.workspace import atomic_path

_HEADER = "image_location,valence,arousal"


def write_submission(path: Path, trials: Iterable[FramePredictions]) -> None:
    """Write one line a frame, e.g. `video9/00001.jpg,0.120000,0.300000`; holds one trial at a time.

    Args:
        path: file to write, whole or not at all.
        trials: of two dimensions, valence first; in the order in which they are written.

    Raises:
        MtpkdError: the file cannot be written.
        ValueError: a trial comes twice, or has other than two dimensions.
    """
    written: set[str] = set()
    try:
        with atomic_path(path) as partial, partial.open("w", encoding="utf-8") as stream:
            stream.write(_HEADER + "\n")
            for trial in trials:
                if trial.clip in written or trial.scores.shape[1] != 2:
                    raise ValueError(f"trial {trial.clip} comes twice, or is not (n, 2): {trial.scores.shape}")
                written.add(trial.clip)
                stream.writelines(_lines(trial))
    except OSError as error:
        raise MtpkdError(f"{path}: cannot be written ({error})") from error


def _lines(trial: FramePredictions) -> Iterable[str]:
    # Adding zero turns the -0 that rounding leaves into 0.
    values = np.clip(trial.scores.astype(np.float64), -1, 1).round(6) + 0.0
    for frame, (valence, arousal) in enumerate(values.tolist(), start=1):
        yield f"{trial.clip}/{frame:05d}.jpg,{valence:.6f},{arousal:.6f}\n"
