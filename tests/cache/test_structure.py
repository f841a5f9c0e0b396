from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.cache.structure import StructureRecord, read_structure, write_structure
from pipelines.errors import DamagedFile


def record(clips=3, epochs=(0, 1, 4), seed=0):
    rng = np.random.default_rng(seed)
    count = len(epochs)
    return StructureRecord(
        clips=tuple(f"clip-{i}" for i in range(clips)),
        groups=tuple(f"gruppe-ä-{i % 2}" for i in range(clips)),
        labels=np.array([[i % 2] for i in range(clips - 1)] + [[np.nan]]).reshape(-1, 1),
        epochs=epochs,
        best=epochs[-1],
        teacher=rng.uniform(0, 2, (clips, clips)).astype("float32"),
        student=rng.uniform(0, 2, (count, clips, clips)).astype("float32"),
        plans=(rng.dirichlet(np.ones(clips**2), count).reshape(count, clips, clips)).astype("float32"),
    )


@settings(max_examples=20, deadline=None, database=None, derandomize=True)
@given(st.integers(1, 9), st.sets(st.integers(0, 1000), min_size=1, max_size=6), st.integers(0, 9))
def test_records_survive_the_disk(tmp_path_factory, clips, epochs, seed):
    path = tmp_path_factory.mktemp("structure") / "structure.h5"
    written = record(clips, tuple(sorted(epochs)), seed)
    write_structure(path, written)
    read = read_structure(path)
    for name, value in vars(written).items():
        np.testing.assert_array_equal(getattr(read, name), value, err_msg=name)
    first = path.read_bytes()
    write_structure(path, written)
    assert path.read_bytes() == first


def test_the_diagonal_is_the_share_of_a_plan_that_stays_with_its_clip():
    plans = np.stack([np.full((4, 4), 1 / 16), np.eye(4) / 4])
    one = replace(record(4, (0, 2)), plans=plans)
    assert one.diagonal_mass.tolist() == [0.25, 1.0]
    assert one.at(2) == 1
    with pytest.raises(ValueError, match="not in"):
        one.at(3)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("teacher", np.full((3, 3), 2.1), "teacher outside 0 to 2"),
        ("student", np.full((3, 3, 3), np.nan), "student outside 0 to 2"),
        ("plans", np.full((3, 3, 3), -0.1), "plans outside 0 to 1"),
        ("plans", np.full((2, 3, 3), 0.1), r"plans of shape \(2, 3, 3\).*expected \(3, 3, 3\)"),
        ("teacher", np.ones((4, 4)), r"teacher of shape \(4, 4\)"),
        ("labels", np.ones(3), r"labels of shape \(3,\)"),
        ("epochs", np.array([0, 4, 1]), "snapshots that are in no order"),
        ("epochs", np.array([-1, 1, 4]), "snapshots that are in no order"),
        ("epochs", np.array([0, 1, 2]), "no snapshot of its best epoch, 4"),
        ("groups", np.array([b"a", b"b"]), "2 groups of 3 clips"),
    ],
)
def test_what_no_training_writes_is_refused(tmp_path, name, value, reason):
    path = tmp_path / "structure.h5"
    write_structure(path, record())
    with h5py.File(path, "r+") as file:
        del file[name]
        file[name] = value
    with pytest.raises(DamagedFile, match=rf"structure\.h5 has {reason}|structure\.h5 has .*{reason}"):
        read_structure(path)


def test_another_kind_of_file_and_none_are_named(tmp_path):
    with pytest.raises(DamagedFile, match=r"structure\.h5 is missing"):
        read_structure(tmp_path / "structure.h5")
    (tmp_path / "structure.h5").write_bytes(b"no file of HDF5")
    with pytest.raises(DamagedFile, match=r"structure\.h5 is damaged"):
        read_structure(tmp_path / "structure.h5")
