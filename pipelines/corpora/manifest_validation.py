"""Looking at a manifest before hours of work: what is there, what is missing, what cannot be read.

Every file that the manifest names is opened: of a video the first frame is decoded, of a sound track the beginning,
signals and features are read whole. No video is decoded to its end, so damage further in is found by preprocessing
only. A signal is judged by the rules of preprocessing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipelines.corpora.clip import Clip, Corpus, Failure
from pipelines.corpora.manifest import index_manifest, read_features, table_paths, tested_groups
from pipelines.corpora.manifest_rows import manifest_path
from pipelines.corpora.progress import Progress, tracked
from pipelines.corpora.validation_report import FileCount, Total, ValidationReport, count_missing
from pipelines.errors import UnreadableMedia
from pipelines.media.audio import NO_TRACK, probe_audio
from pipelines.media.biosignals import check_channel
from pipelines.media.feature_table import read_feature_vector
from pipelines.media.signal_file import read_signal
from pipelines.media.video import probe
from pipelines.recipe import FeatureTable, ManifestCorpus, ManifestModality, SignalFiles, SoundFiles, VideoFiles

_EXAMPLES = 3


def validate_manifest(settings: ManifestCorpus, *, progress: Progress | None = None) -> ValidationReport:
    """Read the manifest and open every file that it names.

    Returns:
        Totals "groups" and "clips" (by class, or the range of each dimension), and "test groups" where the manifest has
        a split of its own; files by modality. Problems are missing and unreadable files, values that cannot be used,
        clips without any file, and modalities and classes without a clip. Noted are incomplete labels, groups of one
        clip, clips whose features are all missing, and features that all clips miss.

    Raises:
        SettingsError: the manifest or a table cannot be read or meant, see `index_manifest`.
    """
    corpus = index_manifest(settings)
    files = count_missing(settings.modalities, corpus.missing)
    found = list(corpus.missing)
    features: dict[str, dict[str, np.ndarray]] = {
        name: {} for name, kind in settings.kinds.items() if kind == "features"
    }
    for clip in tracked(corpus.clips, progress):
        found += _look(clip, settings, files, features)
    for name, rows in features.items():
        found += _look_at_features(name, rows, corpus, settings, files[name])
    found += _look_at_coverage(files, len(corpus.clips), manifest_path(settings))
    found += _look_at_labels(corpus, manifest_path(settings))
    return ValidationReport(
        root=settings.root,
        totals=_totals(corpus) + _split_totals(corpus, settings),
        files=files,
        found=tuple(found),
        examples=_EXAMPLES,
    )


def _look(
    clip: Clip,
    settings: ManifestCorpus,
    files: Mapping[str, FileCount],
    features: Mapping[str, dict[str, np.ndarray]],
) -> list[Failure]:
    """Open the files of one clip; count them and say what is wrong with them."""
    found = []
    for name, path in clip.files.items():
        modality, count = settings.modalities[name], files[name]
        count.there += 1
        if isinstance(modality, FeatureTable) and modality.table is not None:
            continue  # one file of many clips, read once
        try:
            if isinstance(modality, FeatureTable):
                features[name][clip.name] = read_feature_vector(path)
                continue
            reason = _look_at_file(path, modality, count)
        except UnreadableMedia as error:
            count.unreadable += 1
            reason = error.reason
        if reason:
            # A recording without sound is a fact of the corpus, which `preprocess` does not count as a failure either.
            found.append(Failure(clip.name, name, str(path), reason, tolerated=reason == NO_TRACK))
    if not clip.files:
        found.append(Failure(clip.name, "all", clip.name, "the clip has no file of any modality"))
    return found


def _look_at_file(path: Path, modality: ManifestModality, count: FileCount) -> str | None:
    """Why a file that can be read cannot be used, or None."""
    match modality:
        case VideoFiles():
            count.see_video(probe(path))
        case SoundFiles():
            sound = probe_audio(path)
            if sound is None:
                return NO_TRACK
            count.see_sound(sound)
        case SignalFiles():
            samples = read_signal(path, modality.channel)
            count.see(f"seconds at {modality.rate:g} Hz", f"{len(samples) / modality.rate:.3g}")
            return check_channel(samples, modality.rate, modality).reason or None
    return None


def _look_at_features(
    name: str, rows: dict[str, np.ndarray], corpus: Corpus, settings: ManifestCorpus, count: FileCount
) -> list[Failure]:
    """Judge the features of all clips at once."""
    place = table_paths(settings).get(name)
    names: Sequence[str] = ()
    if place is not None:
        try:
            table = read_features(settings, name)
        except UnreadableMedia as error:
            count.unreadable = count.there
            return [Failure(str(place), name, str(place), error.reason)]
        names = table.names
        rows = {clip.name: table.rows[clip.name] for clip in corpus.clips if name in clip.files}
    places = {clip.name: str(clip.files[name]) for clip in corpus.clips if clip.name in rows}
    if not rows:
        return []
    lengths = Counter(len(row) for row in rows.values())
    for length, number in lengths.items():
        count.see("features", str(length), number)
    usual = lengths.most_common(1)[0][0]
    found = [
        Failure(clip, name, f"{places[clip]}: {len(row)}", f"not {usual} features, as most files have")
        for clip, row in rows.items()
        if len(row) != usual
    ]
    values = np.stack([row for row in rows.values() if len(row) == usual])
    empty = [clip for clip, row in rows.items() if np.isnan(row).all()]
    reason = "no feature of the clip has a value: it counts as one without them"
    found += [Failure(clip, name, f"{places[clip]}: {clip}", reason, tolerated=True) for clip in empty]
    if share := np.isnan(values).mean():
        count.see("of values missing", f"{100 * share:.2g} %")
    reason = "the feature has no value in any clip"
    for index in np.flatnonzero(np.isnan(values).all(axis=0)):
        feature = names[index] if names else f"feature {index + 1}"
        found.append(Failure(feature, name, feature, reason, tolerated=True))
    return found


def _look_at_coverage(files: Mapping[str, FileCount], clips: int, manifest: Path) -> list[Failure]:
    """Count the clips without each modality; what no clip has is a problem."""
    found = []
    for name, count in files.items():
        if without := clips - count.there - count.missing:
            count.see("clips without it", f"{without:,} of {clips:,}")
        if without == clips:
            found.append(Failure(name, name, str(manifest), "no clip has this modality"))
    return found


def _look_at_labels(corpus: Corpus, manifest: Path) -> list[Failure]:
    """Classes without a clip, and groups of one clip."""
    found = []
    labels = {clip.label for clip in corpus.clips}
    if labels == {None}:
        found.append(Failure("", "label", str(manifest), "no clip has a label"))
    elif corpus.task.kind == "classes":
        absent = [name for index, name in enumerate(corpus.task.labels) if index not in labels]
        found += [Failure(name, "label", f"{manifest}: {name}", "no clip is of this class") for name in absent]
    sizes = Counter(clip.group for clip in corpus.clips)
    reason = "the group has one clip"
    return found + [Failure(g, "group", g, reason, tolerated=True) for g, size in sorted(sizes.items()) if size == 1]


def _totals(corpus: Corpus) -> tuple[Total, ...]:
    sizes = Counter(clip.group for clip in corpus.clips).values()
    spread = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
    labels = [clip.label for clip in corpus.clips]
    if corpus.task.kind == "classes":
        counts = Counter(labels)
        parts = [f"{name} {counts[index]:,}" for index, name in enumerate(corpus.task.labels)]
    else:
        values = np.array([label for label in labels if label is not None]).reshape(-1, len(corpus.task.labels))
        parts = [
            f"{name} {column.min():.4g} to {column.max():.4g}"
            for name, column in zip(corpus.task.labels, values.T, strict=True)
            if column.size
        ]
    if unlabelled := labels.count(None):
        parts.append(f"no label {unlabelled:,}")
    return (
        Total("groups", len(sizes), f"{spread} clip{'s' if max(sizes) > 1 else ''} each"),
        Total("clips", len(labels), "   ".join(parts)),
    )


def _split_totals(corpus: Corpus, settings: ManifestCorpus) -> tuple[Total, ...]:
    if settings.split is None:
        return ()
    tested = set(tested_groups(settings, corpus.clips))
    clips = sum(clip.group in tested for clip in corpus.clips)
    others = len(set(corpus.groups) - tested)
    return (Total("test groups", len(tested), f"{clips:,} clips; the other {others:,} train"),)
