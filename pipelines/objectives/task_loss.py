"""The supervised loss, of a batch and of single samples.

- Unlabelled samples are weighted away rather than dropped: shapes stay fixed, nothing waits for a device, and a batch
  without labels gives a zero that still has a graph.
- Continuous targets are judged by 1 - CCC over the batch. CCC is no mean over samples, so single samples, which the
  selection of teachers needs, are judged by their squared error.
"""

import torch
from torch.nn import functional

from pipelines.recipe import Task

_LEAST_SPREAD = 1e-6
"""Added to CCC's denominator: constant predictions of a constant target have CCC 0 instead of 0 / 0, and its gradient's
norm stays below sqrt(2 / (1e-6 B)). Annotations come in thousandths, so that a smaller variance tells nothing."""


def task_loss(output: torch.Tensor, target: torch.Tensor, labelled: torch.Tensor, task: Task) -> torch.Tensor:
    """Cross-entropy, or 1 - CCC averaged over dimensions, of the labelled samples.

    Args:
        output: (B, C) logits, or (B, K) continuous values.
        target: (B,) class indices, or (B, K); ignored where not labelled.
        labelled: (B,) bool.
        task: what is predicted.

    Returns:
        (), zero when no sample is labelled. One labelled sample has no variance: its CCC is 0, its loss 1.

    Raises:
        ValueError: when the shapes do not fit the task.
    """
    _check(output, target, task)
    weight = labelled.to(torch.promote_types(output.dtype, torch.float32))
    count = weight.sum().clamp_min(1)
    target = _known(target, labelled)
    if task.kind == "classes":
        return (functional.cross_entropy(output, target, reduction="none") * weight).sum() / count
    concordance = _concordance(output.to(weight.dtype), target, weight.unsqueeze(1) / count)
    return (1 - concordance.mean()) * labelled.any()


def per_sample_loss(output: torch.Tensor, target: torch.Tensor, task: Task) -> torch.Tensor:
    """Cross-entropy, or squared error averaged over dimensions, of every sample.

    Args:
        output: (B, C) logits, or (B, K) continuous values.
        target: (B,) class indices, or (B, K); a sample without a label needs a stand-in, whose loss means nothing.
        task: what is predicted.

    Returns:
        (B,).

    Raises:
        ValueError: when the shapes do not fit the task.
    """
    _check(output, target, task)
    if task.kind == "classes":
        return functional.cross_entropy(output, target, reduction="none")
    return (output - target).square().mean(1)


def _check(output: torch.Tensor, target: torch.Tensor, task: Task) -> None:
    expected = (len(output), task.num_outputs)
    of_target = expected[:1] if task.kind == "classes" else expected
    if tuple(output.shape) != expected or tuple(target.shape) != of_target:
        raise ValueError(
            f"output {tuple(output.shape)} and target {tuple(target.shape)} do not fit {task.num_outputs} outputs of "
            f"kind {task.kind}: expected {expected} and {of_target}"
        )


def _known(target: torch.Tensor, labelled: torch.Tensor) -> torch.Tensor:
    """Targets with whatever stands in for missing labels replaced, so that no NaN survives its zero weight."""
    return torch.where(labelled.view(-1, *[1] * (target.ndim - 1)), target, 0)


def _concordance(prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """(K,) concordance correlations (Lin, Biometrics 45, 1989), population moments, weights (B, 1) adding up to 1."""
    # CCC is blind to a common offset; in float32 the rounding of a large one passes for variance.
    offset = (target * weight).sum(0)
    prediction, target = prediction - offset, target - offset
    mean_p, mean_t = (prediction * weight).sum(0), (target * weight).sum(0)
    centred_p, centred_t = prediction - mean_p, target - mean_t
    covariance = (weight * centred_p * centred_t).sum(0)
    spread = (weight * (centred_p.square() + centred_t.square())).sum(0)
    return 2 * covariance / (spread + (mean_p - mean_t).square() + _LEAST_SPREAD)
