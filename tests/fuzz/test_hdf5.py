"""Damaged shards and stores: every byte of them may be another one."""

import h5py
import numpy as np
import pytest

from pipelines.cache.annotations import read_annotations
from pipelines.cache.channels import ChannelShard
from pipelines.cache.embeddings import read_embeddings
from pipelines.cache.faces import FaceShard
from pipelines.cache.hdf5 import open_for_reading
from pipelines.errors import DamagedFile

FAMILIES = ["faces", "faces-raw", "biosignals", "audio", "annotations", "embeddings", "structure"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_damaged_file_is_read_or_refused(fuzz, family):
    batch = fuzz(family, 80)
    assert not batch.faults, batch.faults


def replace(path, name, **options):
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, **options)


@pytest.fixture
def copy(originals, tmp_path):
    """A copy of an intact file that a test may spoil."""

    def make(family):
        path = tmp_path / f"{family}.h5"
        path.write_bytes((originals / family / "0.h5").read_bytes())
        return path

    return make


HUGE = {"shape": (10**9, 10**9), "dtype": "f4", "chunks": (64, 64)}


def test_arrays_that_are_larger_than_their_file_are_never_allocated(copy):
    path = copy("embeddings")
    replace(path, "columns/joint/embeddings", shape=(4, 10**9, 10**9), dtype="f4", chunks=(1, 64, 64))
    with pytest.raises(DamagedFile, match=r"embeddings\.h5 has columns/joint/embeddings of 16,.* bytes in a file of"):
        read_embeddings(path)
    path = copy("annotations")
    replace(path, "trials/a/values", **HUGE)
    with pytest.raises(DamagedFile, match="has trials/a/values of 4,000,000,000,000,000,000 bytes"):
        read_annotations(path)
    path = copy("biosignals")
    replace(path, "eda/wave", shape=(3, 10**12), dtype="f4", chunks=(1, 64))
    with pytest.raises(DamagedFile, match="has eda/wave of"):
        ChannelShard(path).read("x", "eda", "wave")
    path = copy("faces")
    replace(path, "bytes", shape=(10**15,), dtype="u1", chunks=(64,))
    with pytest.raises(DamagedFile, match="has bytes of"):
        FaceShard(path)


def test_packed_and_foreign_arrays_are_refused(copy, tmp_path):
    path = copy("embeddings")
    replace(path, "columns/joint/present", data=np.ones(4, bool), compression="gzip")
    with pytest.raises(DamagedFile, match="present that is compressed or lies in another file"):
        read_embeddings(path)
    (tmp_path / "secret").write_bytes(b"\1\1\1\1")
    path = copy("embeddings")
    replace(path, "columns/joint/present", shape=(4,), dtype=bool, external=[(str(tmp_path / "secret"), 0, 4)])
    with pytest.raises(DamagedFile, match="present that is compressed or lies in another file"):
        read_embeddings(path)
    path, other = copy("embeddings"), copy("annotations")
    with h5py.File(path, "r+") as file:
        del file["clips"]
        file["clips"] = h5py.ExternalLink(str(other), "clips")
    with pytest.raises(DamagedFile, match="clips that is compressed or lies in another file"):
        read_embeddings(path)


def test_text_of_variable_length_is_never_read(copy):
    path = copy("embeddings")
    replace(path, "clips", data=np.array(list("abcd"), dtype=h5py.string_dtype()))
    with pytest.raises(DamagedFile, match="has clips of shape"):
        read_embeddings(path)
    with h5py.File(path, "r+") as file:
        file.attrs["kind"] = "embeddings"
    with pytest.raises(DamagedFile, match="has an attribute kind of shape"):
        open_for_reading(path, "embeddings")


def test_a_crop_that_is_none_names_its_shard(copy):
    path = copy("faces")
    with h5py.File(path, "r+") as file:
        file["bytes"][:40] = 0
    with pytest.raises(DamagedFile, match=r"faces\.h5 has a frame 0 that is no crop"):
        FaceShard(path).read("a", [0])
    with h5py.File(path, "r+") as file:
        file["offsets"][1] = -7
    with pytest.raises(DamagedFile, match=r"faces\.h5 has no crop of its frame 0"):
        FaceShard(path).read("a", [0])
