import pytest
import typer
from typer.testing import CliRunner

from mtpkd_cli.verify import verify
from pipelines.errors import SettingsError
from pipelines.stages import preprocess
from pipelines.workspace import Workspace

app = typer.Typer()
app.command()(verify)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})


@pytest.fixture
def place(tiny_recipe, tmp_path, monkeypatch):
    """The only workspace in runs/, with signals."""
    monkeypatch.chdir(tmp_path)
    workspace = Workspace(type(tmp_path)("runs/tiny"))
    preprocess.run(tiny_recipe, workspace, only="biosignals", workers=0)
    return workspace


def test_a_sound_workspace_exits_with_0_and_damage_with_1(place):
    for arguments in ([], ["runs/tiny"], ["--workspace", "runs/tiny"]):
        result = run(*arguments)
        assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "runs/tiny"
    assert [line.split() for line in lines[2:5]] == [
        ["files", "of", "there", "damaged", "missing", "clips", "size"],
        ["faces", "0", "0", "0", "0.0", "MB"],
        ["biosignals", "6", "0", "0", "24", *lines[4].split()[-2:]],
    ]
    assert lines[-1] == "no problems found"
    assert max(map(len, lines)) <= 80
    first, second, third, *_ = sorted(place.cache.rglob("*.h5"))
    first.write_bytes(b"x" * first.stat().st_size)
    second.unlink()
    third.with_name(".x.h5.partial").write_bytes(b"")
    result = run()
    assert result.exit_code == 1
    lines = result.output.splitlines()
    start = lines.index("2 problems found")
    assert lines[start:] == [
        "2 problems found",
        "",
        f"  cache/biosignals/{first.name} is not what was written: its SHA-256 differs",
        f"  cache/biosignals/{second.name} is missing",
        "run `mtpkd preprocess synthetic --repair --workspace runs/tiny`",
        "",
        "1 harmless leftover found",
        "  cache/biosignals/.x.h5.partial was left by a run that was killed",
    ]


def test_long_lists_are_cut(place, monkeypatch):
    monkeypatch.setattr("mtpkd_cli.verify._LISTED", 2)
    for path in place.cache.rglob("*.h5"):
        path.unlink()
    lines = run().output.splitlines()
    assert "6 problems found" in lines
    assert "  and 4 more" in lines
    assert sum(line.endswith(" is missing") for line in lines) == 2


def test_two_workspaces_and_none(place, tmp_path):
    assert "name one workspace, once" in str(run("runs/tiny", "--workspace", "runs/other").exception)
    result = run(tmp_path / "absent")
    assert isinstance(result.exception, SettingsError)
    assert "is not a workspace" in str(result.exception)
