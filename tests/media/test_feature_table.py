import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import UnreadableMedia
from pipelines.media.feature_table import read_feature_index, read_feature_table, read_feature_vector


@pytest.fixture
def write(tmp_path):
    """Writes a table; returns its path."""

    def _write(content):
        path = tmp_path / "features.csv"
        path.write_text(content)
        return path

    return _write


def test_rows_by_clip(write):
    path = write("clip,hr,rmssd\nb,1.5,2\na,-3,4e-3\n")
    table = read_feature_table(path, None, None)
    assert table.names == ("hr", "rmssd")
    assert list(table.rows) == ["b", "a"]
    assert table.rows["a"].dtype == np.float32
    np.testing.assert_array_equal(table.rows["a"], np.float32([-3, 4e-3]))
    index = read_feature_index(path, None, None)
    assert (index.names, dict(index.lines)) == (("hr", "rmssd"), {"b": 2, "a": 3})


@pytest.mark.parametrize("cell", ["", " ", "nan", "NA", "inf", "-Infinity", "1e39", "-1e400"])
def test_what_is_not_finite_in_float32_is_missing(write, cell):
    rows = read_feature_table(write(f"clip,x,y\na,{cell},1\n"), None, None).rows
    np.testing.assert_array_equal(rows["a"], np.float32([np.nan, 1]))


def test_the_key_is_the_named_column_or_the_manifests_or_the_first(write):
    path = write("row,id,x\n7,a,1\n8,b,2\n")
    assert list(read_feature_table(path, "id", ["x"]).rows) == ["a", "b"]
    assert list(read_feature_table(path, None, ["x"], default_key="id").rows) == ["a", "b"]
    assert list(read_feature_table(path, None, ["x"], default_key="clip").rows) == ["7", "8"]
    assert list(read_feature_table(path, None, ["x"]).rows) == ["7", "8"]
    assert read_feature_table(path, "id", None).names == ("row", "x")


def test_columns_without_a_name_are_no_features(write):
    path = write(",id,x,\n0,a,1,\n1,b,2,\n")
    table = read_feature_table(path, "id", None)
    assert table.names == ("x",)
    np.testing.assert_array_equal(table.rows["b"], [2])
    assert list(read_feature_table(write(",x\na,1\n"), None, None).rows) == ["a"]


def test_features_are_chosen_in_the_order_of_the_settings(write):
    path = write("clip,x,y,note\na,1,2,text\n")
    table = read_feature_table(path, None, ("y", "x"))
    assert table.names == ("y", "x")
    np.testing.assert_array_equal(table.rows["a"], [2, 1])


@pytest.mark.parametrize(
    ("content", "key", "features", "reason"),
    [
        ("clip,x\na,1\na,2\n", None, None, "lines 2 and 3 have the same id in column 'clip': 'a'"),
        ("clip,x\na,1\n,2\n", None, None, "line 3: the clip's id in column 'clip' is empty"),
        ("clip,x,y\na,1\n", None, None, "line 2 has 2 cells, the header has 3"),
        ("clip,x,x\na,1,2\n", None, None, "column 'x' occurs 2 times"),
        ("clip,x\na,1\n", "id", None, "no column 'id' among 'clip', 'x'"),
        ("clip,rmssd\na,1\n", None, ["rmsdd"], "no column 'rmsdd' among 'clip', 'rmssd'; did you mean 'rmssd'"),
        ("clip\na\n", None, None, "no column beside the clips' ids"),
        ("", None, None, "empty file"),
    ],
)
def test_what_cannot_be_meant_is_found_with_and_without_the_numbers(write, content, key, features, reason):
    path = write(content)
    for read in (read_feature_table, read_feature_index):
        with pytest.raises(UnreadableMedia, match=reason):
            read(path, key, features)


@pytest.mark.parametrize("cell", ["high", "1_0", '"1,5"'])
def test_text_is_named_by_line_and_column(write, cell):
    path = write(f"clip,x,y\na,1,2\n\nb,3,{cell}\n")
    with pytest.raises(UnreadableMedia, match=r"line 4, column 'y': .* is not a number.*; choose columns"):
        read_feature_table(path, None, None)
    assert list(read_feature_index(path, None, None).lines) == ["a", "b"]


def test_a_vector(tmp_path):
    np.save(tmp_path / "v.npy", np.array([[1.0, np.inf, 1e300, np.nan]]))
    values = read_feature_vector(tmp_path / "v.npy")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, [1, np.nan, np.nan, np.nan])


@given(
    rows=st.dictionaries(
        st.text("abcXYZ-_0123456789 é", min_size=1, max_size=6).map(str.strip).filter(bool),
        st.lists(st.one_of(st.none(), st.floats(width=32)), min_size=3, max_size=3),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_what_is_written_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "any_features.csv"
    lines = [",".join([clip, *("" if x is None else repr(x) for x in values)]) for clip, values in rows.items()]
    path.write_text("\n".join(["id,a,b,c", *lines]))
    table = read_feature_table(path, None, None)
    assert list(table.rows) == list(rows)
    for clip, values in rows.items():
        expected = np.array([np.nan if x is None else x for x in values], np.float32)
        expected[~np.isfinite(expected)] = np.nan
        np.testing.assert_array_equal(table.rows[clip], expected)


CELLS = st.sampled_from(["", "1", "-2.5e3", "nan", "inf", "x", "1_0", '"', "a", "b", "\n", "\r", ";", "\t", "\0", "é"])


@given(lines=st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=6), named=st.booleans())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_table_is_read_or_refused(tmp_path_factory, lines, named):
    path = tmp_path_factory.getbasetemp() / "any_table.csv"
    path.write_text("\n".join(["id,x,y", *lines] if named else lines), encoding="utf-8", newline="")
    try:
        table = read_feature_table(path, None, None)
    except UnreadableMedia as error:
        refusal = error.reason
        assert "\n" not in refusal
        return
    assert all(row.shape == (len(table.names),) and not np.isinf(row).any() for row in table.rows.values())
    assert set(read_feature_index(path, None, None).lines) == set(table.rows)
