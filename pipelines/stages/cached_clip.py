"""What the cache has of one clip, read from the shards of its group as the panels of a contact sheet.

Memory stays flat however long a clip is: of its crops only those that are drawn are decoded, and sound is averaged as
it is read. Why a modality is missing stands in failures.csv, and is shown word for word.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.cache.annotations import read_annotations
from pipelines.cache.audio import AudioShard
from pipelines.cache.channels import ChannelShard
from pipelines.cache.faces import FaceShard
from pipelines.cache.tables import ClipRow
from pipelines.corpora import Failure, task_of
from pipelines.errors import MtpkdError
from pipelines.recipe import BIOSIGNALS, AudioSettings, ManifestCorpus, Recipe, SignalFiles
from pipelines.reporting.sheet_content import (
    AnnotationPanel,
    FacesPanel,
    FeaturesPanel,
    MissingPanel,
    Panel,
    SoundPanel,
    WavePanel,
)
from pipelines.workspace import Workspace

MOST_CROPS = 24
"""Crops that a sheet shows."""
ANNOTATIONS = "annotations"
_MOST_NOTES = 2
_SOUND_COLUMNS = 1200
_LEAST_OTHERS = 3
"""Clips of the same group that a feature must be known of, so that its scatter says something."""
_UNITS = {"eda": "µS", "ecg": "µV", "emg": "µV"}

Span = tuple[float, float]


@dataclass(frozen=True)
class CachedClip:
    """One clip as the cache has it.

    Attributes:
        recipe: of the workspace.
        workspace: that it lies in.
        row: its line of clips.csv.
        failures: its lines of failures.csv.
    """

    recipe: Recipe
    workspace: Workspace
    row: ClipRow
    failures: Sequence[Failure]

    @property
    def parts(self) -> tuple[str, ...]:
        """What a sheet has a panel of, in its order: videos, waves, sound, annotations, then what has no time."""
        kinds = self.recipe.corpus.kinds
        order = {"video": 0, "biosignal": 1, "signal": 1, "sound": 2, "features": 4}
        places = {name: order[kind] for name, kind in kinds.items()}
        if self.recipe.corpus.continuous:
            places[ANNOTATIONS] = 3
        return tuple(sorted(places, key=lambda name: (places[name], list(places).index(name))))

    def extent(self, part: str) -> Span | None:
        """Seconds from which to which there is anything of a part; None where that is nothing, or has no time."""
        kind, path = self._kind(part), self._shard(part)
        if not path.exists():
            return None
        if kind == "video":
            with closing(FaceShard(path)) as shard:
                times = shard.frames(self.row.clip).times if self.row.clip in shard.clips else np.zeros(0)
        elif kind == ANNOTATIONS:
            found = read_annotations(path).get(self.row.clip)
            times = np.zeros(0) if found is None else found.times
        elif kind == "sound" and self.recipe.corpus.continuous:
            with closing(AudioShard(path)) as shard:
                return shard.span
        else:
            return None if kind in ("sound", "features") else (0.0, _wave_settings(self.recipe, part)[1])
        if not len(times):
            return None
        return float(times[0]), float(times[-1]) + (float(np.median(np.diff(times))) if len(times) > 1 else 0.04)

    def panel(self, part: str, span: Span) -> Panel:
        """A part within a span of seconds; MissingPanel where the cache has nothing of it."""
        kind, path = self._kind(part), self._shard(part)
        if not path.exists():
            corpus = self.recipe.corpus.name
            command = f"mtpkd preprocess {corpus} --only {path.parent.name} --workspace {self.workspace.root}"
            return MissingPanel(name=part, reason=f"not preprocessed yet: `{command}` does that")
        if kind == "sound":
            found = self._sound(part, path, span)
        elif kind == "video":
            found = self._faces(part, path, span)
        elif kind == ANNOTATIONS:
            found = self._annotations(path, span)
        else:
            found = self._features(part, path) if kind == "features" else self._wave(part, path, span)
        return found or MissingPanel(name=part, reason=self._why_missing(part))

    def other_failures(self) -> list[Failure]:
        """What could not be used of the clip, but belongs to none of its panels, e.g. its label."""
        shown = {name for part in self.parts for name in (part, self._shard(part).parent.name)}
        return [failure for failure in self.failures if failure.modality not in shown]

    def _kind(self, part: str) -> str:
        return ANNOTATIONS if part == ANNOTATIONS else self.recipe.corpus.kinds[part]

    def _shard(self, part: str) -> Path:
        kind = ANNOTATIONS if part == ANNOTATIONS else self.recipe.shard_kind(part)
        return self.workspace.shard(kind, self.row.group)

    def _reasons(self, part: str) -> list[str]:
        of = (part, self._shard(part).parent.name)
        return [failure.reason for failure in self.failures if failure.modality in of]

    def _why_missing(self, part: str) -> str:
        reasons = self._reasons(part)
        if not reasons and self.recipe.corpus.continuous:
            reasons = [f"its annotations cannot be used: {reason}" for reason in self._reasons(ANNOTATIONS)]
        return "; ".join(reasons) or "the corpus has nothing of it for this clip"

    def _notes(self, part: str) -> tuple[str, ...]:
        """What is remarkable about a part that is there: the commonest trouble, not a line of each."""
        reasons = list(dict.fromkeys(self._reasons(part)))
        if self.row.coverage.get(part) == 0:
            reasons[:1] = [f"counts as missing: {reason}" for reason in reasons[:1]] or ["counts as missing"]
        more = len(reasons) - _MOST_NOTES
        rest = [f"and {more} more in {self.workspace.failures}"] if more > 0 else []
        return tuple(reasons[:_MOST_NOTES] + rest)

    def _faces(self, part: str, path: Path, span: Span) -> FacesPanel | None:
        with closing(FaceShard(path)) as shard:
            if self.row.clip not in shard.clips:
                return None
            frames = shard.frames(self.row.clip)
            numbers = np.flatnonzero((frames.times >= span[0]) & (frames.times < span[1]))
            shown = numbers[_evenly(len(numbers), MOST_CROPS)]
            seen = [int(frame) for frame in shown if frames.valid[frame]]
            crops = dict(zip(seen, shard.read(self.row.clip, seen), strict=True))
        first = int(numbers[0]) if len(numbers) else 0
        return FacesPanel(
            name=part,
            notes=self._notes(part),
            times=frames.times[numbers],
            valid=frames.valid[numbers],
            shown=shown - first,
            crops={frame - first: crop for frame, crop in crops.items()},
        )

    def _wave(self, part: str, path: Path, span: Span) -> WavePanel | None:
        rate, seconds = _wave_settings(self.recipe, part)
        with closing(ChannelShard(path)) as shard:
            if not shard.is_present(self.row.clip, part):
                return None
            values, valid = shard.read(self.row.clip, part, "wave")
            features = {}
            if shard.has_features(part):
                measured = shard.read(self.row.clip, part, "features").tolist()
                features = dict(zip(shard.feature_names(part), measured, strict=True))
        if len(values) != max(1, round(seconds * rate)):
            found = f"{part} has {len(values)} samples, not {seconds:g} s at {rate:g} Hz as in the recipe"
            remedy = f"mtpkd preprocess {self.recipe.corpus.name} --workspace {self.workspace.root}"
            raise MtpkdError(f"{path}: {found}: run `{remedy}`")
        times = np.arange(len(values)) / rate
        within = _within(times, span)
        return WavePanel(
            name=part,
            notes=self._notes(part),
            unit=_UNITS[part] if self._kind(part) == "biosignal" else "",
            times=times[within],
            values=values[within],
            valid=valid[within] > 0,
            features=features,
        )

    def _sound(self, part: str, path: Path, span: Span) -> SoundPanel | None:
        audio = self.recipe.audio
        if self.recipe.corpus.continuous:
            with closing(AudioShard(path)) as shard:
                if not shard.is_present:
                    return None
                stretch = shard.stretch(*span, most=_SOUND_COLUMNS)
            decibels, start_s, stop_s, gaps = stretch.log_mel, stretch.start_s, stretch.stop_s, stretch.gaps
        else:
            with closing(ChannelShard(path)) as shard:
                if not shard.is_present(self.row.clip, part):
                    return None
                decibels = shard.read(self.row.clip, part, "spectrogram")[0].T
            start_s, stop_s, gaps = 0.0, audio.seconds, np.zeros((0, 2))
        return SoundPanel(
            name=part,
            notes=self._notes(part),
            decibels=decibels,
            start_s=start_s,
            stop_s=stop_s,
            gaps=gaps,
            frequencies=_centres(audio),
            is_placed=self.recipe.corpus.continuous,
        )

    def _annotations(self, path: Path, span: Span) -> AnnotationPanel | None:
        found = read_annotations(path).get(self.row.clip)
        if found is None:
            return None
        within = _within(found.times, span)
        labels = task_of(self.recipe.corpus).labels
        values = dict(zip(labels, found.values[within].T, strict=True))
        return AnnotationPanel(
            name=ANNOTATIONS, notes=self._notes(ANNOTATIONS), times=found.times[within], values=values
        )

    def _features(self, part: str, path: Path) -> FeaturesPanel | None:
        with closing(ChannelShard(path)) as shard:
            if not shard.is_present(self.row.clip, part):
                return None
            values = _finite(shard.read(self.row.clip, part, "features"))
            others = [name for name in shard.clips if name != self.row.clip and shard.is_present(name, part)]
            rest = _finite(np.array([shard.read(name, part, "features") for name in others]).reshape(-1, len(values)))
            names = shard.feature_names(part)
        return FeaturesPanel(
            name=part, notes=self._notes(part), names=names, values=values, deviations=_deviations(values, rest)
        )


def _wave_settings(recipe: Recipe, modality: str) -> Span:
    """Rate in Hz and length in seconds of a modality's waves."""
    if modality in BIOSIGNALS and not isinstance(recipe.corpus, ManifestCorpus):
        return getattr(recipe.biosignals, f"{modality}_rate"), recipe.biosignals.seconds
    assert isinstance(recipe.corpus, ManifestCorpus)
    settings = recipe.corpus.modalities[modality]
    assert isinstance(settings, SignalFiles)
    return settings.resampled or settings.rate, settings.seconds


def _evenly(number: int, most: int) -> np.ndarray:
    """At most so many positions of a sequence, the middle of each of as many equal parts."""
    count = min(number, most)
    return ((np.arange(count) + 0.5) * number / max(count, 1)).astype(int)


def _within(times: np.ndarray, span: Span) -> np.ndarray:
    return (times >= span[0]) & (times < span[1])


def _centres(audio: AudioSettings) -> np.ndarray:
    """(mels,) centre of each band in Hz."""
    import librosa

    return librosa.mel_frequencies(audio.mels + 2, fmin=audio.low, fmax=audio.high)[1:-1]


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _deviations(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(K,) distance of values (K,) from the mean of others (N, K) in their standard deviations; NaN of too few."""
    enough = (~np.isnan(others)).sum(axis=0) >= _LEAST_OTHERS
    wide = others[:, enough].astype(float)
    result = np.full(len(values), np.nan)
    mean, scatter = np.nanmean(wide, axis=0), np.nanstd(wide, axis=0)
    # What is the same in all other clips has no scatter, but for rounding.
    result[enough] = (values[enough] - mean) / np.maximum(scatter, 1e-6 * np.abs(mean) + 1e-12)
    return result
