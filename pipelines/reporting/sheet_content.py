"""What a contact sheet shows of a clip: one record a panel, as plain arrays.

Every time is in seconds on the axis of the clip's files. What is not known is no number: a mask, a NaN or a gap says
so, and a modality that is missing altogether is a record of its own with the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """What every panel has.

    Attributes:
        name: of the modality, or of what else is shown.
        notes: what is remarkable, one line each.
    """

    name: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class FacesPanel(Panel):
    """Crops in time, and which frames have one.

    Attributes:
        times: (n,) seconds of every frame.
        valid: (n,) bool, whether a frame shows a face.
        shown: (T,) numbers of the frames that are drawn.
        crops: frame number -> (S, S, 3) uint8, of those shown that show a face.
    """

    times: np.ndarray
    valid: np.ndarray
    shown: np.ndarray
    crops: Mapping[int, np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class WavePanel(Panel):
    """A sampled signal.

    Attributes:
        unit: of the values, empty where it is not known.
        times: (n,) seconds.
        values: (n,) float, filler where not valid.
        valid: (n,) bool.
        features: name -> what was measured of the whole signal, NaN where it could not be.
    """

    unit: str
    times: np.ndarray
    values: np.ndarray
    valid: np.ndarray
    features: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class SoundPanel(Panel):
    """A log-mel spectrogram.

    Attributes:
        decibels: (n, mels) columns of the spectrogram as rows.
        start_s, stop_s: seconds at which the first begins and the last ends.
        gaps: (G, 2) seconds in which nothing was recorded.
        frequencies: (mels,) centre of each band in Hz.
        is_placed: whether the seconds are those of the clip; otherwise only their length is known.
    """

    decibels: np.ndarray
    start_s: float
    stop_s: float
    gaps: np.ndarray
    frequencies: np.ndarray
    is_placed: bool = True


@dataclass(frozen=True, eq=False, kw_only=True)
class AnnotationPanel(Panel):
    """What annotators said of every frame.

    Attributes:
        times: (n,) seconds.
        values: dimension -> (n,) float in [-1, 1], NaN where a frame is not annotated.
    """

    times: np.ndarray
    values: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class FeaturesPanel(Panel):
    """Numbers that were computed elsewhere.

    Attributes:
        names: K names.
        values: (K,) float, NaN where one is missing.
        deviations: (K,) distance from the mean of the group's other clips in their standard deviations, NaN where
            there are too few of them.
    """

    names: tuple[str, ...]
    values: np.ndarray
    deviations: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class MissingPanel(Panel):
    """A modality that the clip lacks.

    Attributes:
        reason: why.
    """

    reason: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Sheet:
    """One clip.

    Attributes:
        title: its name.
        facts: what is known of it besides, one line each.
        start_s, stop_s: the stretch of seconds that is shown.
        panels: from top to bottom.
    """

    title: str
    facts: tuple[str, ...]
    start_s: float
    stop_s: float
    panels: tuple[Panel, ...]
