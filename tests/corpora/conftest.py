"""A BioVid tree of empty files, and a small rendered corpus that many tests read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.corpora.synthetic import render_synthetic
from pipelines.recipe import SyntheticCorpus

HEADER = "subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"
CLASSES = ("BL1", "PA1", "PA2", "PA3", "PA4")
SUBJECTS = ("071309_w_21", "082315_w_60", "112016_m_25")


@pytest.fixture
def rows() -> list[str]:
    """Rows of samples.csv: three subjects, five classes, two clips each."""
    names = [(s, c, f"{s}-{CLASSES[c]}-{k:03d}") for s in SUBJECTS for c in range(5) for k in (7, 81)]
    return [f"{SUBJECTS.index(s) + 1}\t{s}\t{c}\t{CLASSES[c]}\t{i}\t{name}" for i, (s, c, name) in enumerate(names, 1)]


@pytest.fixture
def make_tree(rows: list[str]) -> Callable[..., Path]:
    """Writes the layout of a part, its media as empty files."""

    def make(part: Path, *, video: str = "video", biosignals: str = "biosignals_raw") -> Path:
        (part / "starting_point").mkdir(parents=True)
        (part / "starting_point" / "samples.csv").write_text("\n".join([HEADER, *rows]) + "\n")
        for row in rows:
            subject, name = row.split("\t")[1], row.split("\t")[-1]
            for folder, suffix in ((video, ".mp4"), (biosignals, "_bio.csv")):
                (part / folder / subject).mkdir(parents=True, exist_ok=True)
                (part / folder / subject / f"{name}{suffix}").touch()
        return part

    return make


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> SyntheticCorpus:
    """Two subjects, two clips a class, rendered once; not to be changed."""
    settings = SyntheticCorpus(
        root=tmp_path_factory.mktemp("synthetic") / "corpus", subject_count=2, clips_per_class=2, seconds=1.5, width=160
    )
    render_synthetic(settings)
    return settings


@pytest.fixture
def own_copy(rendered: SyntheticCorpus, tmp_path: Path) -> SyntheticCorpus:
    """A copy of the rendered corpus that a test may spoil."""
    shutil.copytree(rendered.root, tmp_path / "copy")
    return rendered.model_copy(update={"root": tmp_path / "copy"})
