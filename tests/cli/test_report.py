"""`mtpkd report`: what it asks of the stage, what it prints, and mistakes."""

import webbrowser
from pathlib import Path

import pytest

from pipelines.errors import MissingArtifact
from pipelines.recipe.loading import load_recipe, render_recipe
from pipelines.stages import report as stage


@pytest.fixture
def workspace(tmp_path):
    """The folder of a workspace that holds a recipe and nothing else."""
    folder = tmp_path / "runs" / "synthetic"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(render_recipe(load_recipe("demo")))
    return folder


@pytest.fixture
def asked(monkeypatch):
    """What the stage was asked for; it writes a page of 1.5 MB."""
    found = []

    def run(recipe, place, *, output=None):
        found.append((place.root, output))
        return stage.Written(output or place.root / "report.html", 1_500_000)

    monkeypatch.setattr(stage, "run", run)
    return found


def test_it_says_where_the_page_is_and_how_large(mtpkd, workspace, asked):
    status, out, _ = mtpkd("report", "runs/synthetic")
    assert (status, out) == (0, "report: runs/synthetic/report.html (1.50 MB)\n")
    assert mtpkd("report", "--output", "page.html")[1] == "report: page.html (1.50 MB)\n"
    assert asked == [(Path("runs/synthetic"), None), (Path("runs/synthetic"), Path("page.html"))]


def test_it_opens_a_browser_only_when_asked(mtpkd, workspace, asked, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    mtpkd("report")
    assert opened == []
    mtpkd("report", "--open")
    assert opened == [(workspace / "report.html").as_uri()]


def test_mistakes_are_told(mtpkd, workspace, asked, monkeypatch):
    status, _, err = mtpkd("report", "runs/synthetic", "--workspace", "runs/synthetic")
    assert status == 2
    assert "name the workspace once" in err
    status, _, err = mtpkd("report", "nowhere")
    assert status == 2
    assert "nowhere is not a workspace" in err

    def missing(*arguments, **options):
        raise MissingArtifact("results.json is missing: run `mtpkd evaluate` first")

    monkeypatch.setattr(stage, "run", missing)
    status, _, err = mtpkd("report")
    assert status == 1
    assert err == "mtpkd: error: results.json is missing: run `mtpkd evaluate` first\n"
