"""Standardisation of what is no picture, with statistics of training subjects only, or of each subject's own clips.

`training` statistics are fitted once on training subjects and travel in the checkpoint. `per-subject` statistics are
transductive: every subject is standardised by all of its own (unlabelled) recordings, a test subject too. They say
nothing about other subjects, so nothing leaks, but such a model needs several clips of a person before it can speak.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pipelines.recipe import FeatureTable, ManifestCorpus, Recipe, SignalFiles
from pipelines.training.samples import Sample
from pipelines.training.sources import Source

Scope = Literal["training", "per-subject"]


def scope_of(recipe: Recipe, modality: str) -> Scope:
    """Whose clips a modality is standardised by; in a manifest, a subject is a group."""
    if recipe.corpus.kinds[modality] == "biosignal":
        return recipe.biosignals.normalisation
    if isinstance(recipe.corpus, ManifestCorpus):
        settings = recipe.corpus.modalities[modality]
        if isinstance(settings, SignalFiles | FeatureTable) and settings.normalisation == "per-group":
            return "per-subject"
    return "training"


def normalisation_keys(recipe: Recipe, modality: str) -> list[str]:
    """The setting behind `scope_of`, for fingerprints; none where there is no choice."""
    kind = recipe.corpus.kinds[modality]
    if kind == "biosignal":
        return ["biosignals.normalisation"]
    return [f"corpus.modalities.{modality}.normalisation"] if kind in ("signal", "features") else []


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation: scalars for waves, (F, 1) for spectrograms, (K,) for features."""

    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class Normaliser:
    """Standardises what a source reads.

    Attributes:
        view: the source's view; frames are standardised by the source itself.
        scope: `training`, `per-subject`, or `fixed` for frames.
        moments: by group for `per-subject`, under the empty name for `training`.
        fitted_on: groups behind the statistics of `training`.
    """

    view: str
    scope: Literal["training", "per-subject", "fixed"]
    moments: dict[str, Moments] = field(default_factory=dict)
    fitted_on: tuple[str, ...] = ()

    def __call__(self, values: np.ndarray, group: str) -> np.ndarray:
        """Standardise one clip's values; invalid samples of a wave stay zero, features that are NaN stay NaN."""
        if self.scope == "fixed":
            return values
        moments = self.moments[group if self.scope == "per-subject" else ""]
        if self.view == "wave":
            wave = (values[0] - moments.mean) / moments.std * values[1]
            return np.stack([wave, values[1]]).astype(np.float32)
        return ((values - moments.mean) / moments.std).astype(np.float32)

    def to_schema(self) -> dict[str, Any]:
        """Plain values for a checkpoint. Statistics per subject are not part of a model and are left out."""
        kept = {} if self.scope == "per-subject" else self.moments
        return {
            "view": self.view,
            "scope": self.scope,
            "moments": {name: {"mean": m.mean.tolist(), "std": m.std.tolist()} for name, m in kept.items()},
            "fitted_on": list(self.fitted_on),
        }

    @staticmethod
    def from_schema(schema: dict[str, Any]) -> "Normaliser":
        """The inverse of `to_schema`."""
        moments = {
            name: Moments(np.array(m["mean"], np.float32), np.array(m["std"], np.float32))
            for name, m in schema["moments"].items()
        }
        return Normaliser(schema["view"], schema["scope"], moments, tuple(schema["fitted_on"]))

    def extended(self, source: Source, rows: Sequence[Sample]) -> "Normaliser":
        """For `per-subject`: with the statistics of further subjects, each from its own clips. Else unchanged."""
        if self.scope != "per-subject":
            return self
        members: dict[str, list[Sample]] = {}
        for row in rows:
            members.setdefault(row.group, []).append(row)
        new = {group: _moments(source, members[group]) for group in sorted(members.keys() - self.moments.keys())}
        return Normaliser(self.view, self.scope, {**self.moments, **new}, self.fitted_on)


def fit_normaliser(source: Source, rows: Sequence[Sample], scope: Scope) -> Normaliser:
    """Fit on usable training clips. One clip is in memory at a time."""
    if source.view == "frames":
        return Normaliser("frames", "fixed")
    if scope == "per-subject":
        return Normaliser(source.view, scope).extended(source, rows)
    groups = tuple(sorted({row.group for row in rows}))
    return Normaliser(source.view, scope, {"": _moments(source, rows)}, groups)


def _moments(source: Source, rows: Iterable[Sample]) -> Moments:
    from sklearn.preprocessing import StandardScaler

    scaler: Any = StandardScaler()
    if source.view == "features":  # a few numbers a clip: all at once, because a single clip may lack one
        with np.errstate(invalid="ignore"):
            scaler.fit(np.stack([source.read(row) for row in rows]).astype(np.float64))
    else:
        for row in rows:
            scaler.partial_fit(_samples(source.read(row), source.view))
    # A variable that was never measured, or never varied, has no scale of its own: it is only centred.
    mean, std = np.nan_to_num(scaler.mean_), np.where(scaler.scale_ > 0, scaler.scale_, 1.0)
    shape = {"wave": (), "spectrogram": (-1, 1), "features": (-1,)}[source.view]
    return Moments(mean.astype(np.float32).reshape(shape), std.astype(np.float32).reshape(shape))


def _samples(values: np.ndarray, view: str) -> np.ndarray:
    """A wave's valid samples (n, 1), or a spectrogram's columns (T, F), in float64."""
    kept = values[0][values[1] > 0][:, None] if view == "wave" else values[0].T
    return kept.astype(np.float64)
