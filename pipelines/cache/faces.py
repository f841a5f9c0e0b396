"""Shards of face crops: JPEG bytes packed into one dataset with offsets, or raw uint8 pixels.

Chunks of compressed whole clips would have to be unpacked to reach a single frame; packed JPEGs are read frame by
frame at a seventh of the raw size. A frame without a face has no bytes and is False in `valid`: it is never zeros.

Layout: clips (N,) names; ranges (N, 2) first and last+1 frame of each clip; valid (F,) bool; times (F,) seconds;
boxes (F, 4) pixels of the video, NaN without a face and where someone else made the crop; and either bytes (total,)
with offsets (F + 1,), or pixels (F', S, S, 3) with rows (F,), -1 without a face.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.cache.hdf5 import (
    MASK,
    NUMBER,
    WHOLE,
    create,
    dataset,
    fixed_text,
    names,
    number,
    open_for_reading,
    text,
    values,
)
from pipelines.cache.straight import StraightReader
from pipelines.errors import DamagedFile, UnreadableMedia
from pipelines.media.faces import FaceCrop, decode_jpeg, encode_jpeg

_CHUNK_BYTES = 1 << 16
BUFFER_BYTES = 1 << 20
"""Crops are written in blocks of about this size."""


@dataclass(frozen=True)
class ClipFrames:
    """A clip's frames without their pixels: valid (n,) bool and times (n,) seconds."""

    valid: np.ndarray
    times: np.ndarray

    @property
    def coverage(self) -> float:
        """Share of frames with a face."""
        return float(self.valid.mean()) if len(self.valid) else 0.0


class _Index:
    """What is known of the frames of one clip, in 32 bytes a frame."""

    def __init__(self) -> None:
        self.times = array("d")
        self.boxes = array("f")
        self.stored = array("q")

    def add(self, crop: FaceCrop, stored: int | None) -> None:
        """One frame, and the bytes or rows stored of it; None without a face."""
        box = crop.box if crop.box is not None and stored is not None else (np.nan,) * 4
        self.times.append(crop.time_s)
        self.boxes.extend(box)
        self.stored.append(-1 if stored is None else stored)

    def valid(self) -> np.ndarray:
        """(n,) bool."""
        return np.array(self.stored, dtype="int64") >= 0


class FaceShardWriter:
    """Writes a shard clip by clip; memory stays flat at BUFFER_BYTES of crops. The index is written when it is left.

    Args:
        path: where to write, given by `atomic_path`.
        size: side S of a crop in pixels.
        storage: `jpeg` or `raw`.
    """

    def __init__(self, path: Path, *, size: int, storage: str) -> None:
        self._file = create(path, "faces")
        self._file.attrs["storage"] = fixed_text(storage)
        self._file.attrs["size"] = size
        self._raw = storage == "raw"
        if self._raw:
            self._data = self._file.create_dataset(
                "pixels", (0, size, size, 3), "uint8", maxshape=(None, size, size, 3), chunks=(1, size, size, 3)
            )
        else:
            self._data = self._file.create_dataset("bytes", (0,), "uint8", maxshape=(None,), chunks=(_CHUNK_BYTES,))
        self._clips: list[str] = []
        self._indices: list[_Index] = []

    def add(self, clip: str, crops: Iterable[FaceCrop]) -> ClipFrames:
        """Append a clip. The iterator may raise: then nothing of the clip is kept."""
        before = self._data.shape[0]
        index = _Index()
        try:
            self._take(crops, index)
        except BaseException:
            if self._data.shape[0] > before:
                self._data.resize(before, axis=0)
            raise
        self._clips.append(clip)
        self._indices.append(index)
        return ClipFrames(valid=index.valid(), times=np.array(index.times))

    def _take(self, crops: Iterable[FaceCrop], index: _Index) -> None:
        packed: list[np.ndarray] = []
        waiting = 0
        for crop in crops:
            data = self._pack(crop)
            index.add(crop, None if data is None else len(data))
            if data is not None:
                packed.append(data)
                waiting += data.nbytes
            if waiting >= BUFFER_BYTES:
                self._append(packed)
                packed, waiting = [], 0
        self._append(packed)

    def _pack(self, crop: FaceCrop) -> np.ndarray | None:
        if crop.image is None:
            return None
        if self._raw:
            return crop.image[None]
        return np.frombuffer(encode_jpeg(crop.image) if crop.jpeg is None else crop.jpeg, np.uint8)

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
        indices = self._indices
        valid = _joined([index.valid() for index in indices], "bool")
        stored = _joined([index.stored for index in indices], "int64")
        last = np.cumsum([len(index.times) for index in indices], dtype="int64")
        self._file["clips"] = fixed_text(self._clips)
        self._file["ranges"] = np.stack([np.concatenate([[0], last])[:-1], last], 1).astype("int64")
        self._file["valid"] = valid
        self._file["times"] = _joined([index.times for index in indices], "float64")
        self._file["boxes"] = _joined([index.boxes for index in indices], "float32").reshape(-1, 4)
        ends = np.cumsum(np.maximum(stored, 0), dtype="int64")
        if self._raw:
            self._file["rows"] = np.where(valid, ends - 1, -1).astype("int64")
        else:
            self._file["offsets"] = np.concatenate([[0], ends]).astype("int64")


