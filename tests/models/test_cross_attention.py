import math

import pytest
import torch
from torch.nn.functional import layer_norm

from pipelines.models import JointCrossAttention

NAMES = ("faces", "audio")


@pytest.fixture
def settings(small):
    return small.model_copy(update={"fusion": "joint-cross-attention", "depth": 1})


def _batch(size: int, windows: int):
    embeddings = {name: torch.randn(size, windows, 32) for name in NAMES}
    return embeddings, {name: torch.ones(size, windows, dtype=torch.bool) for name in NAMES}


def _equations(fusion, embeddings, present):
    """The attended features, a sample, a modality and a window at a time, in the paper's symbols."""
    d = len(NAMES) * fusion.norm.normalized_shape[0]
    attended = {name: torch.zeros(*embeddings[name].shape[:2], d // 2) for name in NAMES}
    for b in range(len(embeddings["faces"])):
        x = {}
        for name in NAMES:
            linear = fusion.inputs[name][1]
            x[name] = layer_norm(embeddings[name][b], (32,)) @ linear.weight.T + linear.bias
            x[name][~present[name][b]] = 0
        joint = torch.cat([x[name] for name in NAMES], dim=1).T
        columns = [t for t in range(joint.shape[1]) if any(present[name][b, t] for name in NAMES)]
        for name, part in zip(NAMES, fusion.recursions[0].attentions, strict=True):
            for t in range(joint.shape[1]):
                if not present[name][b, t]:
                    continue
                own = x[name][t]
                seen = torch.zeros(d)
                for s in columns:
                    likeness = own @ part.correlation.weight @ joint[:, s] / math.sqrt(d)
                    seen += torch.tanh(likeness) * joint[:, s] / len(columns)
                attention = torch.relu(part.own(own) + part.cross.weight @ seen)
                attended[name][b, t] = part.attended(attention) + own
    return attended


@torch.no_grad()
def test_the_equations(settings):
    fusion = JointCrossAttention(NAMES, settings, context=5).eval()
    embeddings, present = _batch(3, 5)
    present["faces"][0, 0] = present["audio"][0, 0] = False
    present["audio"][0, 2] = present["faces"][1, 4] = False
    present["audio"][2] = False
    seen = []
    fusion.norm.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    fusion(embeddings, present)
    expected = _equations(fusion, embeddings, present)
    for column, name in enumerate(NAMES):
        torch.testing.assert_close(seen[0][:, column], expected[name], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_each_recursion_has_weights_of_its_own(settings):
    deep = JointCrossAttention(NAMES, settings.model_copy(update={"depth": 3}), context=3)
    shapes = [[tuple(p.shape) for p in recursion.parameters()] for recursion in deep.recursions]
    assert len(shapes) == 3
    assert shapes[0] == shapes[1] == shapes[2]
    before = deep.eval()(*(batch := _batch(2, 3)))
    deep.get_parameter("recursions.2.attentions.1.attended.weight").zero_()
    assert not torch.allclose(deep(*batch), before, atol=1e-5)


@torch.no_grad()
def test_modalities_have_weights_of_their_own(settings):
    fusion = JointCrossAttention(NAMES, settings, context=3).eval()
    embeddings, present = _batch(4, 3)
    swapped = {"faces": embeddings["audio"], "audio": embeddings["faces"]}
    assert not torch.allclose(fusion(embeddings, present), fusion(swapped, present), atol=1e-4)


@torch.no_grad()
def test_dropout_acts_in_training_only(settings):
    fusion = JointCrossAttention(NAMES, settings, context=3)
    batch = _batch(4, 3)
    assert not torch.equal(fusion(*batch), fusion(*batch))
    fusion.eval()
    assert torch.equal(fusion(*batch), fusion(*batch))


def test_what_is_absent_adds_nothing_to_any_gradient(settings):
    """One sample without audio leaves the weights that only audio uses alone."""
    fusion = JointCrossAttention(NAMES, settings, context=3).eval()
    embeddings, present = _batch(1, 3)
    present["audio"][:] = False
    embeddings["audio"][:] = float("nan")
    fusion(embeddings, present).square().sum().backward()
    for name, parameter in fusion.named_parameters():
        if "inputs.audio" in name or "attentions.1" in name:
            assert parameter.grad is not None
            assert not parameter.grad.any()
        else:
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()
