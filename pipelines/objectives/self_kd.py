"""Self-distillation: MT-PKDOT's own loss, from a teacher that never saw anything privileged.

What it gains is what distilling gives whatever the teacher knows. What a method gains over it is what privileged
information is worth: the comparison that "Rethinking Knowledge Transfer in Learning Using Privileged Information"
(arXiv 2408.14319) finds missing. Its teacher is not aligned, and zeros stand in for privileged embeddings, because
alignment and the hallucination net have both learned from privileged signals.
"""

from pipelines.objectives.mt_pkdot import MtPkdot


class SelfDistillation(MtPkdot):
    """MT-PKDOT with the visual-only teacher as its only candidate, which the view calls the joint one."""

    name = "self-kd"
    stands_in = "zeros"
    teacher = "prevalent"
    description = "MT-PKDOT's loss from a visual-only teacher: the control for privilege"
    reference = "-"

    @property
    def uses(self) -> tuple[str, ...]:
        """See Objective; there is one candidate, so nothing is selected."""
        return tuple(name for name in super().uses if name != "selection")
