import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mtpkd_cli.validate import validate
from pipelines.corpora.manifest_example import write_example
from pipelines.corpora.synthetic import render_synthetic
from pipelines.errors import SettingsError
from pipelines.media.video import write_video
from pipelines.recipe import SyntheticCorpus
from pipelines.recipe.loading import load_recipe, render_recipe

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


@pytest.fixture
def videos(tmp_path):
    """An Aff-Wild2 of three silent videos, the third of which nobody annotated."""
    root = tmp_path / "a"
    (root / "batch1").mkdir(parents=True)
    for name in ("one", "two", "three"):
        write_video(root / "batch1" / f"{name}.mp4", [np.full((32, 48, 3), 6 * i, np.uint8) for i in range(40)], 30)
    for name, part in (("one", "Train_Set"), ("two", "Validation_Set")):
        folder = root / "VA_Estimation_Challenge" / part
        folder.mkdir(parents=True)
        (folder / f"{name}.txt").write_text("valence,arousal\n" + "0.1,0.2\n" * 38 + "-5,-5\n" * 2)
    return root


@pytest.mark.parametrize("name", ["affwild2", "synthetic-affwild2"])
def test_a_sound_corpus_of_videos(videos, name):
    result = run(name, videos)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"{name}: {videos}",
        "",
        "train annotations        1 file in VA_Estimation_Challenge/Train_Set",
        "validation annotations   1 file in VA_Estimation_Challenge/Validation_Set",
        "videos                   3 files in batch1",
        "",
        "trials        2   train 1, validation 1",
        "videos        2   train 1, validation 1; 0 with two people",
        "frames       80   76 annotated, 5.0 % are -5",
        "",
        "files        there  missing  unreadable  what they hold",
        "annotations      2        0           0                ",
        "video            2        0           0  mp4 format    ",
        "                                         48x32 pixels  ",
        "                                         30 Hz         ",
        "audio            0        2           0                ",
        "crops            0        2           0                ",
        "",
        "3 observations found",
        "      2  audio: there is no sound track",
        f"         first: {videos}/batch1/one.mp4",
        f"         {videos}/batch1/two.mp4",
        "      1  all: there is no annotation file for it",
        f"         {videos}/batch1/three.mp4",
        "",
        "no problems found",
    ]


def test_problems_with_annotations_are_told_by_file_and_line(videos):
    for path in sorted(videos.rglob("*.txt")):
        path.write_text(path.read_text().replace("0.1", "1.7", 3))
    result = run("affwild2", videos)
    assert result.exit_code == 1
    lines = result.output.splitlines()
    first = lines.index("      6  annotations: lines that cannot be used; their frames are left out")
    fault = "valence 1.7 is outside [-1, 1] and not -5"
    track = videos / "VA_Estimation_Challenge"
    assert lines[first - 1] == "6 problems found"
    assert lines[first + 1 :] == [
        f"         first: {track}/Train_Set/one.txt:2: {fault}",
        f"         {track}/Validation_Set/two.txt:2: {fault}",
    ]


def test_parts_are_only_biovids(videos):
    result = run("affwild2", videos, "--part", "A")
    assert isinstance(result.exception, SettingsError)
    assert "affwild2 has no parts" in str(result.exception)


def test_a_manifest_is_validated_by_its_recipe(tmp_path):
    folder = tmp_path / "mine"
    write_example(folder)
    (folder / "manifest.csv").write_text(
        "clip,group,label,sex,age,video,eda\ns01_rest,s1,rest,w,1,,\na,s1,stress,w,1,,\n"
    )
    for root in (folder, folder / "recipe.yaml"):
        result = run("manifest", root)
        assert result.exit_code == 1
        assert "rest 1   stress 1" in result.output
        assert "      1  all: the clip has no file of any modality" in result.output.splitlines()
    (folder / "manifest.csv").write_text(
        "clip,group,label,sex,age,video,eda\ns01_rest,s1,rest,w,1,,\ns02_rest,s1,stress,w,1,,\n"
    )
    result = run("manifest", folder)
    assert "2 of 2 clips without it" in result.output
    assert "      1  eda: no clip has this modality" in result.output.splitlines()


def test_a_manifest_without_its_recipe(tmp_path):
    result = run("manifest", tmp_path)
    assert isinstance(result.exception, SettingsError)
    assert f"`mtpkd init manifest {tmp_path}` writes an example" in str(result.exception)
    (tmp_path / "recipe.yaml").write_text(render_recipe(load_recipe("demo")))
    result = run("manifest", tmp_path)
    assert "is a recipe of synthetic, and one of a manifest was expected" in str(result.exception)
    assert "manifest has no parts" in str(run("manifest", tmp_path, "--part", "A").exception)
