"""Torch modules that know no training: tensors in, tensors out, the same for a sample whatever its neighbours.

Everything is float32 and batch-first. Modalities travel as dicts of (B, D) embeddings beside dicts of (B,) presence.
"""

from pipelines.models.adapters import Adapter
from pipelines.models.encoders import (
    INPUT_VIEW,
    FeatureEncoder,
    SmallSpectrogramEncoder,
    SmallVideoEncoder,
    View,
    WaveEncoder,
    load_weights,
    make_encoder,
    r3d_18,
    resnet_18,
)
from pipelines.models.fusion import MultimodalTransformer
from pipelines.models.hallucination import HallucinationNet
from pipelines.models.heads import Head
from pipelines.models.student import StandsIn, StudentNetwork, StudentOutput

__all__ = [
    "INPUT_VIEW", "Adapter", "FeatureEncoder", "HallucinationNet", "Head", "MultimodalTransformer",
    "SmallSpectrogramEncoder", "SmallVideoEncoder", "StandsIn", "StudentNetwork", "StudentOutput", "View",
    "WaveEncoder", "load_weights", "make_encoder", "r3d_18", "resnet_18",
]  # fmt: skip
