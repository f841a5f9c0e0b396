"""Training a multimodal teacher on cached embeddings."""

from torch import Tensor

from pipelines.models.teachers import FusionTeacher
from pipelines.objectives.base import LossTerms
from pipelines.objectives.task_loss import task_loss
from pipelines.recipe import Task
from pipelines.training.judgement import Judgement, judge
from pipelines.training.loop import Batch
from pipelines.training.problems.tabular import TabularProblem
from pipelines.training.tables import EmbeddingTable, Targets


class FusionProblem(TabularProblem):
    """Task loss of a fusion of modalities, or of neighbouring windows; absent ones are masked."""

    def __init__(self, *, network: FusionTeacher, task: Task, **shared) -> None:
        super().__init__(**shared)
        self.network = network
        self._task = task

    def batch(self, table: EmbeddingTable, rows: Tensor, draw: Tensor) -> Batch:
        """See TabularProblem."""
        inputs = (table.embeddings(rows, draw), table.presence(rows))
        return Batch(inputs=inputs, truth=table.targets[rows], size=len(rows))

    def loss(self, outputs: tuple[Tensor, Tensor], truth: Targets) -> LossTerms:
        """See Problem."""
        value = task_loss(outputs[1], truth.target, truth.labelled, self._task)
        return LossTerms(total=value, parts={"task": value.detach()})

    def judge(self, outputs: tuple[Tensor, Tensor], truth: Targets) -> Judgement:
        """See Problem."""
        return judge(outputs[1], truth.target, truth.labelled, self._task)
