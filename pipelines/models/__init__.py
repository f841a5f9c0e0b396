"""Torch modules that know no training: tensors in, tensors out, the same for a sample whatever its neighbours.

Everything is float32 and batch-first. Modalities travel as dicts of (B, D) embeddings beside dicts of (B,) presence;
with neighbouring windows, of (B, L, D) beside (B, L).
"""

from pipelines.models.adapters import Adapter
from pipelines.models.context import centre
from pipelines.models.cross_attention import JointCrossAttention
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
from pipelines.models.fusion import MultimodalTransformer, make_fusion, mean_present
from pipelines.models.hallucination import HallucinationNet
from pipelines.models.heads import Head
from pipelines.models.student import StandsIn, StudentNetwork, StudentOutput
from pipelines.models.temporal import TemporalHead

__all__ = [
    "INPUT_VIEW", "Adapter", "FeatureEncoder", "HallucinationNet", "Head", "JointCrossAttention",
    "MultimodalTransformer", "SmallSpectrogramEncoder", "SmallVideoEncoder", "StandsIn", "StudentNetwork",
    "StudentOutput", "TemporalHead", "View", "WaveEncoder", "centre", "load_weights", "make_encoder", "make_fusion",
    "mean_present", "r3d_18", "resnet_18",
]  # fmt: skip
