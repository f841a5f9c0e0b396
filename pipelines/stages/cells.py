"""What stages 2 to 5 share: the clip table, the splits, and the files of one fold, seed and fit."""

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.cache.tables import ClipRow, read_clips
from pipelines.corpora import published_hold_out
from pipelines.errors import SettingsError
from pipelines.protocols.splits import Fit, Split, make_fits, make_splits
from pipelines.recipe import JOINT, Recipe, Task
from pipelines.recipe.loading import plain
from pipelines.stages.study import Study
from pipelines.training.labels import LabelScale
from pipelines.training.samples import Sample
from pipelines.workspace import Workspace

if TYPE_CHECKING:
    from pipelines.training.sources import Source

log = logging.getLogger("mtpkd")


@dataclass(frozen=True)
class Cell:
    """One fold and seed of a study."""

    study: Study
    split: Split

    @property
    def recipe(self) -> Recipe:
        """The whole one."""
        return self.study.recipe

    @property
    def workspace(self) -> Workspace:
        """Where its artifacts lie."""
        return self.study.workspace

    @property
    def clips(self) -> tuple[ClipRow, ...]:
        """All clips of the cache, in the order of their table."""
        return self.study.clips

    @property
    def folder(self) -> Path:
        """Where everything of this fold and seed lies."""
        return self.workspace.cell(self.split.fold, self.split.seed)

    @property
    def label(self) -> str:
        """Name for messages."""
        return f"fold {self.split.fold}, seed {self.split.seed}"

    @property
    def task(self) -> Task:
        """What is predicted."""
        return self.study.task

    def clips_of(self, groups: Iterable[str]) -> list[ClipRow]:
        """The clips of some groups, in the order of the table."""
        wanted = set(groups)
        return [row for row in self.clips if row.group in wanted]

    def of(self, groups: Iterable[str]) -> list[Sample]:
        """The samples (clips, or windows of them) of some groups, in the order of the table.

        Labels that the protocol hides are gone here already: nothing that trains can look at them. Continuous ones of
        whole clips are on the scale that networks learn them on.
        """
        wanted, hidden, scale = set(groups), set(self.split.unlabelled), self.label_scale
        samples = [sample for sample in self.study.samples if sample.group in wanted]
        samples = [replace(sample, label=None) if sample.group in hidden else sample for sample in samples]
        if scale is None:
            return samples
        return [replace(s, label=scale.standardised(s.label)) if isinstance(s.label, tuple) else s for s in samples]

    @cached_property
    def label_scale(self) -> LabelScale | None:
        """Of the labels of this split's training clips, for continuous labels of whole clips."""
        if not self.recipe.continuous_clips:
            return None
        rows = self.clips_of(set(self.split.train) - set(self.split.unlabelled))
        return LabelScale.of([row.label for row in rows if isinstance(row.label, tuple)], self.task.num_outputs)

    def count(self, groups: Iterable[str]) -> int:
        """How many samples some groups have."""
        return sum(self.study.sizes[group] for group in groups)

    def digest(self, groups: Iterable[str]) -> str:
        """Changes with clips, labels and coverage of some groups: other clips do not make an artifact stale."""
        known, hidden = self.study.digests, set(self.split.unlabelled)
        there = sorted(set(groups) & known.keys())
        lines = [f"{group}\t{known[group]}\t{'hidden' if group in hidden else ''}" for group in there]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def usable(self, source: "Source", groups: Iterable[str], purpose: str) -> list[Sample]:
        """Samples of some groups that have a source's modality. Raises SettingsError where none of them is labelled."""
        rows = [row for row in self.of(groups) if source.is_usable(row)]
        if all(row.label is None for row in rows):
            raise SettingsError(
                f"{self.label}: no labelled sample to {purpose}: fewer folds or another protocol.validation_share may "
                f"leave more groups; {self.workspace.failures} lists what could not be used"
            )
        return rows

    @property
    def full(self) -> Fit:
        """The fit on all training groups."""
        return make_fits(self.split, 0)[0]

    def fits(self) -> list[Fit]:
        """The full fit and the parts of the cross-fitting."""
        return make_fits(self.split, self.recipe.teachers.cross_fit)

    def fit_folder(self, fit: Fit) -> Path:
        """Where a fit's teachers lie: the cell's own folder for the full one."""
        return self.folder if fit.name == "full" else self.folder / fit.name

    def is_fused(self, teacher: str) -> bool:
        """Whether a teacher is more than a modality's encoder and head: a forest, or a fusion of modalities or time."""
        return teacher == JOINT or len(self.recipe.teacher_subsets[teacher]) > 1 or not self.encoders_teach

    @property
    def encoders_teach(self) -> bool:
        """Whether a modality's encoder and head are a teacher as they are."""
        return self.recipe.windows.context == 1 and self.recipe.teachers.model == "network"

    def encoder(self, fit: Fit, modality: str) -> Path:
        """The checkpoint of a modality's encoder and head."""
        folder = "teachers" if self.encoders_teach else "encoders"
        return self.fit_folder(fit) / folder / f"{modality}.safetensors"

    def teacher(self, fit: Fit, name: str) -> Path:
        """The checkpoint of a teacher."""
        return self.fit_folder(fit) / "teachers" / f"{name}.safetensors"

    def behind(self, fit: Fit, teacher: str) -> dict[str, Path]:
        """The checkpoints that a teacher consists of, in words for messages: its encoders, then what fuses them."""
        parts = {f"encoder {name}": self.encoder(fit, name) for name in self.recipe.teacher_subsets[teacher]}
        return {**parts, f"teacher {teacher}": self.teacher(fit, teacher)} if self.is_fused(teacher) else parts

    def embeddings(self, fit: Fit) -> Path:
        """The embeddings of every training and validation sample."""
        return self.fit_folder(fit) / "embeddings.h5"

    @property
    def samplings(self) -> int:
        """Temporal samplings that are embedded: only of a video is there more than one."""
        kinds = [self.recipe.corpus.kinds[modality] for modality in self.recipe.modalities]
        return self.recipe.windows.samplings if "video" in kinds else 1

    @property
    def hallucination(self) -> Path:
        """The checkpoint of the hallucination net."""
        return self.folder / "hallucination.safetensors"

    def adapters(self, fit: Fit) -> Path:
        """The checkpoint of adapters, heads and aligned joint teacher."""
        return self.fit_folder(fit) / "aligned" / "adapters.safetensors"

    def aligned(self, fit: Fit) -> Path:
        """The aligned embeddings and outputs of every teacher."""
        return self.fit_folder(fit) / "aligned" / "embeddings.h5"

    def out_of_fold(self, fit: Fit) -> Path:
        """Task losses and outputs of a cross-fitted fit's teachers on the clips that it has not seen."""
        return self.fit_folder(fit) / "aligned" / "out-of-fold.csv"

    def shards(self, modality: str, groups: Iterable[str]) -> dict[str, Path]:
        """Shard name -> file, for fingerprints."""
        kind, wanted = self.recipe.shard_kind(modality), set(groups)
        return {f"{kind}/{group}": path for group, path in self.study.shards[modality].items() if group in wanted}

    def learning_keys(self, *names: str) -> dict[str, object]:
        """Recipe keys that every training depends on, and the named ones, for fingerprints."""
        values = self.study.settings
        training = values["training"]
        keys: dict[str, object] = {
            "task": plain(self.task),
            "training.precision": training["precision"],
            "training.device": training["device"],
            "training.threads": training["threads"],
        }
        if training["compiled"]:  # named only then: what was made before the setting existed stays up to date
            keys["training.compiled"] = True
        if self.recipe.windows.kind == "sliding":
            keys["windows"] = values["windows"]
        if self.label_scale is not None:
            keys["label_scale"] = self.label_scale.to_schema()
        for name in names:
            value: object = values
            for part in name.split("."):
                value = value[part]  # pyright: ignore[reportIndexIssue]
            keys[name] = value
        return keys


