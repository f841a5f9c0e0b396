import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import UnreadableMedia
from pipelines.media import csv_table
from pipelines.media.csv_table import SEPARATORS, open_table, parse_number


@pytest.fixture
def table(tmp_path):
    """Opens text or bytes as a table."""

    def write_and_open(content):
        path = tmp_path / "t.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return open_table(path)

    return write_and_open


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n3,4\n",
        "a\tb\n1\t2\n3\t4",
        "a;b\r\n1;2\r\n3;4\r\n",
        "a,b\r1,2\r3,4\r",
        b"\xef\xbb\xbfa,b\n1,2\n3,4\n",
        ' a , "b"\n 1 ,"2"\n3,4,\n',
    ],
)
def test_separators_and_what_does_not_matter(table, content):
    opened = table(content)
    assert opened.header[:2] == ("a", "b")
    assert [(line, cells[:2]) for line, cells in opened.full_rows()] == [(2, ["1", "2"]), (3, ["3", "4"])]


def test_a_separator_inside_names_does_not_count(table):
    assert table('"a,1";"b,2"\n1;2\n').header == ("a,1", "b,2")


def test_lines_are_those_of_an_editor(table):
    rows = table('a,b\n\n1,"two\nlines"\n,\n3,4\n').rows()
    assert list(rows) == [(3, ["1", "two\nlines"]), (6, ["3", "4"])]


def test_blank_lines_in_one_column_are_empty_cells_but_for_those_at_the_end(table):
    assert list(table("a\n1\n\n3\n\n\n").rows()) == [(2, ["1"]), (3, [""]), (4, ["3"])]
    assert list(table('a\n1\n""\n').rows()) == [(2, ["1"]), (3, [""])]


@pytest.mark.parametrize("row", ["1", "1,2,3"])
def test_rows_of_another_width_are_named(table, row):
    with pytest.raises(UnreadableMedia, match=rf"line 3 has {row.count(',') + 1} cells, the header has 2"):
        list(table(f"a,b\n1,2\n{row}\n").full_rows())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty file"),
        ("\n \n", "empty file"),
        ("\na,b\n", "line 1 is blank"),
        ("a\xe4".encode("latin-1"), "not UTF-8 text"),
        ("a,b\n".encode("utf-16"), "not UTF-8 text"),
    ],
)
def test_what_is_no_table_is_refused(table, content, reason):
    with pytest.raises(UnreadableMedia, match=reason):
        table(content)


def test_files_that_cannot_be_opened(tmp_path, monkeypatch):
    with pytest.raises(UnreadableMedia, match=r"absent\.csv: no such file"):
        open_table(tmp_path / "absent.csv")
    with pytest.raises(UnreadableMedia, match="is a directory"):
        open_table(tmp_path)
    (tmp_path / "large.csv").write_text("a,b\n")
    monkeypatch.setattr(csv_table, "MAX_BYTES", 2)
    with pytest.raises(UnreadableMedia, match="MiB are plausible"):
        open_table(tmp_path / "large.csv")


def test_columns_that_are_not_there_or_twice(table):
    opened = table("clip,heart,heart\n")
    assert opened.position("clip") == 0
    with pytest.raises(UnreadableMedia, match="'heart' occurs 2 times"):
        opened.position("heart")
    with pytest.raises(UnreadableMedia, match=r"no column 'clips' among 'clip', .*; did you mean 'clip'"):
        opened.position("clips")


@pytest.mark.parametrize("cell", ["", "na", "NA", "nan", "NaN"])
def test_missing_numbers(cell):
    assert parse_number(cell) != parse_number(cell)


@pytest.mark.parametrize("cell", ["1_0", "x", "1 2", "0,5", "--1", "None", "0x1"])
def test_what_is_no_number(cell):
    with pytest.raises(ValueError, match="is not a number"):
        parse_number(cell)


names = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8).map(str.strip)


@given(
    rows=st.integers(2, 4).flatmap(
        lambda width: st.lists(st.lists(names.filter(bool), min_size=width, max_size=width), min_size=1, max_size=6)
    ),
    separator=st.sampled_from(SEPARATORS),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_what_a_csv_writer_wrote_is_read(tmp_path_factory, rows, separator):
    header = [f"c{i}" for i in range(len(rows[0]))]
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(stream.getvalue().encode())
    opened = open_table(path)
    assert opened.header == tuple(header)
    assert [cells for _, cells in opened.full_rows()] == rows


@given(content=st.one_of(st.binary(max_size=80), st.text(',;\t"\n\r a1\0', max_size=60).map(str.encode)))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_are_a_table_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any_bytes.csv"
    path.write_bytes(content)
    try:
        opened = open_table(path)
        rows = list(opened.full_rows())
    except UnreadableMedia as error:
        refusal = error.reason
        assert "\n" not in refusal
        return
    assert all(line >= 2 and len(cells) >= len(opened.header) for line, cells in rows)
