import pytest
import torch

from pipelines.models.encoders import resnet_18


def test_keys_and_shapes_are_torchvisions(oracle):
    state = {key: list(value.shape) for key, value in resnet_18(num_outputs=1000).state_dict().items()}
    assert state == oracle("resnet_18")["state_dict"]


@torch.no_grad()
def test_output_is_torchvisions(oracle, fill, sine_input):
    truth = oracle("resnet_18")
    output = fill(resnet_18(num_outputs=truth["num_outputs"]))(sine_input(truth["input_shape"]))
    assert output[:, :8].tolist() == [pytest.approx(row, abs=1e-9) for row in truth["output_first_8"]]
    assert output.norm(dim=1).tolist() == pytest.approx(truth["output_norm"], abs=1e-9)


@torch.no_grad()
def test_without_outputs_one_channel_gives_the_pooled_vector():
    network = resnet_18(in_channels=1).eval()
    assert network(torch.randn(2, 1, 64, 44)).shape == (2, 512)
    assert not [key for key in network.state_dict() if key.startswith("fc.")]
