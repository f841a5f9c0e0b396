import pytest
import typer
from typer.testing import CliRunner

from mtpkd_cli.validate import validate
from pipelines.corpora.synthetic import render_synthetic
from pipelines.errors import SettingsError
from pipelines.recipe import SyntheticCorpus

app = typer.Typer()
app.command()(validate)


@pytest.fixture
def corpus(tmp_path):
    settings = SyntheticCorpus(root=tmp_path / "c", subject_count=2, clips_per_class=1, seconds=1.5, width=96)
    return render_synthetic(settings)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})


def test_a_sound_corpus_exits_with_0(corpus):
    result = run("synthetic", corpus)
    assert result.exit_code == 0, result.output
    assert "no problems found" in result.output
    assert "BL1 2   PA4 2" in result.output
    assert all(len(line) <= 80 for line in result.output.splitlines() if str(corpus) not in line)


def test_problems_are_grouped_by_reason_and_exit_with_1(corpus):
    videos = sorted(corpus.rglob("*.mp4"))
    for video in videos[:2]:
        video.unlink()
    videos[2].write_bytes(b"")
    result = run("synthetic", corpus)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert "3 problems found" in lines
    first = lines.index("      2  faces: file does not exist")
    assert lines[first + 1].strip() == f"first: {videos[0]}"
    assert "      1  faces: the file is empty (0 bytes)" in lines


def test_a_wrong_part_is_an_error_not_a_report(corpus):
    result = run("biovid", corpus, "--part", "B")
    assert isinstance(result.exception, SettingsError)
