"""A corpus of a few seconds, its undisturbed cache, and what may differ from it after a fault: nothing."""

import hashlib
import os

import pytest

from pipelines.corpora.synthetic import render_synthetic
from pipelines.recipe import BioVidCorpus
from pipelines.recipe.loading import override_recipe, plain
from pipelines.stages import preprocess
from pipelines.workspace import Workspace


@pytest.fixture(scope="session")
def raw(tiny_recipe):
    """The recipe of the tiny corpus as BioVid: nothing is rendered while something is killed."""
    render_synthetic(tiny_recipe.corpus)
    return override_recipe(tiny_recipe, corpus=plain(BioVidCorpus(root=tiny_recipe.corpus.root)))


def digests_of(workspace):
    """Every shard and table by its place."""
    files = [*workspace.cache.rglob("*.h5"), *workspace.cache.glob("*.csv")]
    return {str(file.relative_to(workspace.root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="session")
def digests():
    """digests_of."""
    return digests_of


@pytest.fixture(scope="session")
def undisturbed(raw, tmp_path_factory):
    """The digests of a cache that nothing happened to."""
    workspace = Workspace(tmp_path_factory.mktemp("undisturbed"))
    preprocess.run(raw, workspace, workers=0)
    return digests_of(workspace)


@pytest.fixture(scope="session")
def stressed():
    """Whether as many faults are asked for as `make stress` asks for."""
    return bool(os.environ.get("MTPKD_STRESS"))
