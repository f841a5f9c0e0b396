import pytest
import torch

from pipelines.models.encoders import r3d_18


def test_keys_and_shapes_are_torchvisions(oracle):
    state = {key: list(value.shape) for key, value in r3d_18(num_outputs=400).state_dict().items()}
    assert state == oracle("r3d_18")["state_dict"]


@torch.no_grad()
def test_output_is_torchvisions(oracle, fill, sine_input):
    truth = oracle("r3d_18")
    output = fill(r3d_18(num_outputs=truth["num_outputs"]))(sine_input(truth["input_shape"]))
    assert output[:, :8].tolist() == [pytest.approx(row, abs=1e-9) for row in truth["output_first_8"]]
    assert output.norm(dim=1).tolist() == pytest.approx(truth["output_norm"], abs=1e-9)


@torch.no_grad()
def test_without_outputs_the_pooled_vector_is_what_fc_reads():
    whole, headless = r3d_18(num_outputs=5).eval(), r3d_18().eval()
    headless.load_state_dict({key: value for key, value in whole.state_dict().items() if not key.startswith("fc.")})
    frames = torch.randn(2, 3, 4, 32, 32)
    assert headless(frames).shape == (2, 512)
    assert whole.fc is not None
    torch.testing.assert_close(whole.fc(headless(frames)), whole(frames))
