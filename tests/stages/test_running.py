"""Several stages in one call: each says what is stale of those before it, unless they have just been run."""

import shutil

import pytest

from pipelines.recipe.loading import override_recipe
from pipelines.stages import align, distill, evaluate, run_all, run_before
from pipelines.workspace import Workspace


@pytest.fixture
def looked(monkeypatch):
    """(stage that was looked back at, methods of the units) of every look."""
    found = []

    def look(label, units, artifacts_of, *, root):
        found.append((label, sorted({getattr(unit, "method", "") for unit in units})))

    for stage in (align, distill, evaluate):
        monkeypatch.setattr(stage, "warn_of_stale", look)
    return found


def test_what_was_just_made_is_not_looked_at_again(finished, crossed_recipe, tmp_path, looked):
    shutil.copytree(finished.root, tmp_path / "copy")
    copy = Workspace(tmp_path / "copy")
    run_before("evaluate", crossed_recipe, copy, workers=1)
    assert looked == []
    run_all(override_recipe(crossed_recipe, **{"distillation.methods": ["none"]}), copy, workers=1)
    assert looked == [("distill", ["mt-pkdot", "none-matched"])], "which are evaluated too, and were not made here"
    looked.clear()
    for stage in (align, distill, evaluate):
        stage.run(crossed_recipe, copy, workers=1)
    students = ("distill", ["mt-pkdot", "none", "none-matched"])
    assert looked == [("train-teachers", [""]), ("train-teachers", [""]), ("align", [""]), students]
