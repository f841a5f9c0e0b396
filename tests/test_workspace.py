import json
import os

import pytest

from pipelines.errors import MissingArtifact
from pipelines.workspace import (
    Fingerprint,
    Recording,
    Workspace,
    atomic_path,
    identify,
    is_as_written,
    is_unchanged,
    read_sidecar,
    sidecar,
    stale_reason,
    write_text,
)


@pytest.fixture
def made(tmp_path):
    """An artifact made from one input, and its fingerprint."""
    source, path = tmp_path / "source.bin", tmp_path / "made.h5"
    source.write_bytes(b"input")
    fingerprint = Fingerprint({"faces": {"size": 112}}, {"source": source}, seed=3)
    recording = Recording(fingerprint)
    write_text(path, "artifact")
    recording.finish(path, clips=7)
    return path, fingerprint, source


def test_a_finished_artifact_is_not_stale(made):
    path, fingerprint, _ = made
    assert stale_reason(path, fingerprint) is None
    record = read_sidecar(path)
    assert record["details"] == {"clips": 7}
    assert record["inputs"]["source"]["sha256"] == identify(made[2])["sha256"]
    assert record["wall_time_s"] >= 0


def test_a_copied_or_touched_file_is_still_the_same(made):
    path, fingerprint, source = made
    os.utime(source, ns=(1, 1))
    os.utime(path, ns=(2, 2))
    assert stale_reason(path, fingerprint) is None


def test_each_difference_is_named(made):
    path, fingerprint, source = made

    def reason(**changes):
        return stale_reason(path, Fingerprint(**{**vars(fingerprint), **changes}))

    assert reason(recipe={"faces": {"size": 96}}) == "faces.size was 112, is 96"
    assert reason(seed=4) == "made with seed 3, now 4"
    assert reason(inputs={}) == "made from other inputs (source)"
    source.write_bytes(b"other")
    assert reason() == "source changed"
    source.unlink()
    assert reason() == "source changed"


def test_a_damaged_artifact_and_a_missing_sidecar_are_noticed(made):
    path, fingerprint, _ = made
    path.write_text("artifacT")
    assert stale_reason(path, fingerprint) == "its content is not what was written"
    sidecar(path).write_text('{"half": ')
    assert stale_reason(path, fingerprint) == "an earlier run was interrupted"
    path.unlink()
    assert stale_reason(path, fingerprint) == "not there yet"


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": []},
        {"inputs": {"source": {"size": "5"}}},
        {"artifact": None},
        {"artifact": {"sha256": 3, "size": 1, "mtime_ns": 1}},
        {"details": 1},
        {"version": None},
    ],
)
def test_a_sidecar_that_nobody_here_wrote_counts_as_none(made, change):
    path, fingerprint, _ = made
    sidecar(path).write_text(json.dumps({**read_sidecar(path), **change}))
    assert read_sidecar(path) is None
    assert stale_reason(path, fingerprint) == "an earlier run was interrupted"
    assert identify(path)["size"] == path.stat().st_size


@pytest.mark.parametrize("text", ["[1]", "null", "[" * 100_000, "9" * 5000, "\0"])
def test_json_beside_a_raw_file_is_no_sidecar(tmp_path, text):
    (tmp_path / "video.mp4").write_bytes(b"video")
    (tmp_path / "video.mp4.json").write_text(text)
    assert identify(tmp_path / "video.mp4")["size"] == 5


def test_a_changed_value_of_a_sidecar_shows(made):
    record = read_sidecar(made[0])
    assert is_as_written(record)
    assert not is_as_written({**record, "details": {"clips": 8}})
    assert is_as_written({name: value for name, value in record.items() if name != "checksum"})


def test_another_version_makes_it_again(made):
    path, fingerprint, _ = made
    record = {**read_sidecar(path), "version": "0.0.1"}
    sidecar(path).write_text(json.dumps(record))
    assert stale_reason(path, fingerprint).startswith("made by mtpkd 0.0.1")


def test_an_absent_input_is_recorded_as_absent(tmp_path):
    path, source = tmp_path / "made", tmp_path / "source"
    fingerprint = Fingerprint({}, {"source": source})
    recording = Recording(fingerprint)
    write_text(path, "x")
    recording.finish(path)
    assert stale_reason(path, fingerprint) is None
    source.write_text("now it is there")
    assert stale_reason(path, fingerprint) == "source changed"


def test_the_key_depends_on_content_not_on_times(tmp_path):
    source = tmp_path / "source"
    source.write_text("a")
    key = Recording(Fingerprint({"k": 1}, {"source": source})).key
    os.utime(source, ns=(5, 5))
    assert Recording(Fingerprint({"k": 1}, {"source": source})).key == key
    source.write_text("b")
    assert Recording(Fingerprint({"k": 1}, {"source": source})).key != key
    assert Recording(Fingerprint({"k": 2}, {"source": source})).key != key


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    write_text(path, "old")

    def fail():
        with atomic_path(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_is_unchanged_of_nothing(tmp_path):
    assert is_unchanged(tmp_path / "absent", None)


def test_a_share_of_the_labels_has_a_workspace_inside_with_the_same_cache(tmp_path):
    whole = Workspace(tmp_path / "w")
    write_text(whole.recipe, "...")
    assert whole.whole == whole.labelled(1.0) == whole
    inner = whole.labelled(0.3)
    assert inner.root == tmp_path / "w" / "labelled-0.3"
    assert Workspace(inner.root) == inner, "any command finds it by its path alone"
    for same in (lambda w: w.clips, lambda w: w.failures, lambda w: w.shard("faces", "s1")):
        assert same(inner) == same(whole)
    assert inner.labelled(0.1) == whole.labelled(0.1), "shares lie beside each other"
    assert inner.labelled(1.0) == whole
    for own in (
        lambda w: w.recipe,
        lambda w: w.cell(0, 0),
        lambda w: w.predictions(0, 0, "kd"),
        lambda w: w.comparison,
    ):
        assert own(inner).is_relative_to(inner.root)


def test_a_folder_that_only_looks_like_a_share_has_its_own_cache(tmp_path):
    assert Workspace(tmp_path / "labelled-0.3").cache == tmp_path / "labelled-0.3" / "cache"
    write_text(Workspace(tmp_path).recipe, "...")
    assert Workspace(tmp_path / "biovid").cache == tmp_path / "biovid" / "cache"


def test_require_names_the_command(tmp_path):
    with pytest.raises(MissingArtifact, match=r"mtpkd align --workspace"):
        Workspace(tmp_path).require(tmp_path / "x", "mtpkd align")
