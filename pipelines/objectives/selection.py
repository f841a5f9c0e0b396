"""Which teacher speaks for a sample.

- Losses that select are out-of-fold: judged on samples that it was trained on, whichever teacher overfits most wins.
- Every rule is one score a candidate and sample; the lowest wins, the first of equals. An absent candidate scores
  infinity, so no rule can choose it; one whose loss nobody knows scores worse than all whose loss is known, the joint
  one ahead of the others, so that without any label the joint teacher speaks.
- An embedding is picked with weights (one-hot except for `confidence`); nothing waits for a device.
"""

import torch

from pipelines.errors import SettingsError
from pipelines.objectives.base import TeacherView
from pipelines.recipe import JOINT

SELECTIONS = ("batch", "sample", "confidence", "joint")

_UNKNOWN = 1e30
_FIRST = -1e30


def select_teacher(view: TeacherView, selection: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The teachers' representation of every sample (MT-PKDOT, arXiv 2408.09035: the lowest task loss speaks).

    Args:
        view: what N teachers say of B samples.
        selection: `batch`: the candidate of lowest mean loss over the batch; samples that lack it fall back to the
            joint teacher, then to the best one present. `sample`: the lowest loss of each sample; samples without any
            known loss use the batch's means. `confidence`: all, weighted by softmax over minus the losses. `joint`:
            always the joint teacher (PKDOT), or the best one present for samples that lack it.

    Returns:
        (B, D) embeddings without gradient, zero for samples without any teacher, and (N,) how many samples each
        candidate spoke for; with `confidence` the sums of its weights.

    Raises:
        SettingsError: for an unknown selection, or `joint` without a teacher of that name.
    """
    if selection not in SELECTIONS:
        raise SettingsError(f"distillation.selection = {selection!r}: expected one of {', '.join(SELECTIONS)}")
    if selection == "joint" and JOINT not in view.names:
        raise SettingsError(
            f"distillation.selection = 'joint' needs a teacher of all modalities; there are {', '.join(view.names)}"
        )
    losses = torch.where(view.present, view.losses.detach().float(), torch.nan)
    means = _batch_means(losses, view.names)
    if selection in ("sample", "confidence"):
        scores = _sample_scores(losses, means, view.present)
    else:
        scores = _batch_scores(means, view, always_joint=selection == "joint")
    scores = torch.where(view.present, scores, torch.inf)
    if selection == "confidence":
        # A row of infinities has no softmax; the product with `present` clears it below.
        weights = torch.softmax(torch.where(view.present.any(1, keepdim=True), -scores, 0), 1)
    else:
        weights = torch.nn.functional.one_hot(scores.argmin(1), len(view.names)).float()
    weights = weights * view.present
    # An absent embedding may hold NaN, which a weight of zero would not silence.
    embeddings = torch.where(view.present.unsqueeze(2), view.embeddings.detach(), 0)
    return torch.einsum("bn,bnd->bd", weights.to(embeddings.dtype), embeddings), weights.sum(0)


def _batch_means(losses: torch.Tensor, names: tuple[str, ...]) -> torch.Tensor:
    """(N,) mean of the known losses; where there is none, a value that loses to every known one."""
    means = losses.nanmean(0)
    stand_in = torch.full_like(means, _UNKNOWN)
    if JOINT in names:
        stand_in[names.index(JOINT)] = _UNKNOWN / 2
    return torch.where(means.isnan(), stand_in, means)


def _sample_scores(losses: torch.Tensor, means: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """(B, N) losses, or the batch's means in rows where none is known."""
    known = ~losses.isnan()
    return torch.where(known.any(1, keepdim=True), torch.where(known, losses, _UNKNOWN), means)


def _batch_scores(means: torch.Tensor, view: TeacherView, *, always_joint: bool) -> torch.Tensor:
    """(B, N) one ranking for all: the elected candidate, the joint one, then the others by their means."""
    ranking = means.clone()
    if JOINT in view.names:
        ranking[view.names.index(JOINT)] = _FIRST
    if not always_joint:
        ranking = torch.where(torch.arange(len(means), device=means.device) == means.argmin(), 2 * _FIRST, ranking)
    return ranking.expand(view.present.shape)
