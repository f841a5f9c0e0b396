"""A finished workspace without any training: predictions and splits as files, results computed from them."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipelines.cache.predictions import FramePredictions, write_frame_predictions, write_predictions
from pipelines.cache.tables import ClipRow
from pipelines.metrics import Predictions, metrics_for
from pipelines.protocols.splits import make_splits
from pipelines.recipe import Recipe, Task
from pipelines.recipe.loading import load_recipe, override_recipe, render_recipe
from pipelines.reporting.overview import Coverage, FailureKind, Overview, Slice
from pipelines.reporting.paired import Files, load_methods
from pipelines.reporting.report.facts import CellFiles, Facts
from pipelines.reporting.report.reading import read_fold_results, read_group_results
from pipelines.reporting.results import compute_results, describe_protocol, read_rows, write_results
from pipelines.reporting.strata import compare_strata, stratify
from pipelines.reporting.training_record import TrainingRecord
from pipelines.workspace import Workspace

CLASSES = Task(kind="classes", labels=("BL1", "PA4"))
CONTINUOUS = Task(kind="continuous", labels=("valence", "arousal"))
METHODS = {"teacher:faces": 0.4, "teacher:joint": 1.6, "none": 0.5, "none-matched": 0.5, "mt-pkdot": 0.7}
"""Method -> how far its scores are from chance."""
GROUPS = ("<b>bold</b>_w_21", *(f"p{number:02d}_{'wm'[number % 2]}_{22 + 4 * number}" for number in range(11)))
CLIPS = 10


def clip_predictions(groups: tuple[str, ...], strength: float, seed: int) -> Predictions:
    """Ten clips a group, half of each class; the score of the right class is higher by `strength`."""
    rng = np.random.default_rng([seed, len(groups)])
    names = [(group, f"{group}-{number}", number % 2) for group in groups for number in range(CLIPS)]
    target = np.array([kind for _, _, kind in names])
    noise = rng.normal(size=len(names))
    right = 1 / (1 + np.exp(-(noise + strength * (2 * target - 1))))
    return Predictions(
        groups=np.array([group for group, _, _ in names]),
        clips=np.array([clip for _, clip, _ in names]),
        target=target,
        scores=np.stack([1 - right, right], axis=1),
    )


def trials(groups: tuple[str, ...], strength: float, seed: int) -> Iterator[FramePredictions]:
    """One trial a group of 90 frames, the first three not annotated."""
    for number, group in enumerate(groups):
        rng = np.random.default_rng([seed, number])
        time = np.linspace(0, 6, 90)
        target = np.stack([np.sin(time + number), np.cos(time)], axis=1) * 0.8
        scores = np.clip(strength / 2 * target + rng.normal(scale=0.1, size=target.shape), -1, 1)
        target[:3] = np.nan
        yield FramePredictions(f"{group}-trial", group, target, scores)


@pytest.fixture(scope="session")
def facts_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Facts]:
    """facts_of(continuous=False, methods=METHODS): everything that a page is written from."""

    def make(*, continuous: bool = False, methods: dict[str, float] = METHODS) -> Facts:
        workspace = Workspace(tmp_path_factory.mktemp("report") / ("trials" if continuous else "clips"))
        recipe = _recipe(continuous)
        task = CONTINUOUS if continuous else CLASSES
        splits = make_splits(GROUPS, recipe.protocol)
        files: dict[str, Files] = {name: {} for name in methods}
        for number, (name, strength) in enumerate(methods.items()):
            for split in splits:
                path = workspace.predictions(split.fold, split.seed, name)
                files[name] = {**files[name], (split.fold, split.seed): path}
                if continuous:
                    write_frame_predictions(path, trials(split.test, strength, split.fold), task)
                else:
                    write_predictions(path, clip_predictions(split.test, strength, 10 * split.fold + number), task)
        write_results(workspace, compute_results(files, task, recipe.evaluation), recipe, task)
        return _facts(recipe, workspace, task, files)

    return make


def _recipe(continuous: bool) -> Recipe:
    changes: dict[str, Any] = {"protocol.folds": 3, "protocol.name": "k-fold", "evaluation.resamples": 200}
    return override_recipe(load_recipe("demo-affwild2" if continuous else "demo"), **changes)


def _facts(recipe: Recipe, workspace: Workspace, task: Task, files: dict[str, Files]) -> Facts:
    results = json.loads(workspace.results(".json").read_text())
    clips = [
        ClipRow(f"{group}-{number}", group, number % 2, "", {"sex": group[-4], "age": group[-2:]}, {"faces": 1.0})
        for group in GROUPS
        for number in range(CLIPS)
    ]
    students = {name: part for name, part in files.items() if not name.startswith("teacher:")}
    strata = stratify(
        load_methods(students, task, recipe.evaluation),
        {} if task.kind == "continuous" else {row.clip: row.attributes for row in clips},
    )
    cells = [
        CellFiles(split, *(workspace.cell(split.fold, split.seed) / name for name in ("e.h5", "a.h5", "h")), {})
        for split in make_splits(GROUPS, recipe.protocol)
    ]
    return Facts(
        recipe=recipe,
        recipe_text=render_recipe(recipe),
        workspace=workspace,
        task=task,
        results=results,
        rows={name: read_rows(workspace, name) for name in results["metrics"]},
        folds=read_fold_results(workspace.results(".csv")),
        groups=read_group_results(workspace.results("_by_group.csv")),
        comparison=None,
        curve={},
        predictions=files,
        strata=compare_strata(strata, metrics_for(task)[0]),
        clips=clips,
        contents=Overview(
            clips=120,
            groups=12,
            unlabelled=0,
            coverage={"faces": Coverage(100, 15, 5, 0.93), "eda": Coverage(120, 0, 0, 1.0)},
            absent=(),
            classes=(),
            distributions=(),
            unit="clips",
            least=(Slice("<b>bold</b>_w_21", 10, {"faces": 0.4, "eda": 1.0}),),
            failures=(FailureKind("faces", "a face in <3..9> frames of 100 only", 5, "a&b.mp4"),),
        ),
        cells=cells,
        record=TrainingRecord({}, {}, {}),
        protocol=describe_protocol(recipe),
        changed=False,
    )


@pytest.fixture(scope="session")
def classes(facts_of) -> Facts:
    """Facts of a classification by clips."""
    return facts_of()


@pytest.fixture(scope="session")
def only_baseline(facts_of) -> Facts:
    """Facts of a workspace in which nothing but visual only was trained."""
    return facts_of(methods={"none": 0.5})


@pytest.fixture(scope="session")
def compared(classes) -> Facts:
    """The same with what `mtpkd compare` found."""
    value = {"value": 0.08, "low": 0.03, "high": 0.13}
    item = {
        "method": "mt-pkdot",
        "against": {"none": value, "none-matched": {**value, "low": -0.02}},
        "p": 0.0421,
        "effect": {"value": 1.234},
        "negative": {"losses": {"p01": 0.1}, "groups": 12},
        "verdict": {"kind": "gain, but the control has it too"},
    }
    by_metric = {"comparisons": [item], "noise": 0.0123}
    return replace(classes, comparison={"metrics": {"accuracy": by_metric}})


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser; MTPKD_CHROMIUM names another one than that on the PATH."""
    pytest.importorskip("playwright", reason="THE PAGE IS NOT LOOKED AT: install playwright")
    path = os.environ.get("MTPKD_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("THE PAGE IS NOT LOOKED AT: no chromium on the PATH, MTPKD_CHROMIUM may name one")
    return path
