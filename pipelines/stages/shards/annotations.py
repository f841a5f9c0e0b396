"""Shards of annotations: the labels of every frame of a video's trials, and the seconds of those frames.

Row i of an annotation file belongs to frame i of its video, so the video's own time stamps tell when it was: they are
what sound is placed by. The two counts differ by a few; rows beyond the video go on at its rate. Without a video the
recipe's frame rate has to do.
"""

from typing import Any

import numpy as np

from pipelines.cache.annotations import Annotation, write_annotations
from pipelines.corpora import Clip, Failure
from pipelines.corpora.affwild2_annotations import Annotations, is_few, read_annotations
from pipelines.errors import UnreadableMedia
from pipelines.media.time_stamps import frame_times
from pipelines.recipe import AffWild2Corpus
from pipelines.stages.artifacts import Job
from pipelines.stages.shards.unit import Outcome, ShardKind, ShardUnit
from pipelines.workspace import atomic_path


def _rate(unit: ShardUnit) -> float:
    corpus = unit.recipe.corpus
    assert isinstance(corpus, AffWild2Corpus)
    return corpus.frame_rate


def _build(unit: ShardUnit, job: Job) -> dict[str, Any]:
    outcome = Outcome()
    trials: dict[str, Annotation] = {}
    for clip in unit.clips:
        try:
            unit.start(clip.name, clip.files["annotations"], job)
            annotations = read_annotations(clip.files["annotations"])
        except UnreadableMedia as error:
            outcome.failures.append(Failure(clip.name, "annotations", str(error.file), error.reason))
        else:
            outcome.failures += _faults(clip, annotations)
            times = _times(clip, len(annotations.values), _rate(unit), outcome)
            trials[clip.name] = Annotation(annotations.values, times)
            annotated = int((~np.isnan(annotations.values).any(axis=1)).sum())
            outcome.attributes[clip.name] = {"frames": str(len(times)), "annotated": str(annotated)}
        job.advance(1)
    with atomic_path(job.path) as partial_path:
        write_annotations(partial_path, trials)
    return outcome.details()


def _faults(clip: Clip, annotations: Annotations) -> list[Failure]:
    """Each line that cannot be used costs its frame, and not the trial."""
    file = clip.files["annotations"]
    return [Failure(clip.name, "annotations", f"{file}:{n}", why, tolerated=True) for n, why in annotations.faults]


def _times(clip: Clip, rows: int, rate: float, outcome: Outcome) -> np.ndarray:
    """Seconds of every row, (rows,) float64."""
    video = clip.files.get("video")
    known = np.zeros(0)
    if video is not None:
        try:
            known = frame_times(video)
        except UnreadableMedia as error:
            outcome.failures.append(Failure(clip.name, "video", str(error.file), error.reason))
    if len(known) < 2:
        return np.arange(rows) / rate
    if not is_few(rows - len(known), rows):
        reason = f"{rows} annotated rows, but {len(known)} frames in {video}"
        outcome.failures.append(
            Failure(clip.name, "annotations", str(clip.files["annotations"]), reason, tolerated=True)
        )
    beyond = known[-1] + np.median(np.diff(known)) * np.arange(1, max(rows - len(known), 0) + 1)
    return np.concatenate([known, beyond])[:rows]


ANNOTATIONS = ShardKind(
    name="annotations",
    modalities=(),
    layout="annotations",
    settings=lambda unit: {"frame_rate": _rate(unit)},
    inputs=lambda unit: {
        **{f"{name} annotations": file for name, file in unit.files("annotations").items()},
        **{f"{name} video": file for name, file in unit.files("video").items()},
    },
    build=_build,
    of_recordings=True,
)
