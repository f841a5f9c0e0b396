"""What the commands share: their options, which workspace is meant, which recipe it has, and how they speak."""

import logging
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import SettingsError

if TYPE_CHECKING:
    from pipelines.recipe import Recipe
    from pipelines.workspace import Workspace

RUNS = Path("runs")


class DetectorName(StrEnum):
    """Face detectors."""

    haar = "haar"
    face_alignment = "face-alignment"


class DeviceName(StrEnum):
    """What networks are computed on."""

    auto = "auto"
    cuda = "cuda"
    cpu = "cpu"


class ServiceName(StrEnum):
    """What can show measurements; both keep them in the workspace."""

    tensorboard = "tensorboard"
    mlflow = "mlflow"


class StrategyName(StrEnum):
    """How several processes train one model."""

    ddp = "ddp"


WorkspaceOption = Annotated[
    Path | None,
    typer.Option("--workspace", help="Folder of the run's files.", show_default="the only one in runs/"),
]
NewWorkspaceOption = Annotated[
    Path | None, typer.Option("--workspace", help="Folder of the run's files.", show_default="runs/CORPUS")
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes to use.", show_default="one a processor")
]
DeviceOption = Annotated[
    DeviceName | None,
    typer.Option("--device", help="What to compute on; makes nothing stale.", show_default="as in the recipe"),
]
DependenciesOption = Annotated[
    bool, typer.Option("--with-dependencies", help="First run the stages before this one, where they are stale.")
]
TrackOption = Annotated[
    list[ServiceName] | None,
    typer.Option("--track", help="Also send what metrics.csv gets to this service; may be repeated."),
]
DevicesOption = Annotated[
    int | None,
    typer.Option("--devices", min=1, help="Processes a machine that train one model.", show_default="1, or torchrun's"),
]
NodesOption = Annotated[
    int | None, typer.Option("--nodes", min=1, help="Machines that train one model.", show_default="1, or torchrun's")
]
StrategyOption = Annotated[StrategyName, typer.Option("--strategy", help="How several processes train one model.")]
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


def compute_on(device: DeviceName | None) -> None:
    """Overrule the recipe's device for this command and its worker processes, and say so.

    Raises:
        SettingsError: there is no such device here.
    """
    if device is None:
        return
    from pipelines.training.device import DEVICE_VARIABLE, accelerator

    os.environ[DEVICE_VARIABLE] = device.value
    found = accelerator(device.value)
    logging.getLogger("mtpkd").info("device: %s, by --device; what is up to date stays so", found)


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
