"""Checkpoints: one safetensors file with weights, the whole recipe and everything else that inference needs.

The recipe and the schema (labels, modalities, normalisation statistics, who it was trained on) travel in the file's
header, so that a checkpoint cannot be separated from them. Nothing is ever unpickled.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pipelines.errors import MtpkdError
from pipelines.recipe import Recipe
from pipelines.recipe.loading import parse_recipe, plain
from pipelines.workspace import atomic_path

# One key: safetensors writes several in an order that differs from run to run, and files are compared by their bytes.
_HEADER = "mtpkd"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes:
        state: tensors by name.
        schema: plain JSON values; its keys are given where the checkpoint is made.
        recipe: the whole recipe, or None for the intermediate state of a training.
    """

    state: dict[str, torch.Tensor]
    schema: dict[str, Any]
    recipe: Recipe | None = None

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """Tensors whose names start with `prefix.`, without it."""
        return {name.removeprefix(f"{prefix}."): t for name, t in self.state.items() if name.startswith(f"{prefix}.")}


def save_checkpoint(
    path: Path, state: Mapping[str, torch.Tensor], schema: Mapping[str, Any], recipe: Recipe | None = None
) -> None:
    """Write a checkpoint whole, or not at all. Raises CannotWrite where the disk is full, or nothing may be written."""
    header = json.dumps({"schema": schema, "recipe": plain(recipe) if recipe else None}, sort_keys=True)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    with atomic_path(path) as partial:
        try:
            save_file(tensors, partial, metadata={_HEADER: header})
        except SafetensorError as error:  # what the system refused it tells in words
            refusal = re.search(r"\(os error (\d+)\)", str(error))
            if refusal is None:
                raise
            number = int(refusal[1])
            raise OSError(number, os.strerror(number), str(partial)) from error


def load_checkpoint(path: Path, *, weights: bool = True) -> Checkpoint:
    """Read a checkpoint, or without `weights` its header only: who it was trained on costs no read of its tensors.

    Raises:
        MtpkdError: absent, damaged, or not written by mtpkd.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
            names = file.keys() if weights else ()
            state = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError:
        raise MtpkdError(f"{path} is missing: run the stage that writes it") from None
    except (SafetensorError, OSError) as error:
        raise MtpkdError(f"{path} is not a readable safetensors file ({error}): delete it and train again") from None
    if header is None:
        raise MtpkdError(f"{path} holds weights, but no recipe: it was not written by mtpkd")
    schema, settings = _parse_header(path, header)
    recipe = parse_recipe(settings, source=str(path)) if settings else None
    return Checkpoint(state=state, schema=schema, recipe=recipe)


def _parse_header(path: Path, header: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Schema and recipe."""
    try:
        values = json.loads(header)
    except (ValueError, RecursionError):
        values = None
    if isinstance(values, dict):
        schema, settings = values.get("schema"), values.get("recipe")
        if isinstance(schema, dict) and (settings is None or isinstance(settings, dict)):
            return schema, settings
    raise MtpkdError(f"{path} has a header that mtpkd did not write: delete it and train again")
