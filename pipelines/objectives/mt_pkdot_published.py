"""MT-PKDOT exactly as its paper states it, whatever the recipe says and whatever `mt-pkdot` becomes by default.

Aslam, Pedersoli, Koerich, Granger, arXiv 2408.09035: alpha 0.8, beta 0.2, gamma 0.2, 30 anchors, blur 0.1; one teacher
a batch, rows matched by optimal transport, outputs not distilled, hallucinated stand-ins for the privileged embeddings.
A number under this name can be compared with a number under it anywhere else.
"""

from pipelines.objectives.mt_pkdot import MtPkdot
from pipelines.recipe import DistillationSettings, Task

PUBLISHED = DistillationSettings(
    alpha=0.8,
    beta=0.2,
    gamma=0.2,
    delta=0.0,
    anchors=30,
    blur=0.1,
    selection="batch",
    matching="transport",
)
"""Every setting that `mt-pkdot` goes by."""


class MtPkdotPublished(MtPkdot):
    """MT-PKDOT under the published settings; those of the recipe are not read."""

    name = "mt-pkdot-published"
    stands_in = "hallucination"
    teacher = "aligned"
    description = "mt-pkdot exactly as published, whatever the recipe sets"

    def __init__(self, task: Task, settings: DistillationSettings) -> None:
        super().__init__(task, PUBLISHED)
