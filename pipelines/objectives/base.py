"""What every method of distillation is given, and what it must return.

- An objective sees tensors only: no model, no file, no epoch. The training loop adds up whatever it names.
- The task loss counts labelled samples, distillation counts all of them; the batch says which are which, so that clips
  without labels and clips without some teacher need no second interface.
- A method declares which student it trains. A comparison is between students of one architecture, and the declaration
  is what makes the matched control possible.
- A method declares which settings it reads. No other setting makes its students stale, so a weight can be tuned without
  training every other method again.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import ClassVar, Literal, Protocol

import torch

from pipelines.recipe import DistillationSettings, Task

ANY = "any teacher"
"""In place of a teacher's name: whichever knows a sample."""


class StudentPrediction(Protocol):
    """What a student says of a batch: `embedding` (B, D) and `output` (B, C)."""

    @property
    def embedding(self) -> torch.Tensor: ...

    @property
    def output(self) -> torch.Tensor: ...


@dataclass(frozen=True, kw_only=True)
class TeacherView:
    """What N teachers say of a batch.

    Attributes:
        names: N names; the one with all modalities is called `recipe.JOINT`.
        embeddings: (B, N, D), aligned.
        outputs: (B, N, C), logits or continuous values.
        losses: (B, N), task loss of a teacher that was not trained on the sample; NaN where unknown.
        present: (B, N) bool, False where a teacher lacks a modality of the clip; its other entries are then ignored.
        rows: what `known` returns, by name, where whoever made the batch could tell it on the host: counting on a
            device what is present would make every step wait for it.
    """

    names: tuple[str, ...]
    embeddings: torch.Tensor
    outputs: torch.Tensor
    losses: torch.Tensor
    present: torch.Tensor
    rows: Mapping[str, torch.Tensor] | None = None

    def known(self, name: str = ANY) -> torch.Tensor:
        """(K,) int64: the samples that a teacher knows, or that any knows. Waits for a device without `rows`."""
        if self.rows is not None and name in self.rows:
            return self.rows[name]
        present = self.present.any(1) if name == ANY else self.present[:, self.names.index(name)]
        return present.nonzero().squeeze(1)


@dataclass(frozen=True, kw_only=True)
class DistillationBatch:
    """Labels and teachers of the samples that a student saw.

    Attributes:
        target: (B,) class indices or (B, K) continuous values; anything where not labelled.
        labelled: (B,) bool.
        teachers: None for methods that need none.
    """

    target: torch.Tensor
    labelled: torch.Tensor
    teachers: TeacherView | None = None


@dataclass(frozen=True, kw_only=True)
class LossTerms:
    """A loss and what it is made of.

    Attributes:
        total: (), to be minimised.
        parts: unweighted terms, () each, detached.
        diagnostics: further () values that are meant to be averaged over an epoch.
    """

    total: torch.Tensor
    parts: dict[str, torch.Tensor]
    diagnostics: dict[str, torch.Tensor] = field(default_factory=dict)


class Objective(ABC):
    """One method: what its student minimises.

    Args:
        task: what is predicted.
        settings: weights and options of the distillation.
    """

    name: ClassVar[str]
    """Name on the command line and in results."""
    stands_in: ClassVar[Literal["nothing", "zeros", "hallucination"]]
    """What takes the place of privileged embeddings in the student that it trains."""
    needs_teachers: ClassVar[bool]
    """Whether batches must carry a view of the teachers."""
    teacher: ClassVar[Literal["aligned", "prevalent"]] = "aligned"
    """Whose view that is: of all aligned teachers; or of the one that sees the prevalent modalities alone and that
    nothing privileged has touched, under the name of the joint one."""
    description: ClassVar[str]
    """One line for a list of methods."""
    reference: ClassVar[str]
    """Where the method comes from."""

    def __init__(self, task: Task, settings: DistillationSettings) -> None:
        self.task = task
        self.settings = settings

    @property
    def uses(self) -> tuple[str, ...]:
        """Names of the settings of `distillation` that shape its student for this task, dotted where they are nested.

        A setting that others leave without effect (the blur, where nothing is transported) is not among them.
        """
        return ()

    def read_settings(self) -> dict[str, object]:
        """The settings of `uses` by name, with the values that the method goes by."""
        return {name: attrgetter(name)(self.settings) for name in self.uses}

    @abstractmethod
    def loss(self, student: StudentPrediction, batch: DistillationBatch) -> LossTerms:
        """Loss of a batch.

        Args:
            student: embedding (B, D) and output (B, C).
            batch: labels, and teachers where the method needs them.

        Raises:
            ValueError: when the method needs teachers and the batch has none.
        """
