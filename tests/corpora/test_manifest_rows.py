import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.corpora.manifest_rows import read_rows
from pipelines.errors import SettingsError
from pipelines.recipe import FeatureTable, ManifestCorpus, SignalFiles, VideoFiles

MODALITIES = {
    "faces": VideoFiles(column="video"),
    "eda": SignalFiles(column="eda", rate=10, seconds=2),
    "heart": FeatureTable(table="heart.csv"),
}
HEADER = "clip,group,label,video,eda,sex"


def corpus(root, **changes):
    values = {"root": root, "classes": ("rest", "stress"), "attributes": ("sex",), "modalities": MODALITIES}
    return ManifestCorpus(**{**values, **changes})


@pytest.fixture
def read(tmp_path):
    """Reads rows below the header, or a whole content, as a manifest."""

    def write_and_read(*lines, content=None, **changes):
        text = "\n".join([HEADER, *lines]) + "\n" if content is None else content
        (tmp_path / "manifest.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_rows(corpus(tmp_path, **changes))

    return write_and_read


def test_what_a_row_says(read, tmp_path):
    first, second = read("a,s1,stress,v/a.mp4,v/../a.csv,w", "b,s1,,,,")
    assert (first.clip, first.group, first.label, first.attributes) == ("a", "s1", 1, {"sex": "w"})
    assert {name: str(path) for name, path in first.paths.items()} == {
        "faces": str(tmp_path / "v/a.mp4"),
        "eda": str(tmp_path / "v/../a.csv"),
    }
    assert first.place == f"{tmp_path / 'manifest.csv'}:2"
    assert (second.label, second.partial, second.paths, second.attributes) == (None, None, {}, {"sex": ""})


@pytest.mark.parametrize(
    "content",
    [
        "clip;group;label;video;eda;sex;note\na;s1;rest;a.mp4;;w;x,y\n",
        "note\tsex\tclip\tgroup\tlabel\tvideo\teda\r\n\tw\ta\ts1\trest\ta.mp4\t\r\n",
        b"\xef\xbb\xbfclip,group,label,video,eda,sex\na,s1,rest,a.mp4,,w\n,,,,,\n",
        'clip,group,label,video,eda,sex\n\n"a", s1 ,rest,a.mp4,,w,,\n',
    ],
)
def test_separators_and_what_does_not_matter(read, tmp_path, content):
    (row,) = read(content=content)
    assert (row.clip, row.group, row.label) == ("a", "s1", 0)
    assert row.paths == {"faces": tmp_path / "a.mp4"}


@pytest.mark.parametrize(("cell", "label"), [("1", 1), ("1.0", 1), ("0", 0), ("", None), ("nan", None), ("NA", None)])
def test_classes_that_are_numbers_match_by_value(read, cell, label):
    assert read(f"a,s1,{cell},,,", classes=("0", "1"))[0].label == label


def test_a_class_may_be_called_what_else_is_missing(read):
    assert [row.label for row in read("a,s1,na,,,", "b,s1,nan,,,", classes=("na", "yes"))] == [0, None]


def test_continuous_labels(read, tmp_path):
    rows = read(
        content="clip,group,valence,arousal,video,eda,sex\na,s1,-0.5,1e-1,,,\nb,s1,,nan,,,\nc,s1,,0.5,,,\n",
        task="continuous",
        classes=(),
        labels=("valence", "arousal"),
    )
    assert [row.label for row in rows] == [(-0.5, 0.1), None, None]
    assert [row.partial is None for row in rows] == [True, True, False]
    partial = rows[2].partial
    assert (partial.clip, partial.modality, partial.tolerated) == ("c", "label", True)
    assert partial.file == f"{tmp_path / 'manifest.csv'}:4"
    assert partial.reason == "no valence beside arousal: the clip counts as one without a label"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,s1,rest,,,", "a,s2,rest,,,"], "line 3, column 'clip': the id 'a' stands in line 2 already"),
        ([",s1,rest,x.mp4,,"], "line 2, column 'clip': the cell is empty"),
        (["a,,rest,,,"], "line 2, column 'group': the cell is empty"),
        (["a/b,s1,rest,,,"], "line 2, column 'clip': 'a/b' holds a slash"),
        (["a,s\\1,rest,,,"], "line 2, column 'group': 's\\\\1' holds a slash"),
        (["a,..,rest,,,"], "line 2, column 'group': '..' holds a slash or begins with a dot"),
        (["a,s\x07,rest,,,"], "line 2, column 'group': 's\\x07' holds a control character"),
        (['"a\nb",s1,rest,,,', "b,,rest,,,"], "line 4, column 'group': the cell is empty"),
        ([f"{'é' * 100},s1,rest,,,"], "line 2, column 'clip': 'ééé"),
        (["a,s1,stres,,,"], "'stres' is none of corpus.classes, 'rest', 'stress'; did you mean 'stress'?"),
        (["a,s1,rest,,"], "line 2 has 5 cells, the header has 6"),
        (["a,s1,rest,,,,more"], "line 2 has 7 cells, the header has 6"),
        (["a,s1,rest,,,", 'b,"s1,rest,,,'], "line 3 is not CSV"),
        ([], "a header, and no row"),
    ],
)  # fmt: skip
def test_mistakes_are_named_by_line_and_column(read, tmp_path, lines, message):
    with pytest.raises(SettingsError) as caught:
        read(*lines)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "manifest.csv"))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("high", "line 2, column 'valence': 'high' is not a number"),
        ("inf", "line 2, column 'valence': 'inf' is not finite"),
        ("1e999", "line 2, column 'valence': '1e999' is not finite"),
        ('"0,5"', "line 2, column 'valence': '0,5' is not a number: write numbers with a decimal point"),
    ],
)
def test_continuous_labels_that_are_no_numbers(read, cell, message):
    content = f"clip,group,valence,video,eda,sex\na,s1,{cell},,,\n"
    with pytest.raises(SettingsError) as caught:
        read(content=content, task="continuous", classes=(), labels=("valence",))
    assert message in str(caught.value)


