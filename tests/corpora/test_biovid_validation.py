import re

import pytest

from pipelines.corpora.biovid_validation import validate_biovid
from pipelines.corpora.validation_report import Total
from pipelines.errors import SettingsError
from pipelines.recipe import BiosignalSettings, SyntheticCorpus

SHORT = BiosignalSettings(seconds=1.5)


def test_a_sound_corpus(rendered):
    report = validate_biovid(rendered, biosignals=SHORT)
    assert report.problems == ()
    assert report.total("clips") == Total("clips", 8, "BL1 4   PA4 4")
    assert report.total("subjects").number == 2
    assert re.fullmatch(r"2 [mw]|1 m, 1 w", report.total("subjects").parts)
    faces, biosignals = report.files["faces"], report.files["biosignals"]
    assert (faces.there, faces.missing, faces.unreadable) == (8, 0, 0)
    assert (biosignals.there, biosignals.missing, biosignals.unreadable) == (8, 0, 0)
    assert faces.seen == {"pixels": {"160x120": 8}, "Hz": {"25": 8}, "frames": {"38": 8}}
    assert biosignals.seen == {"Hz": {"512": 8}, "samples": {"768": 8}}


def test_what_is_wrong_is_counted_and_named(own_copy):
    videos, tables = (sorted(own_copy.root.rglob(pattern)) for pattern in ("*.mp4", "*_bio.csv"))
    videos[0].unlink()
    videos[1].write_bytes(videos[1].read_bytes()[:200])
    tables[2].write_text("time\tgsr\n")
    lines = [line.split("\t") for line in tables[3].read_text().splitlines()]
    flat = [lines[0]] + [[line[0], "1.5", *line[2:]] for line in lines[1:]]
    tables[3].write_text("\n".join("\t".join(line) for line in flat) + "\n")
    report = validate_biovid(own_copy, biosignals=SHORT)
    faces, biosignals = report.files["faces"], report.files["biosignals"]
    assert (faces.there, faces.missing, faces.unreadable) == (7, 1, 1)
    assert (biosignals.there, biosignals.missing, biosignals.unreadable) == (8, 0, 1)
    named = {(problem.clip, problem.modality, problem.file) for problem in report.problems}
    assert named == {
        (videos[0].stem, "faces", str(videos[0])),
        (videos[1].stem, "faces", str(videos[1])),
        (tables[2].name.removesuffix("_bio.csv"), "biosignals", str(tables[2])),
        (tables[3].name.removesuffix("_bio.csv"), "eda", str(tables[3])),
    }
    assert all(problem.reason for problem in report.problems)


def test_rows_of_the_index_are_problems_too(own_copy):
    table = own_copy.root / "PartA" / "starting_point" / "samples.csv"
    table.write_text(table.read_text() + "9\tnobody\t0\tBL1\t9\tnobody-BL1-001\n")
    (problem,) = validate_biovid(own_copy, biosignals=SHORT).problems
    assert problem.file == f"{table}:10"


def test_no_corpus(tmp_path):
    with pytest.raises(SettingsError, match="does not exist"):
        validate_biovid(SyntheticCorpus(root=tmp_path / "nowhere"))
