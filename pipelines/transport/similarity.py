"""Who resembles whom in a batch, and which comparisons a row keeps.

Cosine similarities are shifted by the constant +1. The released code of MT-PKDOT subtracts each matrix's own minimum
with its gradient, which sends nearly all of the gradient to the two samples of that minimum; a constant has none.
Mixed precision stops here: a transport with blur 0.1 reads differences that bfloat16 similarities no longer have.
"""

import torch


def similarity_matrix(embeddings: torch.Tensor) -> torch.Tensor:
    """Cosine similarity of every pair of samples, plus one (MT-PKDOT, arXiv 2408.09035, its similarity matrices).

    Args:
        embeddings: (B, D), any scale. An all-zero row resembles nobody (cosine 0) and receives no gradient.

    Returns:
        (B, B) in [0, 2] up to rounding; float32 for half-precision input, else of the input's type.

    Raises:
        ValueError: when `embeddings` is not a floating point matrix.
    """
    if embeddings.ndim != 2 or not embeddings.is_floating_point():
        raise ValueError(
            f"embeddings of {embeddings.dtype} and shape {tuple(embeddings.shape)}: expected floating point (B, D)"
        )
    with torch.autocast(embeddings.device.type, enabled=False):
        wide = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
        # Scaled by the largest entry first: squares of very small or very large embeddings leave float32's range.
        largest = wide.detach().abs().amax(1, keepdim=True)
        scaled = wide / torch.where(largest > 0, largest, 1)
        norm = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
        unit = scaled / torch.where(norm > 0, norm, 1)
        # A zero row would pass on the gradient of the division by 1; its direction is undefined, so it gets none.
        unit = torch.where(largest > 0, unit, 0)
        return unit @ unit.T + 1


def anchor_columns(teacher_similarity: torch.Tensor, k: int) -> torch.Tensor:
    """The k columns of lowest teacher similarity in every row, the lowest first.

    Args:
        teacher_similarity: (B, B).
        k: anchors a row; more than B means all B.

    Returns:
        (B, min(k, B)) column indices; of equal similarities the lower index comes first.

    Raises:
        ValueError: when `k` is below 1.
    """
    if k < 1:
        raise ValueError(f"k = {k} anchors: at least 1 column a row must be compared")
    return torch.sort(teacher_similarity.detach(), dim=1, stable=True).indices[:, :k]
