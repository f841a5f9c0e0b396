import pytest
import torch

from pipelines.models import HallucinationNet


def test_predicts_every_privileged_modality():
    net = HallucinationNet(privileged=("eda", "ecg"), prevalent=24, embedding=32)
    predicted = net(torch.randn(5, 24))
    assert {name: tuple(value.shape) for name, value in predicted.items()} == {"eda": (5, 32), "ecg": (5, 32)}
    assert not torch.allclose(predicted["eda"], predicted["ecg"])


def test_learns_a_map_that_the_prevalent_embedding_determines():
    net = HallucinationNet(privileged=("eda",), prevalent=16, embedding=32)
    x = torch.randn(256, 16)
    target = torch.tanh(x @ torch.randn(16, 4)) @ torch.randn(4, 32)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        loss = (net(x)["eda"] - target).square().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1 * target.var().item()


def test_needs_something_to_predict():
    with pytest.raises(ValueError, match="at least one privileged"):
        HallucinationNet(privileged=())
