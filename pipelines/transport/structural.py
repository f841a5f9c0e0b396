"""Does the student arrange a batch as its teacher does: the two structural losses of MT-PKDOT.

Anchors are chosen by the teacher alone, and both matrices are read at the same columns in the teacher's order, so that
coordinate c of two rows means the same pair of samples. Rows of similarities lie in [0, 2]^k, whose diameter bounds the
annealing of the transport without a look at the data.
"""

import math

import torch

from pipelines.transport.similarity import anchor_columns, similarity_matrix
from pipelines.transport.sinkhorn import sinkhorn_divergence


def anchored_rows(
    student_similarity: torch.Tensor, teacher_similarity: torch.Tensor, anchors: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of both similarity matrices, read at the teacher's anchors.

    Args:
        student_similarity: (B, B).
        teacher_similarity: (B, B).
        anchors: columns k compared a row, at most B.

    Returns:
        Two clouds of B points, (B, min(k, B)) each: the student's rows and the teacher's.
    """
    columns = anchor_columns(teacher_similarity, anchors)
    return student_similarity.gather(1, columns), teacher_similarity.gather(1, columns)


def row_divergence(student_rows: torch.Tensor, teacher_rows: torch.Tensor, *, blur: float) -> torch.Tensor:
    """Sinkhorn divergence between rows of similarities.

    Args:
        student_rows: (B, k) in [0, 2].
        teacher_rows: (B, k) in [0, 2].
        blur: square root of the entropic regularisation.

    Returns:
        () divergence.
    """
    return sinkhorn_divergence(student_rows, teacher_rows, blur=blur, diameter=diameter_bound(student_rows))


def diameter_bound(rows: torch.Tensor) -> float:
    """How far apart two rows (B, k) in [0, 2] can be."""
    return 2 * math.sqrt(rows.shape[1])


def structural_transport_loss(
    student: torch.Tensor, teacher: torch.Tensor, *, anchors: int = 30, blur: float = 0.1
) -> torch.Tensor:
    """Sinkhorn divergence between the rows of two similarity matrices (MT-PKDOT, arXiv 2408.09035, L_OT).

    Args:
        student: (B, D) embeddings.
        teacher: (B, D') embeddings of the same samples; D' may differ from D.
        anchors: columns k compared a row, at most B.
        blur: square root of the entropic regularisation.

    Returns:
        () loss, zero when both arrange the batch alike.

    Raises:
        ValueError: when the batches differ in size, `anchors` is below 1, or (on the CPU) an embedding is not finite.
    """
    if len(student) != len(teacher):
        raise ValueError(f"student has {len(student)} samples, teacher {len(teacher)}: they must be the same samples")
    rows = anchored_rows(similarity_matrix(student), similarity_matrix(teacher), anchors)
    return row_divergence(*rows, blur=blur)


def centroid_loss(student_similarity: torch.Tensor, teacher_similarity: torch.Tensor) -> torch.Tensor:
    """|| mean_i K_T[i, :] - mean_i K_S[i, :] ||_2 (MT-PKDOT, arXiv 2408.09035, L_centroid).

    Args:
        student_similarity: (B, B).
        teacher_similarity: (B, B).

    Returns:
        () loss; its gradient at zero is zero.
    """
    return torch.linalg.vector_norm(teacher_similarity.mean(0) - student_similarity.mean(0))
