"""What a student's confidence is worth, measured on the validation part when its training is done.

Decisions. Validation groups are the only ones that neither weights nor test results know. They also chose the epoch,
and the smoothing of trials, so what is fitted on them is a little too confident: `evaluate` reports what it is worth on
test groups. Calibration lies in the checkpoint, because whoever predicts needs it and has nothing else; its groups lie
there too, for the audit of everything that builds on the checkpoint.

- Classes: one temperature. With fewer than two classes among the validation labels nothing can be fitted: it is 1.
- Continuous labels: half-widths of intervals at LEVELS, on the labels' own scale; of trials over annotated frames, with
  predictions as `evaluate` writes them: interpolated, clipped and smoothed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import MtpkdError
from pipelines.metrics import expected_calibration_error, fit_temperature, interval_half_widths, tempered
from pipelines.protocols.audit import Evidence, audit
from pipelines.stages.cells import Cell
from pipelines.stages.prediction import clip_predictions, predict_validation, trials
from pipelines.training.checkpoints import Checkpoint
from pipelines.training.dense import Trial, best_smoothing
from pipelines.training.samples import Sample

LEVELS = tuple(percent / 100 for percent in range(50, 100))
"""Coverages for which half-widths are kept."""
_PSEUDO_COUNT = 1.0
"""A few validation clips that are all right do not make a student certain."""


def calibrate(cell: Cell, method: str, checkpoint: Checkpoint) -> dict[str, Any]:
    """Calibrate a trained student.

    Args:
        cell: fold and seed.
        method: the student's.
        checkpoint: the student, as it is about to be written.

    Returns:
        What the checkpoint's schema holds under `calibration`: groups (validation groups that were used), temperature
        and ece before and after it (classes), smoothing_s (trials), intervals (continuous: levels, and of each the
        half-width of every dimension, None where it takes more groups); None for what does not apply.

    Raises:
        LeakageError: a group that was used is not of the validation part.
    """
    rows, outputs, present = predict_validation(cell, method, [checkpoint])
    if cell.recipe.corpus.continuous:
        judged = list(trials(cell, rows, outputs, present))
        width = best_smoothing(cell.recipe.evaluation.smoothing, judged)
        groups, known = _of_trials(judged, width, cell.task.num_outputs)
    else:
        groups, known = _of_clips(cell, rows, outputs, present)
    audit(cell.split, [Evidence(f"student {method}", "calibration", frozenset(groups.tolist()))])
    nothing = {"temperature": None, "ece": None, "smoothing_s": None, "intervals": None}
    return {"groups": sorted(set(groups.tolist())), **nothing, **known}


def calibration_of(path: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """What `calibrate` found. MtpkdError for a student that was trained before students were calibrated."""
    known = checkpoint.schema.get("calibration")
    if known is None:
        raise MtpkdError(f"{path} holds no calibration, an earlier mtpkd wrote it: run `mtpkd distill` again")
    return known


def _of_clips(
    cell: Cell, rows: list[Sample], outputs: np.ndarray, present: np.ndarray
) -> tuple[np.ndarray, dict[str, Any]]:
    """Groups (N,) of the clips that are judged, and what they tell."""
    judged = present & np.array([row.label is not None for row in rows], bool)
    said = clip_predictions(cell, rows, outputs, judged)
    if not said.of_classes:
        return said.groups, {"intervals": _intervals(said.target - said.scores, said.groups)}
    temperature = 1.0
    if len(np.unique(said.target)) > 1:
        temperature = fit_temperature(outputs[judged], said.target, pseudo_count=_PSEUDO_COUNT)
    known: dict[str, Any] = {"temperature": temperature}
    if len(said.target):
        both = {"before": said.scores, "after": tempered(said.scores, temperature)}
        known["ece"] = {when: expected_calibration_error(scores, said.target) for when, scores in both.items()}
    return said.groups, known


def _of_trials(judged: Sequence[Trial], width: float, dimensions: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Groups (N,) of the annotated frames that are judged, and what they tell."""
    residuals, groups = [np.zeros((0, dimensions))], [np.zeros(0, str)]
    for trial in judged:
        differences = trial.target - trial.smoothed(width)
        differences = differences[~np.isnan(differences).any(axis=1)]
        residuals.append(differences)
        groups.append(np.full(len(differences), trial.group))
    names = np.concatenate(groups)
    return names, {"smoothing_s": width, "intervals": _intervals(np.concatenate(residuals), names)}


def _intervals(residuals: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    return {"levels": list(LEVELS), "half_widths": interval_half_widths(residuals, groups, LEVELS)}
