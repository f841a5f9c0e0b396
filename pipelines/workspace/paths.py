"""Where artifacts lie."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import MissingArtifact


def relative(path: Path, root: Path) -> str:
    """A file's place in a workspace's folder, for messages."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


JOBS = ".slurm"
"""Folder of a workspace in which jobs elsewhere report; one that finds it gone ends."""
_SHARE = "labelled-"


@dataclass(frozen=True)
class Workspace:
    """Paths of everything that a run writes, under one folder.

    A workspace for a share of the labels lies inside the one for all of them and has no cache of its own: what was
    recorded does not depend on who is labelled.
    """

    root: Path

    @property
    def whole(self) -> "Workspace":
        """The workspace for all labels: the one that this one lies in, or itself."""
        outer = Workspace(self.root.parent)
        return outer if self.root.name.startswith(_SHARE) and outer.recipe.exists() else self

    def labelled(self, share: float) -> "Workspace":
        """The workspace for a share of the training groups' labels."""
        return self.whole if share == 1 else Workspace(self.whole.root / f"{_SHARE}{share:g}")

    @property
    def cache(self) -> Path:
        """Where shards and their tables lie."""
        return self.whole.root / "cache"

    @property
    def recipe(self) -> Path:
        """The effective recipe, every setting with a comment."""
        return self.root / "recipe.yaml"

    @property
    def clips(self) -> Path:
        """The table of clips: name, group, label, attributes and coverage of each modality."""
        return self.cache / "clips.csv"

    @property
    def failures(self) -> Path:
        """The table of what could not be used, with file and reason."""
        return self.cache / "failures.csv"

    @property
    def metrics(self) -> Path:
        """What was measured, epoch by epoch, as it happened."""
        return self.root / "metrics.csv"

    def shard(self, kind: str, group: str) -> Path:
        """The HDF5 shard of one kind (`faces`, `biosignals`) and group."""
        return self.cache / kind / f"{group}.h5"

    def cell(self, fold: int, seed: int) -> Path:
        """The folder of one fold and seed."""
        return self.root / f"fold-{fold}" / f"seed-{seed}"

    def student(self, fold: int, seed: int, method: str) -> Path:
        """The checkpoint of a student."""
        return self.cell(fold, seed) / "students" / method / "student.safetensors"

    def structure(self, fold: int, seed: int, method: str) -> Path:
        """What a student's transport saw while it was trained, for methods that have one."""
        return self.student(fold, seed, method).with_name("structure.h5")

    def predictions(self, fold: int, seed: int, method: str) -> Path:
        """The predictions of a student or teacher for a fold's test clips."""
        return self.root / "predictions" / f"{method.replace(':', '-')}.fold-{fold}.seed-{seed}.csv"

    def results(self, suffix: str) -> Path:
        """The results: `.csv`, `.json` or `_by_group.csv`."""
        return self.root / f"results{suffix}"

    @property
    def comparison(self) -> Path:
        """The folder of a comparison's plots, and of its label-efficiency curve."""
        return self.root / "comparison"

    def require(self, path: Path, made_by: str) -> Path:
        """`path`, or MissingArtifact saying which command makes it."""
        if not path.exists():
            raise MissingArtifact(f"{path} is missing: run `{made_by} --workspace {self.root}` first")
        return path
