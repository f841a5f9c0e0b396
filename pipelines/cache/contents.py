"""What a shard holds, by its structure: for the check that nothing of it is lost, doubled or cut short.

Decisions. Names, masks, offsets and shapes are read; pixels, JPEG bytes, waves and spectrograms are not, because who
checks a shard has just hashed them. Every array is measured before it is read, and none is compressed: one that claims
more than its file has is refused and never allocated. Checked is what readers trust: that the JPEG of a frame lies
within the bytes, that each clip has rows of its own, that a wave has a mask.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from pipelines.cache import hdf5
from pipelines.cache.hdf5 import MASK, NUMBER, WHOLE, open_for_reading
from pipelines.errors import DamagedFile

_VIEWS = {"wave": 2, "spectrogram": 3, "features": 2}
"""What a channel may have, and its dimensions."""


@dataclass(frozen=True)
class Contents:
    """What can be read of a shard.

    Attributes:
        clips: names in the order of the file; None where the file is that of its group as a whole.
        present: modality -> the clips that have it; None where all of the group share it.
    """

    clips: tuple[str, ...] | None
    present: Mapping[str, frozenset[str] | None]

    def holds(self, clip: str, modality: str) -> bool:
        """Whether something of a clip's modality can be read."""
        clips = self.present.get(modality, frozenset())
        return clips is None or clip in clips


def contents_of(path: Path, layout: str, modalities: tuple[str, ...]) -> Contents:
    """Check the structure of a shard.

    Args:
        path: the shard.
        layout: `faces`, `biosignals`, `audio` or `annotations`, as the file says itself.
        modalities: what it holds; channels bear these names in the file.

    Raises:
        DamagedFile: no HDF5, of another layout, or not whole.
    """
    with open_for_reading(path, layout) as file:
        return _CHECKS[layout](_Structure(file), modalities)


class _Structure:
    """Measures and reads arrays; what is not as expected is a DamagedFile that names it."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def require(self, is_so: object, otherwise: str) -> None:
        """Raise unless something is so."""
        if not is_so:
            raise DamagedFile(self._file.filename, otherwise)

    def text(self, name: str) -> str:
        """An attribute of the file."""
        return hdf5.text(self._file, name)

    def number(self, name: str) -> float:
        """An attribute of the file."""
        return hdf5.number(self._file, name)

    def has(self, name: str) -> bool:
        """Whether there is a dataset or group of this name."""
        return hdf5.holds(self._file, name)

    def shape(self, name: str, shape: tuple[int | None, ...], kinds: str) -> tuple[int, ...]:
        """The shape of a dataset, where None stands for any length; its values are not read."""
        return hdf5.dataset(self._file, name, shape, kinds).shape

    def values(self, name: str, shape: tuple[int | None, ...], kinds: str) -> np.ndarray:
        """A whole dataset."""
        return hdf5.values(self._file, name, shape, kinds)

    def clips(self) -> tuple[str, ...]:
        """The names of its clips, each once."""
        clips = tuple(hdf5.names(self._file))
        twice = [clip for clip, times in Counter(clips).items() if times > 1]
        self.require(not twice, f"holds clip {twice[0] if twice else ''} more than once")
        return clips


def _faces(file: _Structure, modalities: tuple[str, ...]) -> Contents:
    clips, valid = file.clips(), file.values("valid", (None,), MASK)
    frames = len(valid)
    file.shape("times", (frames,), NUMBER)
    file.shape("boxes", (frames, 4), NUMBER)
    ranges = file.values("ranges", (len(clips), 2), WHOLE)
    ends = np.concatenate([[0], ranges[:, 1]])
    follow = (ranges[:, 0] == ends[:-1]).all() and (np.diff(ends) >= 0).all() and ends[-1] == frames
    file.require(follow, f"has ranges of its clips that do not divide its {frames} frames")
    if file.text("storage") == "raw":
        size = int(file.number("size"))
        stored = file.shape("pixels", (None, size, size, 3), WHOLE)[0]
        rows = file.values("rows", (frames,), WHOLE)
        fit = np.array_equal(rows[valid], np.arange(stored)) and (rows[~valid] == -1).all()
        file.require(fit, f"has rows that do not fit its {stored} crops")
    else:
        stored = file.shape("bytes", (None,), WHOLE)[0]
        offsets = file.values("offsets", (frames + 1,), WHOLE)
        lengths = np.diff(offsets)
        fit = offsets[0] == 0 and offsets[-1] == stored and (lengths >= 0).all() and ((lengths > 0) == valid).all()
        file.require(fit, f"has offsets that do not fit its {stored:,} bytes of JPEG")
    seen = [clip for clip, (first, last) in zip(clips, ranges.tolist(), strict=True) if valid[first:last].any()]
    return Contents(clips, dict.fromkeys(modalities, frozenset(seen)))


def _channels(file: _Structure, modalities: tuple[str, ...]) -> Contents:
    clips = file.clips()
    present = {}
    for name in modalities:
        there = file.values(f"{name}/present", (len(clips),), MASK)
        present[name] = frozenset(clip for clip, is_there in zip(clips, there.tolist(), strict=True) if is_there)
        views = [view for view in _VIEWS if file.has(f"{name}/{view}")]
        file.require(views, f"has no values of {name}")
        for view in views:
            rest = (None,) * (_VIEWS[view] - 1)
            shape = file.shape(f"{name}/{view}", (len(clips), *rest), NUMBER)
            if view == "wave":
                file.shape(f"{name}/valid", shape, MASK)
    return Contents(clips, present)


def _audio(file: _Structure, modalities: tuple[str, ...]) -> Contents:
    columns = file.shape("log_mel", (None, None), NUMBER)[0]
    file.shape("gaps", (None, 2), NUMBER)
    start_s, stop_s, hop_s = (file.number(name) for name in ("start_s", "stop_s", "hop_s"))
    is_present = not file.text("reason")
    # A column each hop, the first at the beginning; the spectrogram rounds once at either end.
    expected = (stop_s - start_s) / hop_s + 1 if is_present and hop_s > 0 else 0
    file.require(abs(columns - expected) <= 1, f"has {columns} columns of sound, expected {expected:.0f}")
    return Contents(None, dict.fromkeys(modalities, None if is_present else frozenset()))


def _annotations(file: _Structure, modalities: tuple[str, ...]) -> Contents:
    clips = file.clips()
    for clip in clips:
        rows = file.shape(f"trials/{clip}/values", (None, None), NUMBER)[0]
        file.shape(f"trials/{clip}/times", (rows,), NUMBER)
    return Contents(clips, dict.fromkeys(modalities, frozenset(clips)))


_CHECKS: dict[str, Callable[[_Structure, tuple[str, ...]], Contents]] = {
    "faces": _faces,
    "biosignals": _channels,
    "audio": _audio,
    "annotations": _annotations,
}
