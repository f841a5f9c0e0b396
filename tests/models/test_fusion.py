import pytest
import torch

from pipelines.models import MultimodalTransformer

NAMES = ("faces", "eda", "ecg")


def _batch(size: int = 6, width: int = 32):
    embeddings = {name: torch.randn(size, width) for name in NAMES}
    present = {name: torch.ones(size, dtype=torch.bool) for name in NAMES}
    return embeddings, present


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30, -3.0])
def test_an_absent_modality_cannot_matter(small, garbage):
    fusion = MultimodalTransformer(NAMES, small).eval()
    embeddings, present = _batch()
    present["eda"][::2] = False
    present["faces"][1] = False
    expected = fusion(embeddings, present)
    embeddings = {
        name: torch.where(present[name][:, None], value, garbage).requires_grad_() for name, value in embeddings.items()
    }
    joint = fusion(embeddings, present)
    assert torch.equal(joint, expected)
    joint.square().sum().backward()
    for name, value in embeddings.items():
        assert value.grad is not None
        assert value.grad.isfinite().all()
        assert value.grad[~present[name]].eq(0).all()
        assert value.grad[present[name]].ne(0).any()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_a_present_modality_matters(small, name):
    fusion = MultimodalTransformer(NAMES, small).eval()
    embeddings, present = _batch()
    before = fusion(embeddings, present)
    other = {**embeddings, name: torch.randn(6, 32)}
    assert ((before - fusion(other, present)).norm(dim=1) > 1e-3).all()
    absent = {**present, name: ~present[name]}
    assert ((before - fusion(embeddings, absent)).norm(dim=1) > 1e-3).all()


@torch.no_grad()
def test_modalities_are_told_apart(small):
    fusion = MultimodalTransformer(NAMES, small).eval()
    for layer in fusion.tokenise.values():
        layer.load_state_dict(fusion.tokenise["faces"].state_dict())
    embeddings, present = _batch()
    swapped = {**embeddings, "eda": embeddings["ecg"], "ecg": embeddings["eda"]}
    assert not torch.allclose(fusion(embeddings, present), fusion(swapped, present), atol=1e-5)


def test_cross_attention_sees_the_null_token_and_the_others_that_are_there(small):
    fusion = MultimodalTransformer(NAMES, small)
    allowed = fusion._allowed(torch.tensor([[True, True, False]]))[0, 0]
    tokens = small.tokens
    assert allowed.shape == (3 * tokens, 1 + 3 * tokens)
    assert allowed[:, 0].all()
    # Rows of one modality's tokens against columns of one modality's tokens: faces, eda, ecg (absent).
    expected = torch.tensor([[0, 1, 0], [1, 0, 0], [1, 1, 0]], dtype=torch.bool)
    blocks = allowed[:, 1:].reshape(3, tokens, 3, tokens)
    assert torch.equal(blocks.all(dim=(1, 3)), expected)
    assert torch.equal(blocks.any(dim=(1, 3)), expected)


@torch.no_grad()
def test_one_modality_alone_equals_a_transformer_in_which_the_others_are_absent(small):
    """Nothing but the embedding of the one modality that is there enters."""
    fusion = MultimodalTransformer(NAMES, small).eval()
    alone = MultimodalTransformer(("faces",), small).eval()
    state = {key: value for key, value in fusion.state_dict().items() if "eda" not in key and "ecg" not in key}
    alone.load_state_dict({**state, "modality": fusion.modality[:1]})
    embeddings, present = _batch()
    only = {name: present[name] & (name == "faces") for name in NAMES}
    torch.testing.assert_close(fusion(embeddings, only), alone(embeddings, present), atol=1e-5, rtol=1e-5)


def test_a_sample_without_any_modality_is_finite(small):
    fusion = MultimodalTransformer(NAMES, small)
    embeddings, present = _batch()
    joint = fusion(embeddings, {name: torch.zeros_like(value) for name, value in present.items()})
    joint.square().sum().backward()
    torch.testing.assert_close(joint, fusion.projection.bias.expand(6, -1))
    assert all(p.grad is None or p.grad.isfinite().all() for p in fusion.parameters())


def test_what_cannot_be_meant_is_refused(small):
    with pytest.raises(ValueError, match="distinct"):
        MultimodalTransformer(("faces", "faces"), small)
    with pytest.raises(ValueError, match="at least one"):
        MultimodalTransformer((), small)
    embeddings, present = _batch()
    del embeddings["eda"]
    with pytest.raises(ValueError, match="eda"):
        MultimodalTransformer(NAMES, small)(embeddings, present)
