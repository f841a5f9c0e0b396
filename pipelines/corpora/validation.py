"""Looking at a corpus before hours of work: what is there, what is missing, what cannot be read."""

from pipelines.corpora import AnyCorpus
from pipelines.corpora.affwild2_validation import validate_affwild2
from pipelines.corpora.biovid_validation import validate_biovid
from pipelines.corpora.manifest_validation import validate_manifest
from pipelines.corpora.progress import Progress
from pipelines.corpora.validation_report import ValidationReport
from pipelines.recipe import AffWild2Corpus, ManifestCorpus


def validate_corpus(settings: AnyCorpus, *, progress: Progress | None = None) -> ValidationReport:
    """Read the layout and open every file; `progress` is moved clip by clip.

    Raises:
        SettingsError, MtpkdError: the layout itself cannot be read, see the corpus' adapter.
    """
    if isinstance(settings, ManifestCorpus):
        return validate_manifest(settings, progress=progress)
    if isinstance(settings, AffWild2Corpus):
        return validate_affwild2(settings, progress=progress)
    return validate_biovid(settings, progress=progress)
