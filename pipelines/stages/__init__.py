"""The five stages, in order, and running several of them."""

import importlib

from pipelines.recipe import Recipe
from pipelines.workspace import Workspace

STAGES = {
    "preprocess": "pipelines.stages.preprocess",
    "train-teachers": "pipelines.stages.train_teachers",
    "align": "pipelines.stages.align",
    "distill": "pipelines.stages.distill",
    "evaluate": "pipelines.stages.evaluate",
}
"""Command -> module, in the order of the pipeline; a module is imported when its stage runs."""


def run_before(stage: str, recipe: Recipe, workspace: Workspace, *, workers: int | None = None) -> None:
    """Run what is stale of the stages before one of them."""
    order = list(STAGES)
    for name in order[: order.index(stage)]:
        importlib.import_module(STAGES[name]).run(recipe, workspace, workers=workers)


def run_all(recipe: Recipe, workspace: Workspace, *, workers: int | None = None, max_failures: float = 0.05) -> None:
    """Run what is stale of all stages."""
    for name, module in STAGES.items():
        options = {"max_failures": max_failures} if name == "preprocess" else {}
        importlib.import_module(module).run(recipe, workspace, workers=workers, **options)
