import hashlib
from pathlib import Path

import pytest

from pipelines.stages import run_all
from pipelines.workspace import Workspace


def contents(root: Path) -> dict[str, str]:
    """Digests of all artifacts; sidecars hold wall times and are left out, and so is the recipe."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix in (".h5", ".safetensors", ".csv")
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
