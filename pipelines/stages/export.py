"""A trained student -> one file that runs without mtpkd, and a model card beside it.

No stage of its own: it reads a checkpoint and what the workspace around it knows, and changes neither. A file appears
only after it was read back and gave what the checkpoint gives.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pipelines.errors import MtpkdError, SettingsError
from pipelines.inference.description import StudentDescription
from pipelines.inference.graphs import Agreement, ProgramRuntime, check_graph, write_onnx, write_program
from pipelines.inference.locating import find_student
from pipelines.inference.onnx_runtime import OnnxRuntime
from pipelines.inference.runtime import Runtime
from pipelines.inference.torch_runtime import TorchRuntime
from pipelines.models.recording import RecordingNetwork
from pipelines.recipe import Recipe
from pipelines.reporting.model_card import render_model_card
from pipelines.stages.model_card import gather
from pipelines.training.checkpoints import load_checkpoint
from pipelines.training.restoring import restore_recording
from pipelines.workspace import atomic_path, identify, write_text

Format = Literal["onnx", "torch"]
CARD = "MODEL_CARD.md"


@dataclass(frozen=True)
class _Kind:
    suffix: str
    write: Callable[[RecordingNetwork, Path, StudentDescription], None]
    read: Callable[[Path, StudentDescription], Runtime]


_KINDS: Mapping[Format, _Kind] = {
    "onnx": _Kind(".onnx", write_onnx, lambda path, _: OnnxRuntime(path)),
    "torch": _Kind(".pt2", write_program, ProgramRuntime),
}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        student: the checkpoint.
        graph: the file.
        card: the model card beside it.
        kept: where another card that lay there is now, or None.
        size: of the file in bytes.
        agreement: of the file and the checkpoint.
        evaluated: whether the card has numbers.
    """

    student: Path
    graph: Path
    card: Path
    kept: Path | None
    size: int
    agreement: Agreement
    evaluated: bool


def run(student: Path, *, format: Format, output: Path | None = None) -> Exported:
    """Export a student.

    Args:
        student: a student.safetensors, its folder, or a workspace.
        format: `onnx` or `torch`.
        output: the file to write; by default it lies beside the checkpoint.

    Raises:
        SettingsError: no such student, one that sees more than one video, a file name that does not fit the format, or
            a package of the extra `export` is missing.
        MtpkdError: the file would not give what the checkpoint gives; nothing is left of it.
    """
    path, kind = find_student(student), _KINDS[format]
    if path.suffix != ".safetensors":
        raise SettingsError(f"{path} is exported already: give the student.safetensors that it was made from")
    target = _target(path, output, kind.suffix)
    checkpoint = load_checkpoint(path)
    description = StudentDescription.of(checkpoint, source=str(path))
    schema = {**description.schema, "checkpoint": (identify(path) or {})["sha256"]}
    description = replace(description, recipe=_portable(description.recipe), schema=schema)
    with atomic_path(target) as partial:
        kind.write(restore_recording(checkpoint), partial, description)
        try:
            agreement = check_graph(kind.read(partial, description), TorchRuntime(path))
        except MtpkdError as error:
            raise MtpkdError(
                f"{target} was not written: {error}. Another version of torch or onnxruntime may do better"
            ) from None
    facts = gather(replace(checkpoint, recipe=description.recipe), path, graph=target, agreement=agreement)
    card, kept = _write_card(target.with_name(CARD), render_model_card(facts))
    return Exported(path, target, card, kept, target.stat().st_size, agreement, not isinstance(facts.numbers, str))


def _portable(recipe: Recipe) -> Recipe:
    """Without the paths of the machine that it was trained on: the file is handed on."""
    encoders = {
        name: item.model_copy(update={"weights": item.weights and Path(item.weights.name)})
        for name, item in recipe.encoders.items()
    }
    corpus = recipe.corpus.model_copy(update={"root": Path("data") / recipe.corpus.name})
    return recipe.model_copy(update={"encoders": encoders, "corpus": corpus})


def _target(path: Path, output: Path | None, suffix: str) -> Path:
    if output is None:
        return path.with_suffix(suffix)
    if output.is_dir():
        return output / f"{path.stem}{suffix}"
    if output.suffix != suffix:
        raise SettingsError(f"--output {output}: a file of this format ends in {suffix}")
    return output


def _write_card(card: Path, text: str) -> tuple[Path, Path | None]:
    """A card that lies there and says something else may have been completed by hand: it is kept beside the new one."""
    kept, number = None, 1
    if card.exists() and card.read_text(encoding="utf-8", errors="replace") != text:
        while (kept := card.with_stem(f"{card.stem}.previous-{number}")).exists():
            number += 1
        card.replace(kept)
    write_text(card, text)
    return card, kept
