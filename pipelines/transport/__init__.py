"""Similarity matrices and the Sinkhorn divergence between their rows: pure functions, no state."""

from pipelines.transport.similarity import anchor_columns, similarity_matrix
from pipelines.transport.sinkhorn import sinkhorn_divergence, transport_plan
from pipelines.transport.structural import (
    anchored_rows,
    centroid_loss,
    diameter_bound,
    row_divergence,
    structural_transport_loss,
)

__all__ = [
    "anchor_columns",
    "anchored_rows",
    "centroid_loss",
    "diameter_bound",
    "row_divergence",
    "similarity_matrix",
    "sinkhorn_divergence",
    "structural_transport_loss",
    "transport_plan",
]
