"""`mtpkd preprocess`: stage 1."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mtpkd_cli.options import RUNS, DetectorName, MaxFailuresOption, NewWorkspaceOption, WorkersOption, speak


class CorpusName(StrEnum):
    """Corpora that can be preprocessed."""

    biovid = "biovid"
    affwild2 = "affwild2"
    synthetic = "synthetic"
    synthetic_affwild2 = "synthetic-affwild2"


class Kind(StrEnum):
    """Parts of the cache."""

    faces = "faces"
    biosignals = "biosignals"
    audio = "audio"


SHIPPED = {
    CorpusName.biovid: "biovid",
    CorpusName.affwild2: "affwild2",
    CorpusName.synthetic: "demo",
    CorpusName.synthetic_affwild2: "demo-affwild2",
}
"""The recipe that a new workspace of a corpus starts with."""


def preprocess(
    corpus: Annotated[CorpusName, typer.Argument(help="Which corpus to read.")],
    root: Annotated[Path | None, typer.Argument(help="Where it lies.", show_default="data/CORPUS")] = None,
    workspace: NewWorkspaceOption = None,
    only: Annotated[Kind | None, typer.Option("--only", help="Build just this part of the cache.")] = None,
    detector: Annotated[DetectorName | None, typer.Option("--detector", help="Face detector.")] = None,
    workers: WorkersOption = None,
    max_failures: MaxFailuresOption = 0.05,
) -> None:
    """Raw corpus -> face crops, biosignals and sound in HDF5 shards, clips.csv and failures.csv."""
    from pipelines.errors import SettingsError
    from pipelines.recipe.loading import load_recipe, override_recipe
    from pipelines.stages import preprocess as stage
    from pipelines.workspace import Workspace

    speak()
    place = Workspace(workspace or RUNS / corpus.value)
    recipe = load_recipe(place.recipe if place.recipe.exists() else SHIPPED[corpus])
    if recipe.corpus.name != corpus.value:
        raise SettingsError(
            f"{place.root} holds the corpus {recipe.corpus.name}, not {corpus.value}: name another --workspace"
        )
    changes: dict[str, object] = {}
    if root is not None:
        changes["corpus.root"] = str(root)
    if detector is not None:
        changes["faces.detector"] = detector.value
    recipe = override_recipe(recipe, **changes)
    stage.run(recipe, place, only=only.value if only else None, workers=workers, max_failures=max_failures)