@dataclass(frozen=True)
class FitUnit:
    """One fit of one cell: what stages 2 and 3 work through."""

    cell: Cell
    fit: Fit


def load_cells(recipe: Recipe, workspace: Workspace) -> list[Cell]:
    """Every fold and seed of the recipe's protocol.

    Raises:
        MissingArtifact: there is no cache yet.
        SettingsError: the protocol needs more subjects, or a modality has no usable clip.
    """
    workspace.require(workspace.clips, f"mtpkd preprocess {recipe.corpus.name}")
    rows = tuple(read_clips(workspace.clips))
    for modality in recipe.modalities:
        if not any(row.coverage.get(modality, 0) > 0 for row in rows):
            raise SettingsError(
                f"{workspace.clips}: no clip has usable {modality}: run `mtpkd preprocess {recipe.corpus.name}` for "
                f"every modality, look into {workspace.failures}, or take {modality} out of the recipe"
            )
    published = published_hold_out(recipe.corpus, rows)
    if recipe.protocol.name == "hold-out" and recipe.corpus.continuous:
        rows = _without_split_videos(rows, set(published))
    usable = [row for row in rows if any(row.coverage.get(name, 0) > 0 for name in recipe.prevalent)]
    splits = make_splits([row.group for row in usable], recipe.protocol, published)
    study = Study(recipe, workspace, rows)
    return [Cell(study, split) for split in splits]


def _without_split_videos(rows: tuple[ClipRow, ...], test: set[str]) -> tuple[ClipRow, ...]:
    """Without training trials of videos that the official split also validates on: one video, one side of the split."""
    dropped = [row.clip for row in rows if row.group in test and row.attributes.get("set") == "train"]
    if dropped:
        log.warning("left out, because the other trial of their video is tested on: %s", ", ".join(dropped))
    return tuple(row for row in rows if row.clip not in set(dropped))
