"""Raw data on disk -> clips: one adapter a corpus, chosen by `settings.name`."""

from pipelines.corpora.biovid import index_biovid, task_of
from pipelines.corpora.biovid_subjects import HOLD_OUT_VALIDATION
from pipelines.corpora.clip import Clip, Corpus, Failure
from pipelines.recipe import BioVidCorpus

__all__ = ["Clip", "Corpus", "Failure", "index_corpus", "published_hold_out", "task_of"]

_ADAPTERS = {"biovid": index_biovid, "synthetic": index_biovid}
_HOLD_OUTS = {"biovid": HOLD_OUT_VALIDATION}


def index_corpus(settings: BioVidCorpus) -> Corpus:
    """List a corpus' clips, their files, and what is not there; see the adapter for what it raises."""
    return _ADAPTERS[settings.name](settings)


def published_hold_out(settings: BioVidCorpus) -> tuple[str, ...]:
    """Groups that the corpus' published hold-out protocol tests on; none where there is no such protocol."""
    return _HOLD_OUTS.get(settings.name, ())
