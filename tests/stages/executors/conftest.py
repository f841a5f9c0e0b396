"""A corpus that nothing renders any more, what a local comparison makes of it, and how to look at processes."""

import csv
import hashlib
from pathlib import Path

import pytest

from pipelines.corpora.synthetic import render_synthetic
from pipelines.recipe import BioVidCorpus
from pipelines.recipe.loading import override_recipe, plain
from pipelines.stages import compare
from pipelines.workspace import Workspace

METHODS = ("none", "kd")


@pytest.fixture(scope="session")
def raw(tiny_recipe):
    """The recipe of the tiny corpus as BioVid."""
    render_synthetic(tiny_recipe.corpus)
    return override_recipe(tiny_recipe, corpus=plain(BioVidCorpus(root=tiny_recipe.corpus.root)))


@pytest.fixture(scope="session")
def local(raw, tmp_path_factory):
    """A comparison in this process and its outcome."""
    workspace = Workspace(tmp_path_factory.mktemp("local"))
    return workspace, compare.run(raw, workspace, methods=METHODS, workers=1)


def digests_of(workspace):
    """Every shard, table, embedding and checkpoint by its place."""
    files = [path for pattern in ("*.h5", "*.csv", "*.safetensors") for path in workspace.root.rglob(pattern)]
    return {
        str(path.relative_to(workspace.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.name != "metrics.csv"
    }


def measured_in(workspace):
    """Every row of metrics.csv: what was measured -> value; a row that is there twice fails."""
    found = {}
    with workspace.metrics.open(newline="") as stream:
        for row in csv.DictReader(stream):
            key = row["stage"], row["artifact"], row["model"], row["epoch"], row["metric"]
            assert key not in found, f"measured twice: {key}"
            found[key] = float(row["value"])
    return found


@pytest.fixture(scope="session")
def is_as_local(local):
    """Checks that a workspace is, byte for byte and to the last measurement, what the local run made."""

    def check(workspace):
        assert digests_of(workspace) == digests_of(local[0])
        expected = measured_in(local[0])
        assert measured_in(workspace) == pytest.approx(expected, abs=1e-6)

    return check


def sidecars_of(workspace):
    """Sidecar -> when it was written."""
    return {path: path.stat().st_mtime_ns for path in workspace.root.rglob("*.h5.json")} | {
        path: path.stat().st_mtime_ns for path in workspace.root.rglob("*.safetensors.json")
    }


@pytest.fixture(scope="session")
def sidecars():
    """sidecars_of."""
    return sidecars_of


def processes(*words):
    """Process -> its parent, of those whose command line has these in it."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            if all(word.encode() in command for word in words):
                stat = (folder / "stat").read_text()
                found[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
        except OSError:  # it ended meanwhile
            continue
    return found


@pytest.fixture(scope="session")
def running():
    """processes."""
    return processes
