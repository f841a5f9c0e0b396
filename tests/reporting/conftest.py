"""Results by way of the disk, as the last stage computes them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.cache.predictions import write_frame_predictions, write_predictions
from pipelines.metrics import Predictions
from pipelines.recipe import EvaluationSettings, Task
from pipelines.reporting.results import Results, compute_results

CLASSES = Task(kind="classes", labels=("BL1", "PA4"))
CONTINUOUS = Task(kind="continuous", labels=("valence", "arousal"))


@pytest.fixture
def computed(tmp_path: Path) -> Callable[..., Results]:
    """method -> (fold, seed) -> Predictions of clips, or trials; two classes, or valence and arousal; 500 resamples."""

    def compute(by_method) -> Results:
        files, task = {}, CLASSES
        for method, cells in by_method.items():
            files[method] = {}
            for (fold, seed), part in cells.items():
                path = tmp_path / "predictions" / f"{method}-{fold}-{seed}.csv".replace(":", "-")
                files[method][fold, seed] = path
                if isinstance(part, Predictions):
                    task = CLASSES if part.of_classes else CONTINUOUS
                    write_predictions(path, part, task)
                else:
                    task = CONTINUOUS
                    write_frame_predictions(path, part, task)
        return compute_results(files, task, EvaluationSettings(resamples=500))

    return compute
