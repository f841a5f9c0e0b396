"""Reading `_bio.csv`: what is tolerated, what is refused, and that every refusal says where and why."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import UnreadableMedia
from pipelines.media import biosignal_csv
from pipelines.media.biosignals import Recording, read_biosignals
from pipelines.recipe import BiosignalSettings

SETTINGS = BiosignalSettings()
HEADER = "time\tgsr\tecg\temg_trapezius"


def rows(count: int = 40) -> list[str]:
    """Lines of a sound recording at 512 Hz."""
    return [f"{round(i * 1e6 / 512)}\t{0.5 * i}\t{-i}\t{i}e-1" for i in range(count)]


def text(lines: list[str] | None = None, header: str = HEADER) -> str:
    return "\n".join([header, *(rows() if lines is None else lines)]) + "\n"


@pytest.fixture
def read(tmp_path):
    """Write content to a file and read it as a recording."""

    def _read(content: str | bytes, **changes) -> Recording:
        path = tmp_path / "071309_w_21-BL1-081_bio.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_biosignals(path, SETTINGS.model_copy(update=changes))

    return _read


def test_reads_signals_by_name_and_measures_the_rate(read):
    recording = read(text())
    assert recording.rate == pytest.approx(512, abs=0.01)
    assert list(recording.channels) == ["eda", "ecg", "emg"]
    np.testing.assert_array_equal(recording.channels["eda"], 0.5 * np.arange(40))
    np.testing.assert_array_equal(recording.channels["ecg"], -np.arange(40.0))
    np.testing.assert_allclose(recording.channels["emg"], 0.1 * np.arange(40), rtol=1e-15)
    assert all(signal.dtype == np.float64 for signal in recording.channels.values())


def test_order_blanks_and_other_columns_do_not_matter(read):
    lines = [f"{i}\tnote\t{i}\t7\t{round(i * 1e6 / 512)}\t{-i}" for i in range(40)]
    recording = read(text(lines, header=" ecg \tremark\tgsr\temg_trapezius\ttime\temg_corrugator "))
    np.testing.assert_array_equal(recording.channels["ecg"], np.arange(40.0))
    np.testing.assert_array_equal(recording.channels["emg"], np.full(40, 7.0))


def test_the_setting_chooses_the_muscle(read):
    lines = [f"{line}\t{-5}" for line in rows()]
    recording = read(text(lines, header=HEADER + "\temg_corrugator"), emg_channel="emg_corrugator")
    np.testing.assert_array_equal(recording.channels["emg"], np.full(40, -5.0))


@pytest.mark.parametrize("cell", ["nan", "NaN", "NAN", "", "  "])
def test_missing_samples_are_nan(read, cell):
    lines = rows()
    lines[3] = lines[3].replace("\t-3\t", f"\t{cell}\t")
    signals = read(text(lines)).channels
    assert np.flatnonzero(np.isnan(signals["ecg"])).tolist() == [3]
    assert not np.isnan(signals["eda"]).any()


def test_infinite_samples_are_kept_for_the_quality_check(read):
    lines = rows()
    lines[3] = lines[3].replace("\t-3\t", "\t-inf\t")
    assert read(text(lines)).channels["ecg"][3] == -np.inf


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace("\n", "\r\n"),
        lambda content: content.replace("\n", "\r"),
        lambda content: "\ufeff" + content,
        lambda content: content.rstrip("\n"),
        lambda content: content + "\n  \n\n",
        lambda content: content.replace("\t", " \t "),
        lambda content: content.replace("\n1953\t", "\n\n01953\t"),
        lambda content: content.replace("\n1953\t0.5\t-1\t1e-1\n", "\n+1953\t.5\t-1.\t1E-1\t\n"),
    ],
    ids=["crlf", "cr", "bom", "no final newline", "blank end", "blanks", "blank line", "other spellings"],
)
def test_ways_to_write_the_same_recording(read, change):
    expected = read(text())
    for name, signal in read(change(text())).channels.items():
        np.testing.assert_array_equal(signal, expected.channels[name])


def test_both_parsers_read_the_same(read):
    random = np.random.default_rng(0)
    lines = [f"{round(i * 1e6 / 512)}\t" + "\t".join(map(repr, random.normal(size=3).tolist())) for i in range(300)]
    fast = read(text(lines))
    slow = read(text([line + "\tword" for line in lines], header=HEADER + "\tremark"))
    for name, signal in fast.channels.items():
        np.testing.assert_array_equal(signal, slow.channels[name])


def changed(number: int, line: str) -> str:
    """A recording with line `number` of the file (the header is 1) replaced."""
    lines = rows()
    lines[number - 2] = line
    return text(lines)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty file"),
        (" \n\n", "empty file"),
        (HEADER + "\n", r"0 row\(s\)"),
        (HEADER, r"0 row\(s\)"),
        (text(rows(1)), r"1 row\(s\)"),
        (text(header="time\tgsr\tekg\temg_trapezius"), "no column 'ecg' among .*: time, gsr, ekg, emg_trapezius"),
        (text(header="time\tgsr\tecg\tecg"), "column 'ecg' occurs 2 times"),
        (text().replace("\t", ","), "no column 'time' among the tab-separated columns: time,gsr,ecg,emg_trapezius"),
        (changed(7, "9766\t1\tx\t3"), "line 7, column 'ecg': 'x' is not a number"),
        (changed(7, "9766\t1\t1_0\t3"), "line 7, column 'ecg': '1_0' is not a number"),
        (changed(7, "9766\t1\ttrue\t3"), "line 7, column 'ecg': 'true' is not a number"),
        (changed(7, "9766\t1\t1 2\t3"), "line 7, column 'ecg': '1 2' is not a number"),
        (changed(7, "9766\t1\t1-2\t3"), "line 7, column 'ecg': '1-2' is not a number"),
        (changed(7, "9766\t0,5\t1\t3"), "line 7, column 'gsr': '0,5' is not a number: write .* decimal point"),
        (changed(7, "9766\t1\t2"), "line 7 has 3 cells, the header has 4"),
        (changed(7, "9766\t1\t2\t3\t4"), "line 7 has 5 cells, the header has 4"),
        (text().replace("\n9766\t", "\n9766\t1\t").replace("\n11719\t", "\n"), "line 7 has 5 cells"),
        (changed(7, "\t1\t2\t3"), "line 7: time is missing or infinite"),
        (changed(7, "inf\t1\t2\t3"), "line 7: time is missing or infinite"),
        (changed(7, "7812\t1\t2\t3"), "line 7: time 7812 does not come after 7812"),
        (changed(7, "5\t1\t2\t3"), "line 7: time 5 does not come after 7812"),
        (text([f"5\t{i}\t{i}\t{i}" for i in range(9)]), "line 3: time 5 does not come after 5"),
        (text([f"{10000 * i}\t1\t2\t3" for i in range(9)]), r"sampling rate 100 Hz .*, expected 512 Hz \+/- 2 %: set"),
        (text([f"{i / 512}\t1\t2\t3" for i in range(9)]), r"sampling rate 5.12e\+08 Hz by its time in microseconds"),
        (text(["-1e308\t1\t2\t3", "1e308\t1\t2\t3"]), "sampling rate 0 Hz"),
        (b"\xff\xfet\x00i\x00m\x00e\x00\n\x00", "no column 'time'"),
        (b"\x00\x01\x02\xff" * 50, "no column 'time'"),
        ("x\t" * 5000, "5001 columns, at most 1024"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_place(read, content, reason):
    with pytest.raises(UnreadableMedia, match=reason) as caught:
        read(content)
    assert "\n" not in caught.value.reason
    assert len(caught.value.reason) < 700


def test_the_rate_may_be_set_and_tolerated(read):
    lines = [f"{10000 * i}\t1\t2\t3" for i in range(9)]
    assert read(text(lines), rate=101).rate == pytest.approx(100)
    with pytest.raises(UnreadableMedia, match="sampling rate 100 Hz"):
        read(text(lines), rate=103)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(UnreadableMedia, match=r"absent\.csv: no such file"):
        read_biosignals(tmp_path / "absent.csv", SETTINGS)
    with pytest.raises(UnreadableMedia, match="directory"):
        read_biosignals(tmp_path, SETTINGS)


def test_implausible_sizes_are_refused_unread(read, monkeypatch):
    monkeypatch.setattr(biosignal_csv, "MAX_ROWS", 30)
    with pytest.raises(UnreadableMedia, match="40 rows, at most 30"):
        read(text())
    monkeypatch.setattr(biosignal_csv, "MAX_BYTES", 200)
    with pytest.raises(UnreadableMedia, match="MiB"):
        read(text())


CELLS = st.one_of(
    st.sampled_from(
        ["", "nan", "-", "1e999", "1" * 400, "0x1", "1,5", "[1]", "null", "\t", "\n", "\r", '"', "\u22121"]
    ),
    st.floats().map(repr),
    st.integers(-(10**6), 10**6).map(str),
)
FILES = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=200).map(lambda body: HEADER.encode() + b"\n" + body),
    st.lists(st.lists(CELLS, min_size=3, max_size=5).map("\t".join), max_size=8).map(lambda ls: text(ls).encode()),
    st.lists(st.tuples(CELLS, CELLS, CELLS).map("\t".join), max_size=8).map(
        lambda ls: text([f"{round(i * 1e6 / 512)}\t{line}" for i, line in enumerate(ls)]).encode()
    ),
)


@given(content=FILES)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_bytes_are_a_recording_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        recording = read_biosignals(path, SETTINGS)
    except UnreadableMedia as error:
        refusal = error.reason
        assert refusal == refusal.strip().splitlines()[0]
    else:
        assert recording.rate == pytest.approx(512, rel=0.02)
        assert len({signal.shape for signal in recording.channels.values()}) == 1
