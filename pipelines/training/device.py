"""Where a training computes, and how batches get there without anybody waiting.

- The recipe says which device, and its word is part of every fingerprint. `MTPKD_DEVICE` (`--device` sets it)
  overrules it for one command and its worker processes, and makes nothing stale: devices differ by rounding, and a
  recipe that says `auto` never told them apart either.
- A copy to a CUDA device makes the host wait unless it comes out of pinned memory, so all go through `to_device`.
- Convolutions on a CUDA device run in the layout of its matrix units, channels last. On the CPU nothing is changed.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from pipelines.errors import MtpkdError, SettingsError

DEVICE_VARIABLE = "MTPKD_DEVICE"
"""Environment variable that overrules `training.device`; empty is as good as none."""
_MOST_THREADS = 8
_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}

T = TypeVar("T")


def wanted_device(setting: str) -> str:
    """`auto`, `cpu` or `cuda`, whether it is here or not.

    Args:
        setting: the recipe's `training.device`.

    Raises:
        SettingsError: the environment names something else.
    """
    device = os.environ.get(DEVICE_VARIABLE, "") or setting
    if device not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"{DEVICE_VARIABLE} = {device!r}: expected auto, cpu or cuda")
    return device


def accelerator(setting: str) -> Literal["cpu", "cuda"]:
    """The kind of device that is meant.

    Args:
        setting: the recipe's `training.device`: `auto`, `cpu` or `cuda`.

    Raises:
        SettingsError: no such device is here, or the name is none.
    """
    device, there = wanted_device(setting), torch.cuda.is_available()
    if device == "cuda" and not there:
        source = "--device" if os.environ.get(DEVICE_VARIABLE) else "training.device"
        raise SettingsError(f"{source} = 'cuda': torch finds no CUDA device here; use auto or cpu")
    return "cuda" if there and device != "cpu" else "cpu"


def to_device(values: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on a device; the host does not wait for a copy to a CUDA device."""
    if torch.device(device).type != "cuda" or values.is_cuda:
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def pinned(values: Tensor, device: torch.device | str) -> Tensor:
    """The tensor in memory that a CUDA device can read by itself, if it is bound for one."""
    return values.pin_memory() if torch.device(device).type == "cuda" else values


def channels_last(values: Tensor) -> Tensor:
    """Pictures (B, C, H, W) or clips (B, C, T, H, W) on a CUDA device in its layout; anything else as it is."""
    layout = _LAYOUTS.get(values.dim()) if values.is_cuda else None
    return values if layout is None else values.contiguous(memory_format=layout)


def prepare_encoder(encoder: nn.Module, device: torch.device | str, *, compiled: bool) -> None:
    """Lay out the weights of convolutions for a CUDA device, and compile the encoder for it; nothing on others.

    Names of weights and their values stay as they are.

    Args:
        encoder: on any device.
        device: the one that it will run on.
        compiled: whether to compile, at its first batch.
    """
    if torch.device(device).type != "cuda":
        return
    lay_out_weights(encoder)
    if compiled:
        encoder.compile()


def lay_out_weights(network: nn.Module) -> None:
    """Put weights of 2-D and 3-D convolutions into channels-last memory, in place."""
    for weight in network.parameters():
        if weight.dim() in _LAYOUTS:
            weight.data = weight.data.contiguous(memory_format=_LAYOUTS[weight.dim()])


@contextmanager
def memory_told(name: str, batch_size: int) -> Iterator[None]:
    """Say in words that a step of a training does not fit into the device's memory.

    Args:
        name: of the training.
        batch_size: its samples at a time.

    Raises:
        MtpkdError: it does not.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MtpkdError(
            f"{name}: the device's memory does not hold a step of batch_size = {batch_size}: lower it, train with "
            "training.precision = bf16-mixed, or let several devices share the batch (--devices)"
        ) from error


def reading_threads(device: torch.device | str) -> int:
    """Threads that read batches ahead: none on the CPU, which has nothing else to wait for."""
    return min(_MOST_THREADS, os.cpu_count() or 1) if torch.device(device).type == "cuda" else 0


def read_ahead(tasks: Iterable[Callable[[], T]], threads: int) -> Iterator[T]:
    """What tasks return, in their order; `threads` of them are worked on while the caller uses those before.

    Args:
        tasks: asked for one by one, a few ahead.
        threads: 0 runs each when it is asked for.
    """
    if threads == 0:
        yield from (task() for task in tasks)
        return
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[T]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(task))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
