import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import UnreadableMedia
from pipelines.media import npy_file
from pipelines.media.npy_file import read_npy


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "i1", "<u2", ">i8"])
@pytest.mark.parametrize("shape", [(4,), (4, 1), (1, 4)])
def test_numbers_of_any_width_and_order(tmp_path, dtype, shape):
    np.save(tmp_path / "x.npy", np.array([1, 2, 3, 4], dtype).reshape(shape))
    values = read_npy(tmp_path / "x.npy")
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, [1, 2, 3, 4])


def test_not_a_number_and_infinities_are_kept(tmp_path):
    np.save(tmp_path / "x.npy", np.array([np.nan, np.inf, -np.inf]))
    np.testing.assert_array_equal(read_npy(tmp_path / "x.npy"), [np.nan, np.inf, -np.inf])


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((2, 3)), r"its shape is \(2, 3\)"),
        (np.zeros((1, 1, 3)), r"its shape is \(1, 1, 3\)"),
        (np.zeros(()), r"its shape is \(\)"),
        (np.zeros(0), "there is no value"),
        (np.zeros((0, 1)), "there is no value"),
        (np.zeros(3, complex), "of type complex128"),
        (np.array(["a"]), "of type <U1"),
        (np.zeros(3, bool), "of type bool"),
        (np.array([{"a": 1}], dtype=object), "of type object"),
        (np.zeros(3, "datetime64[s]"), "of type datetime64"),
    ],
)
def test_arrays_that_are_no_row_of_numbers(tmp_path, array, reason):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    with pytest.raises(UnreadableMedia, match=reason):
        read_npy(tmp_path / "x.npy")


def test_what_is_unpickled_by_numpy_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    np.save(tmp_path / "x.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    (tmp_path / "sprung").unlink(missing_ok=True)
    with pytest.raises(UnreadableMedia):
        read_npy(tmp_path / "x.npy")
    assert not (tmp_path / "sprung").exists()


def test_a_length_that_the_file_does_not_have(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content[:-1])
    with pytest.raises(UnreadableMedia, match="23 bytes of values, its header says 24"):
        read_npy(tmp_path / "x.npy")
    (tmp_path / "x.npy").write_bytes(content.replace(b"(3,), }         ", b"(300000000000,),}"[:16]))
    with pytest.raises(UnreadableMedia):
        read_npy(tmp_path / "x.npy")


def test_files_that_cannot_be_opened(tmp_path, monkeypatch):
    with pytest.raises(UnreadableMedia, match=r"absent\.npy: no such file"):
        read_npy(tmp_path / "absent.npy")
    with pytest.raises(UnreadableMedia, match="is a directory"):
        read_npy(tmp_path)
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(UnreadableMedia, match=r"not a \.npy file"):
        read_npy(tmp_path / "x.npz")
    monkeypatch.setattr(npy_file, "MAX_BYTES", 8)
    with pytest.raises(UnreadableMedia, match="MiB are plausible"):
        read_npy(tmp_path / "x.npz")


@pytest.mark.parametrize("header", ["-" * 5000 + "1", "{'descr': " + "-" * 3000 + "1}", "a." * 3000 + "b"])
def test_a_header_that_is_too_deep_for_its_parser(tmp_path, header):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    with pytest.raises(UnreadableMedia, match=r"not a \.npy file: .*recursion"):
        read_npy(tmp_path / "x.npy")


def test_a_type_of_many_parts_is_told_in_one_short_line(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(1, ",".join(["f8"] * 200)))
    with pytest.raises(UnreadableMedia) as caught:
        read_npy(tmp_path / "x.npy")
    assert len(caught.value.reason) < 150


def saved(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


SOUND = saved(np.arange(4.0))


@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=60).map(lambda body: SOUND[:10] + body + SOUND[70:]),
        st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)).map(
            lambda change: SOUND[: change[0]] + bytes([change[1]]) + SOUND[change[0] + 1 :]
        ),
    )
)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_any_bytes_are_numbers_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.npy"
    path.write_bytes(content)
    try:
        values = read_npy(path)
    except UnreadableMedia as error:
        refusal = error.reason
        assert "\n" not in refusal
        return
    assert values.dtype == np.float64
    assert values.ndim == 1
    assert values.size
