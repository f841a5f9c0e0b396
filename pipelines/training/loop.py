"""The one training loop, on Lightning Fabric: teachers, fusion, hallucination net, alignment and students all use it.

A stage describes a `Problem` (network, batches, losses); `fit` audits it for leakage, trains it with AdamW along a half
cosine, stops when the validation subjects no longer improve and leaves the best weights in the network. The state of a
long training is saved at intervals, and resuming repeats the same numbers: every epoch is seeded by its own name.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pipelines.errors import MtpkdError, TrainingDiverged
from pipelines.objectives.base import LossTerms
from pipelines.protocols.audit import Evidence, audit
from pipelines.protocols.splits import Split
from pipelines.recipe import OptimisationSettings
from pipelines.training.checkpoints import load_checkpoint, save_checkpoint
from pipelines.training.device import memory_told
from pipelines.training.judgement import Judgement, Validation
from pipelines.training.seeding import derive_seed
from pipelines.training.sharing import Share, share_batch_norm

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SAVE_EVERY_S = 60.0
"""Seconds between saved states of a training: what a kill can cost."""


@dataclass(frozen=True)
class Batch:
    """Inputs of the network, what its loss needs beside them, and the number of clips.

    Where several processes train together, inputs are of this one's share, all else is of the whole batch.
    """

    inputs: tuple[Any, ...]
    truth: Any
    size: int


class Problem(ABC):
    """What one training minimises, and on what."""

    network: nn.Module
    name: str
    train_size: int
    observed: dict[int, dict[str, Tensor]]
    """Trained epochs -> what `observe` saw then; filled by `fit`."""
    share: Share = Share()
    """Whose inputs batches hold; while `fit` runs on several processes, this one's."""

    @abstractmethod
    def training_batches(self, epoch: int) -> Iterator[Batch]:
        """The batches of one epoch, in an order drawn from torch's seeded generator."""

    @abstractmethod
    def validation_batches(self) -> Iterable[Batch]:
        """The same batches every time."""

    @abstractmethod
    def loss(self, outputs: Any, truth: Any) -> LossTerms:
        """Training loss of a batch."""

    @abstractmethod
    def judge(self, outputs: Any, truth: Any) -> Judgement:
        """What a validation batch adds to the loss by which epochs are chosen."""

    @abstractmethod
    def evidence(self) -> list[Evidence]:
        """Whose data the training, its statistics and its epoch selection use."""

    def observe(self, network: Any) -> dict[str, Tensor]:
        """What is worth keeping of the network at a moment of its training; it is in evaluation mode, without gradient.

        Asked before the first epoch, after 1, 2, 4, 8 ... and of the weights that are kept. Draws no random numbers.
        """
        return {}


@dataclass(frozen=True)
class FitContext:
    """Where and for whom a training runs.

    Attributes:
        fabric: device and precision, and the processes that train together; launched, where they are several.
        split: the fold that the audit holds the training against.
        resume: file for the state of an unfinished training.
        key: identifies settings and inputs; a state saved under another key is not resumed.
        advance: told the number of clips of every batch.
        shrink: told the number of clips that early stopping saves.
        log: told the row of every epoch, when resuming those of the epochs before too.
    """

    fabric: "Fabric"
    split: Split
    resume: Path
    key: str
    advance: Callable[[int], None] = lambda clips: None
    shrink: Callable[[int], None] = lambda clips: None
    log: Callable[[dict[str, float]], None] = lambda row: None


@dataclass
class _Progress:
    epoch: int = 0
    best_epoch: int = -1
    best_loss: float = math.inf
    history: list[dict[str, float]] = field(default_factory=list)


def fit(problem: Problem, settings: OptimisationSettings, context: FitContext) -> list[dict[str, float]]:
    """Train; afterwards `problem.network` holds the weights of the best epoch.

    Returns:
        One row an epoch: losses, diagnostics, learning rate, validation loss.

    Raises:
        LeakageError: the audit found data that this training may not use.
        TrainingDiverged: the training loss is not finite.
        MtpkdError: a batch does not fit into the device's memory.
    """
    audit(context.split, problem.evidence())
    network, optimizer = _set_up(problem, settings, context.fabric)
    progress = _Progress()
    best = _resume(context, problem, optimizer.optimizer, progress)
    _observe(problem, network, progress.epoch)
    context.advance(progress.epoch * problem.train_size)
    saved = time.monotonic()
    while progress.epoch < settings.epochs and progress.epoch - progress.best_epoch <= settings.patience:
        torch.manual_seed(derive_seed(context.split.seed, context.split.fold, problem.name, progress.epoch))
        with memory_told(problem.name, settings.batch_size):
            row = _train_epoch(problem, network, optimizer, settings, context, progress.epoch)
        row["validation_loss"] = _validate(problem, network, context.fabric)
        progress.history.append({"epoch": progress.epoch, **row})
        context.log(progress.history[-1])
        if row["validation_loss"] < progress.best_loss:
            progress.best_loss, progress.best_epoch = row["validation_loss"], progress.epoch
            best = _snapshot(problem.network)
        progress.epoch += 1
        _observe(problem, network, progress.epoch)
        if problem.share.rank == 0 and time.monotonic() - saved > SAVE_EVERY_S:
            _save(context, problem, optimizer.optimizer, progress, best)
            saved = time.monotonic()
    context.shrink((settings.epochs - progress.epoch) * problem.train_size)
    problem.network.load_state_dict(best)
    problem.network.eval()
    _observe(problem, network, progress.best_epoch + 1, kept=True)
    problem.share = Share()
    return progress.history


