"""`mtpkd init`: an example to start one's own corpus from."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ExampleName(StrEnum):
    """What there is an example of."""

    manifest = "manifest"


def init(
    example: Annotated[ExampleName, typer.Argument(help="What to write an example of.")],
    folder: Annotated[Path, typer.Argument(help="Where to.")] = Path("data/manifest"),
) -> None:
    """A commented recipe, a manifest and a table of features, to be filled with your own data."""
    from pipelines.corpora.manifest_example import write_example

    recipe, manifest, table = write_example(folder)
    print(f"{recipe}: every setting, with a comment")
    print(f"{manifest}: one row a clip; put your own rows there")
    print(f"{table}: features computed elsewhere, one row a clip")
    print("\nthen:")
    print(f"  mtpkd validate {example.value} {folder}")
    print(f"  mtpkd run {recipe}")
