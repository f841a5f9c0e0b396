"""What the commands share: their options, which workspace is meant, which recipe it has, and how they speak."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import SettingsError

if TYPE_CHECKING:
    from pipelines.recipe import Recipe
    from pipelines.stages.executors import Workers
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


class ExecutorName(StrEnum):
    """Where units of work are done: in processes of this machine, or in tasks of a Ray cluster."""

    local = "local"
    ray = "ray"


WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", help="Folder of the run's files.", show_default="the only one in runs/"),
]
NewWorkspaceOption = Annotated[
    Path | None, typer.Option("--workspace", help="Folder of the run's files.", show_default="runs/CORPUS")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="Processes to use, or tasks at a time.", show_default="one a processor, what fits"
    ),
]
ExecutorOption = Annotated[ExecutorName, typer.Option("--executor", help="What runs the work.")]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address", help="Of Ray: auto, HOST:PORT, ray://HOST:PORT, or local to start one.", show_default="auto"
    ),
]
NumGpusOption = Annotated[
    float | None,
    typer.Option(
        "--num-gpus",
        min=0,
        help="Graphics cards, or the share of one, that a task trains on.",
        show_default="1 where the recipe's device is one",
    ),
]
DependenciesOption = Annotated[
    bool, typer.Option("--with-dependencies", help="First run the stages before this one, where they are stale.")
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


def place_of_work(
    executor: ExecutorName, *, workers: int | None, address: str | None, num_gpus: float | None
) -> "Workers | None":
    """What `--executor` and its options mean: a number of processes, or a cluster.

    Raises:
        SettingsError: options of a cluster without one, or Ray is not there.
    """
    if executor is ExecutorName.local:
        given = {"--address": address, "--num-gpus": num_gpus}
        for name in (name for name, value in given.items() if value is not None):
            raise SettingsError(f"{name} says how a cluster is used: it needs --executor {ExecutorName.ray.value}")
        return workers
    from pipelines.stages.executors.ray_cluster import RayCluster

    cluster = RayCluster(workers=workers, gpus=num_gpus, address=address or "auto")
    cluster.connect()
    return cluster


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
