"""The multimodal transformer: several modality embeddings -> one joint embedding.

- A modality is several tokens: attention over one token a modality would be a weighted mean.
- Blocks alternate attention within a modality and from each modality to the others; blocks are shared by all modalities
  and told apart by embeddings, so that parameters do not grow with their number.
- Attention runs over the tokens of one sample only. The released code of MT-PKDOT lets samples attend to each other.
- Dropout acts on the residual branches only: inside attention and feed-forward it cost a seventh of a training step.
- What an absent modality holds, NaN included, is replaced before the first operation and masked after it: it reaches
  neither output nor gradient. A learned null token keeps the softmax defined where no other modality is there.
"""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from pipelines.recipe import ModelSettings


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al., arXiv 1706.03762) of queries to a context, both already normalised."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, context: torch.Tensor, allowed: torch.Tensor | None = None) -> torch.Tensor:
        """Queries (N, Q, W), context (N, K, W), allowed (N, 1, Q, K) bool, at least one True a row -> (N, Q, W)."""
        query = self._split(self.query(x))
        key, value = (self._split(part) for part in self.key_value(context).chunk(2, dim=-1))
        attended = scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        return self.output(attended.transpose(1, 2).flatten(2))

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Self-attention within a modality, cross-attention to the others, feed-forward; LayerNorm before each."""

    def __init__(self, *, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.within = Attention(width, heads)
        self.across = Attention(width, heads)
        self.norm_within, self.norm_across, self.norm_forward = (nn.LayerNorm(width) for _ in range(3))
        self.null = nn.Parameter(torch.zeros(1, 1, width))
        self.feed_forward = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """Tokens (B, M, N, W), allowed (B, 1, M * N, 1 + M * N) -> (B, M, N, W)."""
        batch, modalities, tokens, _ = x.shape
        own = self.norm_within(x).flatten(0, 1)
        x = x + self.dropout(self.within(own, own)).unflatten(0, (batch, modalities))
        every = self.norm_across(x).flatten(1, 2)
        context = torch.cat([self.null.expand(batch, -1, -1), every], dim=1)
        x = x + self.dropout(self.across(every, context, allowed)).unflatten(1, (modalities, tokens))
        return x + self.dropout(self.feed_forward(self.norm_forward(x)))


class MultimodalTransformer(nn.Module):
    """Joint embedding of whichever modalities a sample has (METHOD of MT-PKDOT, arXiv 2408.09035: the joint teacher).

    Args:
        modalities: names, in an order that the weights belong to.
        settings: embedding, tokens, width, depth, heads, dropout.

    Raises:
        ValueError: no modality, or the same one twice.
    """

    def __init__(self, modalities: tuple[str, ...], settings: ModelSettings) -> None:
        super().__init__()
        if not modalities or len(set(modalities)) != len(modalities):
            raise ValueError(f"modalities must be distinct and at least one, not {modalities}")
        self.modalities = modalities
        self.tokens = settings.tokens
        inner = settings.tokens * settings.width
        self.tokenise = nn.ModuleDict(
            {
                name: nn.Sequential(nn.LayerNorm(settings.embedding), nn.Linear(settings.embedding, inner))
                for name in modalities
            }
        )
        self.modality = nn.Parameter(torch.randn(len(modalities), 1, settings.width) * 0.02)
        self.position = nn.Parameter(torch.randn(settings.tokens, settings.width) * 0.02)
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(
            Block(width=settings.width, heads=settings.heads, dropout=settings.dropout) for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(settings.width)
        self.gate = nn.Linear(settings.width, 1)
        self.projection = nn.Linear(inner, settings.embedding)

    def forward(self, embeddings: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Fuse.

        Args:
            embeddings: modality -> (B, D); where absent, anything.
            present: modality -> (B,) bool.

        Returns:
            (B, D). A sample without any modality gets the projection's bias, the same for every such sample.

        Raises:
            ValueError: a modality is missing from `embeddings` or `present`.
        """
        missing = [name for name in self.modalities if name not in embeddings or name not in present]
        if missing:
            raise ValueError(f"no embedding or no presence given for {missing}, expected {list(self.modalities)}")
        there = torch.stack([present[name] for name in self.modalities], dim=1)
        x = torch.stack([self._tokens(name, embeddings[name], present[name]) for name in self.modalities], dim=1)
        x = self.dropout(x + self.modality + self.position)
        allowed = self._allowed(there)
        for block in self.blocks:
            x = block(x, allowed)
        return self.projection(self._fuse(self.norm(x), there).flatten(1))

    def _tokens(self, name: str, embedding: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        # Before the first product: 0 * NaN is NaN, in the gradient too.
        clean = torch.where(present[:, None], embedding, 0)
        return self.tokenise[name](clean).unflatten(1, (self.tokens, -1))

    def _allowed(self, there: torch.Tensor) -> torch.Tensor:
        """Presence (B, M) -> (B, 1, M * N, 1 + M * N): the null token, and every present modality but one's own."""
        others = ~torch.eye(len(self.modalities), dtype=torch.bool, device=there.device)
        pairs = (there[:, None, :] & others).repeat_interleave(self.tokens, 1).repeat_interleave(self.tokens, 2)
        return nn.functional.pad(pairs, (1, 0), value=True)[:, None]

    def _fuse(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Tokens (B, M, N, W) -> (B, N, W): each token slot a gated mean over the modalities that are there."""
        gates = torch.sigmoid(self.gate(x)) * there[:, :, None, None]
        return (gates * x).sum(dim=1) / gates.sum(dim=1).clamp_min(1e-6)


def mean_present(embeddings: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Mean of the present embeddings {modality: (B, D)}, (B, D); zeros for a sample that has none of them."""
    there = torch.stack([present[name] for name in embeddings], dim=1)
    clean = torch.where(there[:, :, None], torch.stack(list(embeddings.values()), dim=1), 0)
    return clean.sum(dim=1) / there.sum(dim=1, keepdim=True).clamp_min(1)
