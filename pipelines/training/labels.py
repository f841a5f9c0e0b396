"""The scale that continuous labels of whole clips are learned on.

A user's labels may run from 0 to 100, or around 37. 1 - CCC has next to no gradient while a network that starts at zero
is that far away, so networks learn labels that training clips standardise, and what they say is put back on the user's
scale. CCC itself is the same on both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class LabelScale:
    """Mean and standard deviation of each of K dimensions."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @staticmethod
    def of(labels: Iterable[tuple[float, ...]], dimensions: int) -> "LabelScale":
        """Of the labels of training clips; a dimension that does not vary is only centred."""
        values = np.array(list(labels), np.float64).reshape(-1, dimensions)
        if not len(values):
            return LabelScale((0.0,) * dimensions, (1.0,) * dimensions)
        std = values.std(0)
        return LabelScale(tuple(values.mean(0).tolist()), tuple(np.where(std > 0, std, 1.0).tolist()))

    def standardised(self, label: tuple[float, ...]) -> tuple[float, ...]:
        """A label as networks learn it."""
        return tuple((value - mean) / std for value, mean, std in zip(label, self.mean, self.std, strict=True))

    def restored(self, outputs: np.ndarray) -> np.ndarray:
        """(N, K) of a network -> (N, K) float64 on the scale of the labels."""
        return outputs.astype(np.float64) * np.array(self.std) + np.array(self.mean)

    def to_schema(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"mean": list(self.mean), "std": list(self.std)}

    @staticmethod
    def from_schema(schema: dict[str, Any]) -> "LabelScale":
        """The inverse of `to_schema`."""
        return LabelScale(tuple(schema["mean"]), tuple(schema["std"]))
