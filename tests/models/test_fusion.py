import pytest
import torch

from pipelines.models import JointCrossAttention, MultimodalTransformer, make_fusion
from pipelines.models.concat import ConcatFusion
from pipelines.models.context import Fusion

NAMES = ("faces", "eda", "ecg")
FUSIONS = ("transformer", "joint-cross-attention", "concat", "linear")
CONTEXT = 5


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
    allowed = fusion._allowed(torch.tensor([[[True], [True], [False]]]))[0, 0]
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


@torch.no_grad()
def test_the_transformer_of_a_sample_alone_never_changes(small, fill):
    """Values from before there was a context; checkpoints and pinned results of clips rest on them."""
    fusion = MultimodalTransformer(NAMES, small).eval()
    assert sum(p.numel() for p in fusion.parameters()) == 13377
    assert list(fusion.state_dict())[:4] == ["modality", "position", "tokenise.faces.0.weight", "tokenise.faces.0.bias"]
    assert "window" not in fusion.state_dict()
    embeddings = {
        name: torch.sin(torch.arange(4 * 32) * 0.013 * (i + 1)).reshape(4, 32) for i, name in enumerate(NAMES)
    }
    present = {name: torch.tensor([True, i != 1, i != 0, i == 0]) for i, name in enumerate(NAMES)}
    seeded = fusion(embeddings, present)
    pinned = torch.tensor([0.00259248, 0.06217683, -0.37483590, 0.48056304])
    torch.testing.assert_close(seeded[:, 0], pinned, atol=1e-6, rtol=0)
    filled = fill(fusion)({name: value.double() for name, value in embeddings.items()}, present)
    pinned = torch.tensor([-0.19098908386783, 0.36557448858124, -0.30284467943536, -0.91236416251748]).double()
    torch.testing.assert_close(filled[:, 0], pinned, atol=1e-7, rtol=0)
    assert filled.norm().item() == pytest.approx(9.673685410320054)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_what_cannot_be_meant_is_refused(small, fusion):
    small = small.model_copy(update={"fusion": fusion})
    with pytest.raises(ValueError, match="distinct"):
        make_fusion(("faces", "faces"), small)
    with pytest.raises(ValueError, match="at least one"):
        make_fusion((), small)
    embeddings, present = _batch()
    del embeddings["eda"]
    with pytest.raises(ValueError, match="eda"):
        make_fusion(NAMES, small)(embeddings, present)
    embeddings, present = _windows()
    with pytest.raises(ValueError, match="5 windows of faces: expected an odd number, at most 3"):
        make_fusion(NAMES, small, context=3)(embeddings, present)


def _windows(size: int = 6, windows: int = CONTEXT, share: float = 1.0):
    embeddings = {name: torch.randn(size, windows, 32) for name in NAMES}
    present = {name: torch.rand(size, windows) < share for name in NAMES}
    return embeddings, present


@pytest.fixture(params=FUSIONS)
def fusion(request, small) -> Fusion:
    return make_fusion(NAMES, small.model_copy(update={"fusion": request.param}), context=CONTEXT).eval()


def test_the_settings_choose_the_fusion(small):
    assert isinstance(make_fusion(NAMES, small), MultimodalTransformer)
    kinds = [MultimodalTransformer, JointCrossAttention, ConcatFusion, ConcatFusion]
    for name, kind in zip(FUSIONS, kinds, strict=True):
        assert isinstance(make_fusion(NAMES, small.model_copy(update={"fusion": name})), kind)


