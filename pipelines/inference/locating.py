"""Which student is meant by a path: a file, the folder it lies in, or a workspace."""

import logging
from pathlib import Path

from pipelines.errors import MissingArtifact, SettingsError
from pipelines.recipe.loading import load_recipe
from pipelines.workspace import Workspace, relative

SUFFIXES = (".safetensors", ".onnx")
HEADLINE = "mt-pkdot"
"""The method whose student a workspace stands for."""

log = logging.getLogger("mtpkd")


def find_student(path: Path | str) -> Path:
    """The file of a student.

    Args:
        path: the file, the folder that it lies in, or a workspace, which stands for its first student of mt-pkdot.

    Raises:
        SettingsError: no student is there, or several are, or the file is another one.
        MissingArtifact: a workspace without that student.
    """
    path = Path(path)
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise SettingsError(f"{path} is neither a student.safetensors nor a graph that was exported as .onnx")
        return path
    if not path.is_dir():
        raise SettingsError(f"{path}: no such file or folder. Give a student.safetensors, its folder, or a workspace")
    workspace = Workspace(path)
    if workspace.recipe.exists():
        return _headline(workspace)
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    checkpoints = [file for file in found if file.suffix == SUFFIXES[0]]
    if len(checkpoints or found) == 1:
        return (checkpoints or found)[0]
    listed = ", ".join(file.name for file in found)
    raise SettingsError(f"{path}: " + (f"which one of {listed}?" if found else "there is no student, nor a workspace"))


def _headline(workspace: Workspace) -> Path:
    seed = load_recipe(workspace.recipe).protocol.seeds[0]
    student = workspace.student(0, seed, HEADLINE)
    if student.exists():
        log.info("student: %s, one of the folds of %s", relative(student, workspace.root), workspace.root)
        return student
    found = sorted(workspace.root.glob("fold-*/seed-*/students/*/student.safetensors"))
    if not found:
        raise MissingArtifact(f"{student} is missing: run `mtpkd distill --workspace {workspace.root}` first")
    listed = "".join(f"\n  {each}" for each in found)
    raise MissingArtifact(f"{workspace.root} has no student of {HEADLINE}; name the one that is meant:{listed}")
