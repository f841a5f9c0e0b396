"""Several modality embeddings -> one joint embedding: the multimodal transformer, and the choice between the fusions.

- A modality is several tokens: attention over one token a modality would be a weighted mean.
- Blocks alternate attention within a modality and from each modality to the others; blocks are shared by all modalities
  and told apart by embeddings, so that parameters do not grow with their number.
- Attention runs over the tokens of one sample only. The released code of MT-PKDOT lets samples attend to each other.
- With a context the tokens of all its windows take part, told apart by the window's place, and the middle ones answer.
- Dropout acts on the residual branches only: inside attention and feed-forward it cost a seventh of a training step.
- What an absent modality holds, NaN included, is replaced before the first operation and masked after it: it reaches
  neither output nor gradient. A learned null token keeps the softmax defined where no other modality is there.
"""

from collections.abc import Mapping
from functools import partial

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from pipelines.models.concat import ConcatFusion
from pipelines.models.context import Fusion, as_context, gated_mean
from pipelines.models.cross_attention import JointCrossAttention
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

    def forward(self, x: torch.Tensor, allowed: torch.Tensor, own_allowed: torch.Tensor | None) -> torch.Tensor:
        """Attend, then think.

        Args:
            x: (B, M, N, W), the N tokens of all windows of a modality.
            allowed: (B, 1, M * N, 1 + M * N) bool, across modalities, the null token first.
            own_allowed: (B * M, 1, N, N) bool, within a modality; None allows all.

        Returns:
            (B, M, N, W).
        """
        batch, modalities, tokens, _ = x.shape
        own = self.norm_within(x).flatten(0, 1)
        x = x + self.dropout(self.within(own, own, own_allowed)).unflatten(0, (batch, modalities))
        every = self.norm_across(x).flatten(1, 2)
        context = torch.cat([self.null.expand(batch, -1, -1), every], dim=1)
        x = x + self.dropout(self.across(every, context, allowed)).unflatten(1, (modalities, tokens))
        return x + self.dropout(self.feed_forward(self.norm_forward(x)))


class MultimodalTransformer(Fusion):
    """The joint teacher of MT-PKDOT (arXiv 2408.09035), over the tokens of all modalities.

    Args:
        modalities: see Fusion.
        settings: embedding, tokens, width, depth, heads, dropout.
        context: see Fusion.
    """

    def __init__(self, modalities: tuple[str, ...], settings: ModelSettings, *, context: int = 1) -> None:
        super().__init__(modalities, context=context)
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
        if context > 1:
            self.window = nn.Parameter(torch.randn(context, settings.width) * 0.02)
        self.dropout = nn.Dropout(settings.dropout)
        self.blocks = nn.ModuleList(
            Block(width=settings.width, heads=settings.heads, dropout=settings.dropout) for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(settings.width)
        self.gate = nn.Linear(settings.width, 1)
        self.projection = nn.Linear(inner, settings.embedding)

    def forward(self, embeddings: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """See Fusion; a sample without any modality at any window gets the projection's bias."""
        clean, there = as_context(self.modalities, embeddings, present, limit=self.context)
        windows = there.shape[2]
        x = torch.stack([self._tokens(name, values) for name, values in zip(self.modalities, clean, strict=True)], 1)
        x = self.dropout(x + self.modality + self._places(windows))
        allowed, own_allowed = self._allowed(there), self._own_allowed(there)
        for block in self.blocks:
            x = block(x, allowed, own_allowed)
        middle = self.norm(x.unflatten(2, (windows, self.tokens))[:, :, windows // 2])
        return self.projection(gated_mean(middle, self.gate(middle), self._speakers(there)).flatten(1))

    def _tokens(self, name: str, values: torch.Tensor) -> torch.Tensor:
        """(B, L, D) -> (B, L * N, W)."""
        return self.tokenise[name](values).unflatten(2, (self.tokens, -1)).flatten(1, 2)

    def _places(self, windows: int) -> torch.Tensor:
        """(L * N, W): where a token lies in its embedding, and its window in the context."""
        if self.context == 1:
            return self.position
        first = (self.context - windows) // 2
        return (self.window[first : first + windows, None] + self.position).flatten(0, 1)

    def _allowed(self, there: torch.Tensor) -> torch.Tensor:
        """Presence (B, M, L) -> (B, 1, M * L * N, 1 + M * L * N): the null token, and what is there of the others."""
        others = ~torch.eye(len(self.modalities), dtype=torch.bool, device=there.device)
        windows = (there[:, None] & others[..., None]).flatten(2)
        pairs = windows.repeat_interleave(there.shape[2] * self.tokens, 1).repeat_interleave(self.tokens, 2)
        return nn.functional.pad(pairs, (1, 0), value=True)[:, None]

    def _own_allowed(self, there: torch.Tensor) -> torch.Tensor | None:
        """Presence (B, M, L) -> (B * M, 1, L * N, L * N): windows that are there, and a token's own, whatever it is."""
        if there.shape[2] == 1:
            return None
        own = torch.eye(there.shape[2], dtype=torch.bool, device=there.device)
        pairs = there.flatten(0, 1)[:, None] | own
        return pairs.repeat_interleave(self.tokens, 1).repeat_interleave(self.tokens, 2)[:, None]

    def _speakers(self, there: torch.Tensor) -> torch.Tensor:
        """Presence (B, M, L) -> (B, M, 1): modalities there in the middle; failing all, those there at any window."""
        middle, anywhere = there[:, :, there.shape[2] // 2], there.any(dim=2)
        return (middle | (anywhere & ~middle.any(dim=1, keepdim=True)))[..., None]


def make_fusion(modalities: tuple[str, ...], settings: ModelSettings, *, context: int = 1) -> Fusion:
    """The fusion that the settings name. Arguments as those of the classes."""
    kinds = {
        "transformer": MultimodalTransformer,
        "joint-cross-attention": JointCrossAttention,
        "concat": ConcatFusion,
        "linear": partial(ConcatFusion, hidden=False),
    }
    return kinds[settings.fusion](modalities, settings, context=context)


def mean_present(embeddings: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Mean of the present embeddings {modality: (B, D) or (B, L, D)}, of that shape; zeros where there is none."""
    there = torch.stack([present[name] for name in embeddings], dim=1)
    clean = torch.where(there[..., None], torch.stack(list(embeddings.values()), dim=1), 0)
    return clean.sum(dim=1) / there.sum(dim=1).clamp_min(1).unsqueeze(-1)
