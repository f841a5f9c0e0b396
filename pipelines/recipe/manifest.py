"""The user's own corpus: a CSV with one row a clip, and what its columns are."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipelines.recipe.base import ModalityKind, Settings

_CLIP_COLUMNS = ("clip", "group", "label", "class")
"""Columns that the cache's own table of clips has already."""
_RESERVED = (*_CLIP_COLUMNS, "clips", "joint", "annotations")
"""Names that cannot be a modality's: files of the cache have columns and parts of these names."""
_NAME = r"[A-Za-z][A-Za-z0-9_-]*"


def _as_text(name: object) -> object:
    """A class as the manifest writes it: YAML reads 0 as a number and `no` as false."""
    if isinstance(name, bool):
        word = "yes, on or true" if name else "no, off or false"
        raise ValueError(f"corpus.classes: YAML reads {word} without quotes as a truth value: put the class in quotes")
    return str(name) if isinstance(name, int) else name


class VideoFiles(Settings):
    """A video a clip; faces are cropped as the section `faces` says."""

    kind: Literal["video"] = "video"
    """What the files are: `video`, `sound`, `signal` or `features`."""
    column: str
    """Column of the manifest with the path; an empty cell is a clip without this modality."""


class SoundFiles(Settings):
    """A sound file, or a video with sound, a clip; log-mel spectrograms as the section `audio` says."""

    kind: Literal["sound"] = "sound"
    """What the files are: `video`, `sound`, `signal` or `features`."""
    column: str
    """Column of the manifest with the path; an empty cell is a clip without this modality."""


class SignalFiles(Settings):
    """A sampled signal a clip: a CSV with one sample a row, or a `.npy` of shape (samples,)."""

    kind: Literal["signal"] = "signal"
    """What the files are: `video`, `sound`, `signal` or `features`."""
    column: str
    """Column of the manifest with the path; an empty cell is a clip without this modality."""
    channel: str | None = None
    """Column of the CSV with the samples; null for a CSV of one column, or a `.npy`."""
    rate: Annotated[float, Field(gt=0)]
    """Samples a second in the files."""
    seconds: Annotated[float, Field(gt=0)]
    """Length that every signal is cut, or padded and masked, to."""
    band: tuple[float | None, float | None] = (None, None)
    """High-pass and low-pass in Hz, null for open."""
    resampled: Annotated[float, Field(gt=0)] | None = None
    """Rate in Hz that the filtered signal is resampled to; null keeps `rate`."""
    max_missing: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    """A signal with more than this share of NaN counts as missing; shorter gaps are interpolated and masked."""
    normalisation: Literal["training", "per-group"] = "training"
    """`training`: statistics of training groups; `per-group`: of each group's own clips (transductive)."""

    @model_validator(mode="after")
    def _band(self) -> "SignalFiles":
        low, high = self.band
        if any(edge is not None and not 0 < edge < self.rate / 2 for edge in self.band):
            raise ValueError(f"band = {self.band}: cut-offs lie between 0 and half of rate = {self.rate:g} Hz")
        if low is not None and high is not None and low >= high:
            raise ValueError(f"band = {self.band}: the high-pass must lie below the low-pass")
        return self


class FeatureTable(Settings):
    """Numbers computed elsewhere: a CSV keyed by clip, or a `.npy` of shape (features,) a clip."""

    kind: Literal["features"] = "features"
    """What the files are: `video`, `sound`, `signal` or `features`."""
    table: Path | None = None
    """CSV in `root`, one row a clip and one feature a column; it may be the manifest itself. Null with `column`."""
    key: str | None = None
    """Column of the table with the clip's id; null is the manifest's own name for it, or else the first column."""
    features: tuple[str, ...] | None = None
    """Columns of the table to use; null takes all but the key."""
    column: str | None = None
    """Column of the manifest with the path of a `.npy`; null with `table`."""
    normalisation: Literal["training", "per-group"] = "training"
    """`training`: statistics of training groups; `per-group`: of each group's own clips (transductive)."""

    @model_validator(mode="after")
    def _one_place(self) -> "FeatureTable":
        if (self.table is None) == (self.column is None):
            raise ValueError("features lie in a `table`, or in files that a `column` names: give one of the two")
        if self.table is None and (self.key is not None or self.features is not None):
            raise ValueError("`key` and `features` choose columns of a `table`, and there is none")
        return self


