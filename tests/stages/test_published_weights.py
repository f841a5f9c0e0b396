"""A recipe that names published weights: they are asked for before any training, and not again after it."""

import shutil

import pytest

from pipelines.errors import MtpkdError
from pipelines.recipe.loading import override_recipe
from pipelines.stages import train_teachers
from pipelines.stages.cells import FitUnit, load_cells
from pipelines.weights import REGISTRY
from pipelines.workspace import Recording, Workspace

NAME = "resnet_18-imagenet"


@pytest.fixture
def asking(crossed_recipe, tmp_path, monkeypatch):
    """A recipe whose EDA teacher starts from weights that are not there, on a machine without a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MTPKD_OFFLINE", "1")
    return override_recipe(crossed_recipe, **{"encoders.eda.architecture": "resnet-18", "encoders.eda.weights": NAME})


def test_they_are_asked_for_before_anything_is_trained(finished, asking, tmp_path):
    copy = Workspace(tmp_path / "copy")
    shutil.copytree(finished.cache, copy.cache)
    with pytest.raises(MtpkdError) as caught:
        train_teachers.run(asking, copy, workers=1)
    for words in (f"encoders.eda.weights = {NAME} needs", REGISTRY[NAME].address, f"mtpkd weights fetch {NAME}"):
        assert words in str(caught.value)
    assert not list(copy.root.glob("fold-*"))


def test_a_teacher_that_is_made_does_not_need_them(finished, asking, tmp_path):
    copy = Workspace(tmp_path / "copy")
    shutil.copytree(finished.root, copy.root)
    units = [FitUnit(cell, fit) for cell in load_cells(asking, copy) for fit in cell.fits()]
    for unit in units:
        for artifact in train_teachers.artifacts_of(unit):
            Recording(artifact.fingerprint).finish(artifact.path)
    train_teachers.run(asking, copy, workers=1)
