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

from pipelines.cache.hdf5 import attribute, create, dataset, fixed_text, holds, names, open_for_reading, part
from pipelines.errors import DamagedFile

_LAYOUT = "biosignals"
_DIMENSIONS = {"wave": 2, "valid": 2, "spectrogram": 3, "features": 2, "present": 1}


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
        file["clips"] = fixed_text(list(clips))
        for name, channel in channels.items():
            group = file.create_group(name)
            for name_of_part in _DIMENSIONS:
                stored = getattr(channel, name_of_part)
                if stored is not None:
                    group[name_of_part] = stored
            if channel.feature_names is not None:
                group.attrs["features"] = fixed_text(channel.feature_names)


class ChannelShard:
    """Reads single clips of a shard. Not shared between processes: each opens its own."""

    def __init__(self, path: Path) -> None:
        self._file, self._path = open_for_reading(path, _LAYOUT), path
        self._rows = {clip: row for row, clip in enumerate(names(self._file))}
        self._small: dict[str, np.ndarray] = {}
        self._large: dict[str, h5py.Dataset] = {}

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
            parts = [part(self._dataset(f"{channel}/{name}"), row) for name in ("wave", "valid")]
            if parts[0].shape != parts[1].shape:
                raise DamagedFile(self._path, f"has {channel} whose mask is not of the length of its wave")
            return np.stack(parts).astype("float32")
        if view == "features":
            return self._whole(f"{channel}/features")[row].copy()
        return part(self._dataset(f"{channel}/{view}"), row)[None]

    def feature_names(self, channel: str) -> tuple[str, ...]:
        """Names of a channel's features; their numbers, where the features came without names."""
        stored = self._dataset(f"{channel}/features")
        width = stored.shape[1]
        names_of_features = attribute(self._file, "features", of=channel)
        if names_of_features is None:
            return tuple(map(str, range(width)))
        found = tuple(map(str, np.atleast_1d(names_of_features).tolist()))
        if len(found) != width:
            raise DamagedFile(self._path, f"has {len(found)} names of {width} features of {channel}")
        return found

    def has_features(self, channel: str) -> bool:
        """Whether features were computed of a channel."""
        return holds(self._file, f"{channel}/features")

    def _whole(self, name: str) -> np.ndarray:
        """A dataset of a few numbers a clip, read once: it is asked for with every sample of every epoch."""
        if name not in self._small:
            self._small[name] = part(self._dataset(name))
        return self._small[name]

    def _dataset(self, name: str) -> h5py.Dataset:
        """Opened and judged once, for the same reason."""
        if name not in self._large:
            dimensions = _DIMENSIONS[name.rpartition("/")[2]]
            self._large[name] = dataset(self._file, name, (len(self._rows), *(None,) * (dimensions - 1)))
        return self._large[name]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
