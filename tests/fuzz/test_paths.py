"""No name in a table leads out of the folder that was given."""

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.corpora.affwild2 import index_affwild2
from pipelines.corpora.biovid import index_biovid
from pipelines.corpora.manifest import index_manifest
from pipelines.errors import MtpkdError, SettingsError
from pipelines.recipe import AffWild2Corpus, BioVidCorpus, ManifestCorpus, SignalFiles, VideoFiles
from pipelines.workspace import Workspace

SUBJECT = "071309_w_21"
HEADER = "subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"
NAMES = ["..", ".", "../x", "../../etc/passwd", "/etc/passwd", "a/../../x", "a\\..\\x", "x\0y", "x" * 300, "~", "C:\\x",
         "é" * 80, "a/b", "./a", " ", "%2e%2e/x", "..\u2215x", "file:///etc/passwd", "-", "a\u202eb"]  # fmt: skip
HOSTILE = st.sampled_from(NAMES) | st.lists(st.sampled_from(["..", ".", "/", "a", "\\", "\t", "\0"])).map("".join)


def is_inside(path: Path, root: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(root))


@given(HOSTILE, HOSTILE, st.booleans())
def test_samples_of_biovid(tmp_path_factory, subject, sample, is_consistent):
    root = tmp_path_factory.getbasetemp() / "biovid"
    (root / "starting_point").mkdir(parents=True, exist_ok=True)
    (root / "video").mkdir(exist_ok=True)
    name = f"{subject}-BL1-001" if is_consistent else sample
    rows = [f"1\t{subject}\t0\tBL1\t1\t{name}", f"1\t{SUBJECT}\t0\tBL1\t1\t{SUBJECT}-BL1-001"]
    (root / "starting_point" / "samples.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    corpus = index_biovid(BioVidCorpus(root=root))
    assert {clip.name for clip in corpus.clips} == {f"{SUBJECT}-BL1-001"}
    assert all(is_inside(Path(failure.file), root) for failure in corpus.missing)


def write_manifest(root: Path, clip: str, group: str, video: str) -> ManifestCorpus:
    root.mkdir(parents=True, exist_ok=True)
    cells = (f'"{cell}"'.replace("\n", " ") for cell in (clip, group, "rest", video))
    (root / "manifest.csv").write_text("clip,group,label,video\n" + ",".join(cells) + "\nb,s2,stress,b.mp4\n")
    modalities = {"faces": VideoFiles(column="video"), "eda": SignalFiles(column="video", rate=10, seconds=2)}
    return ManifestCorpus(root=root, classes=("rest", "stress"), modalities=modalities)


@given(HOSTILE | st.just("a"), HOSTILE | st.just("s1"), HOSTILE)
@example("a", "s1", "../outside.mp4")
@example("a", "s1", "x/../../outside.mp4")
@example("a", "s1", "x/../inside.mp4")
def test_cells_of_a_manifest(tmp_path_factory, clip, group, video):
    base = tmp_path_factory.getbasetemp() / "manifests"
    settings = write_manifest(base / "root", clip, group, video)
    (base / "outside.mp4").write_bytes(b"x")
    (base / "root" / "inside.mp4").write_bytes(b"x")
    workspace = Workspace(base / "workspace")
    try:
        corpus = index_manifest(settings)
    except SettingsError as error:
        message = str(error)
        assert "manifest.csv" in message
        return
    for found in corpus.clips:
        assert all(is_inside(path, settings.root) for path in found.files.values())
        shard = workspace.shard("faces", found.group)
        assert shard.parent == workspace.cache / "faces"
        assert Path(os.path.abspath(shard)) == Path(os.path.abspath(workspace.root)) / "cache/faces" / shard.name
        assert len(shard.name.encode()) < 200
    assert all(is_inside(Path(failure.file), settings.root) for failure in corpus.missing)


@pytest.mark.parametrize("cell", ["../outside.mp4", "/etc/passwd", "x/../../outside.mp4", "../root-2/a.mp4"])
def test_a_path_that_leads_out_is_a_mistake_of_its_cell(tmp_path, cell):
    settings = write_manifest(tmp_path / "root", "a", "s1", cell)
    with pytest.raises(
        SettingsError, match=r"line 2, column 'video': .* leads out of corpus\.root = .*: set that to a"
    ):
        index_manifest(settings)


def test_paths_that_stay_inside(tmp_path):
    (tmp_path / "root" / "x").mkdir(parents=True)
    (tmp_path / "elsewhere.mp4").write_bytes(b"x")
    (tmp_path / "root" / "link.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    (tmp_path / "root" / "a.mp4").write_bytes(b"x")
    for cell in ("x/../a.mp4", "./a.mp4", str(tmp_path / "root" / "a.mp4"), "../root/a.mp4", "link.mp4"):
        corpus = index_manifest(write_manifest(tmp_path / "root", "a", "s1", cell))
        assert corpus.clips[0].files["faces"] == tmp_path / "root" / cell


def test_a_name_longer_than_a_file_system_knows_is_a_missing_file(tmp_path):
    corpus = index_manifest(write_manifest(tmp_path, "a", "s1", "x" * 300))
    assert corpus.missing[0].reason == "file name too long"


def test_a_control_character_in_a_path(tmp_path):
    with pytest.raises(SettingsError, match=r"line 2, column 'video': .* holds a control character"):
        index_manifest(write_manifest(tmp_path, "a", "s1", "x\0y"))


@given(st.lists(st.sampled_from([name for name in NAMES if "/" not in name and "\0" not in name]), min_size=1))
def test_file_names_of_affwild2(tmp_path_factory, names):
    """Names come from the listing of a folder; what they hold cannot be a path, whatever it is called."""
    root = tmp_path_factory.mktemp("affwild2")
    folder = root / "VA_Estimation_Challenge" / "Train_Set"
    folder.mkdir(parents=True)
    for name in {name for name in names if len(name.encode()) < 250}:
        (folder / f"{name}.txt").write_text("valence,arousal\n0,0\n")
    try:
        corpus = index_affwild2(AffWild2Corpus(root=root))
    except MtpkdError as error:
        message = str(error)
        assert str(root) in message
        return
    for clip in corpus.clips:
        shard = Workspace(root / "w").shard("faces", clip.group)
        assert Path(os.path.abspath(shard)).parent == root / "w" / "cache" / "faces"
        assert all(is_inside(path, root) for path in clip.files.values())
