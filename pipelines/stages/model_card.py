"""What a model card is written from: the checkpoint, and what the workspace around it knows of its method.

A number stands in the card only if it was measured of the very file that is exported: the predictions say which
checkpoint they are of. Anything else is told as missing, with the command that makes it.
"""

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.cache.tables import read_clips
from pipelines.errors import MissingArtifact, MtpkdError
from pipelines.inference.graphs import Agreement
from pipelines.metrics import Metric, metrics_for
from pipelines.objectives import METHODS
from pipelines.recipe import Recipe, Task
from pipelines.recipe.loading import parse_recipe
from pipelines.reporting.comparison import compare
from pipelines.reporting.model_card import CardFacts, GraphFacts, TrainingFacts
from pipelines.reporting.model_card_numbers import Numbers, Result
from pipelines.reporting.paired import load_methods
from pipelines.reporting.results import describe_protocol, read_rows
from pipelines.reporting.strata import Stratum, compare_strata, stratify
from pipelines.reporting.table import BASELINE, ResultRow
from pipelines.stages.cells import load_cells
from pipelines.stages.evaluate import prediction_files
from pipelines.training.checkpoints import Checkpoint
from pipelines.workspace import Workspace, identify, read_sidecar

Place = tuple[Workspace, int, int]


def gather(checkpoint: Checkpoint, path: Path, *, graph: Path, agreement: Agreement) -> CardFacts:
    """Everything about an exported student.

    Args:
        checkpoint: the student.
        path: where it was read; the results of its workspace are looked for around it.
        graph: the file that it was exported to.
        agreement: of that file and the checkpoint.
    """
    assert checkpoint.recipe is not None
    method, task = checkpoint.schema["method"], Task.model_validate(checkpoint.schema["task"])
    place = _place(path, method)
    return CardFacts(
        recipe=checkpoint.recipe,
        task=task,
        method=method,
        training=_training(checkpoint, place),
        graph=GraphFacts(
            name=graph.name,
            format="onnx" if graph.suffix == ".onnx" else "torch",
            difference=agreement.largest,
            windows=agreement.windows,
            frames=agreement.frames,
        ),
        calibration=checkpoint.schema.get("calibration"),
        numbers=_numbers(path, method, task, place),
        protocol=describe_protocol(checkpoint.recipe).splitlines()[0],
    )


def _place(path: Path, method: str) -> Place | None:
    """The workspace that a student lies in, its fold and seed; None for one that was taken elsewhere."""
    found = re.fullmatch(r"fold-(\d+)/seed-(\d+)/students/.+", path.resolve().relative_to(_root(path)).as_posix())
    if not found:
        return None
    workspace, fold, seed = Workspace(_root(path)), int(found[1]), int(found[2])
    return (workspace, fold, seed) if workspace.student(fold, seed, method) == path.resolve() else None


def _root(path: Path) -> Path:
    parents = path.resolve().parents
    return parents[min(4, len(parents) - 1)]


def _training(checkpoint: Checkpoint, place: Place | None) -> TrainingFacts:
    provenance, method = checkpoint.schema["provenance"], METHODS[checkpoint.schema["method"]]
    groups = set(provenance["weights"])
    clips = None
    if place is not None and place[0].clips.exists():
        clips = sum(row.group in groups for row in read_clips(place[0].clips))
    return TrainingFacts(
        groups=len(groups),
        validation=len(provenance["selection"]),
        clips=clips,
        place=None if place is None else place[1:],
        teachers=method.teacher if method.needs_teachers else "none",
        hallucinates=method.stands_in == "hallucination",
        description=method.description,
    )


def _numbers(path: Path, method: str, task: Task, place: Place | None) -> Numbers | str:
    """From results.json, or why not."""
    if place is None:
        return "the student lay outside its workspace. Export it from there, after `mtpkd evaluate`."
    workspace, fold, seed = place
    command = f"run `mtpkd evaluate --workspace {workspace.root.name}` and export again."
    predictions, results = workspace.predictions(fold, seed, method), workspace.results(".json")
    if not results.exists() or not predictions.exists():
        return f"the student was not evaluated: {command}"
    measured = (read_sidecar(predictions) or {"inputs": {}})["inputs"].get(f"{path.parent.name}/{path.name}") or {}
    if measured.get("sha256") != (identify(path) or {}).get("sha256"):
        return f"the results are of another training of this student: {command}"
    content = _content(results)
    rows = {metric.name: metric for metric in metrics_for(task)}
    names = {name: rows[_metric(name, rows)] for name in content["metrics"] if _metric(name, rows)}
    own = _fold_values(workspace, method, fold, seed)
    found = {name: _result(workspace, name, metric, method, own.get(name)) for name, metric in names.items()}
    used = parse_recipe(content["recipe"], source=str(results))
    strata, harmed = _strata(used, workspace, method, task)
    return Numbers(
        headline=metrics_for(task)[0],
        rows=found,
        strata=strata,
        harmed=harmed,
        calibration=content.get("calibration", {}).get(method),
        models=sum(1 for _ in workspace.root.glob(f"fold-*/seed-*/students/{method}/student.safetensors")),
    )


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {"metrics": dict(content["metrics"]), "recipe": dict(content["recipe"]), **content}
    except (ValueError, TypeError, KeyError, RecursionError):
        raise MtpkdError(f"{path}: holds no results: run `mtpkd evaluate` again") from None


def _metric(name: str, known: Mapping[str, Metric[Any]]) -> str:
    """The metric of a result: `ccc` of `ccc-valence`; empty for one that this version does not know."""
    return max((each for each in known if name == each or name.startswith(f"{each}-")), key=len, default="")


def _result(workspace: Workspace, name: str, metric: Metric[Any], method: str, own_fold: float | None) -> Result:
    rows: dict[str, ResultRow] = {row.method: row for row in read_rows(workspace, name) if row.role == "student"}
    if method not in rows:
        raise MtpkdError(f"{workspace.results('.json')}: holds nothing of {method}: run `mtpkd evaluate` again")
    known = float("nan") if own_fold is None else own_fold
    return Result(metric, rows[method], None if method == BASELINE else rows.get(BASELINE), known)


def _fold_values(workspace: Workspace, method: str, fold: int, seed: int) -> dict[str, float]:
    """Name of a result -> its value for one fold and seed."""
    path = workspace.results(".csv")
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row.get("method") == method]
    here = [row for row in rows if (row["fold"], row["seed"]) == (str(fold), str(seed))]
    return {row["metric"]: float(row["value"] or "nan") for row in here}


def _strata(
    recipe: Recipe, workspace: Workspace, method: str, task: Task
) -> tuple[list[Stratum], tuple[int, int] | None]:
    """By sex and age band, and how many groups are worse off than with visual only; nothing without cache or files."""
    methods = tuple(dict.fromkeys((BASELINE, method)))
    try:
        cells = load_cells(recipe, workspace)
        files = prediction_files(methods, cells)
        for path in (path for places in files.values() for path in places.values()):
            workspace.require(path, "mtpkd evaluate")
    except MissingArtifact:
        return [], None
    known, headline = load_methods(files, task, recipe.evaluation), metrics_for(task)[0]
    strata = stratify(known, {row.clip: row.attributes for row in cells[0].clips})
    if method == BASELINE:
        return compare_strata(strata, headline), None
    compared = compare(known, headline, strata)
    negative = compared.comparisons[0].negative
    return list(compared.strata), (len(negative.losses), negative.groups)
