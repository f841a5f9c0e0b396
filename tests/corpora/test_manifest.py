import logging

import numpy as np
import pytest

from pipelines.corpora import index_corpus, published_hold_out, task_of
from pipelines.corpora.manifest import read_features
from pipelines.errors import MissingArtifact, SettingsError, UnreadableMedia
from pipelines.recipe import FeatureTable, ManifestCorpus, SignalFiles, VideoFiles

MANIFEST = """\
clip,group,label,video,eda,vector,hr
b,s1,yes,b.mp4,b.csv,b.npy,70
a,s1,no,a.mp4,,,80
c,s2,,nowhere.mp4,folder,,
"""


@pytest.fixture
def corpus(tmp_path):
    """Makes the settings of a manifest whose files are empty, with some of them replaced."""
    (tmp_path / "manifest.csv").write_text(MANIFEST)
    for name in ("a.mp4", "b.mp4", "b.csv", "b.npy"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "heart.csv").write_text("clip,hr,rmssd\nz,1,2\nc,60,\nb,80,40\n")

    def make(**changes):
        modalities = {
            "heart": FeatureTable(table="heart.csv"),
            "faces": VideoFiles(column="video"),
            "eda": SignalFiles(column="eda", rate=10, seconds=2),
            "voice": FeatureTable(column="vector"),
        }
        return ManifestCorpus(**{"root": tmp_path, "classes": ("no", "yes"), "modalities": modalities, **changes})

    return make


def test_clips_their_files_and_what_is_not_there(corpus, tmp_path):
    indexed = index_corpus(corpus())
    assert (indexed.name, indexed.root, indexed.groups) == ("manifest", tmp_path, ("s1", "s2"))
    assert [(clip.name, clip.group, clip.label) for clip in indexed.clips] == [
        ("a", "s1", 0),
        ("b", "s1", 1),
        ("c", "s2", None),
    ]
    a, b, c = (clip.files for clip in indexed.clips)
    assert a == {"faces": tmp_path / "a.mp4"}
    assert list(b) == ["heart", "faces", "eda", "voice"]
    assert (b["heart"], b["voice"]) == (tmp_path / "heart.csv", tmp_path / "b.npy")
    assert c == {"heart": tmp_path / "heart.csv"}
    assert [(f.clip, f.modality, f.file, f.reason, f.tolerated) for f in indexed.missing] == [
        ("c", "faces", str(tmp_path / "nowhere.mp4"), "file does not exist", False),
        ("c", "eda", str(tmp_path / "folder"), "it is a folder, not a file", False),
    ]


def test_labels_that_were_begun_are_tolerated_failures(corpus, tmp_path):
    (tmp_path / "manifest.csv").write_text("clip,group,v,a,video,eda,vector\nb,s1,1,,,,\nc,s1,0.5,-1,,,\n")
    indexed = index_corpus(corpus(task="continuous", classes=(), labels=("v", "a")))
    assert [clip.label for clip in indexed.clips] == [None, (0.5, -1.0)]
    assert [(f.clip, f.modality, f.tolerated) for f in indexed.missing] == [("b", "label", True)]


def test_the_task_is_that_of_the_settings_and_needs_no_file(corpus, tmp_path):
    (tmp_path / "manifest.csv").unlink()
    task = task_of(corpus(ordinal=True))
    assert (task.kind, task.labels, task.ordinal) == ("classes", ("no", "yes"), True)
    task = task_of(corpus(task="continuous", classes=(), labels=("v", "a")))
    assert (task.kind, task.labels, task.num_outputs) == ("continuous", ("v", "a"), 2)
    assert published_hold_out(corpus()) == ()


def test_the_manifest_may_be_the_table(corpus):
    heart = FeatureTable(table="manifest.csv", features=("hr",))
    settings = corpus(modalities={"faces": VideoFiles(column="video"), "heart": heart})
    assert all("heart" in clip.files for clip in index_corpus(settings).clips)
    rows = read_features(settings, "heart").rows
    np.testing.assert_array_equal([rows[clip] for clip in "abc"], [[80], [70], [np.nan]])


def test_ids_of_a_table_are_found_under_the_manifests_name_for_them(corpus, tmp_path):
    (tmp_path / "heart.csv").write_text("row,clip,hr\n0,b,70\n")
    indexed = index_corpus(corpus())
    assert [clip.name for clip in indexed.clips if "heart" in clip.files] == ["b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"heart\.csv: no such file or directory \(corpus\.modalities\.heart\)"),
        ("clip,hr\nb,1\nb,2\n", r"heart\.csv: lines 2 and 3 have the same id .*\(corpus\.modalities\.heart\)"),
        ("clip,hr\nx,1\n", r"no row is keyed by a clip of .*manifest\.csv, such as 'a'; .* such as 'x': set corpus"),
        ("clip,hr\n", r"no row is keyed by a clip .*the table has no row"),
        ("clip,hr,label\nb,1,1\n", r"column 'label' is a label, and would be predicted from itself"),
    ],
)
def test_tables_that_cannot_be_meant(corpus, tmp_path, content, message):
    if content is None:
        (tmp_path / "heart.csv").unlink()
    else:
        (tmp_path / "heart.csv").write_text(content)
    with pytest.raises(SettingsError, match=message):
        index_corpus(corpus())


def test_numbers_are_not_read_before_they_are_needed(corpus, tmp_path):
    (tmp_path / "heart.csv").write_text("clip,hr\nb,high\n")
    settings = corpus()
    assert len(index_corpus(settings).clips) == 3
    with pytest.raises(UnreadableMedia, match="line 2, column 'hr': 'high' is not a number"):
        read_features(settings, "heart")


def test_classes_without_a_clip_are_told(corpus, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("mtpkd"), "propagate", True)
    with caplog.at_level(logging.WARNING, "mtpkd"):
        index_corpus(corpus(classes=("no", "yes", "maybe")))
        assert "no clip is of class 'maybe'" in caplog.text
        (tmp_path / "manifest.csv").write_text("clip,group,label,video,eda,vector\nb,s1,,,,\n")
        index_corpus(corpus())
        assert "no clip has a label" in caplog.text


def test_groups_that_the_manifests_own_split_tests_on(corpus, tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "clip,group,label,video,eda,vector,part\nb,s1,yes,,,,test\na,s2,no,,,,\nc,s3,no,,,,train\nd,s0,no,,,,test\n"
    )
    settings = corpus(split="part")
    clips = index_corpus(settings).clips
    assert published_hold_out(settings, clips) == ("s0", "s1")
    assert published_hold_out(corpus(), clips) == ()
    with pytest.raises(MissingArtifact, match=r"corpus\.split = 'part' was not yet set .*mtpkd preprocess manifest"):
        published_hold_out(settings, index_corpus(corpus()).clips)
