"""Published weights: those that the registry knows by name, or a file that the user gives.

Nothing is unpickled: safetensors, or a torch file read with `weights_only=True`. A mismatch is an error that names the
key and both shapes, never a partial load.
"""

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from pipelines.errors import MtpkdError
from pipelines.weights import REGISTRY, ensure

# torch reads a file as instructions, so a damaged one can fail at any of them; these are what flipped bytes raised.
_UNREADABLE = (
    pickle.UnpicklingError, SafetensorError, struct.error, OSError, EOFError, RuntimeError, ValueError, TypeError,
    LookupError, AttributeError, AssertionError, OverflowError,
)  # fmt: skip
_REMEDY = (
    "give a file of plain tensors with this network's keys (torchvision's for r3d-18 and resnet-18), "
    "or a name of `mtpkd weights list`"
)


def load_weights(module: nn.Module, path: Path | str) -> None:
    """Fill a network with the tensors of a file.

    - A network without `fc` ignores the file's `fc.*`, of whatever size.
    - A network whose `conv1` reads one channel takes a file's three-channel `conv1.weight` summed over its input
      channels: the same response as three equal channels give.
    - Batch counters (`num_batches_tracked`) may be absent: old files lack them and nothing here reads them.

    Args:
        module: changed in place; left as it was when the file does not fit.
        path: `*.safetensors`, a torch file that holds a dict of tensors, or a name of the registry; what that names
            is fetched where it is absent.

    Raises:
        MtpkdError: no such file, a corrupt one, one that cannot be fetched, or a key that is missing, unexpected, or
            of another shape.
    """
    file = ensure([str(path)], user=f"weights: {path}")[0] if str(path) in REGISTRY else Path(path)
    state = _read(file)
    own = module.state_dict()
    if not any(key.startswith("fc.") for key in own):
        state = {key: value for key, value in state.items() if not key.startswith("fc.")}
    state = _sum_input_channels(state, own)
    _check(file, state, own)
    module.load_state_dict({**own, **state})


def _read(file: Path) -> dict[str, torch.Tensor]:
    if not file.is_file():
        raise MtpkdError(f"{file}: no such weights file; {_REMEDY}, or leave `weights` empty")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        reason = str(error).strip().splitlines()
        raise MtpkdError(
            f"{file}: not a readable weights file ({reason[0] if reason else type(error).__name__}); {_REMEDY}"
        ) from error
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise MtpkdError(f"{file}: holds {type(content).__name__} with more than tensors in it; {_REMEDY}")
    return {str(key): value for key, value in content.items()}


def _sum_input_channels(state: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    theirs, ours = state.get("conv1.weight"), own.get("conv1.weight")
    if theirs is None or ours is None or theirs.dim() != 4 or ours.dim() != 4:
        return state
    if (theirs.shape[1], ours.shape[1]) != (3, 1):
        return state
    return {**state, "conv1.weight": theirs.sum(dim=1, keepdim=True)}


def _check(file: Path, state: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> None:
    for key, value in own.items():
        if key not in state:
            if key.endswith("num_batches_tracked"):
                continue
            raise MtpkdError(f"{file}: key {key} is missing, expected with shape {tuple(value.shape)}; {_REMEDY}")
        if state[key].shape != value.shape:
            raise MtpkdError(
                f"{file}: key {key} has shape {tuple(state[key].shape)}, expected {tuple(value.shape)}; {_REMEDY}"
            )
    for key in state:
        if key not in own:
            raise MtpkdError(
                f"{file}: unexpected key {key} with shape {tuple(state[key].shape)}, the network has none; {_REMEDY}"
            )
