"""A student as one network: the windows of a recording -> a value for each of them. What runs and what is exported.

- Encoder, hallucination net, fusion and head are one module, and a window finds its neighbours inside it: whoever holds
  the graph needs to know nothing about the context that the student was trained with.
- A window without a face has no value: NaN, whatever its pixels hold and whatever its neighbours would say of it.
- Every operation exists in ONNX with the number of windows and of frames left open.
"""

from collections.abc import Sequence

import torch
from torch import nn

from pipelines.models.student import StudentNetwork


class RecordingNetwork(nn.Module):
    """The student of one video modality, in evaluation mode.

    Args:
        encoder: (W, 3, T, S, S) -> (W, D).
        student: prevalent embeddings -> outputs.
        context: largest number L of neighbouring windows, odd, as `student` was built with.
        scale: mean and standard deviation of each dimension of the labels, for outputs that were standardised.

    Raises:
        ValueError: the student needs more modalities than one.
    """

    def __init__(
        self,
        *,
        encoder: nn.Module,
        student: StudentNetwork,
        context: int,
        scale: tuple[Sequence[float], Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        if len(student.prevalent) != 1:
            raise ValueError(f"one network reads one modality, this student needs {list(student.prevalent)}")
        (self.modality,) = student.prevalent
        self.encoder, self.student, self.context = encoder, student, context
        self.mean: torch.Tensor | None
        self.std: torch.Tensor | None
        for name, values in zip(("mean", "std"), scale or (None, None), strict=True):
            self.register_buffer(name, None if values is None else torch.tensor(tuple(values), dtype=torch.float32))
        self.eval()

    def forward(self, windows: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Predict the windows of one recording.

        Args:
            windows: (W, 3, T, S, S) standardised frames in order of time; of absent ones anything, NaN included.
            present: (W,) bool.

        Returns:
            (W, C) logits, or values on the scale of the labels; NaN where absent.
        """
        # An encoder looks at one window at a time, and what is fused is masked: cleaning pixels would change nothing.
        embeddings, there = self.encoder(windows), present
        if self.context > 1:
            embeddings, there = neighbours(embeddings, self.context), neighbours(present, self.context)
        outputs = self.student({self.modality: embeddings}, {self.modality: there}).output
        if self.mean is not None and self.std is not None:
            outputs = outputs * self.std + self.mean
        return torch.where(present[:, None], outputs, torch.nan)


def neighbours(x: torch.Tensor, context: int) -> torch.Tensor:
    """Every window with those around it, (W, ...) -> (W, L, ...); beyond the ends zeros, or False."""
    count = x.shape[0]
    beyond = x.new_zeros((context // 2, *x.shape[1:]))
    padded = torch.cat([beyond, x, beyond])
    return torch.stack([padded[start : start + count] for start in range(context)], dim=1)
