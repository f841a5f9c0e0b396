"""The five stages, in order, and running several of them."""

import importlib
from collections.abc import Sequence
from typing import Any

from pipelines.recipe import Recipe
from pipelines.stages.executors import Workers
from pipelines.stages.team import Team, follows
from pipelines.stages.tracking import check_services
from pipelines.workspace import Workspace

STAGES = {
    "preprocess": "pipelines.stages.preprocess",
    "train-teachers": "pipelines.stages.train_teachers",
    "align": "pipelines.stages.align",
    "distill": "pipelines.stages.distill",
    "evaluate": "pipelines.stages.evaluate",
}
"""Command -> module, in the order of the pipeline; a module is imported when its stage runs."""


def run_before(
    stage: str, recipe: Recipe, workspace: Workspace, *, workers: Workers | None = None, track: Sequence[str] = ()
) -> None:
    """Run what is stale of the stages before one of them; `track` names services."""
    check_services(track)
    order = list(STAGES)
    for name in order[: order.index(stage)]:
        if name != "preprocess":
            _follow_on(name, recipe, workspace, workers=workers, track=track)
        elif not follows(workers):  # it trains nothing; what follows waits for the workspace
            _follow_on(name, recipe, workspace, workers=None if isinstance(workers, Team) else workers, track=track)


def run_all(
    recipe: Recipe,
    workspace: Workspace,
    *,
    workers: Workers | None = None,
    max_failures: float = 0.05,
    track: Sequence[str] = (),
) -> None:
    """Run what is stale of all stages; `track` names services."""
    check_services(track)
    for name in STAGES:
        options = {"max_failures": max_failures} if name == "preprocess" else {}
        _follow_on(name, recipe, workspace, workers=workers, track=track, **options)


def run_one(name: str, recipe: Recipe, workspace: Workspace, **options: Any) -> None:
    """Run one stage with the options of its `run`."""
    importlib.import_module(STAGES[name]).run(recipe, workspace, **options)


def _follow_on(name: str, recipe: Recipe, workspace: Workspace, *, track: Sequence[str], **options: Any) -> None:
    """Run one stage after those before it, which need not be looked at again."""
    options |= {} if name == "preprocess" else {"track": track}
    options |= {} if name in ("preprocess", "train-teachers") else {"look_back": False}
    run_one(name, recipe, workspace, **options)
