"""Damaged weights, and arrays in files of their own."""

import json
import struct

import numpy as np
import pytest
from safetensors.torch import save_file
from torch import nn, zeros

from pipelines.errors import MtpkdError, UnreadableMedia
from pipelines.media.npy_file import read_npy
from pipelines.models.encoders.weights import load_weights
from pipelines.training.checkpoints import load_checkpoint


@pytest.mark.parametrize("family", ["checkpoint", "safetensors", "torch", "npy"])
def test_a_damaged_file_is_read_or_refused(fuzz, family):
    batch = fuzz(family, 150)
    assert not batch.faults, batch.faults


def tensors(begin: int, end: int, shape=(4,), dtype: str = "F32") -> bytes:
    header = json.dumps({"x": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(16)


HEADERS = {
    "a header of exabytes": struct.pack("<Q", 2**60) + b"{}",
    "a header that is longer than its file": struct.pack("<Q", 1000) + b"{}",
    "values beyond the file": tensors(0, 2**40, (2**38,)),
    "values out of range": tensors(2**62, 2**62 + 16),
    "a length that is not its shape's": tensors(0, 16, (2**40, 2**40)),
    "an unknown type": tensors(0, 16, dtype="O8"),
    "a negative length": tensors(0, 16, (-4,)),
    "deep nesting": struct.pack("<Q", 100_000) + b"[" * 100_000,
    "overlapping values": struct.pack("<Q", 115)
    + (
        b'{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},'
        + b'"y":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    ).ljust(115)
    + bytes(16),
}


def test_headers_that_claim_what_is_not_there(outcomes_of, tmp_path):
    contents = {f"{number}.safetensors": content for number, content in enumerate(HEADERS.values())}
    for family in ("safetensors", "checkpoint"):
        outcomes = outcomes_of(family, contents, tmp_path)
        assert set(map(tuple, outcomes.values())) == {("refused",)}
    for name in contents:
        for read in (load_checkpoint, lambda path: load_weights(nn.Linear(2, 2), path)):
            with pytest.raises(MtpkdError, match=name):
                read(tmp_path / name)


@pytest.mark.parametrize(
    "header", ["", "{", "[]", "null", "1", '{"schema": []}', '{"schema": {}, "recipe": [1]}', "[" * 9**5]
)
def test_a_header_that_is_not_ours(tmp_path, header):
    save_file({"x": zeros(2)}, tmp_path / "c.safetensors", metadata={"mtpkd": header})
    with pytest.raises(MtpkdError, match=r"c\.safetensors has a header that mtpkd did not write"):
        load_checkpoint(tmp_path / "c.safetensors")


def array(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", 118) + header + bytes(64)


def test_arrays_that_claim_what_is_not_there(outcomes_of, tmp_path):
    shapes = ["(1000000000, 1000000000)", "(99999999999999999999,)", "(-1,)", "(2, 2)", "()"]
    contents = {f"{number}.npy": array(shape) for number, shape in enumerate(shapes)}
    assert set(map(tuple, outcomes_of("npy", contents, tmp_path).values())) == {("refused",)}
    with pytest.raises(UnreadableMedia, match=r"0\.npy"):
        read_npy(tmp_path / "0.npy")


def test_an_intact_array(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    assert read_npy(tmp_path / "a.npy").tolist() == [0, 1, 2]
