import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import UnreadableMedia
from pipelines.media.signal_file import read_signal


@pytest.fixture
def read(tmp_path):
    """Reads text as a signal's file."""

    def write_and_read(content, channel=None):
        path = tmp_path / "signal.csv"
        path.write_text(content, newline="")
        return read_signal(path, channel)

    return write_and_read


@pytest.mark.parametrize(
    ("content", "channel"),
    [
        ("eda\n1\n-2.5\n3e2\n", None),
        ("eda\n1\n-2.5\n3e2\n", "eda"),
        ("time,eda,note\n0,1,a\n1,-2.5,\n2,3e2,b\n", "eda"),
        ("time;eda\r\n0;1\r\n1;-2.5\r\n2;3e2\r\n", "eda"),
        ("eda\ttime\n1\t0\n-2.5\t1\n3e2\t2", "eda"),
        ("0\n1\n-2.5\n3e2\n", None),
    ],
)
def test_a_column_of_samples(read, content, channel):
    samples = read(content, channel)
    assert samples.dtype == np.float64
    np.testing.assert_array_equal(samples, [1, -2.5, 300])


def test_missing_samples_keep_their_place(read):
    np.testing.assert_array_equal(read("x\n1\n\n3\nnan\n\n"), [1, np.nan, 3, np.nan])
    np.testing.assert_array_equal(read("t,x\n0,1\n1,\n2,NA\n3,inf\n", "x"), [1, np.nan, np.nan, np.inf])


def test_an_array(tmp_path):
    for name, array in (("a.npy", np.arange(5.0)), ("b.NPY", np.arange(5, dtype=np.int16)[:, None])):
        with (tmp_path / name).open("wb") as stream:
            np.save(stream, array)
        np.testing.assert_array_equal(read_signal(tmp_path / name, None), np.arange(5.0))
        np.testing.assert_array_equal(read_signal(tmp_path / name, "eda"), np.arange(5.0))
    np.save(tmp_path / "c.npy", np.zeros((5, 2)))
    with pytest.raises(UnreadableMedia, match="one axis was expected"):
        read_signal(tmp_path / "c.npy", None)


@pytest.mark.parametrize(
    ("content", "channel", "reason"),
    [
        ("time,eda\n0,1\n", "ecg", "no column 'ecg' among 'time', 'eda'"),
        ("time,eda\n0,1\n", None, r"2 columns \('time', 'eda'\): say which one with `channel`"),
        ("time,eda\n0,1\n1,high\n", "eda", "line 3, column 'eda': 'high' is not a number"),
        ("time;eda\n0;1\n1;0,5\n", "eda", "line 3, column 'eda': '0,5' is not a number: write .* decimal point"),
        ("time,eda\n0,1\n1\n", "eda", "line 3 has 1 cells, the header has 2"),
        ("0.53\n0.54\n", None, "line 1 is '0.53', the name of the column was expected"),
        ("eda\n", None, "a header, and no sample"),
        ("eda\n\n\n", None, "a header, and no sample"),
        ("", None, "empty file"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(read, content, channel, reason):
    with pytest.raises(UnreadableMedia, match=reason):
        read(content, channel)


@given(samples=st.lists(st.one_of(st.none(), st.floats()), min_size=1, max_size=30), beside=st.booleans())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_what_is_written_is_read(tmp_path_factory, samples, beside):
    path = tmp_path_factory.getbasetemp() / "any_signal.csv"
    cells = ["nan" if x is None else repr(x) for x in samples]
    lines = [f"{i},{cell}" for i, cell in enumerate(cells)] if beside else cells
    path.write_text("\n".join(["t,x" if beside else "x", *lines]) + "\n")
    expected = np.array([np.nan if x is None else x for x in samples])
    np.testing.assert_array_equal(read_signal(path, "x" if beside else None), expected)


@given(content=st.one_of(st.binary(max_size=60), st.text('x,;\t"\n\r 1.e-\0', max_size=40).map(str.encode)))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_are_a_signal_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any_bytes_of_a_signal.csv"
    path.write_bytes(content)
    try:
        samples = read_signal(path, None)
    except UnreadableMedia as error:
        refusal = error.reason
        assert "\n" not in refusal
        return
    assert samples.ndim == 1
    assert samples.size
