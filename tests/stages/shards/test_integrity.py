import json
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.cache.channels import ChannelArrays, write_channels
from pipelines.corpora import Failure
from pipelines.recipe.loading import load_recipe
from pipelines.stages.shards import kinds_of
from pipelines.stages.shards.integrity import check_shard, fault_of
from pipelines.stages.shards.unit import Outcome
from pipelines.workspace import Fingerprint, Recording, read_sidecar, sidecar

KIND = kinds_of(load_recipe("biovid"))["biosignals"]
CLIPS = ["a", "b", "c"]


def make(path, *, clips=("a", "b"), **changes):
    """A shard of two clips of three, one of them without ECG, and its sidecar."""
    recording = Recording(Fingerprint({"clips": CLIPS}))
    rows = len(clips)
    arrays = {
        name: ChannelArrays(present=np.ones(rows, bool), features=np.zeros((rows, 3), np.float32))
        for name in KIND.modalities
    }
    arrays["ecg"].present[0] = False
    write_channels(path, clips, arrays)
    coverage = {"a": {"eda": 1.0, "ecg": 0.0, "emg": 0.9}, "b": {"eda": 0.5, "ecg": 1.0, "emg": 1.0}}
    outcome = Outcome(coverage, {}, [Failure("c", "biosignals", "c.csv", "empty file")])
    recording.finish(path, **{**outcome.details(), **changes})
    return path


@pytest.fixture
def shard(tmp_path):
    return make(tmp_path / "s.h5")


def nobody(_):
    pass


def check(path):
    return check_shard(path, KIND, nobody)


def test_a_sound_shard_tells_its_clips_and_what_became_of_them(shard):
    checked = check(shard)
    assert not checked.fault
    assert checked.clips == ("a", "b", "c")
    assert checked.outcome.coverage["b"]["eda"] == 0.5
    assert checked.outcome.failures[0].reason == "empty file"


def test_every_byte_is_told_of_once(shard):
    told = []
    check_shard(shard, KIND, told.append)
    assert sum(told) == shard.stat().st_size
    shard.write_bytes(b"much shorter")
    told.clear()
    check_shard(shard, KIND, told.append)
    assert told == [12]


def test_what_is_no_whole_file(shard):
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    assert fault_of(shard, nobody) == f"is not what was written: {len(whole) - 1:,} bytes instead of {len(whole):,}"
    shard.write_bytes(b"")
    assert fault_of(shard, nobody).startswith("is not what was written: 0 bytes")
    shard.unlink()
    assert fault_of(shard, nobody) == "is missing"
    shard.mkdir()
    assert fault_of(shard, nobody) == "is no file"
    assert fault_of(sidecar(shard) / "below.h5", nobody) == "cannot be read (Not a directory)"


def test_a_flip_that_keeps_size_and_time_is_found(shard):
    status, data = shard.stat(), bytearray(shard.read_bytes())
    data[2177] ^= 1
    shard.write_bytes(data)
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert check(shard).fault == "is not what was written: its SHA-256 differs"


@pytest.mark.parametrize("text", ["", "[]", "null", '"x"', "{}", "[" * 10_000, '{"artifact": 3}', "9" * 5000])
def test_a_sidecar_of_anything(shard, text):
    sidecar(shard).write_text(text)
    assert check(shard).fault == "has a sidecar that cannot be read"


def test_a_sidecar_that_is_gone_or_a_folder(shard):
    sidecar(shard).unlink()
    assert check(shard).fault == "has no sidecar: its run was killed"
    sidecar(shard).mkdir()
    assert check(shard).fault == "has a sidecar that cannot be read"


def test_a_value_of_a_sidecar_that_changed(shard):
    text = sidecar(shard).read_text()
    sidecar(shard).write_text(text.replace("0.5", "0.6"))
    assert check(shard).fault == "has a sidecar that is not what was written"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"coverage": None}, "has a sidecar whose coverage cannot be used"),
        ({"coverage": {"a": {"eda": "1"}}}, "has a sidecar whose coverage.a.eda cannot be used"),
        ({"failures": [{"clip": "c"}]}, "has a sidecar whose failures.0.modality cannot be used"),
        ({"attributes": []}, "has a sidecar whose attributes cannot be used"),
        ({"coverage": {"a": {}, "b": {}, "x": {}, "y": {}}}, "clip x (and 1 more), which it was not made from"),
        ({"coverage": {"a": {}, "b": {}, "c": {}}}, "lacks clip c"),
        ({"coverage": {"a": {}}}, "holds clip b, which its sidecar does not tell of"),
        ({"coverage": {"a": {"ecg": 0.3}, "b": {}}}, "has nothing of clip a, ecg, of which it should have 30 %"),
        ({"coverage": {"a": {"eda": 1.5}, "b": {}}}, "has a sidecar with a coverage of 1.5 of clip a, eda"),
        ({"coverage": {"a": {"eda": float("nan")}, "b": {}}}, "has a sidecar"),
    ],
)
def test_a_shard_that_its_sidecar_does_not_describe(tmp_path, changes, reason):
    assert reason in check(make(tmp_path / "s.h5", **changes)).fault


def test_a_doubled_clip_and_another_kind_under_a_sidecar_of_its_own(tmp_path):
    assert check(make(tmp_path / "s.h5", clips=("a", "b", "b"))).fault == "holds clip b more than once"
    path = make(tmp_path / "t.h5")
    faces = kinds_of(load_recipe("biovid"))["faces"]
    assert "holds biosignals format" in check_shard(path, faces, nobody).fault


def test_sidecars_from_before_checksums_are_taken_as_they_are(shard):
    record = read_sidecar(shard)
    del record["checksum"]
    sidecar(shard).write_text(json.dumps(record))
    assert not check(shard).fault


damages = st.one_of(
    st.tuples(st.just("flip"), st.floats(0, 1, exclude_max=True), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.floats(0, 1, exclude_max=True), st.just(0)),
)


def damaged(data, damage):
    how, share, mask = damage
    at = int(share * len(data))
    return data[:at] if how == "cut" else data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=damages)
def test_any_damage_of_a_shard_is_found(shard, damage):
    whole = shard.read_bytes()
    shard.write_bytes(damaged(whole, damage))
    assert check(shard).fault
    shard.write_bytes(whole)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=damages)
def test_any_damage_of_a_sidecar_is_found_or_changes_nothing(shard, damage):
    whole, before = sidecar(shard).read_bytes(), check(shard)
    sidecar(shard).write_bytes(damaged(whole, damage))
    after = check(shard)
    assert after.fault or (after.clips, after.outcome) == (before.clips, before.outcome)
    sidecar(shard).write_bytes(whole)
