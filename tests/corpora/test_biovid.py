import os
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.corpora import Corpus, index_corpus, published_hold_out
from pipelines.corpora.biovid import index_biovid, task_of
from pipelines.errors import MtpkdError, SettingsError
from pipelines.recipe import BioVidCorpus, SyntheticCorpus

HEADER = "subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"
GOOD = "1\t071309_w_21\t0\tBL1\t1\t071309_w_21-BL1-007"


def corpus_of(root, **changes):
    return index_corpus(BioVidCorpus(root=root, **changes))


def write_samples(part, *lines):
    (part / "starting_point" / "samples.csv").write_text("\n".join([HEADER, *lines]) + "\n")


def test_a_complete_corpus(tmp_path, make_tree):
    part = make_tree(tmp_path / "PartA")
    corpus = corpus_of(tmp_path)
    assert corpus.missing == ()
    assert corpus.groups == ("071309_w_21", "082315_w_60", "112016_m_25")
    assert [clip.name for clip in corpus.clips] == sorted(clip.name for clip in corpus.clips)
    assert len(corpus.clips) == 3 * 2 * 2
    clip = corpus.clips[-1]
    assert (clip.name, clip.group, clip.label) == ("112016_m_25-PA4-081", "112016_m_25", 1)
    assert clip.attributes == {"sex": "m", "age": "25"}
    assert clip.files == {
        "video": part / "video" / "112016_m_25" / "112016_m_25-PA4-081.mp4",
        "biosignals": part / "biosignals_raw" / "112016_m_25" / "112016_m_25-PA4-081_bio.csv",
    }


def test_the_binary_task_is_no_scale_and_the_five_classes_are():
    binary, five = task_of(BioVidCorpus()), task_of(BioVidCorpus(task="pain-five"))
    assert (binary.labels, binary.ordinal) == (("BL1", "PA4"), False)
    assert (five.labels, five.ordinal) == (("BL1", "PA1", "PA2", "PA3", "PA4"), True)


def test_five_classes_are_labelled_in_order_of_pain(tmp_path, make_tree):
    make_tree(tmp_path / "PartA")
    corpus = corpus_of(tmp_path, task="pain-five")
    assert {clip.name.split("-")[1]: clip.label for clip in corpus.clips} == {
        "BL1": 0, "PA1": 1, "PA2": 2, "PA3": 3, "PA4": 4,
    }  # fmt: skip


def test_the_reactive_set_leaves_out_subjects_without_visible_reaction(tmp_path, make_tree):
    make_tree(tmp_path / "PartA")
    assert corpus_of(tmp_path, subjects="reactive").groups == ("071309_w_21", "112016_m_25")


@pytest.mark.parametrize("folder", ["PartA", "partA", "PartA/PartA", "anything"])
def test_where_the_part_may_lie(tmp_path, make_tree, folder):
    make_tree(tmp_path / folder)
    root = tmp_path / folder if folder == "anything" else tmp_path
    assert len(corpus_of(root).clips) == 12


def test_the_root_may_be_the_part_itself(tmp_path, make_tree):
    assert len(corpus_of(make_tree(tmp_path / "PartA")).clips) == 12


def test_archives_unpacked_into_a_folder_of_their_own_name(tmp_path, make_tree):
    make_tree(tmp_path / "PartA", video="video/video", biosignals="biosignals_raw/biosignals_raw")
    corpus = corpus_of(tmp_path)
    assert corpus.missing == ()
    assert corpus.clips[0].files["video"].parent.parent == tmp_path / "PartA" / "video" / "video"


def test_part_b_and_the_filtered_recording(tmp_path, make_tree):
    make_tree(tmp_path / "PartB", biosignals="biosignals_filtered")
    assert corpus_of(tmp_path, part="B", biosignals="biosignals_filtered").missing == ()
    with pytest.raises(SettingsError, match=r"not BioVid's Part A.*found PartB"):
        corpus_of(tmp_path)
    with pytest.raises(SettingsError, match="is the other part"):
        corpus_of(tmp_path / "PartB")


def test_missing_files_are_recorded_and_the_clip_stays(tmp_path, make_tree):
    part = make_tree(tmp_path / "PartA")
    (part / "video/071309_w_21/071309_w_21-BL1-007.mp4").unlink()
    (part / "biosignals_raw/112016_m_25/112016_m_25-PA4-081_bio.csv").unlink()
    corpus = corpus_of(tmp_path)
    assert len(corpus.clips) == 12
    assert [(f.clip, f.modality, f.reason) for f in corpus.missing] == [
        ("071309_w_21-BL1-007", "faces", "file does not exist"),
        ("112016_m_25-PA4-081", "biosignals", "file does not exist"),
    ]
    assert set(corpus.clips[0].files) == {"biosignals"}
    assert set(corpus.clips[-1].files) == {"video"}


def test_a_corpus_without_one_of_the_kinds(tmp_path, make_tree):
    make_tree(tmp_path / "PartA", biosignals="biosignals_filtered")
    corpus = corpus_of(tmp_path)
    assert {failure.reason for failure in corpus.missing} == {"the corpus has no folder biosignals_raw"}
    assert all("video" in clip.files for clip in corpus.clips)


