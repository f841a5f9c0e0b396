"""Training the hallucination net: prevalent embedding -> privileged embeddings, by mean squared error."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pipelines.models.fusion import mean_present
from pipelines.models.hallucination import HallucinationNet
from pipelines.objectives.base import LossTerms
from pipelines.training.judgement import Judgement
from pipelines.training.loop import Batch
from pipelines.training.problems.tabular import TabularProblem
from pipelines.training.tables import EmbeddingTable


@dataclass(frozen=True)
class PrivilegedTruth:
    """Privileged embeddings {modality: (B, D)} and where they are present {modality: (B,) bool}."""

    embeddings: Mapping[str, Tensor]
    present: Mapping[str, Tensor]


class HallucinationProblem(TabularProblem):
    """Mean squared error over the privileged embeddings that are present; labels play no part."""

    network: HallucinationNet

    def __init__(self, *, network: HallucinationNet, prevalent: tuple[str, ...], **shared) -> None:
        super().__init__(**shared)
        self.network = network
        self._prevalent, self._privileged = prevalent, network.privileged

    def batch(self, table: EmbeddingTable, rows: Tensor, draw: Tensor) -> Batch:
        """See TabularProblem."""
        embeddings, present = table.embeddings(rows, draw), table.presence(rows)
        truth = PrivilegedTruth(
            {name: embeddings[name] for name in self._privileged}, {name: present[name] for name in self._privileged}
        )
        prevalent = mean_present({name: embeddings[name] for name in self._prevalent}, present)
        return Batch(inputs=(prevalent,), truth=truth, size=len(rows))

    def loss(self, outputs: Mapping[str, Tensor], truth: PrivilegedTruth) -> LossTerms:
        """See Problem."""
        value = self._error(outputs, truth)
        return LossTerms(total=value, parts={"mse": value.detach()})

    def judge(self, outputs: Mapping[str, Tensor], truth: PrivilegedTruth) -> Judgement:
        """See Problem."""
        return Judgement(self._error(outputs, truth))

    def _error(self, outputs: Mapping[str, Tensor], truth: PrivilegedTruth) -> Tensor:
        """The mean over modalities of their mean squared errors."""
        errors = []
        for name, target in truth.embeddings.items():
            present = truth.present[name][:, None]
            squared = torch.where(present, outputs[name] - target, 0.0).square()
            errors.append(squared.sum() / (present.sum() * target.shape[1]).clamp(min=1))
        return torch.stack(errors).mean()


@torch.no_grad()
def explained_variance(problem: HallucinationProblem) -> dict[str, float]:
    """R^2 of every hallucinated modality on the validation clips: 1 - residual / variance around their own mean."""
    batches = list(problem.validation_batches())
    problem.network.eval()
    predicted = [problem.network(*batch.inputs) for batch in batches]
    scores = {}
    for name in problem.network.privileged:
        present = torch.cat([batch.truth.present[name] for batch in batches])
        truth = torch.cat([batch.truth.embeddings[name] for batch in batches])[present].double()
        guess = torch.cat([values[name] for values in predicted])[present].double()
        spread = (truth - truth.mean(0)).square().sum()
        scores[name] = float(1 - (truth - guess).square().sum() / spread) if spread > 0 else float("nan")
    return scores
