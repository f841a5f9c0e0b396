"""Raw data on disk -> clips: one adapter a corpus, chosen by its settings."""

from collections.abc import Iterable

from pipelines.corpora import affwild2, biovid, manifest
from pipelines.corpora.affwild2_layout import VALIDATION
from pipelines.corpora.biovid_subjects import HOLD_OUT_VALIDATION
from pipelines.corpora.clip import Clip, Corpus, Failure, InGroup
from pipelines.recipe import AffWild2Corpus, BioVidCorpus, ManifestCorpus, Task

__all__ = ["AnyCorpus", "Clip", "Corpus", "Failure", "index_corpus", "published_hold_out", "task_of"]


AnyCorpus = BioVidCorpus | AffWild2Corpus | ManifestCorpus
"""Settings of a corpus; the synthetic ones are BioVid's and Aff-Wild2's."""


def index_corpus(settings: AnyCorpus) -> Corpus:
    """List a corpus' clips, their files, and what is not there; see the adapter for what it raises."""
    if isinstance(settings, ManifestCorpus):
        return manifest.index_manifest(settings)
    if isinstance(settings, AffWild2Corpus):
        return affwild2.index_affwild2(settings)
    return biovid.index_biovid(settings)


def task_of(settings: AnyCorpus) -> Task:
    """What is predicted; no file is read for it."""
    if isinstance(settings, ManifestCorpus):
        return manifest.task_of(settings)
    if isinstance(settings, AffWild2Corpus):
        return affwild2.task_of(settings)
    return biovid.task_of(settings)


def published_hold_out(settings: AnyCorpus, clips: Iterable[InGroup] = ()) -> tuple[str, ...]:
    """Groups that the corpus' published hold-out protocol tests on; none where there is no such protocol.

    Args:
        settings: the corpus.
        clips: of Aff-Wild2, whose official split stands in its annotation folders: the videos with any trial in the
            validation set; or of a manifest with a column for it.

    Raises:
        MissingArtifact: the clips of a manifest are those of before it had such a column.
    """
    if isinstance(settings, ManifestCorpus):
        return manifest.tested_groups(settings, clips)
    if isinstance(settings, AffWild2Corpus):
        return tuple(sorted({clip.group for clip in clips if clip.attributes.get("set") == VALIDATION}))
    return HOLD_OUT_VALIDATION if settings.name == "biovid" else ()