ManifestModality = Annotated[VideoFiles | SoundFiles | SignalFiles | FeatureTable, Field(discriminator="kind")]


class ManifestCorpus(Settings):
    """Your own data: a CSV with one row a clip."""

    name: Literal["manifest"] = "manifest"
    """Which adapter reads the corpus."""
    root: Path = Path("data/manifest")
    """The folder that paths in the manifest start from, and do not lead out of."""
    file: Path = Path("manifest.csv")
    """The manifest, in `root`: a header, and one row a clip."""
    clip: str = "clip"
    """Column with the clip's id, unique."""
    group: str = "group"
    """Column with what may not be split between training and test: the subject, or the video."""
    task: Literal["classes", "continuous"] = "classes"
    """What is predicted: one of several classes, or continuous values."""
    labels: Annotated[tuple[str, ...], Field(min_length=1)] = ("label",)
    """Columns with the label: one for classes, one a dimension for continuous values. Empty cells: no label."""
    classes: tuple[Annotated[str, BeforeValidator(_as_text)], ...] = ()
    """Names of the classes as they stand in the label's column, in the order of their index; none for `continuous`."""
    ordinal: bool = False
    """Whether the order of the classes is a scale, so that CCC, RMSE and Pearson's r make sense."""
    attributes: tuple[str, ...] = ()
    """Further columns that results are broken down by where they are called sex or age."""
    split: str | None = None
    """Column that says `test` of the groups that protocol.name = hold-out tests on, and `train` or nothing of the
    others; null: the manifest has no split of its own."""
    modalities: Annotated[dict[str, ManifestModality], Field(min_length=1)]
    """Every modality by the name that `prevalent`, `privileged` and `encoders` use."""

    @property
    def kinds(self) -> Mapping[str, ModalityKind]:
        """Modality -> what its files are."""
        return {name: modality.kind for name, modality in self.modalities.items()}

    @property
    def columns(self) -> dict[str, str]:
        """Modality -> column of the manifest with its paths, for those that have one."""
        columns = {name: modality.column for name, modality in self.modalities.items()}
        return {name: column for name, column in columns.items() if column is not None}

    @property
    def continuous(self) -> bool:
        """Whether labels change within a clip: never here."""
        return False

    @model_validator(mode="after")
    def _labels(self) -> "ManifestCorpus":
        if self.task == "continuous" and self.classes:
            raise ValueError(f"corpus.classes = {list(self.classes)} with corpus.task = continuous: leave it empty")
        if self.task == "classes" and (len(self.classes) < 2 or len(set(self.classes)) < len(self.classes)):
            raise ValueError(f"corpus.classes = {list(self.classes)}: name two or more classes, each once")
        if self.task == "classes" and len(self.labels) > 1:
            raise ValueError(f"corpus.labels = {list(self.labels)}: classes stand in one column")
        if self.ordinal and self.task == "continuous":
            raise ValueError("corpus.ordinal is about classes, and corpus.task is continuous: leave it out")
        return self

    @model_validator(mode="after")
    def _columns(self) -> "ManifestCorpus":
        split = () if self.split is None else (self.split,)
        columns = [self.clip, self.group, *self.labels, *self.attributes, *split]
        if twice := sorted({name for name in columns if columns.count(name) > 1}):
            raise ValueError(
                f"corpus: column {twice[0]!r} of the manifest is used twice among clip, group, labels, ..."
            )
        for setting, names in (("attributes", self.attributes), ("split", split)):
            for name in names:
                if name in _CLIP_COLUMNS or name.startswith(("coverage_", "label_")):
                    raise ValueError(
                        f"corpus.{setting}: {name!r} is a name that the cache uses itself: rename the column"
                    )
        for name, modality in self.modalities.items():
            if isinstance(modality, FeatureTable) and modality.table == self.file and modality.features is None:
                raise ValueError(
                    f"corpus.modalities.{name}: the manifest has other columns than features: name those in `features`"
                )
            if not re.fullmatch(_NAME, name):
                raise ValueError(f"corpus.modalities: {name!r} cannot be a name: use letters, digits, - and _")
            if name in _RESERVED:
                raise ValueError(f"corpus.modalities: {name!r} is a name that the cache uses itself: take another one")
        return self
