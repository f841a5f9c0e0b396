"""Every setting of a run as frozen pydantic models: one small class an area, a sentence under each field.

A recipe is a YAML file with the same shape. Unknown keys and contradictions are refused when it is read, before any
work. Shipped recipes lie in `recipes/`; the effective recipe of a workspace is written into it as `recipe.yaml`.
"""

from pipelines.recipe.base import Settings, Task
from pipelines.recipe.corpora import BioVidCorpus, Corpora, SyntheticCorpus
from pipelines.recipe.learning import (
    AlignmentSettings,
    DistillationSettings,
    EncoderSettings,
    EvaluationSettings,
    ModelSettings,
    OptimisationSettings,
    ProtocolSettings,
    TeacherSettings,
    TrainingSettings,
)
from pipelines.recipe.media import BIOSIGNALS, BiosignalSettings, FaceSettings, WindowSettings

__all__ = [
    "BIOSIGNALS", "AlignmentSettings", "BioVidCorpus", "BiosignalSettings", "Corpora", "DistillationSettings",
    "EncoderSettings", "EvaluationSettings", "FaceSettings", "ModelSettings", "OptimisationSettings",
    "ProtocolSettings", "Recipe", "Settings", "SyntheticCorpus", "Task", "TeacherSettings", "TrainingSettings",
    "WindowSettings",
]  # fmt: skip


class Recipe(Settings):
    """All settings of a run."""

    corpus: Corpora = BioVidCorpus()
    prevalent: tuple[str, ...] = ("faces",)
    """Modalities there at test time."""
    privileged: tuple[str, ...] = BIOSIGNALS
    """Modalities there in training only."""
    faces: FaceSettings = FaceSettings()
    biosignals: BiosignalSettings = BiosignalSettings()
    windows: WindowSettings = WindowSettings()
    encoders: dict[str, EncoderSettings]
    """One encoder a modality."""
    model: ModelSettings = ModelSettings()
    teachers: TeacherSettings = TeacherSettings()
    alignment: AlignmentSettings = AlignmentSettings()
    distillation: DistillationSettings = DistillationSettings()
    protocol: ProtocolSettings = ProtocolSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
