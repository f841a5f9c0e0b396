"""Features as they are."""

import pytest
import torch

from pipelines.errors import SettingsError
from pipelines.models.encoders import make_encoder
from pipelines.models.encoders.identity import IdentityEncoder
from pipelines.recipe import EncoderSettings


def test_features_pass_and_missing_ones_become_the_training_mean():
    x = torch.tensor([[0.5, float("nan"), -2.0], [float("inf"), 1.0, 0.0]])
    expected = torch.tensor([[0.5, 0.0, -2.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(IdentityEncoder(in_features=3, embedding=5)(x), expected, atol=0, rtol=0)


def test_it_has_nothing_to_train_and_fits_a_width_of_its_own():
    encoder = make_encoder(EncoderSettings(architecture="identity"), embedding=4, in_features=4)
    assert not list(encoder.parameters())
    x = torch.randn(2, 4)
    torch.testing.assert_close(encoder(x), x, atol=0, rtol=0)


def test_more_features_than_the_embedding_is_wide_are_refused_with_the_remedy():
    with pytest.raises(SettingsError, match=r"model.embedding = 8 cannot hold 9 features .* features-mlp"):
        IdentityEncoder(in_features=9, embedding=8)
