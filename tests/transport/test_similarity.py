import pytest
import torch

from pipelines.transport import anchor_columns, similarity_matrix


def test_cosine_plus_one():
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [1.0, 1.0]])
    half = 0.5**0.5
    expected = torch.tensor([
        [2.0, 1.0, 0.0, 1 + half], [1.0, 2.0, 1.0, 1 + half], [0.0, 1.0, 2.0, 1 - half],
        [1 + half, 1 + half, 1 - half, 2.0],
    ])  # fmt: skip
    torch.testing.assert_close(similarity_matrix(embeddings), expected)


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e30])
def test_scale_of_an_embedding_does_not_matter(scale):
    embeddings = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(similarity_matrix(embeddings * scale), similarity_matrix(embeddings))


def test_zero_embedding_resembles_nobody_and_stays_out_of_the_gradient():
    embeddings = torch.tensor([[0.0, 0.0], [3.0, 4.0], [1.0, 0.0]], requires_grad=True)
    similarity = similarity_matrix(embeddings)
    assert similarity[0].tolist() == [1.0, 1.0, 1.0]
    similarity[0, 1].backward()
    assert embeddings.grad is not None
    assert embeddings.grad[0].tolist() == [0.0, 0.0]


def test_gradients_by_finite_differences():
    embeddings = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(similarity_matrix, embeddings)


def test_half_precision_and_autocast_are_computed_in_float32():
    embeddings = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    assert similarity_matrix(embeddings.bfloat16()).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = similarity_matrix(embeddings)
    assert torch.equal(inside, similarity_matrix(embeddings))


@pytest.mark.parametrize("bad", [torch.zeros(3), torch.zeros(2, 2, 2), torch.zeros(2, 2, dtype=torch.long)])
def test_what_is_no_batch_of_embeddings_is_refused(bad):
    with pytest.raises(ValueError, match=r"expected floating point \(B, D\)"):
        similarity_matrix(bad)


def test_anchors_are_the_lowest_in_order_ties_by_index():
    similarity = torch.tensor([[2.0, 0.5, 0.1, 0.5], [0.7, 2.0, 0.7, 0.7], [0.3, 0.2, 2.0, 0.1], [1.0, 0.0, 1.0, 2.0]])
    assert anchor_columns(similarity, 3).tolist() == [[2, 1, 3], [0, 2, 3], [3, 1, 0], [1, 0, 2]]
    assert anchor_columns(similarity, 99).shape == (4, 4)


def test_no_anchor_is_refused():
    with pytest.raises(ValueError, match="k = 0 anchors"):
        anchor_columns(torch.zeros(2, 2), 0)
