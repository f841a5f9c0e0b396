"""Every setting of a run as frozen pydantic models: one small class an area, a sentence under each field.

A recipe is a YAML file with the same shape. Unknown keys and contradictions are refused when it is read, before any
work. Shipped recipes lie in `recipes/`; the effective recipe of a workspace is written into it as `recipe.yaml`.
"""

from pydantic import model_validator

from pipelines.recipe.base import ModalityKind, Settings, Task
from pipelines.recipe.corpora import AffWild2Corpus, BioVidCorpus, Corpora, SyntheticAffWild2Corpus, SyntheticCorpus
from pipelines.recipe.learning import (
    AlignmentSettings,
    DistillationSettings,
    EncoderSettings,
    EvaluationSettings,
    ModelSettings,
    OptimisationSettings,
    ProtocolSettings,
    TeacherSettings,
    TermWeights,
    TrainingSettings,
)
from pipelines.recipe.manifest import (
    FeatureTable,
    ManifestCorpus,
    ManifestModality,
    SignalFiles,
    SoundFiles,
    VideoFiles,
)
from pipelines.recipe.media import (
    BIOSIGNALS,
    AudioSettings,
    BiosignalSettings,
    ClipWindow,
    FaceSettings,
    SlidingWindows,
    Windows,
)

JOINT = "joint"
"""Name of the teacher that sees every modality, or those that the recipe gives it."""
_LEAST_WAVE = 32
"""Samples that `wave-cnn` needs: it halves the rate four times."""
_TAKEN = (
    "apply", "bfloat16", "buffers", "children", "clear", "compile", "cpu", "cuda", "double", "eval", "float", "forward",
    "half", "ipu", "items", "keys", "modules", "mtia", "parameters", "pop", "to", "train", "training", "type", "update",
    "values", "xpu",
)  # fmt: skip
"""Words that torch's modules use for themselves, so that no part of one can bear them."""

__all__ = [
    "BIOSIGNALS",
    "JOINT",
    "AffWild2Corpus",
    "AlignmentSettings",
    "AudioSettings",
    "BioVidCorpus",
    "BiosignalSettings",
    "ClipWindow",
    "Corpora",
    "DistillationSettings",
    "EncoderSettings",
    "EvaluationSettings",
    "FaceSettings",
    "FeatureTable",
    "ManifestCorpus",
    "ManifestModality",
    "ModalityKind",
    "ModelSettings",
    "OptimisationSettings",
    "ProtocolSettings",
    "Recipe",
    "Settings",
    "SignalFiles",
    "SlidingWindows",
    "SoundFiles",
    "SyntheticAffWild2Corpus",
    "SyntheticCorpus",
    "Task",
    "TeacherSettings",
    "TermWeights",
    "TrainingSettings",
    "VideoFiles",
    "Windows",
]  # fmt: skip


