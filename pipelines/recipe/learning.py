"""Networks, how they are trained, and how they are judged."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.recipe.base import ModalityKind, Settings


class EncoderSettings(Settings):
    """One modality's encoder."""

    architecture: Literal[
        "r3d-18", "small-video", "resnet-18", "small-spectrogram", "wave-cnn", "features-mlp", "identity"
    ]
    """Faces: r3d-18, small-video; signals and audio: resnet-18, small-spectrogram (spectrograms); signals also:
    wave-cnn; features, those of biosignals too: features-mlp, or identity, which leaves them as they are."""
    weights: Path | None = None
    """Published weights: a name of `mtpkd weights list` that fits the architecture, or a file with torchvision's keys
    (safetensors, or a torch file of tensors); None starts from noise."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    """Dropout on the embedding before the head, and inside the small encoders."""

    def fits(self, kind: ModalityKind) -> bool:
        """Whether the architecture can read a kind of modality."""
        spectrograms, features = ("resnet-18", "small-spectrogram"), ("features-mlp", "identity")
        readers: dict[ModalityKind, tuple[str, ...]] = {
            "video": ("r3d-18", "small-video"),
            "sound": spectrograms,
            "biosignal": (*spectrograms, "wave-cnn", *features),
            "signal": (*spectrograms, "wave-cnn"),
            "features": features,
        }
        return self.architecture in readers[kind]


class OptimisationSettings(Settings):
    """One training: AdamW until the inner validation subjects stop improving."""

    epochs: Annotated[int, Field(ge=1)] = 30
    """Most epochs."""
    patience: Annotated[int, Field(ge=1)] = 8
    """Epochs without improvement on the inner validation subjects before training stops."""
    batch_size: Annotated[int, Field(ge=2)] = 32
    """Clips in a batch; anchors of the transport are drawn within it."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Peak learning rate; it falls to zero along a half cosine."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    """Decoupled weight decay."""
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""


class ModelSettings(Settings):
    """Shapes shared by teachers and student."""

    fusion: Literal["transformer", "joint-cross-attention", "concat", "linear"] = "transformer"
    """How modalities are fused: a multimodal transformer, joint cross-attention over neighbouring windows, one hidden
    layer on all embeddings side by side, or none."""
    embedding: Annotated[int, Field(ge=8, le=4096)] = 512
    """Width D of every embedding."""
    tokens: Annotated[int, Field(ge=1, le=32)] = 4
    """Tokens the transformer splits an embedding into: attention over one token a modality would be trivial. In joint
    cross-attention the neighbouring windows are the tokens."""
    width: Annotated[int, Field(ge=8, le=2048)] = 96
    """Width inside the fusion."""
    depth: Annotated[int, Field(ge=1, le=12)] = 1
    """Blocks of self- and cross-attention, or recursions of joint cross-attention."""
    heads: Annotated[int, Field(ge=1, le=32)] = 4
    """Attention heads of the transformer."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.2
    """Dropout inside the fusion, adapters and the hallucination net."""

    @model_validator(mode="after")
    def _divisible(self) -> "ModelSettings":
        if self.width % self.heads:
            raise ValueError(f"model.width = {self.width} must be a multiple of model.heads = {self.heads}")
        return self


class TeacherSettings(Settings):
    """Which teachers there are, and how their opinion of a training clip is obtained."""

    model: Literal["network", "forest"] = "network"
    """`network`: the encoders' heads, and a fusion for several modalities; `forest`: a random forest on the embeddings
    of each subset, for tables of features as they are."""
    trees: Annotated[int, Field(ge=10, le=5000)] = 300
    """Trees of a forest."""
    subsets: tuple[tuple[str, ...], ...] | None = None
    """Modality subsets, one teacher each beside the joint one; null: every modality alone."""
    joint: tuple[str, ...] | None = None
    """Modalities of the joint teacher; null: all of them."""
    cross_fit: Annotated[int, Field(ge=0, le=20)] = 3
    """Parts the training subjects are split into for out-of-fold teacher losses; 0 uses in-sample losses, which
    always prefer whichever teacher overfits most, and a network's adapter to a forest."""

    outputs: Literal["full", "out-of-fold"] = "full"
    """Whose outputs are distilled on clips with labels: those of the full fit, which remembers them (no forest does),
    or those of the cross-fitted one, which has never seen the subject but fewer others too."""

    @model_validator(mode="after")
    def _crossed(self) -> "TeacherSettings":
        if self.outputs == "out-of-fold" and self.cross_fit == 0:
            raise ValueError("teachers.outputs = 'out-of-fold' with teachers.cross_fit = 0: use at least 2 parts")
        return self

    @model_validator(mode="after")
    def _not_one(self) -> "TeacherSettings":
        if self.cross_fit == 1:
            raise ValueError("teachers.cross_fit = 1 leaves no subject to train on: use 0 (off) or at least 2")
        return self


class AlignmentSettings(Settings):
    """Self-distillation of every teacher towards the joint one (METHOD: step 3)."""

    term: Literal["cosine", "mse", "kl", "mmd"] = "cosine"
    """How an adapted embedding is drawn to the joint one."""
    weight: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Weight of the alignment term; the task loss has the rest."""
    temperature: Annotated[float, Field(gt=0)] = 2.0
    """Softening of the heads' outputs for `kl`."""


