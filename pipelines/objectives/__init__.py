"""What a student minimises: every method behind one interface, one file a method."""

from pipelines.errors import SettingsError
from pipelines.objectives.alignment import alignment_term
from pipelines.objectives.base import (
    DistillationBatch,
    LossTerms,
    Objective,
    StudentPrediction,
    TeacherView,
)
from pipelines.objectives.fitnet import FitNet
from pipelines.objectives.kd import LogitDistillation
from pipelines.objectives.mt_pkdot import MtPkdot
from pipelines.objectives.mt_pkdot_published import MtPkdotPublished
from pipelines.objectives.none import NoDistillation
from pipelines.objectives.none_hallucinated import HallucinationControl
from pipelines.objectives.none_matched import MatchedControl
from pipelines.objectives.pkdot import Pkdot
from pipelines.objectives.rkd import RelationalDistillation
from pipelines.objectives.selection import select_teacher
from pipelines.objectives.self_kd import SelfDistillation
from pipelines.objectives.sp import SimilarityPreserving
from pipelines.objectives.task_loss import per_sample_loss, task_loss
from pipelines.recipe import DistillationSettings, Task

__all__ = [
    "METHODS",
    "DistillationBatch",
    "LossTerms",
    "Objective",
    "StudentPrediction",
    "TeacherView",
    "alignment_term",
    "make_objective",
    "per_sample_loss",
    "select_teacher",
    "task_loss",
]

METHODS: dict[str, type[Objective]] = {
    method.name: method
    for method in (
        NoDistillation,
        MatchedControl,
        HallucinationControl,
        SelfDistillation,
        LogitDistillation,
        FitNet,
        SimilarityPreserving,
        RelationalDistillation,
        Pkdot,
        MtPkdot,
        MtPkdotPublished,
    )
}
"""Every method by its name on the command line, controls first."""


def make_objective(name: str, task: Task, settings: DistillationSettings) -> Objective:
    """The objective of a method.

    Args:
        name: a key of `METHODS`.
        task: what is predicted.
        settings: weights and options of the distillation.

    Raises:
        SettingsError: for a name that is not known.
    """
    if name not in METHODS:
        raise SettingsError(f"unknown method {name!r}: expected one of {', '.join(METHODS)}")
    return METHODS[name](task, settings)
