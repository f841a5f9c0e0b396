"""What runs a student's networks, whatever library does the arithmetic."""

from typing import Protocol

import numpy as np

from pipelines.inference.description import StudentDescription


class Runtime(Protocol):
    """Encoder, hallucination net, fusion and head as one function of windows."""

    @property
    def description(self) -> StudentDescription:
        """What the student is."""
        ...

    def __call__(self, windows: np.ndarray, present: np.ndarray) -> np.ndarray:
        """Predict windows of one recording, in order of time, each the next one's neighbour.

        With a context of L > 1 windows, an output sees L // 2 neighbours on either side; where the windows end, and
        where one is absent, there is nothing to be seen.

        Args:
            windows: (W, 3, T, S, S) float32, standardised as `pipelines.media.sampling.standardised` does it; of
                absent ones anything.
            present: (W,) bool, False in a window without a face.

        Returns:
            (W, C) float32 or float64: logits of classes, or continuous values on the scale of the labels; NaN in rows
            that are not present.
        """
        ...
