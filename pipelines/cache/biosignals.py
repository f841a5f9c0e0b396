"""Shards of biosignals: waves, validity, log-spectrograms and features of every clip of a group.

Layout: clips (N,) names; and for each channel (`eda`, `ecg`, `emg`) a group with present (N,) bool, wave (N, L)
float32, valid (N, L) bool, spectrogram (N, F, T) float32 and features (N, K) float32 with NaN where not measurable;
feature names are an attribute. Rows of an absent channel carry zeros that no reader hands out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from pipelines.cache.hdf5 import create, dataset, names, open_for_reading


@dataclass(frozen=True)
class ChannelArrays:
    """One channel of all clips of a shard; the shapes are given in the module's docstring."""

    wave: np.ndarray
    valid: np.ndarray
    spectrogram: np.ndarray
    features: np.ndarray
    feature_names: tuple[str, ...]
    present: np.ndarray


def write_biosignals(path: Path, clips: Sequence[str], channels: Mapping[str, ChannelArrays]) -> None:
    """Write a whole shard; `path` is given by `atomic_path`."""
    with create(path, "biosignals") as file:
        file["clips"] = np.array(list(clips), dtype=h5py.string_dtype())
        for name, channel in channels.items():
            group = file.create_group(name)
            for field in ("wave", "valid", "spectrogram", "features", "present"):
                group[field] = getattr(channel, field)
            group.attrs["features"] = list(channel.feature_names)


class BiosignalShard:
    """Reads single clips of a shard. Not shared between processes: each opens its own."""

    def __init__(self, path: Path) -> None:
        self._file = open_for_reading(path, "biosignals")
        self._rows = {clip: row for row, clip in enumerate(names(self._file))}

    @property
    def clips(self) -> tuple[str, ...]:
        """Names of the clips in the shard."""
        return tuple(self._rows)

    def is_present(self, clip: str, channel: str) -> bool:
        """Whether a clip has a usable recording of a channel."""
        return clip in self._rows and bool(dataset(self._file, f"{channel}/present")[self._rows[clip]])

    def read(self, clip: str, channel: str, view: str) -> np.ndarray:
        """One clip's `wave` (2, L): signal and validity; `spectrogram` (1, F, T); or `features` (K,). float32.

        Raises:
            KeyError: the clip has no usable recording of this channel.
        """
        if not self.is_present(clip, channel):
            raise KeyError(f"{clip} has no usable {channel}")
        row = self._rows[clip]
        if view == "wave":
            parts = [dataset(self._file, f"{channel}/{part}")[row] for part in ("wave", "valid")]
            return np.stack(parts).astype("float32")
        values = dataset(self._file, f"{channel}/{view}")[row]
        return values[None] if view == "spectrogram" else values

    def close(self) -> None:
        """Close the file."""
        self._file.close()