def _set_up(problem: Problem, settings: OptimisationSettings, fabric: "Fabric") -> tuple[Any, Any]:
    """The network and its optimizer, as Fabric wraps them."""
    problem.share = Share(fabric.global_rank, fabric.world_size)
    if problem.share.size > 1:
        share_batch_norm(problem.network)
    return fabric.setup(problem.network, _adamw(problem.network, settings))


def _adamw(network: nn.Module, settings: OptimisationSettings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        [p for p in network.parameters() if p.requires_grad],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def _train_epoch(
    problem: Problem, network: Any, optimizer: Any, settings: OptimisationSettings, context: FitContext, epoch: int
) -> dict[str, float]:
    network.train()
    totals: dict[str, Tensor] = {}
    clips = 0
    for batch in problem.training_batches(epoch):
        rate = _half_cosine(settings, epoch + clips / problem.train_size)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with problem.share.own_noise(clips, context.fabric.device):
            outputs = network(*batch.inputs)
        terms = problem.loss(problem.share.gathered(outputs, batch.size), batch.truth)
        optimizer.zero_grad()
        context.fabric.backward(terms.total)
        context.fabric.clip_gradients(network, optimizer, max_norm=settings.gradient_clip, error_if_nonfinite=False)
        optimizer.step()
        clips += batch.size
        for name, value in {"loss": terms.total, **terms.parts, **terms.diagnostics}.items():
            totals[name] = totals.get(name, 0.0) + value.detach() * batch.size
        context.advance(batch.size)
    means = {name: float(total) / max(clips, 1) for name, total in totals.items()}
    if not math.isfinite(means["loss"]):
        raise TrainingDiverged(
            f"{problem.name}: the training loss is {means['loss']} in epoch {epoch}; lower its learning_rate "
            f"({settings.learning_rate}) or look at the data with `mtpkd validate`"
        )
    return means


@torch.no_grad()
def _validate(problem: Problem, network: Any, fabric: "Fabric") -> float:
    network.eval()
    validation = Validation()
    for batch in problem.validation_batches():
        outputs = problem.share.gathered(network(*batch.inputs), batch.size)
        validation.add(problem.judge(outputs, batch.truth), batch.size)
    return problem.share.agreed(validation.loss, fabric)


@torch.no_grad()
def _observe(problem: Problem, network: Any, epochs: int, *, kept: bool = False) -> None:
    is_due = kept or epochs & (epochs - 1) == 0  # 0 or a power of two
    if is_due and epochs not in problem.observed:
        network.eval()
        seen = problem.observe(network)
        problem.observed[epochs] = {name: tensor.cpu() for name, tensor in seen.items()}


def _half_cosine(settings: OptimisationSettings, epoch: float) -> float:
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(epoch / settings.epochs, 1.0)))


def _snapshot(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _save(context: FitContext, problem: Problem, optimizer: Any, progress: _Progress, best: dict[str, Tensor]) -> None:
    state = {f"network.{name}": tensor for name, tensor in problem.network.state_dict().items()}
    state |= {f"best.{name}": tensor for name, tensor in best.items()}
    for index, moments in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{index}.{name}": tensor for name, tensor in moments.items()}
    for epochs, seen in problem.observed.items():
        state |= {f"observed.{epochs}.{name}": tensor for name, tensor in seen.items()}
    save_checkpoint(context.resume, state, {"progress": vars(progress), "key": context.key})


def _resume(context: FitContext, problem: Problem, optimizer: Any, progress: _Progress) -> dict[str, Tensor]:
    """The best weights so far: as they are, or those of the unfinished training that goes on."""
    problem.observed = {}
    best = _restore(context, problem, optimizer, progress) if context.resume.exists() else None
    epoch = problem.share.agreed(progress.epoch, context.fabric)
    if epoch != progress.epoch:
        raise MtpkdError(
            f"{context.resume}: process {problem.share.rank} goes on at epoch {progress.epoch}, the first one at "
            f"{epoch:.0f}: all processes must see the same workspace; put it on a disk that they share"
        )
    return best or _snapshot(problem.network)


def _restore(context: FitContext, problem: Problem, optimizer: Any, progress: _Progress) -> dict[str, Tensor] | None:
    checkpoint = load_checkpoint(context.resume)
    if checkpoint.schema["key"] != context.key:
        return None
    problem.network.load_state_dict(checkpoint.part("network"))
    problem.observed = _by_number(checkpoint.part("observed"))
    moments = _by_number(checkpoint.part("optimizer"))
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    _lay_out_moments(optimizer)
    for name, value in checkpoint.schema["progress"].items():
        setattr(progress, name, value)
    for row in progress.history:  # whoever keeps them may have been killed before they came
        context.log(row)
    return checkpoint.part("best")


def _lay_out_moments(optimizer: torch.optim.Optimizer) -> None:
    """Bring loaded moments into the memory layout of their weights: fused AdamW pairs them by place in memory."""
    for weight, moments in optimizer.state.items():
        for name, values in moments.items():
            if values.shape == weight.shape:
                moments[name] = torch.empty_like(weight).copy_(values)


def _by_number(tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """{"3.step": tensor} -> {3: {"step": tensor}}."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        found.setdefault(int(number), {})[key] = tensor
    return found


def shuffled(count: int, batch_size: int) -> Sequence[Tensor]:
    """Index batches of one epoch over `count` clips, drawn from torch's seeded generator; the last may be smaller."""
    return torch.randperm(count).split(batch_size)
