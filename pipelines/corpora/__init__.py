"""Raw data on disk -> clips: one adapter a corpus, chosen by `settings.name`."""

from pipelines.corpora.biovid import index_biovid
from pipelines.corpora.clip import Clip, Corpus, Failure
from pipelines.recipe import BioVidCorpus

__all__ = ["Clip", "Corpus", "Failure", "index_corpus"]

_ADAPTERS = {"biovid": index_biovid, "synthetic": index_biovid}


def index_corpus(settings: BioVidCorpus) -> Corpus:
    """List a corpus' clips, their files, and what is not there; see the adapter for what it raises."""
    return _ADAPTERS[settings.name](settings)
