"""What all problems on cached embeddings share: batches drawn from a table, and whose clips they were."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor

from pipelines.protocols.audit import Evidence
from pipelines.training.loop import Batch, Problem
from pipelines.training.tables import EmbeddingTable


class TabularProblem(Problem):
    """A problem over two embedding tables, one to train on and one to select epochs on.

    Args:
        inherited: what the checkpoints behind the embeddings report, e.g. whose clips their encoders were trained on.
    """

    def __init__(
        self,
        *,
        name: str,
        train: EmbeddingTable,
        validation: EmbeddingTable,
        batch_size: int,
        inherited: tuple[Evidence, ...] = (),
    ) -> None:
        self.name, self.train_size = name, len(train)
        self._train, self._validation, self._batch_size = train, validation, batch_size
        self._inherited = inherited

    @abstractmethod
    def batch(self, table: EmbeddingTable, rows: Tensor, draw: Tensor) -> Batch:
        """The batch of some rows (B,) of a table, at the temporal samplings that `draw` (B,) chooses.

        Rows are numbers on the host, so that nobody waits for a device to learn which samples lack what; the rest is
        where the table is.
        """

    def training_batches(self, epoch: int) -> Iterator[Batch]:
        """See Problem."""
        for rows in self._train.batches(self._batch_size, shuffle=True):
            yield self._shared(self.batch(self._train, rows, self._train.draw(rows, jitter=True)))

    def validation_batches(self) -> Iterator[Batch]:
        """See Problem."""
        for rows in self._validation.batches(self._batch_size, shuffle=False):
            yield self._shared(self.batch(self._validation, rows, self._validation.draw(rows, jitter=False)))

    def _shared(self, batch: Batch) -> Batch:
        return replace(batch, inputs=self.share.of_inputs(batch.inputs))

    def evidence(self) -> list[Evidence]:
        """See Problem."""
        return [
            *self._inherited,
            Evidence(self.name, "weights", self._train.groups),
            Evidence(self.name, "selection", self._validation.groups),
        ]