@pytest.mark.parametrize(
    ("kind", "alone", "context"),
    [
        ("transformer", 13377, 13457),
        ("joint-cross-attention", 14881, 17057),
        ("concat", 2144, 8480),
        ("linear", 3200, 15872),
    ],
)
def test_parameter_counts(small, kind, alone, context):
    settings = small.model_copy(update={"fusion": kind})
    for windows, count in ((1, alone), (CONTEXT, context)):
        assert sum(p.numel() for p in make_fusion(NAMES, settings, context=windows).parameters()) == count


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), -1e30])
def test_absent_windows_cannot_matter(fusion, garbage):
    embeddings, present = _windows(share=0.6)
    for name in NAMES:
        present[name][0] = name == "faces"
        present[name][1, 2] = False
        present[name][2] = False
    expected = fusion(embeddings, present)
    assert expected.isfinite().all()
    spoiled = {n: torch.where(present[n][..., None], x, garbage).requires_grad_() for n, x in embeddings.items()}
    answer = fusion(spoiled, present)
    assert torch.equal(answer, expected)
    answer.square().sum().backward()
    for name, value in spoiled.items():
        assert value.grad is not None
        assert value.grad.isfinite().all()
        assert value.grad[~present[name]].eq(0).all()
        assert value.grad[present[name]].ne(0).any()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_every_window_of_every_modality_reaches_the_answer(fusion, name):
    embeddings, present = _windows()
    watched = embeddings[name].requires_grad_()
    fusion(embeddings, present).square().sum().backward()
    assert watched.grad is not None
    assert watched.grad.ne(0).any(dim=-1).all()


def test_gradients_reach_every_parameter(fusion):
    fusion(*_windows(size=16, share=0.7)).square().sum().backward()
    assert [name for name, p in fusion.named_parameters() if p.grad is None or not p.grad.any()] == []


@torch.no_grad()
def test_one_window_and_a_sample_alone_are_the_same(fusion):
    embeddings, present = _windows(windows=1, share=0.7)
    alone = {name: value[:, 0] for name, value in embeddings.items()}
    assert torch.equal(
        fusion(alone, {name: value[:, 0] for name, value in present.items()}), fusion(embeddings, present)
    )


@torch.no_grad()
def test_padding_with_absent_windows_changes_nothing(fusion):
    embeddings, present = _windows(windows=3, share=0.8)
    padded = {name: torch.nn.functional.pad(x, (0, 0, 1, 1), value=float("nan")) for name, x in embeddings.items()}
    there = {name: torch.nn.functional.pad(mask, (1, 1)) for name, mask in present.items()}
    torch.testing.assert_close(fusion(padded, there), fusion(embeddings, present), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-5), (torch.bfloat16, 0.1)])
def test_it_runs_in_other_precisions(fusion, dtype, tolerance):
    embeddings, present = _windows(share=0.7)
    expected = fusion(embeddings, present)
    other = fusion.to(dtype)({name: value.to(dtype) for name, value in embeddings.items()}, present)
    assert other.dtype == dtype
    torch.testing.assert_close(other.float(), expected, atol=tolerance, rtol=tolerance)


@torch.no_grad()
def test_the_order_of_windows_matters(fusion):
    embeddings, present = _windows()
    backwards = {name: value.flip(1) for name, value in embeddings.items()}
    assert ((fusion(embeddings, present) - fusion(backwards, present)).norm(dim=1) > 1e-3).all()


@torch.no_grad()
def test_a_sample_that_is_absent_is_told_from_its_neighbours(fusion):
    embeddings, present = _windows()
    for mask in present.values():
        mask[:, CONTEXT // 2] = False
    first = fusion(embeddings, present)
    other = fusion({name: torch.randn_like(value) for name, value in embeddings.items()}, present)
    assert ((first - other).norm(dim=1) > 1e-3).all()
    nothing = fusion(embeddings, {name: torch.zeros_like(mask) for name, mask in present.items()})
    torch.testing.assert_close(nothing, nothing[:1].expand_as(nothing))


@pytest.mark.parametrize("kind", FUSIONS)
@pytest.mark.parametrize("context", [1, CONTEXT])
def test_one_modality_is_enough(small, kind, context):
    fusion = make_fusion(("faces",), small.model_copy(update={"fusion": kind}), context=context).eval()
    embeddings, present = _windows(windows=context)
    joint = fusion(embeddings, present)
    joint.square().sum().backward()
    assert joint.shape == (6, 32)
    assert (joint[0] - joint[1]).norm() > 1e-3
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())
