"""Where the raw data lie and which part of them is used: one class a corpus."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipelines.recipe.base import ModalityKind, Settings
from pipelines.recipe.manifest import ManifestCorpus
from pipelines.recipe.media import BIOSIGNALS


class BioVidCorpus(Settings):
    """The BioVid Heat Pain Database, Part A or B, as it lies on disk."""

    kinds: ClassVar[Mapping[str, ModalityKind]] = {"faces": "video", **dict.fromkeys(BIOSIGNALS, "biosignal")}
    continuous: ClassVar[bool] = False

    name: Literal["biovid"] = "biovid"
    """Which adapter reads the corpus."""
    root: Path = Path("data/biovid")
    """The folder that holds PartA / PartB, or that is one of them."""
    part: Literal["A", "B"] = "A"
    """Part A: 87 subjects without, Part B: with facial EMG electrodes."""
    subjects: Literal["all", "reactive"] = "all"
    """`all`: 87 subjects; `reactive`: the 67 left when 20 without a visible reaction are set aside."""
    task: Literal["pain-binary", "pain-five"] = "pain-binary"
    """`pain-binary`: BL1 against PA4; `pain-five`: BL1, PA1 ... PA4."""
    biosignals: Literal["biosignals_filtered", "biosignals_raw"] = "biosignals_raw"
    """Which of the two recordings is read; the raw one is filtered here, with settings on record."""


class SyntheticCorpus(BioVidCorpus):
    """Drawn faces and simulated biosignals, rendered to disk in BioVid's raw layout and read by the same adapter."""

    name: Literal["synthetic"] = "synthetic"  # pyright: ignore[reportIncompatibleVariableOverride]
    """Which adapter reads the corpus."""
    root: Path = Path("data/synthetic")
    """Where the corpus is rendered to; an existing rendering with the same settings is kept."""
    subject_count: Annotated[int, Field(ge=2, le=400)] = 20
    """Subjects to render."""
    clips_per_class: Annotated[int, Field(ge=1, le=100)] = 5
    """Clips of each class and subject."""
    seconds: Annotated[float, Field(ge=1.0, le=60.0)] = 5.5
    """Length of a clip."""
    width: Annotated[int, Field(ge=96, le=1920, multiple_of=4)] = 320
    """Width of the video in pixels; the height is three quarters of it."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the rendering; independent of the seeds of training."""


class AffWild2Corpus(Settings):
    """The valence-arousal track of Aff-Wild2 (ABAW), as it lies on disk."""

    kinds: ClassVar[Mapping[str, ModalityKind]] = {"faces": "video", "audio": "sound"}
    continuous: ClassVar[bool] = True

    name: Literal["affwild2"] = "affwild2"
    """Which adapter reads the corpus."""
    root: Path = Path("data/affwild2")
    """The folder somewhere below which videos, crops and annotations lie; names and nesting differ by release."""
    crops: Literal["published", "own"] = "published"
    """`published`: the cropped_aligned images of a trial where it has them, else its video is cropped; `own`: always
    crop the video, as will be done at the bedside."""
    frame_rate: Annotated[float, Field(gt=0)] = 30.0
    """Frames a second of a trial that has images but no video to tell its time stamps."""


class SyntheticAffWild2Corpus(AffWild2Corpus):
    """Drawn faces with a sound track, rendered to disk in Aff-Wild2's raw layout and read by the same adapter."""

    name: Literal["synthetic-affwild2"] = "synthetic-affwild2"  # pyright: ignore[reportIncompatibleVariableOverride]
    """Which adapter reads the corpus."""
    root: Path = Path("data/synthetic-affwild2")
    """Where the corpus is rendered to; an existing rendering with the same settings is kept."""
    videos: Annotated[int, Field(ge=4, le=400)] = 16
    """Videos to render; two of every eight show two people, and the first has no sound."""
    seconds: Annotated[float, Field(ge=2.0, le=3600.0)] = 24.0
    """Length of a video."""
    width: Annotated[int, Field(ge=96, le=1920, multiple_of=4)] = 320
    """Width of the video in pixels; the height is three quarters of it, nine sixteenths where it shows two people."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the rendering; independent of the seeds of training."""


Corpora = Annotated[
    BioVidCorpus | SyntheticCorpus | AffWild2Corpus | SyntheticAffWild2Corpus | ManifestCorpus,
    Field(discriminator="name"),
]
