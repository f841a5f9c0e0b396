"""The five stages, in order, and running several of them."""

import importlib
from collections.abc import Sequence

from pipelines.recipe import Recipe
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
    stage: str, recipe: Recipe, workspace: Workspace, *, workers: int | None = None, track: Sequence[str] = ()
) -> None:
    """Run what is stale of the stages before one of them; `track` names services."""
    order = list(STAGES)
    check_services(track)
    for name in order[: order.index(stage)]:
        options = {} if name == "preprocess" else {"track": track}
        importlib.import_module(STAGES[name]).run(recipe, workspace, workers=workers, **options)


def run_all(
    recipe: Recipe,
    workspace: Workspace,
    *,
    workers: int | None = None,
    max_failures: float = 0.05,
    track: Sequence[str] = (),
) -> None:
    """Run what is stale of all stages; `track` names services."""
    check_services(track)
    for name, module in STAGES.items():
        options = {"max_failures": max_failures} if name == "preprocess" else {"track": track}
        importlib.import_module(module).run(recipe, workspace, workers=workers, **options)
