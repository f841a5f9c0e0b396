"""`mtpkd export`: a trained student as one file that runs without mtpkd."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mtpkd_cli.options import speak


class FormatName(StrEnum):
    """Formats of an exported student."""

    onnx = "onnx"
    torch = "torch"


def export(
    student: Annotated[
        Path, typer.Argument(help="A student.safetensors, its folder, or a workspace.", show_default=False)
    ],
    format: Annotated[
        FormatName, typer.Option("--format", help="An ONNX graph, or a torch.export program (.pt2).")
    ] = FormatName.onnx,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write.", show_default="beside the student")
    ] = None,
) -> None:
    """A student -> one file that runs without mtpkd, checked against it, and MODEL_CARD.md."""
    from pipelines.stages import export as stage

    speak()
    done = stage.run(student, format=format.value, output=output)
    agreement = done.agreement
    windows, frames = (" and ".join(map(str, tried)) for tried in (agreement.windows, agreement.frames))
    print(f"student     {done.student}")
    print(f"exported    {done.graph}, {done.size / 2**20:.1f} MiB")
    print(f"checked     largest difference {agreement.largest:.1e}, W = {windows}, T = {frames}")
    print(f"model card  {done.card}")
    if done.kept is not None:
        print(f"            the one that lay there is now {done.kept.name}")
    if not done.evaluated:
        print("            without numbers: `mtpkd evaluate` makes them, then export again")
