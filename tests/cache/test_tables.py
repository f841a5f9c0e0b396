import pytest

from pipelines.cache.tables import FAILURE_COLUMNS, ClipRow, read_clips, read_failures, write_clips
from pipelines.corpora import Failure
from pipelines.errors import MtpkdError
from pipelines.workspace import write_csv

ROWS = [
    ClipRow("s1-BL1-001", "s1", 0, "BL1", {"sex": "w", "age": "21"}, {"faces": 0.5, "eda": 1.0}),
    ClipRow("s2-PA4-002", "s2", None, "", {"sex": "m", "age": "30"}, {"faces": 0.0, "eda": 0.25}),
]


def test_clips_survive_the_disk(tmp_path):
    path = tmp_path / "clips.csv"
    write_clips(path, ROWS)
    assert read_clips(path) == ROWS
    assert path.read_text().splitlines()[0] == "clip,group,label,class,age,sex,coverage_faces,coverage_eda"


def test_a_foreign_table_is_refused(tmp_path):
    path = tmp_path / "clips.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(MtpkdError, match="columns clip, group, label, class expected, found a, b: run `mtpkd pre"):
        read_clips(path)


def test_a_bad_row_is_named_by_its_line(tmp_path):
    path = tmp_path / "clips.csv"
    write_clips(path, ROWS)
    path.write_text(path.read_text().replace("0.2500", "much"))
    with pytest.raises(MtpkdError, match=r"clips\.csv, line 3: could not convert string to float: 'much'"):
        read_clips(path)


CONTINUOUS = [
    ClipRow("a", "s1", (0.1, -1 / 3), "", {"sex": "w"}, {"faces": 0.5}),
    ClipRow("b", "s1", None, "", {"sex": "w"}, {"faces": 0.5}),
    ClipRow("c", "s2", (0.0, 1e-30), "", {"sex": "m"}, {"faces": 0.5}),
]


def test_continuous_labels_survive_the_disk(tmp_path):
    path = tmp_path / "clips.csv"
    write_clips(path, CONTINUOUS, dimensions=("valence", "strain"))
    assert read_clips(path) == CONTINUOUS
    assert path.read_text().splitlines()[0] == "clip,group,label,class,label_valence,label_strain,sex,coverage_faces"


def test_a_label_that_lacks_a_dimension_is_named_by_its_line(tmp_path):
    path = tmp_path / "clips.csv"
    write_clips(path, CONTINUOUS, dimensions=("valence", "strain"))
    path.write_text(path.read_text().replace("0.1,", ","))
    with pytest.raises(MtpkdError, match=r"line 2: 1 of 2 label values"):
        read_clips(path)


def test_failures_are_read_as_they_stand(tmp_path):
    path = tmp_path / "failures.csv"
    write_csv(path, FAILURE_COLUMNS, [("c", "eda", "a,b.csv", 'says "no"')])
    assert read_failures(path) == [Failure("c", "eda", "a,b.csv", 'says "no"')]


@pytest.mark.parametrize("text", ["", "a,b\n", "clip,modality,file,reason\nc,eda,f\n"])
def test_another_table_is_no_table_of_failures(tmp_path, text):
    path = tmp_path / "failures.csv"
    path.write_text(text)
    with pytest.raises(MtpkdError, match=r"failures\.csv: columns clip, modality, file, reason expected in every line"):
        read_failures(path)