class TermWeights(Settings):
    """What the methods beside (MT-)PKDOT distil, against `alpha` of the task loss.

    Terms are in the proportion to the task loss in which they were published, so that a weight equal to `alpha` is the
    published one.
    """

    kd: Annotated[float, Field(ge=0)] = 2.5
    """Outputs of the joint teacher, softened, in `kd`, which was published with a considerably lower weight on the
    labels than on them."""
    fitnet: Annotated[float, Field(ge=0)] = 0.8
    """Half the squared distance of unit embeddings in `fitnet`."""
    sp: Annotated[float, Field(ge=0)] = 0.8
    """3000 times the distance of row-normalised inner products in `sp`."""
    rkd: Annotated[float, Field(ge=0)] = 0.8
    """25 times the loss of distances and 50 times that of angles in `rkd`."""


class DistillationSettings(Settings):
    """What the student minimises (METHOD: step 4)."""

    methods: tuple[str, ...] = ("none", "none-matched", "mt-pkdot")
    """Students trained by default; `none` is the visual-only baseline that every other is compared with."""
    alpha: Annotated[float, Field(ge=0)] = 0.8
    """Weight of the task loss."""
    beta: Annotated[float, Field(ge=0)] = 0.05
    """Weight of the structural transport loss; published 0.2, which `mt-pkdot-published` keeps."""
    gamma: Annotated[float, Field(ge=0)] = 0.05
    """Weight of the centroid loss; published 0.2."""
    delta: Annotated[float, Field(ge=0)] = 2.5
    """Weight of logit distillation from the joint teacher beside the structure, in `pkdot` and `mt-pkdot`; published
    0, and worth most of what is gained where labels are few."""
    temperature: Annotated[float, Field(gt=0)] = 2.0
    """Softening of logits wherever they are distilled."""
    weights: TermWeights = TermWeights()
    """What the methods beside (MT-)PKDOT distil."""
    anchors: Annotated[int, Field(ge=1)] = 30
    """Columns k compared in every row of the similarity matrices; at most the batch size."""
    blur: Annotated[float, Field(gt=0)] = 0.1
    """Square root of the entropic regularisation."""
    selection: Literal["batch", "sample", "confidence", "joint"] = "batch"
    """Which teacher speaks: the best of a batch, of a sample, all by softmax, or always the joint one (PKDOT)."""
    matching: Literal["transport", "identity"] = "transport"
    """How rows of similarities are matched: by optimal transport, or each sample's with its own (mean squared
    distance)."""


class ProtocolSettings(Settings):
    """Who trains, who validates, who tests. Always by whole subjects."""

    name: Literal["k-fold", "loso", "hold-out"] = "k-fold"
    """k folds by group (subject or video), leave one group out, or the corpus' published hold-out (official split)."""
    folds: Annotated[int, Field(ge=2)] = 5
    """Folds of `k-fold`."""
    seeds: tuple[int, ...] = (0,)
    """Every fold is trained once with each seed."""
    validation_share: Annotated[float, Field(gt=0, lt=0.9)] = 0.2
    """Share of a fold's labelled training subjects set aside for early stopping."""
    labelled: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of a fold's training subjects whose labels are used, early stopping included; of the others everything that
    was recorded is still aligned, hallucinated and distilled on. Below 1 it measures what labels are worth."""


class TrainingSettings(Settings):
    """How each network is optimised, and on what."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a CUDA device where there is one."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Lightning Fabric's name of the floating point precision."""
    compiled: bool = False
    """Compile encoders on a CUDA device, which costs time at the start; `make bench-gpu` tells what it brings there."""
    threads: Annotated[int, Field(ge=1)] = 1
    """CPU threads of one process; results are bitwise equal only for an equal number."""
    teachers: OptimisationSettings = OptimisationSettings()
    """Encoders and heads, on frames and waves."""
    fusion: OptimisationSettings = OptimisationSettings(epochs=60, patience=10)
    """Multimodal transformers, on cached embeddings."""
    hallucination: OptimisationSettings = OptimisationSettings(epochs=60, patience=10)
    """The hallucination net, on cached embeddings."""
    alignment: OptimisationSettings = OptimisationSettings(epochs=40, patience=10, learning_rate=5e-4)
    """Adapters, heads and the joint transformer, on cached embeddings."""
    distillation: OptimisationSettings = OptimisationSettings(
        epochs=60, patience=10, batch_size=128, learning_rate=5e-4
    )
    """The student, on cached embeddings."""


class EvaluationSettings(Settings):
    """How uncertain a number is."""

    resamples: Annotated[int, Field(ge=100)] = 2000
    """Bootstrap resamples of test subjects, or test videos, behind every interval."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Coverage of the intervals."""
    smoothing: Annotated[tuple[Annotated[float, Field(ge=0, le=60)], ...], Field(min_length=1)] = (0.0,)
    """Widths in seconds of the averaging of continuous predictions over time, 0 for none; of several the one that is
    best on the validation part of the training groups is used."""