def _joined(parts: Sequence[array | np.ndarray], dtype: str) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *(np.asarray(part, dtype) for part in parts)])


class FaceShard:
    """Reads windows of a shard. Not shared between processes: each opens its own."""

    def __init__(self, path: Path) -> None:
        self._file, self._path = open_for_reading(path, "faces"), path
        self.size = int(number(self._file, "size"))
        clips = names(self._file)
        self._ranges = dict(zip(clips, values(self._file, "ranges", (len(clips), 2), WHOLE).tolist(), strict=True))
        self._valid = values(self._file, "valid", (None,), MASK)
        self._times = values(self._file, "times", self._valid.shape, NUMBER)
        self._raw = text(self._file, "storage") == "raw"
        if self._raw:
            self._index = values(self._file, "rows", self._valid.shape, WHOLE)
            stored = dataset(self._file, "pixels", (None, self.size, self.size, 3), WHOLE)
        else:
            self._index = values(self._file, "offsets", (len(self._valid) + 1,), WHOLE)
            stored = dataset(self._file, "bytes", (None,), WHOLE)
        self._data, self._stored = StraightReader(stored), int(stored.nbytes)

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
            DamagedFile: what is stored of a frame is no crop.
        """
        first, last = self._ranges[clip]
        out = np.empty((len(frames), self.size, self.size, 3), np.uint8)
        for position, frame in enumerate(frames):
            row = first + int(frame)
            if not first <= row < last or not self._valid[row]:
                raise IndexError(f"{clip}: frame {frame} is outside the clip or shows no face")
            if self._raw:
                begin = int(self._index[row]) * out[position].size
                self._require(row, begin, begin + out[position].size)
                self._data.fill(memoryview(out[position].reshape(-1)), begin)
            else:
                out[position] = self._decoded(row)
        return out

    def _decoded(self, row: int) -> np.ndarray:
        begin, end = self._index[row : row + 2].tolist()
        self._require(row, begin, end)
        data = bytearray(end - begin)
        self._data.fill(memoryview(data), begin)
        try:
            image = decode_jpeg(bytes(data))
        except UnreadableMedia as error:
            raise DamagedFile(self._path, f"has a frame {row} that is no crop ({error.reason})") from None
        if image.shape != (self.size, self.size, 3):
            raise DamagedFile(self._path, f"has a crop of shape {image.shape}, its size is {self.size}")
        return image

    def _require(self, row: int, begin: int, end: int) -> None:
        if not 0 <= begin < end <= self._stored:
            raise DamagedFile(self._path, f"has no crop of its frame {row}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
