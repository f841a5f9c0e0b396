"""The hallucination net without distillation: what its stand-ins for privileged embeddings are worth by themselves.

The net has learned from privileged signals, so this student is no control for privilege. It is the part of a distilled
student that is not distillation: what a method gains over it, the method's terms have brought.
"""

from pipelines.objectives.none import NoDistillation


class HallucinationControl(NoDistillation):
    """Task loss of exactly the student that the distilling methods train."""

    name = "none-hallucinated"
    stands_in = "hallucination"
    description = "the distilled student with its hallucination net, nothing distilled"
