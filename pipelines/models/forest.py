"""A random forest as tensors: it predicts on any device, and its checkpoint holds numbers instead of a pickle.

- Every tree remembers the groups in its bag, and never speaks about them: what a forest says of the clips that it was
  trained on is out of bag, by whole groups, and as honest as what it says of strangers.
- Missing features go where the tree learned to send them, so an absent modality is NaN, not a value.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

_FIELDS = ("feature", "threshold", "left", "right", "missing_left", "value", "roots", "bags", "columns")


class Forest(nn.Module):
    """Binary trees, all nodes of all trees in one list.

    Args:
        state: `feature` (N,) int64, -1 in a leaf; `threshold` (N,) float64; `left` and `right` (N,) int64, the leaf
            itself in a leaf; `missing_left` (N,) bool; `value` (N, C) float32, class shares or means; `roots` (E,)
            int64; `bags` (E, G) bool, whether a tree has seen a group; `columns` (K',) int64, the inputs it was given.
        depth: of the deepest tree.
        groups: names of the G groups.
    """

    feature: torch.Tensor
    threshold: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    missing_left: torch.Tensor
    value: torch.Tensor
    roots: torch.Tensor
    bags: torch.Tensor
    columns: torch.Tensor

    def __init__(self, state: Mapping[str, torch.Tensor], *, depth: int, groups: Sequence[str]) -> None:
        super().__init__()
        for name in _FIELDS:
            self.register_buffer(name, state[name])
        self.depth, self.groups = depth, tuple(groups)
        self._index = {group: number for number, group in enumerate(groups)}

    def number(self, groups: Sequence[str]) -> torch.Tensor:
        """(B,) int64: the bags' columns of groups, -1 for one that no tree has seen."""
        return torch.tensor([self._index.get(group, -1) for group in groups], dtype=torch.int64)

    def forward(self, x: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
        """Votes of the trees that have not seen a sample's group.

        Args:
            x: (B, K) features, NaN where missing.
            group: (B,) int64, of `number`.

        Returns:
            (B, C) mean of the votes; where every tree has seen the group, what they say of a sample unseen.
        """
        chosen = x[:, self.columns].double()
        node = self.roots.expand(len(x), -1)
        for _ in range(self.depth):
            value = chosen.gather(1, self.feature[node].clamp_min(0))
            goes_left = torch.where(value.isnan(), self.missing_left[node], value <= self.threshold[node])
            node = torch.where(goes_left, self.left[node], self.right[node])
        known = torch.where(group[:, None] >= 0, self.bags.T[group.clamp_min(0)], False)
        prior = self.value[self.roots].mean(0)
        count = (~known).sum(1, keepdim=True)
        votes = torch.where(known[..., None], 0, self.value[node]).sum(1) / count.clamp_min(1)
        return torch.where(count > 0, votes, prior)


class ForestTeacher(nn.Module):
    """A forest on the embeddings of a subset of modalities, with the interface of a teacher.

    Its embedding is its opinion: the centred logarithms of its votes (Aitchison, The Statistical Analysis of
    Compositional Data, 1986), or its values, and zeros behind them. So the opinions of all forests lie in one space.
    Shares of votes are less extreme than probabilities; one temperature mends that (Guo et al., arXiv 1706.04599).

    Args:
        modalities: in the order of the forest's features.
        forest: grown on their embeddings side by side, (B, M * D).
        embedding: width D.
        is_classes: whether it votes for classes.
        temperature: that logarithms of votes are divided by.
    """

    def __init__(
        self,
        *,
        modalities: tuple[str, ...],
        forest: Forest,
        embedding: int,
        is_classes: bool,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.modalities, self.forest, self.temperature = modalities, forest, temperature
        self.embedding, self.is_classes = embedding, is_classes

    def forward(
        self, embeddings: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor], group: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """{modality: (B, D)}, {modality: (B,) bool}, (B,) -> embedding (B, D), output (B, C)."""
        votes = self.forest(side_by_side(self.modalities, embeddings, present), group)
        if self.is_classes:
            votes = log_votes(votes, len(self.forest.roots)) / self.temperature
        opinion = votes - votes.mean(1, keepdim=True) if self.is_classes else votes
        return nn.functional.pad(opinion, (0, self.embedding - opinion.shape[1])), votes


def log_votes(votes: torch.Tensor, trees: int) -> torch.Tensor:
    """Logarithms of shares (B, C); one tree more votes for every class: who got no vote is unlikely, not impossible."""
    return ((votes * trees + 1 / votes.shape[1]) / (trees + 1)).log()


def side_by_side(
    modalities: Sequence[str], embeddings: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """{modality: (B, D)} -> (B, M * D), NaN where a modality is absent."""
    return torch.cat([torch.where(present[name][:, None], embeddings[name], torch.nan) for name in modalities], 1)
