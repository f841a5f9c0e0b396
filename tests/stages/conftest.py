import hashlib
import shutil
from pathlib import Path

import pytest

from pipelines.recipe import AffWild2Corpus
from pipelines.recipe.loading import override_recipe, plain
from pipelines.stages import run_all
from pipelines.workspace import Workspace


def contents(root: Path) -> dict[str, str]:
    """Digests of all artifacts; sidecars and metrics.csv hold times and are left out, and so is the recipe."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix in (".h5", ".safetensors", ".csv") and path.name != "metrics.csv"
    }


@pytest.fixture(scope="session")
def digests():
    """The function `contents`."""
    return contents


@pytest.fixture(scope="session")
def finished(crossed_recipe, tmp_path_factory) -> Workspace:
    """A workspace that went through all five stages, with cross-fitted teachers. Not to be changed by a test."""
    workspace = Workspace(tmp_path_factory.mktemp("runs") / "finished")
    run_all(crossed_recipe, workspace, workers=1)
    return workspace


@pytest.fixture(scope="session")
def continuous(tiny_affwild2, tmp_path_factory) -> Workspace:
    """A workspace that went through all five stages. Not to be changed by a test."""
    workspace = Workspace(tmp_path_factory.mktemp("runs") / "continuous")
    run_all(tiny_affwild2, workspace, workers=1)
    return workspace


@pytest.fixture
def affwild2(tiny_affwild2, continuous, tmp_path):
    """A private copy of the tiny corpus, read as Aff-Wild2, and its recipe."""
    root = tmp_path / "affwild2"
    shutil.copytree(tiny_affwild2.corpus.root, root)
    return override_recipe(tiny_affwild2, corpus=plain(AffWild2Corpus(root=root)))