class Recipe(Settings):
    """All settings of a run."""

    corpus: Corpora = BioVidCorpus()
    """Which recordings, and what is predicted from them."""
    prevalent: tuple[str, ...] = ("faces",)
    """Modalities there at test time."""
    privileged: tuple[str, ...] = BIOSIGNALS
    """Modalities there in training only."""
    faces: FaceSettings = FaceSettings()
    biosignals: BiosignalSettings = BiosignalSettings()
    audio: AudioSettings = AudioSettings()
    windows: Windows = ClipWindow()
    """What a model sees of a clip."""
    encoders: dict[str, EncoderSettings]
    """One encoder a modality."""
    model: ModelSettings = ModelSettings()
    teachers: TeacherSettings = TeacherSettings()
    alignment: AlignmentSettings = AlignmentSettings()
    distillation: DistillationSettings = DistillationSettings()
    protocol: ProtocolSettings = ProtocolSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()

    @property
    def modalities(self) -> tuple[str, ...]:
        """Prevalent modalities first, then privileged ones."""
        return self.prevalent + self.privileged

    @property
    def teacher_subsets(self) -> dict[str, tuple[str, ...]]:
        """Teacher name -> the modalities it sees, the joint one last."""
        joint = self.teachers.joint or self.modalities
        subsets = self.teachers.subsets or tuple((modality,) for modality in self.modalities)
        partial = {"+".join(subset): subset for subset in subsets if set(subset) != set(joint)}
        return {**partial, JOINT: joint}

    def shard_kind(self, modality: str) -> str:
        """The kind of shard that a modality is cached in: its own, but for the channels of a `_bio.csv`."""
        return "biosignals" if self.corpus.kinds[modality] == "biosignal" else modality

    @property
    def continuous_clips(self) -> bool:
        """Whether each clip as a whole has continuous labels."""
        return isinstance(self.corpus, ManifestCorpus) and self.corpus.task == "continuous"

    @property
    def unused(self) -> tuple[str, ...]:
        """Settings of modalities that the recipe does not have: not shown, because they would change nothing."""
        users: dict[str, ModalityKind] = {"faces": "video", "biosignals": "biosignal", "audio": "sound"}
        there = {self.corpus.kinds[name] for name in self.modalities}
        return tuple(name for name, kind in users.items() if kind not in there)

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        known = self.corpus.kinds
        for modality in self.modalities:
            if modality not in known:
                raise ValueError(f"modality {modality!r} is unknown to {self.corpus.name}: use {', '.join(known)}")
        if not self.prevalent or not self.privileged or len(set(self.modalities)) < len(self.modalities):
            raise ValueError(
                f"prevalent = {list(self.prevalent)} and privileged = {list(self.privileged)}: each needs at least one "
                "modality, and none may be in both"
            )
        if set(self.encoders) != set(self.modalities):
            raise ValueError(f"encoders = {sorted(self.encoders)}: exactly one for each of {sorted(self.modalities)}")
        for modality, encoder in self.encoders.items():
            if not encoder.fits(known[modality]):
                raise ValueError(f"encoders.{modality}.architecture = {encoder.architecture!r} does not fit {modality}")
        self._check_subsets()
        self._check_continuity()
        self._check_manifest()
        return self

    def _check_continuity(self) -> None:
        if self.corpus.continuous != (self.windows.kind == "sliding"):
            fitting = "sliding" if self.corpus.continuous else "clip"
            raise ValueError(f"windows.kind = {self.windows.kind!r} does not fit {self.corpus.name}: use {fitting}")
        if (self.corpus.continuous or self.continuous_clips) and self.alignment.term == "kl":
            raise ValueError("alignment.term = 'kl' compares classes, and the labels are continuous: use another term")

    def _check_manifest(self) -> None:
        if not isinstance(self.corpus, ManifestCorpus):
            return
        if self.protocol.name == "hold-out" and self.corpus.split is None:
            raise ValueError(
                "protocol.name = 'hold-out' needs a manifest that says who is tested: name that column in "
                "corpus.split, or use k-fold"
            )
        for name in self.modalities:
            if name in _TAKEN:
                raise ValueError(
                    f"corpus.modalities: {name!r} is a word that networks use themselves: take another name"
                )
            signal = self.corpus.modalities[name]
            if isinstance(signal, SignalFiles) and self.encoders[name].architecture == "wave-cnn":
                samples = round(signal.seconds * (signal.resampled or signal.rate))
                if samples < _LEAST_WAVE:
                    raise ValueError(
                        f"encoders.{name}.architecture = 'wave-cnn' needs {_LEAST_WAVE} samples, and corpus.modalities."
                        f"{name} has {samples}: give it more seconds or a higher rate"
                    )

    def _check_subsets(self) -> None:
        joint = () if self.teachers.joint is None else (("joint is", self.teachers.joint),)
        for what, subset in (*(("subsets holds", subset) for subset in self.teachers.subsets or ()), *joint):
            if not subset or len(set(subset)) < len(subset) or not set(subset) <= set(self.modalities):
                raise ValueError(f"teachers.{what} {list(subset)}: name each modality once, of {list(self.modalities)}")
        if self.teachers.model == "forest" and self.windows.context > 1:
            raise ValueError("teachers.model = 'forest' sees one window: use windows.context = 1, or network")
