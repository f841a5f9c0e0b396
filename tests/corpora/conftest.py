"""Trees of empty files, a small rendered corpus that many tests read, and a small Aff-Wild2 of real files."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipelines.corpora.synthetic import render_synthetic
from pipelines.media.sound_track import Sound
from pipelines.media.video import write_video
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


@pytest.fixture
def touch(tmp_path: Path) -> Callable[..., Path]:
    """Writes empty files, named relative to a root; returns the root."""

    def write(*names: str, root: Path = tmp_path / "affwild2") -> Path:
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        return root

    return write


VA = "6th ABAW Annotations/VA_Estimation_Challenge"


@pytest.fixture(scope="session")
def written_affwild2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five trials of four videos of 40 frames, and a video that nobody annotated; not to be changed."""
    root = tmp_path_factory.mktemp("affwild2")
    sound = {"rate": 16000, "blocks": [np.sin(np.arange(20_000, dtype=np.float32) / 20) / 4]}
    for name, track in (
        ("batch1/alone.mp4", Sound(**sound)),
        ("batch2/pair.avi", Sound(**sound)),
        # The encoder puts a frame of 0.064 s before it: the track starts at 0.25 s.
        ("batch2/late.mp4", Sound(**sound, start_s=0.314)),
        ("new_vids/silent.mp4", None),
        ("new_vids/tested.mp4", None),
    ):
        (root / name).parent.mkdir(exist_ok=True)
        write_video(root / name, [np.full((32, 64, 3), 6 * i, np.uint8) for i in range(40)], 30, sound=track)
    rows = [f"{i / 100:.3f},{-i / 100:.3f}" for i in range(40)]
    for name, lines in (
        ("Train_Set/alone.txt", rows),
        ("Train_Set/pair_left.txt", ["-5,-5"] * 10 + rows[:27]),
        ("Train_Set/pair_right.txt", rows),
        ("Train_Set/silent.txt", rows),
        ("Validation_Set/late.txt", rows),
    ):
        (root / VA / name).parent.mkdir(parents=True, exist_ok=True)
        (root / VA / name).write_text("\n".join(["valence,arousal", *lines]) + "\n")
    for folder, numbers in (
        ("cropped_aligned/alone", [*range(1, 11), *range(15, 43)]),
        ("cropped_aligned_new_50_vids/silent", range(1, 41)),
    ):
        (root / folder).mkdir(parents=True)
        for number in numbers:
            (root / folder / f"{number:05d}.jpg").touch()
    return root


@pytest.fixture
def affwild2(written_affwild2: Path, tmp_path: Path) -> Path:
    """A copy of the small Aff-Wild2 that a test may spoil."""
    return shutil.copytree(written_affwild2, tmp_path / "affwild2")
