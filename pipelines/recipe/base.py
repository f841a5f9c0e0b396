"""What every settings class shares, and the task that a corpus poses."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

ModalityKind = Literal["video", "sound", "biosignal", "signal", "features"]
"""What a modality's files are: a video of a face, a sound track, a channel of a `_bio.csv`, any sampled signal, or
numbers computed elsewhere. It decides how they are cached and which encoders can read them."""


class Settings(BaseModel):
    """Immutable, and an unknown key is an error rather than a setting that silently does nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Task(Settings):
    """What is predicted: one of several classes, or continuous dimensions."""

    kind: Literal["classes", "continuous"]
    """`classes` is trained with cross-entropy, `continuous` with 1 - CCC."""
    labels: tuple[str, ...]
    """Class names in order of their index, or the names of the continuous dimensions."""
    ordinal: bool = False
    """Whether class indices can be read as a scale, so that CCC, RMSE and Pearson's r make sense."""

    @property
    def num_outputs(self) -> int:
        """Width of a head: classes, or dimensions."""
        return len(self.labels)
