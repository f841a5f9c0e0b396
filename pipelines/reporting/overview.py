"""What a cache holds, in numbers: counted by stage 1's `inspect`, shown on the console and in the report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Coverage:
    """How much of one modality some clips have.

    Attributes:
        whole, partly, missing: clips by the share of the modality that can be used: all, some, none.
        share: mean of that share over the clips, 0 where the modality is missing.
    """

    whole: int
    partly: int
    missing: int
    share: float


@dataclass(frozen=True)
class Slice:
    """Some of the clips: of one class or group. `shares` are mean shares of every modality."""

    name: str
    clips: int
    shares: dict[str, float]


@dataclass(frozen=True)
class Distribution:
    """Continuous values of one dimension: how many, mean, standard deviation, and the quantiles 5, 25, 50, 75, 95 %."""

    dimension: str
    number: int
    mean: float
    deviation: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class FailureKind:
    """Failures that say the same: modality, reason with ranges for numbers that differ, and the first file."""

    modality: str
    reason: str
    number: int
    file: str


@dataclass(frozen=True)
class Overview:
    """What a cache holds.

    Attributes:
        clips, groups: how many.
        unlabelled: clips without any label.
        coverage: modality -> its coverage.
        absent: modalities of the corpus that were not preprocessed yet.
        classes: one a class in order, and one of clips without; none for continuous labels.
        distributions: one a dimension; none for classes.
        unit: what `distributions` counts, clips or frames.
        least: groups by their mean share over modalities, the lowest first, without those that are complete.
        failures: the most frequent first.
    """

    clips: int
    groups: int
    unlabelled: int
    coverage: dict[str, Coverage]
    absent: tuple[str, ...]
    classes: tuple[Slice, ...]
    distributions: tuple[Distribution, ...]
    unit: str
    least: tuple[Slice, ...]
    failures: tuple[FailureKind, ...]
