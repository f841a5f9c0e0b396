"""Joint cross-attention over neighbouring windows: each modality attends to what all of them say together.

After Praveen et al., "A Joint Cross-Attention Model for Audio-Visual Fusion in Dimensional Emotion Recognition"
(arXiv 2203.14779), applied `depth` times over, as in "Recursive Joint Attention" (arXiv 2304.07958), each time with
weights of its own. With X_m (d_m x L) of modality m, J = [X_1; ...; X_M] (d x L):

    C_m = tanh(X_m^T W_jm J / sqrt(d))      joint correlation
    H_m = ReLU(W_m X_m + W_cm C_m^T)        attention map
    X_att,m = W_hm H_m + X_m                attended features

Where this departs from them, and why:

- C_m is L x L, between windows, as these shapes make it. The released code has X transposed: there C_m is between
  features and W_jm, W_m, W_hm are over L windows, so a window that is absent could not be left out.
- W_cm C_m^T maps L correlations, so it knows no other length and carries how alike windows are, not what they hold.
  Here it is W_cm J C_m^T / n over the n windows that hold anything: an absent window has no column, and what the
  others say gets through. Simulated trials with gaps were predicted better so. A learned bias for the distance between
  windows inside the tanh gave no more: the temporal head knows order.
- An absent modality is a zero block of J, and its X_m stays zero through all recursions.
- X_m is a normalised linear map of the embedding, to one width for all modalities.
- The fused windows are a gated mean over the modalities that are there instead of their concatenation, so that any
  may be missing; a temporal head takes the place of recurrent layers over the whole sequence.

The windows are the tokens: the transformer's `tokens` and `heads` have no part in it.
"""

import math
from collections.abc import Mapping

import torch
from torch import nn

from pipelines.models.context import Fusion, as_context, gated_mean
from pipelines.models.temporal import TemporalHead
from pipelines.recipe import ModelSettings


class JointAttention(nn.Module):
    """One modality's part in one recursion.

    Args:
        width: W, rows of X_m and of the attention map.
        joint: d, rows of J.
    """

    def __init__(self, *, width: int, joint: int) -> None:
        super().__init__()
        self.correlation = nn.Linear(joint, width, bias=False)
        self.own = nn.Linear(width, width)
        self.cross = nn.Linear(joint, width, bias=False)
        self.attended = nn.Linear(width, width)
        self.scale = 1 / math.sqrt(joint)

    def forward(self, x: torch.Tensor, joint: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
        """X (B, L, W), J (B, L, d), share (B, 1, L), 1 / n where J holds anything -> W_h H (B, L, W)."""
        likeness = x @ self.correlation(joint).transpose(1, 2) * self.scale
        correlation = torch.tanh(likeness) * share
        return self.attended(torch.relu(self.own(x) + correlation @ self.cross(joint)))


class Recursion(nn.Module):
    """X_att of every modality from X of every modality, the same shapes again."""

    def __init__(self, *, modalities: int, width: int, dropout: float) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(
            JointAttention(width=width, joint=modalities * width) for _ in range(modalities)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: list[torch.Tensor], there: torch.Tensor) -> list[torch.Tensor]:
        """One X (B, L, W) a modality, zero where absent, there (B, M, L) bool -> the same."""
        joint, somewhere = torch.cat(x, dim=-1), there.any(dim=1, keepdim=True)
        share = somewhere.to(joint.dtype) / somewhere.sum(dim=2, keepdim=True).clamp_min(1)
        return [
            torch.where(mask[..., None], own + self.dropout(attention(own, joint, share)), 0)
            for attention, own, mask in zip(self.attentions, x, there.unbind(1), strict=True)
        ]


class JointCrossAttention(Fusion):
    """Recursions of joint cross-attention, a gated mean over modalities, a temporal head over windows.

    Args:
        modalities: see Fusion.
        settings: embedding, width, depth, dropout.
        context: see Fusion.
    """

    def __init__(self, modalities: tuple[str, ...], settings: ModelSettings, *, context: int = 1) -> None:
        super().__init__(modalities, context=context)
        width, embedding = settings.width, settings.embedding
        self.inputs = nn.ModuleDict(
            {name: nn.Sequential(nn.LayerNorm(embedding), nn.Linear(embedding, width)) for name in modalities}
        )
        self.recursions = nn.ModuleList(
            Recursion(modalities=len(modalities), width=width, dropout=settings.dropout) for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 1)
        self.temporal = TemporalHead(width=width, context=context, dropout=settings.dropout)
        self.norm_output = nn.LayerNorm(width)
        self.projection = nn.Linear(width, embedding)

    def forward(self, embeddings: Mapping[str, torch.Tensor], present: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """See Fusion."""
        clean, there = as_context(self.modalities, embeddings, present, limit=self.context)
        x = [
            torch.where(mask[..., None], self.inputs[name](values), 0)
            for name, values, mask in zip(self.modalities, clean, there.unbind(1), strict=True)
        ]
        for recursion in self.recursions:
            x = recursion(x, there)
        windows = self.norm(torch.stack(x, dim=1))
        fused = gated_mean(windows, self.gate(windows), there)
        return self.projection(self.norm_output(self.temporal(fused, there.any(dim=1))))
