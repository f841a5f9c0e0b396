"""What every section is written from: a finished workspace, read once.

Decisions. Sections compute nothing that is in a file of results: values, intervals, differences and verdicts are those
of results.json. What lies in larger files (predictions, embeddings) is read by the section that shows it. The recipe is
that of the results, so that a report never describes numbers by settings they were not made with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.cache.tables import ClipRow
from pipelines.metrics import Metric, metrics_for
from pipelines.protocols.splits import Split
from pipelines.recipe import Recipe, Task
from pipelines.reporting.overview import Overview
from pipelines.reporting.paired import Files
from pipelines.reporting.strata import Stratum
from pipelines.reporting.table import ResultRow
from pipelines.reporting.training_record import TrainingRecord
from pipelines.reporting.writers import FoldResult, GroupResult
from pipelines.workspace import Workspace, relative


@dataclass(frozen=True)
class CellFiles:
    """What one fold and seed left behind.

    Attributes:
        split: who was trained on, validated on and tested.
        embeddings: of the teachers, before alignment.
        aligned: after it.
        hallucination: checkpoint of the hallucination net.
        students: method -> checkpoint.
    """

    split: Split
    embeddings: Path
    aligned: Path
    hallucination: Path
    students: Mapping[str, Path]


@dataclass(frozen=True)
class Facts:
    """A finished workspace.

    Attributes:
        recipe: of the results.
        recipe_text: the same as YAML with a comment above every setting.
        workspace: where everything lies.
        task: what was predicted.
        results: results.json as it is.
        rows: metric, or metric-dimension -> one row a method, teachers first; of results.json.
        folds: results.csv.
        groups: results_by_group.csv.
        comparison: comparison.json of the same results, None where `mtpkd compare` did not make them.
        curve: share of labels -> what comparison.json of that share holds on the headline metric; empty unless
            `mtpkd compare --labelled` tried several with these settings.
        predictions: method, teachers with their prefix -> (fold, seed) -> file.
        strata: by sex and age and the headline metric; empty where the corpus knows neither.
        clips: all clips of the cache.
        contents: what the cache holds.
        cells: a fold and seed each, in order.
        record: what happened inside the trainings.
        protocol: how the numbers were measured, in words.
        changed: whether recipe.yaml says otherwise than the recipe of the results.
    """

    recipe: Recipe
    recipe_text: str
    workspace: Workspace
    task: Task
    results: Mapping[str, Any]
    rows: Mapping[str, Sequence[ResultRow]]
    folds: Sequence[FoldResult]
    groups: Sequence[GroupResult]
    comparison: Mapping[str, Any] | None
    curve: Mapping[float, Mapping[str, Any]]
    predictions: Mapping[str, Files]
    strata: Sequence[Stratum]
    clips: Sequence[ClipRow]
    contents: Overview
    cells: Sequence[CellFiles]
    record: TrainingRecord
    protocol: str
    changed: bool

    @property
    def name(self) -> str:
        """The workspace's folder, within that for all labels where it is one for some."""
        return relative(self.workspace.root.resolve(), self.workspace.whole.root.resolve().parent)

    @property
    def metric(self) -> Metric[Any]:
        """The task's headline metric."""
        return metrics_for(self.task)[0]

    @property
    def unit(self) -> str:
        """What the groups are, in the plural."""
        return "videos" if self.recipe.corpus.continuous else "subjects"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the continuous dimensions; none for classes."""
        return self.task.labels if self.task.kind == "continuous" else ()

    @property
    def students(self) -> tuple[str, ...]:
        """Methods with a trained student, in the order of the results."""
        return tuple(row.method for row in self.rows[self.metric.name] if row.role == "student")