def test_each_folder_is_listed_once(tmp_path, make_tree, monkeypatch):
    make_tree(tmp_path / "PartA")
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or scandir(path))
    corpus_of(tmp_path, task="pain-five")
    assert len(listed) == len(set(listed)) == 3 * 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1\t071309_w_21\t0\tPA9\t1\t071309_w_21-PA9-001", "class 'PA9' is unknown: known are BL1, PA1, PA2, PA3, PA4"),
        ("1\t071309_w_21\t4\tBL1\t1\t071309_w_21-BL1-001", "class_id '4' is not that of class BL1"),
        ("1\t071309_w_21\t0\tBL1\t1\t../../etc/passwd", "sample_name '../../etc/passwd' is not"),
        ("1\t..\t0\tBL1\t1\t071309_w_21-BL1-001", "contradicts '..', BL1"),
        ("1\t071309_w_21\t0\tBL1\t1\t071309_w_21-PA4-001", "contradicts '071309_w_21', BL1"),
        ("1\t071309_w_21\t0\tBL1", "sample_name is empty"),
        (GOOD, "071309_w_21-BL1-007 is listed twice"),
    ],
)
def test_a_row_that_cannot_be_used_is_recorded_with_its_line(tmp_path, make_tree, row, reason):
    part = make_tree(tmp_path / "PartA")
    write_samples(part, GOOD, row)
    corpus = corpus_of(tmp_path)
    assert [clip.name for clip in corpus.clips] == ["071309_w_21-BL1-007"]
    (failure,) = corpus.missing
    assert reason in failure.reason
    assert failure.modality == "all"
    assert failure.file == f"{part / 'starting_point' / 'samples.csv'}:3"
    assert failure.clip != "071309_w_21-BL1-007"


def test_columns_are_found_by_name_and_blanks_do_not_matter(tmp_path, make_tree):
    part = make_tree(tmp_path / "PartA")
    (part / "starting_point" / "samples.csv").write_bytes(
        b"\xef\xbb\xbf sample_name \tclass_name\tclass_id\tsubject_name\r\n\r\n"
        b"071309_w_21-BL1-007 \tBL1\t0\t071309_w_21\r\n"
    )
    assert [clip.name for clip in corpus_of(tmp_path).clips] == ["071309_w_21-BL1-007"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"samples\.csv is empty"),
        (b"\n \n", r"samples\.csv is empty"),
        (b"subject_name,class_id\n", r"samples\.csv:1: tab-separated columns .* expected.*'subject_name,class_id'"),
        (HEADER.replace("class_id", "class").encode(), r"class_id is not, in"),
        (b"\xff\xfe\x00", r"samples\.csv is not text"),
        (HEADER.encode(), r"no clip is left for task pain-binary and subjects all \(0 usable rows, 0 that are not\)"),
        (
            f"{HEADER}\n1\tx\t0\tBL1\t1\ty".encode(),
            r"no clip is left .* first fault, .*samples\.csv:2: sample_name 'y'",
        ),
    ],
)
def test_an_index_that_cannot_be_used_stops_the_run(tmp_path, make_tree, content, message):
    part = make_tree(tmp_path / "PartA")
    (part / "starting_point" / "samples.csv").write_bytes(content)
    with pytest.raises(MtpkdError, match=message):
        corpus_of(tmp_path)


def test_an_absent_index_stops_the_run(tmp_path, make_tree):
    part = make_tree(tmp_path / "PartA")
    (part / "starting_point" / "samples.csv").unlink()
    with pytest.raises(MtpkdError, match=r"samples\.csv .* cannot be read: no such file"):
        corpus_of(tmp_path)


def test_a_wrong_layout_says_what_was_looked_for_and_found(tmp_path, make_tree):
    with pytest.raises(SettingsError, match="nowhere does not exist"):
        corpus_of(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match=r"looked for .*PartA/starting_point.*found an empty folder"):
        corpus_of(tmp_path)
    part = make_tree(tmp_path / "PartA", video="videos", biosignals="bio")
    with pytest.raises(
        SettingsError, match=r"neither video/ nor biosignals_raw/ \(found bio, starting_point, videos\)"
    ):
        corpus_of(part)


def test_no_subject_left(tmp_path, make_tree):
    part = make_tree(tmp_path / "PartA")
    write_samples(part, "1\t082315_w_60\t0\tBL1\t1\t082315_w_60-BL1-001")
    with pytest.raises(SettingsError, match="no clip is left for task pain-binary and subjects reactive"):
        corpus_of(tmp_path, subjects="reactive")


def test_only_biovid_has_a_published_hold_out():
    assert len(published_hold_out(BioVidCorpus())) == 26
    assert published_hold_out(SyntheticCorpus()) == ()


cells = st.one_of(
    st.sampled_from(["071309_w_21", "071309_w_21-BL1-007", "BL1", "PA4", "0", "4", "", "..", "\x00", '"']),
    st.text(max_size=8),
)
tables = st.one_of(
    st.text(),
    st.binary(),
    st.lists(st.lists(cells, max_size=7).map("\t".join)).map(lambda lines: "\n".join([HEADER, *lines])),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables)
@example(table=f"{HEADER}\n{GOOD}")
def test_any_index_gives_a_corpus_or_an_expected_error(tmp_path, table):
    part = tmp_path / "PartA"
    (part / "starting_point").mkdir(parents=True, exist_ok=True)
    (part / "video").mkdir(exist_ok=True)
    content = table if isinstance(table, bytes) else table.encode("utf-8", "surrogatepass")
    (part / "starting_point" / "samples.csv").write_bytes(content)
    try:
        corpus = index_biovid(BioVidCorpus(root=tmp_path))
    except MtpkdError as error:
        corpus, told = None, str(error)
    if corpus is None:
        assert "\n" not in told
        return
    assert isinstance(corpus, Corpus)
    assert all(re.fullmatch(r"\d{6}_[wm]_\d{2}-\w{3}-\d{3}", clip.name) for clip in corpus.clips)
    assert all("\n" not in failure.reason for failure in corpus.missing)
