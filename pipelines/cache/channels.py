"""Shards of channels: what was recorded or computed of every clip of a group, one row a clip.

Layout: clips (N,) names; and for each channel (`eda`, `ecg`, `emg`, or a modality of a manifest) a group with present
(N,) bool and those of the following that it has: wave (N, L) float32 with valid (N, L) bool, spectrogram (N, F, T)
float32, and features (N, K) float32 with NaN where not measurable; feature names are an attribute. Rows of an absent
channel carry fillers that no reader hands out. In the file the layout bears the name of its first use, `biosignals`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from pipelines.cache.hdf5 import create, dataset, names, open_for_reading

_LAYOUT = "biosignals"
_PARTS = ("wave", "valid", "spectrogram", "features", "present")


@dataclass(frozen=True, kw_only=True)
class ChannelArrays:
    """One channel of all clips of a shard; the shapes are given in the module's docstring, None is what it lacks."""

    present: np.ndarray
    wave: np.ndarray | None = None
    valid: np.ndarray | None = None
    spectrogram: np.ndarray | None = None
    features: np.ndarray | None = None
    feature_names: tuple[str, ...] | None = None


def write_channels(path: Path, clips: Sequence[str], channels: Mapping[str, ChannelArrays]) -> None:
    """Write a whole shard; `path` is given by `atomic_path`."""
    with create(path, _LAYOUT) as file:
        file["clips"] = np.array(list(clips), dtype=h5py.string_dtype())
        for name, channel in channels.items():
            group = file.create_group(name)
            for part in _PARTS:
                values = getattr(channel, part)
                if values is not None:
                    group[part] = values
            if channel.feature_names is not None:
                group.attrs["features"] = list(channel.feature_names)


class ChannelShard:
    """Reads single clips of a shard. Not shared between processes: each opens its own."""

    def __init__(self, path: Path) -> None:
        self._file = open_for_reading(path, _LAYOUT)
        self._rows = {clip: row for row, clip in enumerate(names(self._file))}
        self._small: dict[str, np.ndarray] = {}

    @property
    def clips(self) -> tuple[str, ...]:
        """Names of the clips in the shard."""
        return tuple(self._rows)

    def is_present(self, clip: str, channel: str) -> bool:
        """Whether a clip has a usable recording of a channel."""
        return clip in self._rows and bool(self._whole(f"{channel}/present")[self._rows[clip]])

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
        if view == "features":
            return self._whole(f"{channel}/features")[row].copy()
        return dataset(self._file, f"{channel}/{view}")[row][None]

    def _whole(self, name: str) -> np.ndarray:
        """A dataset of a few numbers a clip, read once: it is asked for with every sample of every epoch."""
        if name not in self._small:
            self._small[name] = dataset(self._file, name)[()]
        return self._small[name]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
