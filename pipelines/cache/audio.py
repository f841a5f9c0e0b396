"""Shards of sound: the log-mel spectrogram of one video's track, read by windows.

A track that is absent, silent or damaged is no zeros: the shard says that it is missing, and why. Nor are gaps within a
track: their columns keep the place, and a window that lies mostly in one is not handed out.

Layout: log_mel (n, mels) float16 decibels, column i of the spectrogram as a row, centred at start_s + i * hop_s; gaps
(G, 2) seconds where nothing was recorded; attributes rate, hop_s, start_s, stop_s and reason, empty where there is
sound. Half the size of float32, for an error of .03 dB at most (the step of float16 between 64 and 128).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.cache.hdf5 import NUMBER, create, dataset, fixed_text, number, open_for_reading, part, text, values
from pipelines.errors import DamagedFile
from pipelines.media.audio import NO_TRACK, SoundBlock
from pipelines.media.log_mel import LogMelStream, analysis_samples
from pipelines.recipe import AudioSettings

SILENCE = 1e-4
"""A track that nowhere exceeds -80 dBFS was recorded without a microphone."""
SILENT = "the track is silent"
_CHUNK_ROWS = 128


class AudioShardWriter:
    """Writes a shard from the blocks of `pipelines.media.audio.read_sound`; memory stays flat.

    What was found (`reason`, `span`, `coverage`) is known when the writer is left.

    Args:
        path: where to write, given by `atomic_path`.
        settings: rate of the blocks, and the spectrogram.
    """

    def __init__(self, path: Path, settings: AudioSettings) -> None:
        self.reason = ""
        """Why the track counts as missing; empty where it can be used."""
        self._rate = settings.rate
        self._hop_s = analysis_samples(settings)[1] / settings.rate
        self._stream = LogMelStream(settings)
        self._file = create(path, "audio")
        self._data = self._file.create_dataset(
            "log_mel",
            (0, settings.mels),
            "float16",
            maxshape=(None, settings.mels),
            chunks=(_CHUNK_ROWS, settings.mels),
        )
        self._start_s = 0.0
        self._samples = 0
        self._peak = 0.0
        self._gaps: list[list[float]] = []

    @property
    def is_present(self) -> bool:
        """Whether there is a usable track."""
        return not self.reason

    @property
    def span(self) -> tuple[float, float] | None:
        """Seconds at which the track begins and ends; None where it is missing."""
        return None if self.reason else (self._start_s, self._start_s + self._samples / self._rate)

    @property
    def coverage(self) -> float:
        """Share of the span in which sound was recorded; 0 where the track is missing."""
        if self.reason or not self._samples:
            return 0.0
        return 1.0 - sum(stop - start for start, stop in self._gaps) * self._rate / self._samples

    def add(self, block: SoundBlock) -> None:
        """Append a block.

        Raises:
            ValueError: it does not begin where the last one ended.
        """
        if not self._samples:
            self._start_s = block.start_s
        end_s = self._start_s + self._samples / self._rate
        if abs(block.start_s - end_s) * self._rate > 0.5:
            raise ValueError(f"a block that begins at {block.start_s:.6f} s cannot follow {end_s:.6f} s")
        self._samples += len(block.samples)
        if block.is_gap:
            self._add_gap(end_s, self._start_s + self._samples / self._rate)
        elif len(block.samples):
            self._peak = max(self._peak, float(np.abs(block.samples).max()))
        for columns in self._stream.push(block.samples):
            self._append(columns)

    def discard(self, reason: str) -> None:
        """Give the track up: it could not be read to its end."""
        self.reason = reason

    def _add_gap(self, start_s: float, stop_s: float) -> None:
        if self._gaps and self._gaps[-1][1] == start_s:
            self._gaps[-1][1] = stop_s
        else:
            self._gaps.append([start_s, stop_s])

    def _append(self, columns: np.ndarray) -> None:
        start = self._data.shape[0]
        self._data.resize(start + columns.shape[1], axis=0)
        self._data[start:] = columns.T.astype("float16")

    def __enter__(self) -> "AudioShardWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._finish()
        self._file.close()

    def _finish(self) -> None:
        if not self.reason:
            self.reason = NO_TRACK if not self._samples else SILENT if self._peak < SILENCE else ""
        if self.reason:
            self._data.resize(0, axis=0)
        else:
            for columns in self._stream.finish():
                self._append(columns)
        start_s, stop_s = self.span or (0.0, 0.0)
        facts = {"rate": self._rate, "hop_s": self._hop_s, "start_s": start_s, "stop_s": stop_s}
        self._file.attrs.update({**facts, "reason": fixed_text(self.reason)})
        self._file["gaps"] = np.array([] if self.reason else self._gaps, "float64").reshape(-1, 2)


@dataclass(frozen=True, eq=False)
class Stretch:
    """Sound to look at: log_mel (n, mels) float32 decibels over start_s to stop_s, and gaps (G, 2) in seconds."""

    log_mel: np.ndarray
    start_s: float
    stop_s: float
    gaps: np.ndarray


class AudioShard:
    """Reads windows of a shard. Not shared between processes: each opens its own.

    Raises:
        MtpkdError: the file is absent, damaged, or of another kind.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_for_reading(path, "audio")
        self._path = path
        self._data = dataset(self._file, "log_mel", (None, None), NUMBER)
        self._gaps = values(self._file, "gaps", (None, 2), NUMBER)
        self._hop_s, self._start_s, self._stop_s = (number(self._file, name) for name in ("hop_s", "start_s", "stop_s"))
        if self._hop_s <= 0:
            raise DamagedFile(path, f"has columns of sound {self._hop_s:g} s apart")
        self.reason = text(self._file, "reason")
        """Why the track counts as missing; empty where it can be used."""

    @property
    def is_present(self) -> bool:
        """Whether there is a usable track."""
        return not self.reason

    @property
    def span(self) -> tuple[float, float] | None:
        """Seconds on the video's axis at which the track begins and ends; None where it is missing."""
        return (self._start_s, self._stop_s) if self.is_present else None

    def covers(self, centre_s: float, seconds: float) -> bool:
        """Whether at least half of the window was recorded, and the track is as long as the window."""
        if not self.is_present or len(self._data) < self._columns(seconds):
            return False
        start_s, stop_s = centre_s - seconds / 2, centre_s + seconds / 2
        recorded = min(stop_s, self._stop_s) - max(start_s, self._start_s)
        missing = np.minimum(stop_s, self._gaps[:, 1]) - np.maximum(start_s, self._gaps[:, 0])
        # A window around the first sample has half of it, but for rounding.
        return bool(recorded - np.maximum(missing, 0).sum() >= seconds / 2 - self._hop_s / 2)

    def read(self, centre_s: float, seconds: float) -> np.ndarray:
        """(1, mels, n) float32 decibels, n = seconds / hop, of which column n // 2 is the one nearest to `centre_s`.

        Where the window would reach over an end of the track it is moved inside.

        Raises:
            KeyError: the track does not cover the window, see `covers`.
        """
        if not self.covers(centre_s, seconds):
            raise KeyError(f"{self._path} has no sound {seconds:g} s around {centre_s:.2f} s")
        columns = self._columns(seconds)
        first = round((centre_s - self._start_s) / self._hop_s) - columns // 2
        first = min(max(first, 0), len(self._data) - columns)
        return part(self._data, slice(first, first + columns)).T[None].astype("float32")

    def stretch(self, start_s: float, stop_s: float, most: int) -> Stretch:
        """A part of the track for looking at: neighbouring columns are averaged until at most `most` are left.

        Holds one block of the track at a time, however long it is.

        Raises:
            KeyError: there is no sound.
        """
        if not self.is_present:
            raise KeyError(f"{self._path} has no sound: {self.reason}")
        first = min(max(round((start_s - self._start_s) / self._hop_s), 0), len(self._data) - 1)
        last = min(max(round((stop_s - self._start_s) / self._hop_s), first) + 1, len(self._data))
        size = -(-(last - first) // most)
        blocks = (part(self._data, slice(at, min(at + size, last))) for at in range(first, last, size))
        means = np.stack([block.mean(axis=0, dtype="float32") for block in blocks])
        begin_s = self._start_s + (first - 0.5) * self._hop_s
        return Stretch(means, begin_s, begin_s + len(means) * size * self._hop_s, self._gaps)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _columns(self, seconds: float) -> int:
        return max(1, round(seconds / self._hop_s))