def test_mistakes_are_told_at_once_but_not_by_the_thousand(read):
    with pytest.raises(SettingsError) as caught:
        read("a,,rest,,,", "b,s1,none,,,", "c,s1,rest", "a,s1,rest,,,")
    told = str(caught.value)
    assert "4 mistake(s)" in told
    assert all(f"line {line}" in told for line in (2, 3, 4, 5))
    with pytest.raises(SettingsError) as caught:
        read(*(f"a{i},s1,none,,," for i in range(1000)))
    told = str(caught.value)
    assert "1000 mistake(s)" in told
    assert told.endswith("and 990 more")
    assert len(told.splitlines()) == 12


def test_columns_that_are_not_there_name_their_settings(read):
    with pytest.raises(SettingsError) as caught:
        read(content="clip,groups,label,eda,eda,sex\na,s1,rest,,,\n")
    told = str(caught.value)
    assert "3 mistake(s)" in told
    assert "no column 'group' among" in told
    assert "did you mean 'groups'? (corpus.group)" in told
    assert "no column 'video'" in told
    assert "(corpus.modalities.faces.column)" in told
    assert "column 'eda' occurs 2 times (corpus.modalities.eda.column)" in told


def test_what_is_no_manifest(read, tmp_path):
    with pytest.raises(SettingsError, match=r"manifest\.csv does not exist: .*`mtpkd init manifest` writes an example"):
        read_rows(corpus(tmp_path))
    with pytest.raises(SettingsError, match=r"is not a file"):
        read_rows(corpus(tmp_path, file="."))
    for content, reason in ((b"", "empty file"), ("clip,gr\xfcppe".encode("latin-1"), "not UTF-8")):
        with pytest.raises(SettingsError, match=rf"{reason}.*a manifest is a CSV with one row a clip"):
            read(content=content)


CELLS = st.sampled_from(
    ["a", "b", "c", "rest", "stress", "", "nan", "x/y", "..", '"', '"q"', "\n", "\r", "\0", "é", "1"]
)


@given(lines=st.lists(st.lists(CELLS, min_size=5, max_size=7).map(",".join), max_size=6))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_rows_are_clips_or_refused(tmp_path_factory, lines):
    root = tmp_path_factory.getbasetemp()
    (root / "manifest.csv").write_text("\n".join([HEADER, *lines]), encoding="utf-8", newline="")
    try:
        rows = read_rows(corpus(root))
    except SettingsError as error:
        told = str(error).splitlines()
        assert len(told) <= 12
        return
    names = [row.clip for row in rows]
    assert len(set(names)) == len(names) > 0
    assert all(name and group and "/" not in name + group for name, group in ((row.clip, row.group) for row in rows))
    assert all(row.label in (None, 0, 1) for row in rows)


SPLIT = "clip,group,label,video,eda,part\n"


def read_split(read, *lines):
    return read(content=SPLIT + "\n".join(lines) + "\n", attributes=(), split="part")


def test_the_manifests_own_split(read):
    rows = read_split(
        read, "a,s1,rest,,,test", "b,s1,rest,,,TEST", "c,s2,rest,,,Train", "d,s2,rest,,,", "e,s3,rest,,,NA"
    )
    assert [row.attributes for row in rows] == [{"part": side} for side in ("test", "test", "train", "train", "train")]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["a,s1,rest,,,test", "b,s1,rest,,,", "c,s2,rest,,,train"],
            "line 3, column 'part': 'train', and line 2 of the same group 's1' says 'test'",
        ),
        (["a,s1,rest,,,tset", "b,s2,rest,,,test"], "line 2, column 'part': 'tset' is neither 'test' nor 'train'"),
        (["a,s1,rest,,,validation", "b,s2,rest,,,test"], "drawn from those that train, see validation_share"),
        (["a,s1,rest,,,train", "b,s2,rest,,,"], "no row says 'test' in column 'part'"),
    ],
)
def test_splits_that_cannot_be_meant(read, lines, message):
    with pytest.raises(SettingsError) as caught:
        read_split(read, *lines)
    assert message in str(caught.value)


def test_a_manifest_without_its_splits_column(read):
    with pytest.raises(SettingsError, match=r"'part'.*\(corpus\.split\)"):
        read("a,s1,rest,,,", split="part")
