from typing import get_args

import pytest
import torch
from safetensors.torch import save_file

from pipelines.models import INPUT_VIEW, make_encoder, resnet_18
from pipelines.recipe import EncoderSettings

ARCHITECTURES = get_args(EncoderSettings.model_fields["architecture"].annotation)
VIEWS = {"frames": (3, 2, 32, 32), "spectrogram": (1, 33, 20), "wave": (2, 176), "features": (6,)}


def test_every_architecture_has_a_view():
    assert set(INPUT_VIEW) == set(ARCHITECTURES)


@torch.no_grad()
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("embedding", [512, 24])
def test_embeds_its_view(architecture, embedding):
    encoder = make_encoder(EncoderSettings(architecture=architecture), embedding=embedding, in_features=6).eval()
    assert encoder(torch.randn(2, *VIEWS[INPUT_VIEW[architecture]])).shape == (2, embedding)


@pytest.mark.parametrize("embedding", [512, 24])
def test_loads_published_weights_under_the_projection(tmp_path, embedding):
    published = resnet_18(num_outputs=10)
    save_file(published.state_dict(), tmp_path / "resnet.safetensors")
    settings = EncoderSettings(architecture="resnet-18", weights=tmp_path / "resnet.safetensors")
    state = make_encoder(settings, embedding=embedding).state_dict()
    prefix = "" if embedding == 512 else "0."
    key = "layer4.1.conv2.weight"
    assert torch.equal(state[prefix + key], published.state_dict()[key])


@torch.no_grad()
@pytest.mark.parametrize("architecture", ["small-video", "small-spectrogram", "wave-cnn", "features-mlp"])
def test_dropout_of_the_settings_acts_in_training_only(architecture):
    settings = EncoderSettings(architecture=architecture, dropout=0.5)
    encoder = make_encoder(settings, embedding=24, in_features=6)
    x = torch.randn(2, *VIEWS[INPUT_VIEW[architecture]])
    assert not torch.equal(encoder(x), encoder(x))
    encoder.eval()
    assert torch.equal(encoder(x), encoder(x))


def test_features_need_their_number():
    with pytest.raises(ValueError, match="in_features"):
        make_encoder(EncoderSettings(architecture="features-mlp"), embedding=512)
