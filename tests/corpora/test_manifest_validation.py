import numpy as np
import pytest

from pipelines.corpora.manifest_validation import validate_manifest
from pipelines.corpora.validation_report import Total
from pipelines.media.sound_track import Sound
from pipelines.media.video import write_video
from pipelines.recipe import FeatureTable, ManifestCorpus, SignalFiles, SoundFiles, VideoFiles

MANIFEST = """\
clip,group,label,video,eda,vector
a,s1,no,a.mp4,a.csv,a.npy
b,s1,yes,b.mp4,,b.npy
c,s2,,,c.csv,
"""


@pytest.fixture
def settings(tmp_path):
    """A manifest of three clips with real files, of which nothing is wrong."""
    (tmp_path / "manifest.csv").write_text(MANIFEST)
    tone = np.sin(np.arange(8000, dtype=np.float32) / 9)
    for name in "ab":
        frames = [np.full((32, 48, 3), 9 * i, np.uint8) for i in range(12)]
        write_video(tmp_path / f"{name}.mp4", frames, 25, sound=Sound(rate=16000, blocks=[tone]))
        np.save(tmp_path / f"{name}.npy", np.arange(3.0))
    for name in "ac":
        (tmp_path / f"{name}.csv").write_text("t,eda\n" + "".join(f"{i},{i % 3}\n" for i in range(40)))
    (tmp_path / "heart.csv").write_text("clip,hr,rmssd\na,70,40\nb,80,\nc,60,30\n")
    modalities = {
        "faces": VideoFiles(column="video"),
        "voice": SoundFiles(column="video"),
        "eda": SignalFiles(column="eda", channel="eda", rate=20, seconds=2),
        "vector": FeatureTable(column="vector"),
        "heart": FeatureTable(table="heart.csv"),
    }
    return ManifestCorpus(root=tmp_path, classes=("no", "yes"), modalities=modalities)


def counts(report):
    return {name: (count.there, count.missing, count.unreadable) for name, count in report.files.items()}


def test_a_sound_manifest(settings):
    report = validate_manifest(settings)
    assert report.problems == ()
    assert report.totals == (
        Total("groups", 2, "1 to 2 clips each"),
        Total("clips", 3, "no 1   yes 1   no label 1"),
    )
    assert counts(report) == dict.fromkeys(("faces", "voice", "eda", "vector"), (2, 0, 0)) | {"heart": (3, 0, 0)}
    faces, voice, eda, vector, heart = (report.files[name].seen for name in settings.modalities)
    assert faces == {"pixels": {"48x32": 2}, "Hz": {"25": 2}, "clips without it": {"1 of 3": 1}}
    assert voice == {"Hz": {"16000": 2}, "sound": {"mono": 2}, "clips without it": {"1 of 3": 1}}
    assert eda == {"seconds at 20 Hz": {"2": 2}, "clips without it": {"1 of 3": 1}}
    assert vector == {"features": {"3": 2}, "clips without it": {"1 of 3": 1}}
    assert heart == {"features": {"2": 3}, "of values missing": {"17 %": 1}}
    assert [(f.clip, f.reason) for f in report.noted] == [("s2", "the group has one clip")]


def test_ranges_of_continuous_labels(settings, tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "clip,group,v,video,eda,vector\na,s1,-0.25,,a.csv,\nb,s2,1.5,b.mp4,,\nc,s2,,,,\n"
    )
    changes = {"task": "continuous", "classes": (), "labels": ("v",)}
    report = validate_manifest(settings.model_copy(update=changes))
    assert report.total("clips") == Total("clips", 3, "v -0.25 to 1.5   no label 1")


def found(report):
    return {(failure.clip, failure.modality, failure.reason) for failure in report.problems}


def test_what_is_wrong_is_counted_and_named(settings, tmp_path):
    (tmp_path / "a.mp4").unlink()
    (tmp_path / "b.mp4").write_bytes(b"")
    (tmp_path / "a.csv").write_text("t,eda\n0,high\n")
    (tmp_path / "c.csv").write_text("t,eda\n" + "0,1.5\n" * 40)
    report = validate_manifest(settings)
    assert counts(report) == {
        "faces": (1, 1, 1),
        "voice": (1, 1, 1),
        "eda": (2, 0, 1),
        "vector": (2, 0, 0),
        "heart": (3, 0, 0),
    }
    problems = found(report)
    assert {("a", "faces", "file does not exist"), ("b", "faces", "the file is empty (0 bytes)")} <= problems
    assert ("a", "eda", "line 2, column 'eda': 'high' is not a number") in problems
    assert [reason for clip, modality, reason in problems if (clip, modality) == ("c", "eda")]


def test_features_that_do_not_fit_or_have_no_value(settings, tmp_path):
    np.save(tmp_path / "b.npy", np.arange(4.0))
    (tmp_path / "heart.csv").write_text("clip,hr,rmssd\na,70,\nb,80,\nc,,inf\n")
    report = validate_manifest(settings)
    assert ("b", "vector", "not 3 features, as most files have") in found(report)
    assert report.files["vector"].seen["features"] == {"3": 1, "4": 1}
    noted = {(failure.clip, failure.modality, failure.reason) for failure in report.noted}
    assert ("rmssd", "heart", "the feature has no value in any clip") in noted
    assert ("c", "heart", "no feature of the clip has a value: it counts as one without them") in noted
    (tmp_path / "heart.csv").write_text("clip,hr\na,70\nb,high\n")
    report = validate_manifest(settings)
    assert counts(report)["heart"] == (2, 0, 2)
    assert any("line 3, column 'hr': 'high'" in reason for _, _, reason in found(report))


def test_labels_and_clips_of_which_nothing_can_be_learned(settings, tmp_path):
    (tmp_path / "manifest.csv").write_text("clip,group,label,video,eda,vector\na,s1,no,,,\nd,s1,no,,,\n")
    nothing = {(name, name, "no clip has this modality") for name in ("faces", "voice", "eda", "vector")}
    assert found(validate_manifest(settings)) == nothing | {
        ("yes", "label", "no clip is of this class"),
        ("d", "all", "the clip has no file of any modality"),
    }
    (tmp_path / "manifest.csv").write_text("clip,group,label,video,eda,vector\na,s1,,,,\n")
    assert [f.reason for f in validate_manifest(settings).problems if f.modality == "label"] == ["no clip has a label"]


def test_a_track_without_sound(settings, tmp_path):
    write_video(tmp_path / "b.mp4", [np.full((32, 48, 3), 9 * i, np.uint8) for i in range(12)], 25)
    report = validate_manifest(settings)
    assert not report.problems, "a recording without sound is no failure of preprocessing either"
    assert ("b", "voice", "there is no sound track") in {(f.clip, f.modality, f.reason) for f in report.noted}


def test_the_groups_of_the_manifests_own_split_are_counted(settings, tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "clip,group,label,video,eda,vector,part\na,s1,no,,,,test\nb,s1,yes,,,,test\nc,s2,no,,c.csv,,\n"
    )
    report = validate_manifest(settings.model_copy(update={"split": "part"}))
    assert report.total("test groups") == Total("test groups", 1, "2 clips; the other 1 train")
