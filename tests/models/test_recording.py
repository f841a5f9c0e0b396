import pytest
import torch

from pipelines.models.encoders import SmallVideoEncoder
from pipelines.models.recording import RecordingNetwork, neighbours
from pipelines.models.student import StudentNetwork
from pipelines.recipe import ModelSettings

SETTINGS = ModelSettings(embedding=16, width=8, heads=2, dropout=0.0)


def make_network(context=1, scale=None, prevalent=("faces",)):
    torch.manual_seed(0)
    student = StudentNetwork(
        prevalent=prevalent,
        privileged=("eda",),
        settings=SETTINGS,
        num_outputs=2,
        stands_in="hallucination",
        context=context,
    )
    for parameter in student.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return RecordingNetwork(encoder=SmallVideoEncoder(embedding=16), student=student, context=context, scale=scale)


def windows(count, frames=3):
    return torch.randn(count, 3, frames, 32, 32, generator=torch.Generator().manual_seed(0))


def test_neighbours_are_in_order_and_nothing_lies_beyond_the_ends():
    found = neighbours(torch.tensor([[1.0], [2.0], [3.0]]), 3)
    assert found[..., 0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 0]]
    assert neighbours(torch.tensor([True, True]), 3).tolist() == [[False, True, True], [True, True, False]]


@torch.no_grad()
def test_a_window_sees_just_its_neighbours():
    network, values, there = make_network(context=3), windows(5), torch.ones(5, dtype=torch.bool)
    before = network(values, there)
    values[4] += 1
    moved = (network(values, there) - before).abs().amax(1) > 1e-6
    assert moved.tolist() == [False, False, False, True, True]


@torch.no_grad()
def test_without_context_a_window_is_alone():
    network, values, there = make_network(), windows(4), torch.ones(4, dtype=torch.bool)
    alone = torch.cat([network(values[i : i + 1], there[:1]) for i in range(4)])
    torch.testing.assert_close(network(values, there), alone)


@pytest.mark.parametrize("context", [1, 3])
@torch.no_grad()
def test_absent_windows_have_no_value_and_change_none(context):
    network, values = make_network(context=context), windows(4)
    there = torch.tensor([True, False, True, True])
    clean = network(torch.where(there[:, None, None, None, None], values, 0), there)
    values[1] = torch.nan
    outputs = network(values, there)
    assert outputs[1].isnan().all()
    torch.testing.assert_close(outputs[there], clean[there])
    assert outputs[there].isfinite().all()


@torch.no_grad()
def test_outputs_are_put_back_on_the_labels_scale():
    values, there = windows(2), torch.ones(2, dtype=torch.bool)
    plain = make_network()(values, there)
    scaled = make_network(scale=((10.0, 20.0), (2.0, 3.0)))(values, there)
    torch.testing.assert_close(scaled, plain * torch.tensor([2.0, 3.0]) + torch.tensor([10.0, 20.0]))


def test_several_prevalent_modalities_are_refused():
    with pytest.raises(ValueError, match="one network reads one modality"):
        make_network(prevalent=("faces", "body"))
