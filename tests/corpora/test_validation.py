from pipelines.corpora.validation import validate_corpus
from pipelines.recipe import AffWild2Corpus, ManifestCorpus, SyntheticAffWild2Corpus, VideoFiles


class Bar:
    """Remembers what a progress bar is told."""

    def __init__(self):
        self.total, self.done = None, 0

    def reset(self, total=None):
        self.total = total

    def update(self, n=1):
        self.done += n


def test_each_corpus_is_looked_at_in_its_own_way(rendered, written_affwild2, tmp_path):
    (tmp_path / "manifest.csv").write_text("clip,group,label,video\na,s1,no,\nb,s1,yes,\n")
    manifest = ManifestCorpus(root=tmp_path, classes=("no", "yes"), modalities={"faces": VideoFiles(column="video")})
    for settings, names in (
        (rendered, ["subjects", "clips"]),
        (AffWild2Corpus(root=written_affwild2), ["trials", "videos", "frames", "images"]),
        (manifest, ["groups", "clips"]),
        (SyntheticAffWild2Corpus(root=written_affwild2), ["trials", "videos", "frames", "images"]),
    ):
        bar = Bar()
        report = validate_corpus(settings, progress=bar)
        assert [total.name for total in report.totals] == names
        assert report.root == settings.root
        assert bar.done == bar.total == report.totals[0 if "trials" in names else 1].number
