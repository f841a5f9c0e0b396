import pytest

from pipelines.cache.tables import ClipRow, write_clips
from pipelines.recipe.loading import load_recipe, render_recipe
from pipelines.workspace import Workspace, write_csv, write_text


def make(root):
    """A workspace of BioVid with tables but without shards; its names are as long as BioVid's."""
    workspace = Workspace(root)
    write_text(workspace.recipe, render_recipe(load_recipe("biovid")))
    rows, failures = [], []
    for subject in range(20, 30):
        for number in range(4):
            shares = {"faces": 0.5 if number == 3 else 1.0, "eda": 1.0, "ecg": 0.0 if subject < 23 else 1.0, "emg": 1.0}
            name = ("BL1", "PA4")[number % 2]
            group = f"0713{subject}_w_21"
            clip = f"{group}-{name}-00{number}"
            rows.append(ClipRow(clip, group, number % 2, name, {"sex": "w"}, shares))
            if not shares["ecg"]:
                failures.append((clip, "ecg", f"data/{clip}_bio.csv", f"flat line at {number}.0"))
    write_clips(workspace.clips, rows)
    write_csv(workspace.failures, ("clip", "modality", "file", "reason"), failures)
    return workspace


CLIP = "071320_w_21-BL1-000"


@pytest.mark.parametrize("arguments", [(), ("runs/one",), ("--workspace", "runs/one")])
def test_the_overview_fits_80_columns(mtpkd, monkeypatch, tmp_path, arguments):
    monkeypatch.setenv("COLUMNS", "80")
    make(tmp_path / "runs" / "one")
    status, out, err = mtpkd("inspect", *arguments)
    assert status == 0, err
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "runs/one: 40 clips of 10 groups"
    assert "faces 30 10 0 87.5 %" in lines
    assert "ecg 28 0 12 70.0 %" in lines
    assert "labels: 40 clips have one, 0 have none" in lines
    assert "PA4 20 75.0 % 100.0 % 70.0 % 100.0 %" in lines
    assert "10 of 10 groups lack something, most of all:" in lines
    assert "071322_w_21 4 87.5 % 100.0 % 0.0 % 100.0 %" in lines
    assert "12 ecg: flat line at 0.0..3.0" in lines
    assert f"first: data/{CLIP}_bio.csv" in lines
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize("arguments", [(CLIP,), ("runs/one", CLIP), ("--workspace", "runs/one", CLIP)])
def test_a_clip_is_drawn_however_the_workspace_is_named(mtpkd, tmp_path, arguments):
    make(tmp_path / "runs" / "one")
    status, out, err = mtpkd("inspect", *arguments)
    assert status == 0, err
    picture = f"runs/one/inspect/{CLIP}.png"
    coverage = "faces 100.0 %   eda 100.0 %   ecg missing   emg 100.0 %"
    assert out.splitlines() == [f"contact sheet: {picture}", f"usable: {coverage}"]
    assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_the_picture_goes_where_it_is_wanted(mtpkd, tmp_path):
    make(tmp_path / "runs" / "one")
    assert mtpkd("inspect", CLIP, "-o", "here.png")[0] == 0
    assert (tmp_path / "here.png").exists()
    assert not (tmp_path / "runs" / "one" / "inspect").exists()


def test_with_several_workspaces_a_clip_alone_says_nothing(mtpkd, tmp_path):
    make(tmp_path / "runs" / "one")
    make(tmp_path / "runs" / "two")
    status, _, err = mtpkd("inspect", CLIP)
    assert status == 2
    assert "there are 2 workspaces" in err
    assert mtpkd("inspect", "runs/two", CLIP)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("runs/one", "071320_w_21-BL1"), f"has no clip '071320_w_21-BL1': did you mean {CLIP}"),
        (("runs/none", CLIP), "runs/none is not a workspace"),
        (("runs/none",), "runs/none is not a workspace"),
        (("runs",), "runs is not a workspace"),
        (("runs/one", CLIP, "--workspace", "runs/one"), "name the workspace once"),
        (("runs/one", "--from", "2"), "--output, --from and --to are about one clip"),
        (("runs/one", CLIP, "--from", "2"), "nothing that the cache holds of 071320_w_21-BL1-000 has a time"),
        (("runs/one", CLIP, "-o", "a.jpg"), "a.jpg: a contact sheet is a .png"),
    ],
)
def test_what_cannot_be_meant_is_refused(mtpkd, tmp_path, arguments, said):
    make(tmp_path / "runs" / "one")
    status, _, err = mtpkd("inspect", *arguments)
    assert status == 2
    assert said in err
