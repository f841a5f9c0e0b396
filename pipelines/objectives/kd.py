"""Knowledge distillation: the joint teacher's outputs are softer labels.

Hinton, Vinyals, Dean, arXiv 1503.02531, section 2: L = alpha L_task + w T^2 KL(softmax(z_J / T) || softmax(z_S / T)),
z_J the joint teacher's logits; T^2 keeps the gradient's scale whatever the temperature.

A continuous output is a point, with nothing to soften: there the term is the mean squared error to the joint
teacher's values, which is the divergence of two normal distributions of equal variance up to a factor. It judges
single samples, so a small batch is no worse an estimate; 1 - CCC, the task's own loss, is not a mean over samples.
"""

import torch
from torch.nn import functional

from pipelines.objectives.base import StudentPrediction, TeacherView
from pipelines.objectives.distillation import JointDistillation, Prediction, joint_pairs
from pipelines.recipe import DistillationSettings, Task


class LogitDistillation(JointDistillation):
    """Outputs of the joint teacher, softened (classes) or as they are (continuous values)."""

    name = "kd"
    description = "outputs of the joint teacher as soft labels"
    reference = "Hinton et al., arXiv 1503.02531"

    @property
    def uses(self) -> tuple[str, ...]:
        """See Objective."""
        return (*super().uses, "weights.kd", *_softening(self.task))

    def terms(self, student: Prediction, teacher: Prediction) -> dict[str, tuple[float, torch.Tensor]]:
        """See JointDistillation."""
        value = output_distance(student.output, teacher.output, self.task, self.settings.temperature)
        return {"logits": (self.settings.weights.kd, value)}


def settings_beside(task: Task, settings: DistillationSettings) -> tuple[str, ...]:
    """The settings that `outputs_beside` goes by, as in `Objective.uses`."""
    return ("delta", *(_softening(task) if settings.delta else ()))


def outputs_beside(
    student: StudentPrediction, view: TeacherView, task: Task, settings: DistillationSettings
) -> dict[str, tuple[float, torch.Tensor]]:
    """The same term beside those of another method, with weight `delta`; nothing where that is zero.

    Raises:
        SettingsError: when no teacher sees all modalities.
    """
    if settings.delta == 0:
        return {}
    ours, theirs = joint_pairs(student, view)
    with torch.autocast(ours.output.device.type, enabled=False):
        return {"logits": (settings.delta, output_distance(ours.output, theirs.output, task, settings.temperature))}


def _softening(task: Task) -> tuple[str, ...]:
    """Continuous values are not softened."""
    return ("temperature",) if task.kind == "classes" else ()


def output_distance(student: torch.Tensor, teacher: torch.Tensor, task: Task, temperature: float) -> torch.Tensor:
    """Softened divergence of logits, or mean squared error of continuous values.

    Args:
        student: (B, C) logits or (B, K) values.
        teacher: the same shape.
        task: what is predicted.
        temperature: softening of the logits.

    Returns:
        (), non-negative up to rounding, zero when both agree or B is 0.
    """
    if task.kind == "classes":
        return softened_divergence(student, teacher, temperature)
    return (student - teacher).square().sum() / max(student.numel(), 1)


def softened_divergence(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 KL(teacher || student) at temperature T, mean over samples (Hinton et al., arXiv 1503.02531).

    Args:
        student: (B, C) logits.
        teacher: (B, C) logits.
        temperature: T.

    Returns:
        (); zero when B is 0.
    """
    if len(student) == 0:
        return student.sum()
    ours, theirs = (functional.log_softmax(logits / temperature, 1) for logits in (student, teacher))
    return temperature**2 * functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)
