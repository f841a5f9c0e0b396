"""How an adapted embedding is drawn to the joint one, four ways (METHOD: step 3).

Nothing is detached here: the joint transformer trains along. A caller who wants a fixed target detaches it.
"""

from typing import Literal, get_args

import torch
from torch.nn import functional

from pipelines.errors import SettingsError
from pipelines.objectives.kd import softened_divergence
from pipelines.recipe import Task

Kind = Literal["cosine", "mse", "kl", "mmd"]

_WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)


def alignment_term(
    adapted: torch.Tensor,
    joint: torch.Tensor,
    kind: Kind,
    *,
    task: Task,
    adapted_output: torch.Tensor | None = None,
    joint_output: torch.Tensor | None = None,
    temperature: float = 2.0,
    present: torch.Tensor | None = None,
) -> torch.Tensor:
    """Distance of adapted embeddings from joint ones, averaged over the samples that have the modality.

    Args:
        adapted: (B, D) A_m(z_m).
        joint: (B, D) z_J.
        kind: `cosine`, `mse`, `kl` or `mmd`.
        task: what is predicted.
        adapted_output: (B, C) logits of the adapter's head, for `kl`.
        joint_output: (B, C) logits of the joint teacher, for `kl`.
        temperature: softening of the logits, for `kl`.
        present: samples that have the modality (default: all), (B,) bool, or (K,) row numbers: no device is waited for.

    Returns:
        (), non-negative up to rounding, zero when both agree or no sample has the modality.

    Raises:
        SettingsError: for an unknown kind, or `kl` with continuous targets.
        ValueError: for `kl` without outputs.
    """
    _check(kind)
    if kind == "kl":
        adapted, joint = _logits(task, adapted_output, joint_output)
    if present is not None:
        adapted, joint = adapted[present], joint[present]
    if len(adapted) == 0:
        return adapted.sum()
    if kind == "kl":
        return softened_divergence(adapted, joint, temperature)
    return _DISTANCES[kind](adapted, joint)


def _check(kind: str) -> None:
    if kind not in get_args(Kind):
        raise SettingsError(f"alignment.term = {kind!r}: expected one of {', '.join(get_args(Kind))}")


def _logits(
    task: Task, adapted_output: torch.Tensor | None, joint_output: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    if task.kind != "classes":
        raise SettingsError("alignment.term = 'kl' compares class probabilities: use cosine, mse or mmd here")
    if adapted_output is None or joint_output is None:
        raise ValueError("alignment by kl needs the outputs of both heads")
    return adapted_output, joint_output


def _angle(adapted: torch.Tensor, joint: torch.Tensor) -> torch.Tensor:
    return 1 - functional.cosine_similarity(adapted, joint).mean()


def _discrepancy(adapted: torch.Tensor, joint: torch.Tensor) -> torch.Tensor:
    """Squared maximum mean discrepancy, biased (Gretton et al., JMLR 13, 2012, eq. 5), mean of five Gaussian kernels.

    Kernel q is exp(-|u - v|^2 / (2 w_q m)) for w = 1/4, 1/2, 1, 2, 4 and m the (lower) median of the squared distances
    between distinct points of the pooled sample, a constant for the gradient.
    """
    size = len(adapted)
    pooled = torch.cat((adapted, joint))
    pooled = pooled.to(torch.promote_types(pooled.dtype, torch.float32))
    with torch.autocast(pooled.device.type, enabled=False):
        pooled = pooled - pooled.detach().mean(0)
        half = pooled.square().sum(1) / 2
        distances = 2 * (half.unsqueeze(1) + half - pooled @ pooled.T).clamp_min(0)
        above = torch.triu_indices(2 * size, 2 * size, offset=1, device=pooled.device)
        median = distances.detach()[above[0], above[1]].median().clamp_min(torch.finfo(pooled.dtype).tiny)
        kernel = torch.stack([torch.exp(-distances / (2 * width * median)) for width in _WIDTHS]).mean(0)
        own = kernel[:size, :size].mean() + kernel[size:, size:].mean()
        return own - 2 * kernel[:size, size:].mean()


_DISTANCES = {"cosine": _angle, "mse": functional.mse_loss, "mmd": _discrepancy}
