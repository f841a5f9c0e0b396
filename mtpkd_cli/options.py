"""What the commands share: their options, which workspace is meant, which recipe it has, and how they speak."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.errors import SettingsError

if TYPE_CHECKING:
    from mtpkd_cli.machines import Machines
    from pipelines.recipe import Recipe
    from pipelines.workspace import Workspace

RUNS = Path("runs")


class DetectorName(StrEnum):
    """Face detectors."""

    haar = "haar"
    face_alignment = "face-alignment"


class ServiceName(StrEnum):
    """What can show measurements; both keep them in the workspace."""

    tensorboard = "tensorboard"
    mlflow = "mlflow"


WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", help="Folder of the run's files.", show_default="the only one in runs/"),
]
NewWorkspaceOption = Annotated[
    Path | None, typer.Option("--workspace", help="Folder of the run's files.", show_default="runs/CORPUS")
]
DependenciesOption = Annotated[
    bool, typer.Option("--with-dependencies", help="First run the stages before this one, where they are stale.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume/--no-resume", help="Go on with trainings that were interrupted, or begin them again.")
]
TrackOption = Annotated[
    list[ServiceName] | None,
    typer.Option("--track", help="Also send what metrics.csv gets to this service; may be repeated."),
]
MaxFailuresOption = Annotated[float, typer.Option("--max-failures", min=0, max=1, help="Share of clips that may fail.")]
LabelledOption = Annotated[
    float | None,
    typer.Option(
        "--labelled", help="Share of training subjects whose labels are used.", show_default="as in the recipe"
    ),
]
MetricOption = Annotated[str | None, typer.Option("--metric", help="accuracy, auc, macro-f1, ccc, ...")]


def speak() -> None:
    """Show what the stages report, one line each, without tearing a progress bar apart."""
    from tqdm import tqdm

    class Writer(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tqdm.write(self.format(record))

    logger = logging.getLogger("mtpkd")
    logger.setLevel(logging.INFO)
    logger.handlers = [Writer()]
    logger.propagate = False


def run_stage(
    name: str,
    folder: Path | None,
    machines: "Machines",
    *,
    with_dependencies: bool,
    track: "list[ServiceName] | None",
    **options: Any,
) -> None:
    """Run one stage that trains, and on request those before it, of the workspace that is meant.

    Raises:
        MtpkdError: as raised by what it says of machines, by `open_workspace`, or by a stage.
    """
    from pipelines.stages import run_before, run_one

    speak()
    work = machines.work()
    recipe, place = open_workspace(folder)
    with machines.team(recipe) as team:
        workers = team or work
        if with_dependencies:
            run_before(name, recipe, place, workers=workers, track=track or ())
        run_one(name, recipe, place, workers=workers, track=track or (), **options)


def open_workspace(folder: Path | None) -> "tuple[Recipe, Workspace]":
    """The workspace that is meant and its recipe.

    Raises:
        SettingsError: there is none, or there are several and none was named.
    """
    from pipelines.recipe.loading import load_recipe
    from pipelines.workspace import Workspace

    workspace = Workspace(folder or _only_workspace())
    if not workspace.recipe.exists():
        raise SettingsError(
            f"{workspace.root} is not a workspace (it has no recipe.yaml): `mtpkd preprocess CORPUS --workspace "
            f"{workspace.root}` makes one"
        )
    return load_recipe(workspace.recipe), workspace


def _only_workspace() -> Path:
    found = sorted(path.parent for path in RUNS.glob("*/recipe.yaml"))
    if not found:
        raise SettingsError(
            f"there is no workspace in {RUNS}/ yet: start with `mtpkd preprocess biovid`, or name one with --workspace"
        )
    if len(found) > 1:
        listed = "".join(f"\n  --workspace {path}" for path in found)
        raise SettingsError(f"there are {len(found)} workspaces, say which one is meant:{listed}")
    return found[0]
