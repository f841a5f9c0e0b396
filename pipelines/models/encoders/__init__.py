"""One modality -> embedding. Every encoder takes one tensor and returns (B, D).

`INPUT_VIEW` says which of a modality's cached views an architecture reads, so that the loader of windows and the
network cannot disagree.
"""

from typing import Literal

from torch import nn

from pipelines.models.encoders.features import FeatureEncoder
from pipelines.models.encoders.identity import IdentityEncoder
from pipelines.models.encoders.r3d import VideoResNet, r3d_18
from pipelines.models.encoders.resnet import ResNet, resnet_18
from pipelines.models.encoders.small import SmallSpectrogramEncoder, SmallVideoEncoder
from pipelines.models.encoders.wave import WaveEncoder
from pipelines.models.encoders.weights import load_weights
from pipelines.recipe import EncoderSettings

__all__ = [
    "INPUT_VIEW", "FeatureEncoder", "IdentityEncoder", "ResNet", "SmallSpectrogramEncoder", "SmallVideoEncoder",
    "VideoResNet", "View", "WaveEncoder", "load_weights", "make_encoder", "r3d_18", "resnet_18",
]  # fmt: skip

View = Literal["frames", "wave", "spectrogram", "features"]

INPUT_VIEW: dict[str, View] = {
    "r3d-18": "frames",
    "small-video": "frames",
    "resnet-18": "spectrogram",
    "small-spectrogram": "spectrogram",
    "wave-cnn": "wave",
    "features-mlp": "features",
    "identity": "features",
}
"""frames (B, 3, T, H, W); spectrogram (B, 1, F, T); wave (B, 2, L), wave and validity; features (B, K), NaN missing."""


def make_encoder(settings: EncoderSettings, *, embedding: int, in_features: int | None = None) -> nn.Module:
    """The encoder a recipe names, ending in `embedding` dimensions, with its published weights loaded.

    The pooled 512-d vector of r3d-18 and resnet-18 is projected where `embedding` differs. `settings.dropout` also acts
    on the inner features of the small encoders.

    Args:
        settings: architecture, weights and dropout.
        embedding: width D of the result.
        in_features: features K; needed by `features-mlp` and `identity`, ignored by the others.

    Raises:
        MtpkdError: `settings.weights` does not fit (see `load_weights`).
        ValueError: `features-mlp` or `identity` without `in_features`.
    """
    encoder = _make(settings, embedding=embedding, in_features=in_features)
    if settings.weights is not None:
        load_weights(encoder, settings.weights)
    if isinstance(encoder, VideoResNet | ResNet) and embedding != 512:
        return nn.Sequential(encoder, nn.Linear(512, embedding))
    return encoder


def _make(settings: EncoderSettings, *, embedding: int, in_features: int | None) -> nn.Module:
    match settings.architecture:
        case "r3d-18":
            return r3d_18()
        case "resnet-18":
            return resnet_18(in_channels=1)
        case "small-video":
            return SmallVideoEncoder(embedding=embedding, dropout=settings.dropout)
        case "small-spectrogram":
            return SmallSpectrogramEncoder(embedding=embedding, dropout=settings.dropout)
        case "wave-cnn":
            return WaveEncoder(embedding=embedding, dropout=settings.dropout)
        case "features-mlp" | "identity":
            if in_features is None:
                raise ValueError(f"{settings.architecture} needs in_features, the number of features a clip has")
            if settings.architecture == "identity":
                return IdentityEncoder(in_features=in_features, embedding=embedding)
            return FeatureEncoder(in_features=in_features, embedding=embedding, dropout=settings.dropout)
