"""One batch on several processes, with the losses and gradients that it has on one.

- Every process draws the same batches and knows the labels and teachers of all their samples. It passes its own share
  through the network, gathers what all made of theirs, and computes the loss of the whole batch. So nothing that is
  computed of a batch (similarities, a concordance, the best teacher, a mean over labelled samples) knows of processes.
- What is differentiated is the sum of the losses of all N processes, which are equal: the gradient of a gather is N
  times that of one process's loss, without another word between them. DDP then averages over N.
- Batch normalisation takes its moments over the whole batch. torch's SyncBatchNorm does so on graphics cards only.
- Every process draws its own dropout, aside from the generator that all draw batches from. With dropout a training on
  two processes is another sample of the same training on one; without, it differs in rounding only.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.modules.batchnorm import _BatchNorm

from pipelines.training.seeding import derive_seed

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Share:
    """What one process does of every batch: consecutive samples, as many as any other process or one more or less.

    Attributes:
        rank: number of the process, from 0.
        size: of how many.
    """

    rank: int = 0
    size: int = 1

    def of(self, samples: Any) -> Any:
        """Those of B samples that are this process's, of anything that can be sliced; none where B is too small."""
        return samples[self._bounds(len(samples), self.rank)]

    def of_inputs(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Inputs of a network: tensors (B, ...), alone or in mappings and tuples, with this process's samples only.

        Where it has none it gets one of another's, and `gathered` drops what becomes of that: attention in half
        precision on a CUDA device refuses an empty batch. Not for networks that normalise over a batch.
        """
        return inputs if self.size == 1 else _each(self._some, inputs)

    def _some(self, samples: Tensor) -> Tensor:
        own = self.of(samples)
        return own if len(own) else samples[:1]

    def gathered(self, outputs: Any, count: int) -> Any:
        """What the network made of a whole batch, in its order, from what it made of this process's share.

        Args:
            outputs: tensors (b, ...), alone or in mappings and tuples.
            count: samples B of the whole batch.

        Returns:
            The same with (B, ...), equal on all processes; with gradient.
        """
        return outputs if self.size == 1 else _each(partial(self._gather, count=count), outputs)

    def _gather(self, part: Tensor, *, count: int) -> Tensor:
        lengths = [len(range(count)[self._bounds(count, rank)]) for rank in range(self.size)]
        own = part[: lengths[self.rank]]
        padding = part.new_zeros(max(lengths) - len(own), *part.shape[1:])  # all must send as many
        parts: Any = _Gather.apply(torch.cat((own, padding)), self)
        return torch.cat([parts[rank, :length] for rank, length in enumerate(lengths)])

    def _bounds(self, count: int, rank: int) -> slice:
        each, more = divmod(count, self.size)
        start = rank * each + min(rank, more)
        return slice(start, start + each + (rank < more))

    def agreed(self, value: float, fabric: "Fabric") -> float:
        """The first process's value: what decides when to stop must not differ by a rounding."""
        if self.size == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=fabric.device)
        torch.distributed.broadcast(told, src=0)
        return float(told)

    @contextmanager
    def own_noise(self, step: int, device: torch.device) -> Iterator[None]:
        """Draw random numbers that no other process draws, and leave torch's generator where it was."""
        if self.size == 1:
            yield
            return
        seed = derive_seed(torch.initial_seed(), step, self.rank)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield


class _Gather(Function):
    """(b, ...) of every process -> (N, b, ...)."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, share: Share) -> Tensor:
        ctx.share = share
        parts = [torch.empty_like(part) for _ in range(share.size)]
        torch.distributed.all_gather(parts, part)
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0][ctx.share.rank] * ctx.share.size, None


class _Sum(Function):
    """The sum over all processes; so is that of the gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        torch.distributed.all_reduce(total)
        return total


def _each(function: Callable[[Tensor], Tensor], values: Any) -> Any:
    """Of tensors, alone or in mappings and (named) tuples."""
    if isinstance(values, Tensor):
        return function(values)
    if isinstance(values, Mapping):
        return {name: _each(function, value) for name, value in values.items()}
    made = [_each(function, value) for value in values]
    return type(values)(*made) if hasattr(values, "_fields") else tuple(made)


def _total(value: Tensor) -> Tensor:
    total: Any = _Sum.apply(value)
    return total


class GlobalBatchNorm(_BatchNorm):
    """Batch normalisation with the moments of the batch on all processes; in evaluation as any other."""

    @classmethod
    def like(cls, module: _BatchNorm) -> "GlobalBatchNorm":
        """One with the same parameters and buffers, not copies of them."""
        made = cls(module.num_features, eps=module.eps, momentum=module.momentum, affine=False)
        made.affine = module.affine
        made.weight, made.bias = module.weight, module.bias
        made.running_mean, made.running_var = module.running_mean, module.running_var
        made.num_batches_tracked = module.num_batches_tracked
        return made.train(module.training)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions will do."""

    def forward(self, input: Tensor) -> Tensor:
        """(b, C, ...) -> (b, C, ...), b of this process; it may be 0."""
        if not self.training:
            return super().forward(input)
        over = (0, *range(2, input.dim()))
        shape = (1, -1, *[1] * (input.dim() - 2))
        values = input.to(torch.promote_types(input.dtype, torch.float32))
        count = values.new_full((), values.numel() // self.num_features)  # not a copy, which a device is waited for
        torch.distributed.all_reduce(count)
        mean = _total(values.sum(over)) / count
        centred = values - mean.view(shape)
        variance = _total(centred.square().sum(over)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp_min(1))
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centred * scale.view(shape) + self.bias.view(shape)).to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def share_batch_norm(network: nn.Module) -> None:
    """Put a GlobalBatchNorm in the place of every batch normalisation; names and tensors of its state stay."""
    for name, child in network.named_children():
        if isinstance(child, _BatchNorm):
            setattr(network, name, GlobalBatchNorm.like(child))
        else:
            share_batch_norm(child)
