"""The matched control: the distilled student's architecture, nothing distilled.

Whatever this student gains over the baseline came from its shape and warm start, and no method may claim it.
"""

from pipelines.objectives.none import NoDistillation


class MatchedControl(NoDistillation):
    """Task loss of a student with the distilled student's shape and zeros for the privileged embeddings."""

    name = "none-matched"
    stands_in = "zeros"
    description = "the distilled student's architecture over zeros, nothing distilled: the matched control"
