import math

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.corpora import affwild2_annotations
from pipelines.corpora.affwild2_annotations import Annotations, read_annotations
from pipelines.errors import UnreadableMedia

HEADER = "valence,arousal"


@pytest.fixture
def read(tmp_path):
    """Reads text or bytes as an annotation file."""

    def write_and_read(content):
        path = tmp_path / "trial.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_annotations(path)

    return write_and_read


def test_rows_in_their_order(read):
    annotations = read(f"{HEADER}\n0.102,0.233\n-1,1\n0.5,-5\n-5.0,0.1\n-5,-5\n1e-3,-0\n")
    assert annotations.values.dtype == np.float32
    np.testing.assert_array_equal(
        annotations.values, np.array([[0.102, 0.233], [-1, 1], *[[math.nan] * 2] * 3, [0.001, 0]], np.float32)
    )
    assert annotations.annotated.tolist() == [True, True, False, False, False, True]
    assert annotations.faults == ()


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfvalence,arousal\n0.5,0.25\n-5,-5",
        b"valence,arousal\r\n0.5,0.25\r\n-5,-5\r\n",
        b"valence,arousal\r0.5,0.25\r-5,-5\r",
        b" Valence , AROUSAL \n 0.5 , 0.25 \n-5.00, -5\n\n \n\n",
        b"valence,arousal\n+.5,00.25\n-5,-5.\n",
    ],
)
def test_what_does_not_matter(read, content):
    annotations = read(content)
    np.testing.assert_array_equal(annotations.values, [[0.5, 0.25], [math.nan, math.nan]])
    assert annotations.faults == ()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1.7,0", "valence 1.7 is outside [-1, 1] and not -5"),
        ("0,-1.0001", "arousal -1.0001 is outside [-1, 1] and not -5"),
        ("-5,5", "arousal 5 is outside [-1, 1] and not -5"),
        ("nan,0", "valence nan is outside [-1, 1] and not -5"),
        ("0,-inf", "arousal -inf is outside [-1, 1] and not -5"),
        ("1e999,0", "valence inf is outside [-1, 1] and not -5"),
        ("0.1", "1 column(s) in '0.1', 2 were expected"),
        ("0.1,0.2,0.3", "3 column(s) in '0.1,0.2,0.3', 2 were expected"),
        ("0,1,", "3 column(s) in '0,1,', 2 were expected"),
        ("a,0", "valence 'a' is not a number"),
        ("0,", "arousal '' is not a number"),
        ("0,1_0", "arousal '1_0' is not a number"),
        ("0 1,0", "valence '0 1' is not a number"),
        ("", "the line is blank"),
        (" ", "the line is blank"),
    ],
)
def test_a_faulty_line_is_named_and_keeps_its_row(read, line, reason):
    annotations = read(f"{HEADER}\n0.5,0.5\n{line}\n0.25,-0.25\n")
    assert annotations.faults == ((3, reason),)
    np.testing.assert_array_equal(annotations.values, [[0.5, 0.5], [math.nan, math.nan], [0.25, -0.25]])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "line 1 is '', the header 'valence,arousal' was expected"),
        ("0.1,0.2\n0.1,0.2\n", "line 1 is '0.1,0.2', the header"),
        ("arousal,valence\n0,0\n", "line 1 is 'arousal,valence', the header"),
        ("\nvalence,arousal\n0,0\n", "line 1 is '', the header"),
        ("Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n0\n", "line 1 is 'Neutral,Anger,Disgust,"),
        (HEADER.encode("utf-16"), "line 1 is"),
        (f"{HEADER}\n", "a header and no row"),
        (f"{HEADER}\n\n \n", "a header and no row"),
    ],
)
def test_a_file_that_cannot_be_meant(read, tmp_path, content, reason):
    with pytest.raises(UnreadableMedia) as raised:
        read(content)
    assert raised.value.file == tmp_path / "trial.txt"
    assert raised.value.reason.startswith(reason)
    assert "\n" not in str(raised.value)


def test_no_file_a_folder_and_an_implausible_size(tmp_path, read, monkeypatch):
    with pytest.raises(UnreadableMedia, match="no such file"):
        read_annotations(tmp_path / "absent.txt")
    with pytest.raises(UnreadableMedia, match="is a directory"):
        read_annotations(tmp_path)
    monkeypatch.setattr(affwild2_annotations, "MAX_BYTES", 8)
    with pytest.raises(UnreadableMedia, match="MiB are plausible"):
        read(f"{HEADER}\n0,0\n")


def test_clean_files_never_take_the_slow_path(read, monkeypatch):
    monkeypatch.setattr(affwild2_annotations, "_parse_lines", None)
    assert len(read(HEADER + "\n" + "0.102,-0.233\n-5,-5\n" * 5000).values) == 10_000


values = st.one_of(st.just(-5.0), st.floats(-1, 1))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(values, values), min_size=1, max_size=40))
def test_what_is_written_is_read(read, rows):
    annotations = read("\n".join([HEADER, *(f"{v!r},{a!r}" for v, a in rows)]))
    expected = np.array(rows)
    expected[(expected == -5).any(axis=1)] = math.nan
    np.testing.assert_array_equal(annotations.values, expected.astype(np.float32))
    assert annotations.faults == ()


cells = st.sampled_from(["0.5", "-5", "1.7", "", "x", "nan", "-1", " ", "1_0", "é"])
lines = st.lists(cells, max_size=3).map(",".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.lists(lines, max_size=12))
@example(body=["0.5,0.5"])
def test_every_line_is_a_row_with_a_value_or_a_reason(read, body):
    content = "\n".join(body).rstrip()
    try:
        annotations = read(f"{HEADER}\n{content}\n")
    except UnreadableMedia:
        assert not content
        return
    assert len(annotations.values) == content.count("\n") + 1
    faulty = {line - 2 for line, _ in annotations.faults}
    for row, line in enumerate(content.split("\n")):
        if line in ("0.5,0.5", "0.5,-1", "-1,0.5", "-1,-1"):
            assert annotations.values[row].tolist() == [float(cell) for cell in line.split(",")]
        else:
            assert np.isnan(annotations.values[row]).all()
            assert (row in faulty) == (line not in ("-5,-5", "-5,0.5", "0.5,-5", "-5,-1", "-1,-5"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(), st.binary().map(lambda body: HEADER.encode() + b"\n" + body)))
def test_any_bytes_give_annotations_or_an_expected_error(read, content):
    try:
        annotations = read(content)
    except UnreadableMedia as error:
        annotations, told = None, error.reason
    if annotations is None:
        assert "\n" not in told
        return
    assert isinstance(annotations, Annotations)
    assert not (np.abs(annotations.values) > 1).any()
    assert all("\n" not in reason for _, reason in annotations.faults)
