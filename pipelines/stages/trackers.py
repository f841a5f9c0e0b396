"""The services of `--track`. Both write files in the workspace: nothing is sent anywhere."""

import logging
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from pipelines import __version__
from pipelines.errors import DamagedFile
from pipelines.recipe import Recipe
from pipelines.recipe.loading import plain
from pipelines.stages.tracking import Entry, Measurement
from pipelines.workspace import Workspace, relative

_OPEN = 16
"""Most files of events at a time: leaving one subject out trains thousands of models."""
_BATCH = 100
"""Most parameters that MLflow takes at once."""
_LONGEST = 500
"""Most characters of a parameter that every version of MLflow takes."""


class TensorBoard:
    """`tensorboard/fold-K/seed-S/MODEL/RUN` in the workspace: `tensorboard --logdir WORKSPACE/tensorboard`."""

    def __init__(self, recipe: Recipe, workspace: Workspace) -> None:
        self._folder = workspace.root / "tensorboard"
        self._writers: OrderedDict[str, Any] = OrderedDict()

    def log(self, entry: Entry) -> None:
        """A curve a metric; of a result one point."""
        item = entry.item
        writer = self._writer(f"fold-{item.fold}/seed-{item.seed}/{_plain(item.model)}/{item.run}")
        for name, value in item.values.items():
            writer.add_scalar(f"{entry.stage}/{name}", value, item.epoch or 0, walltime=entry.at.timestamp())
        writer.flush()  # what is counted as sent must outlive a kill

    def close(self, *, failed: bool) -> None:
        """Write what is left."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, place: str) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        if place not in self._writers:
            if len(self._writers) == _OPEN:
                self._writers.popitem(last=False)[1].close()
            self._writers[place] = SummaryWriter(self._folder / place, flush_secs=10)
        self._writers.move_to_end(place)
        return self._writers[place]


class MLflow:
    """`mlflow.db` in the workspace: `mlflow ui --backend-store-uri sqlite:///WORKSPACE/mlflow.db`.

    The experiment has the workspace's name; a run is one training of one model of one fold and seed. Results are added
    to the last one of their model. Raises DamagedFile where the file cannot be used.
    """

    def __init__(self, recipe: Recipe, workspace: Workspace) -> None:
        # It would report its use, and ask git for a commit.
        os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
        from sqlalchemy.exc import SQLAlchemyError

        for name in ("mlflow", "alembic"):  # which importing it has set
            logging.getLogger(name).setLevel(logging.WARNING)
        root = workspace.root.resolve()
        self._root, self._recipe = workspace.root, recipe
        try:
            self._client = MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")
            known = self._client.get_experiment_by_name(root.name)
            place = (root / "mlflow").as_uri()
            self._experiment = known.experiment_id if known else self._client.create_experiment(root.name, place)
        except (MlflowException, SQLAlchemyError) as error:
            reason = f"is no store of this MLflow ({str(error).splitlines()[0]})"
            remedy = "move it away, a new one is filled from metrics.csv"
            raise DamagedFile(root / "mlflow.db", reason, remedy) from error
        self._runs: dict[tuple[object, ...], str] = {}

    def log(self, entry: Entry) -> None:
        """One batch of metrics; the step is the epoch."""
        from mlflow.entities import Metric

        item, at = entry.item, int(entry.at.timestamp() * 1000)
        prefix = f"{entry.stage}/" if item.epoch is None else ""
        metrics = [Metric(_plain(prefix + name), value, at, item.epoch or 0) for name, value in item.values.items()]
        self._client.log_batch(self._run(item), metrics=metrics)

    def close(self, *, failed: bool) -> None:
        """Say how the runs ended."""
        for run in set(self._runs.values()):
            self._client.set_terminated(run, "FAILED" if failed else "FINISHED")

    def _run(self, item: Measurement) -> str:
        """The run of a training, or for a result the last one of its model; begun where there is none."""
        cell = {"mtpkd.fold": str(item.fold), "mtpkd.seed": str(item.seed), "mtpkd.model": item.model}
        wanted = cell if item.epoch is None else {**cell, "mtpkd.run": item.run}
        key = tuple(wanted.values())
        if key not in self._runs:
            query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in wanted.items())
            order = ["attributes.start_time DESC"]
            found = self._client.search_runs([self._experiment], query, max_results=1, order_by=order)
            self._runs[key] = found[0].info.run_id if found else self._begin(item, cell)
        self._runs[tuple(cell.values())] = self._runs[key]  # results that come now are of this training
        return self._runs[key]

    def _begin(self, item: Measurement, cell: dict[str, str]) -> str:
        from mlflow.entities import Param

        tags = {**cell, "mtpkd.run": item.run, "mtpkd.version": __version__}
        tags["mtpkd.artifact"] = relative(item.artifact, self._root)
        name = f"{item.model}, fold {item.fold}, seed {item.seed}"
        run = self._client.create_run(self._experiment, tags=tags, run_name=name).info.run_id
        settings = [Param(_plain(key), str(value)[:_LONGEST]) for key, value in _flat(plain(self._recipe))]
        for start in range(0, len(settings), _BATCH):
            self._client.log_batch(run, params=settings[start : start + _BATCH])
        return run


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{"faces": {"size": 96}}` -> `("faces.size", 96)`."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _plain(name: str) -> str:
    """A name that files and MLflow take."""
    return re.sub(r"[^\w./-]+", "-", name)
