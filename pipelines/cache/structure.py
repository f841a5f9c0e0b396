"""What a student's transport saw while it was trained: similarity matrices of a few clips, and the plan between them.

Layout: clips and groups (n,) names, labels (n, K) float64 with NaN for an unlabelled clip, epochs (S,) how many epochs
had been trained at each snapshot, the attribute `best` which of these numbers gave the weights that were kept, teacher
(n, n), student and plans (S, n, n) float32. Ten snapshots of 48 clips take 200 kB, so a file is read whole.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np

from pipelines.cache.hdf5 import NUMBER, WHOLE, create, fixed_text, names, number, open_for_reading, values
from pipelines.errors import DamagedFile

_ROUNDING = 1e-3
"""How far a stored similarity or mass may lie outside its range."""


@dataclass(frozen=True, kw_only=True)
class StructureRecord:
    """Similarities of n training clips at S moments of a training.

    Attributes:
        clips: n names, by label, then by group.
        groups: of each clip.
        labels: (n, K), the class (K = 1) or the continuous values as they were learned; NaN without a label.
        epochs: S numbers of trained epochs, ascending; 0 before the first.
        best: the one of them whose weights were kept.
        teacher: (n, n) cosine + 1 in [0, 2]; it does not change.
        student: (S, n, n) cosine + 1.
        plans: (S, n, n) mass that each student's row sends to each teacher's row; 1 in all.
    """

    clips: tuple[str, ...]
    groups: tuple[str, ...]
    labels: np.ndarray
    epochs: tuple[int, ...]
    best: int
    teacher: np.ndarray
    student: np.ndarray
    plans: np.ndarray

    def at(self, epochs: int) -> int:
        """Index of the snapshot after so many epochs. Raises ValueError where there is none."""
        return self.epochs.index(epochs)

    @property
    def diagonal_mass(self) -> np.ndarray:
        """(S,) share of each plan that pairs a clip with itself; chance is 1 / n."""
        return np.trace(self.plans, axis1=1, axis2=2)


def write_structure(path: Path, record: StructureRecord) -> None:
    """Write a whole record; `path` is given by `atomic_path`."""
    with create(path, "structure") as file:
        file.attrs["best"] = np.int64(record.best)
        file["clips"] = fixed_text(list(record.clips))
        file["groups"] = fixed_text(list(record.groups))
        file["labels"] = record.labels.astype("float64")
        file["epochs"] = np.array(record.epochs, "int64")
        for name in ("teacher", "student", "plans"):
            file[name] = getattr(record, name).astype("float32")


def read_structure(path: Path) -> StructureRecord:
    """Read a whole record. Raises DamagedFile where it is none, or holds what no training writes."""
    with open_for_reading(path, "structure") as file:
        clips = tuple(names(file))
        epochs = tuple(values(file, "epochs", (None,), WHOLE).tolist())
        square, best = (len(clips), len(clips)), int(number(file, "best"))
        if not epochs or epochs[0] < 0 or any(a >= b for a, b in pairwise(epochs)):
            raise DamagedFile(path, "has snapshots that are in no order")
        if best not in epochs:
            raise DamagedFile(path, f"has no snapshot of its best epoch, {best}")
        groups = tuple(names(file, "groups"))
        if len(groups) != len(clips):
            raise DamagedFile(path, f"has {len(groups)} groups of {len(clips)} clips")
        return StructureRecord(
            clips=clips,
            groups=groups,
            labels=values(file, "labels", (len(clips), None), NUMBER),
            epochs=epochs,
            best=best,
            teacher=_between(file, "teacher", square, most=2),
            student=_between(file, "student", (len(epochs), *square), most=2),
            plans=_between(file, "plans", (len(epochs), *square), most=1),
        )


def _between(file: h5py.File, name: str, shape: tuple[int, ...], *, most: float) -> np.ndarray:
    """Matrices whose entries lie between 0 and `most`."""
    found = values(file, name, shape, NUMBER)
    if not np.all((found >= -_ROUNDING) & (found <= most + _ROUNDING)):  # which no NaN is
        raise DamagedFile(file.filename, f"has {name} outside 0 to {most:g}")
    return found
