"""Shards of face crops: JPEG bytes packed into one dataset with offsets, or raw uint8 pixels.

Chunks of compressed whole clips would have to be unpacked to reach a single frame; packed JPEGs are read frame by
frame at a seventh of the raw size. A frame without a face has no bytes and is False in `valid`: it is never zeros.

Layout: clips (N,) names; ranges (N, 2) first and last+1 frame of each clip; valid (F,) bool; times (F,) seconds;
boxes (F, 4) pixels of the video, NaN without a face; and either bytes (total,) with offsets (F + 1,), or pixels
(F', S, S, 3) with rows (F,), -1 without a face.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from pipelines.cache.hdf5 import attribute, create, dataset, names, open_for_reading
from pipelines.media.faces import FaceCrop, decode_jpeg, encode_jpeg

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True)
class ClipFrames:
    """A clip's frames without their pixels: valid (n,) bool and times (n,) seconds."""

    valid: np.ndarray
    times: np.ndarray

    @property
    def coverage(self) -> float:
        """Share of frames with a face."""
        return float(self.valid.mean()) if len(self.valid) else 0.0


class FaceShardWriter:
    """Writes a shard clip by clip; memory stays flat at one clip's crops. The index is written when it is left.

    Args:
        path: where to write, given by `atomic_path`.
        size: side S of a crop in pixels.
        storage: `jpeg` or `raw`.
    """

    def __init__(self, path: Path, *, size: int, storage: str) -> None:
        self._file = create(path, "faces")
        self._file.attrs["storage"] = storage
        self._file.attrs["size"] = size
        self._raw = storage == "raw"
        if self._raw:
            self._data = self._file.create_dataset(
                "pixels", (0, size, size, 3), "uint8", maxshape=(None, size, size, 3), chunks=(1, size, size, 3)
            )
        else:
            self._data = self._file.create_dataset("bytes", (0,), "uint8", maxshape=(None,), chunks=(_CHUNK_BYTES,))
        self._clips: list[str] = []
        self._ranges: list[tuple[int, int]] = []
        self._valid: list[bool] = []
        self._times: list[float] = []
        self._boxes: list[Sequence[float]] = []
        self._stored: list[int] = []

    def add(self, clip: str, crops: Iterable[FaceCrop]) -> ClipFrames:
        """Append a clip. The iterator may raise: then nothing of the clip is kept."""
        taken = [(crop.time_s, crop.box, self._pack(crop.image)) for crop in crops]
        first = len(self._valid)
        packed = [data for _, _, data in taken if data is not None]
        self._append(packed)
        for time_s, box, data in taken:
            self._valid.append(data is not None)
            self._times.append(time_s)
            self._boxes.append(tuple(box) if box is not None and data is not None else (np.nan,) * 4)
            self._stored.append(0 if data is None else len(data))
        self._clips.append(clip)
        self._ranges.append((first, len(self._valid)))
        return ClipFrames(valid=np.array(self._valid[first:]), times=np.array(self._times[first:]))

    def _pack(self, image: np.ndarray | None) -> np.ndarray | None:
        if image is None:
            return None
        return image[None] if self._raw else np.frombuffer(encode_jpeg(image), np.uint8)

    def _append(self, packed: list[np.ndarray]) -> None:
        if packed:
            block = np.concatenate(packed)
            start = self._data.shape[0]
            self._data.resize(start + len(block), axis=0)
            self._data[start:] = block

    def __enter__(self) -> "FaceShardWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._write_index()
        self._file.close()

    def _write_index(self) -> None:
        self._file["clips"] = np.array(self._clips, dtype=h5py.string_dtype())
        self._file["ranges"] = np.array(self._ranges, dtype="int64").reshape(-1, 2)
        self._file["valid"] = np.array(self._valid, dtype=bool)
        self._file["times"] = np.array(self._times, dtype="float64")
        self._file["boxes"] = np.array(self._boxes, dtype="float32").reshape(-1, 4)
        ends = np.cumsum(self._stored, dtype="int64")
        if self._raw:
            self._file["rows"] = np.where(self._valid, ends - 1, -1).astype("int64")
        else:
            self._file["offsets"] = np.concatenate([[0], ends]).astype("int64")


class FaceShard:
    """Reads windows of a shard. Not shared between processes: each opens its own."""

    def __init__(self, path: Path) -> None:
        self._file = open_for_reading(path, "faces")
        self.size = int(attribute(self._file, "size"))
        self._ranges = dict(zip(names(self._file), dataset(self._file, "ranges")[()].tolist(), strict=True))
        self._valid = dataset(self._file, "valid")[()]
        self._times = dataset(self._file, "times")[()]
        self._raw = attribute(self._file, "storage") == "raw"
        self._index = dataset(self._file, "rows" if self._raw else "offsets")[()]
        self._data = dataset(self._file, "pixels" if self._raw else "bytes")

    @property
    def clips(self) -> tuple[str, ...]:
        """Names of the clips in the shard."""
        return tuple(self._ranges)

    def frames(self, clip: str) -> ClipFrames:
        """Which frames of a clip show a face, and when."""
        first, last = self._ranges[clip]
        return ClipFrames(valid=self._valid[first:last], times=self._times[first:last])

    def read(self, clip: str, frames: Sequence[int] | np.ndarray) -> np.ndarray:
        """Crops of a clip, (T, S, S, 3) uint8 RGB, for frame numbers within the clip.

        Raises:
            IndexError: a frame outside the clip, or one without a face.
        """
        first, last = self._ranges[clip]
        out = np.empty((len(frames), self.size, self.size, 3), np.uint8)
        for position, frame in enumerate(frames):
            row = first + int(frame)
            if not first <= row < last or not self._valid[row]:
                raise IndexError(f"{clip}: frame {frame} is outside the clip or shows no face")
            if self._raw:
                out[position] = self._data[self._index[row]]
            else:
                out[position] = decode_jpeg(self._data[self._index[row] : self._index[row + 1]].tobytes())
        return out

    def close(self) -> None:
        """Close the file."""
        self._file.close()
