"""Where the raw data lie and which part of them is used: one class a corpus."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipelines.recipe.base import Settings


class BioVidCorpus(Settings):
    """The BioVid Heat Pain Database, Part A or B, as it lies on disk."""

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


Corpora = Annotated[BioVidCorpus | SyntheticCorpus, Field(discriminator="name")]
