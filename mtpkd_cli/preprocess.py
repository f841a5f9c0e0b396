"""`mtpkd preprocess`: stage 1."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtpkd_cli.machines import AddressOption, ExecutorName, ExecutorOption, Machines, WorkersOption
from mtpkd_cli.options import RUNS, DetectorName, MaxFailuresOption, NewWorkspaceOption, speak

if TYPE_CHECKING:
    from pipelines.recipe import Recipe
    from pipelines.workspace import Workspace


class CorpusName(StrEnum):
    """Corpora that can be preprocessed."""

    biovid = "biovid"
    affwild2 = "affwild2"
    synthetic = "synthetic"
    synthetic_affwild2 = "synthetic-affwild2"
    manifest = "manifest"


SHIPPED = {
    CorpusName.biovid: "biovid",
    CorpusName.affwild2: "affwild2",
    CorpusName.synthetic: "demo",
    CorpusName.synthetic_affwild2: "demo-affwild2",
}
"""The recipe that a new workspace of a corpus starts with; a manifest has its own."""

ROOT_HELP = "Where it lies; of a manifest its recipe, or the folder with recipe.yaml."

OnlyOption = Annotated[
    str | None, typer.Option("--only", help="Build just this part: faces, biosignals, audio, ... of the corpus.")
]
ClipTimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--clip-timeout",
        min=1,
        help="Seconds after which a clip counts as failed.",
        show_default="600, of continuous labels 7200",
    ),
]


def preprocess(
    corpus: Annotated[CorpusName, typer.Argument(help="Which corpus to read.")],
    root: Annotated[Path | None, typer.Argument(help=ROOT_HELP, show_default="data/CORPUS")] = None,
    workspace: NewWorkspaceOption = None,
    only: OnlyOption = None,
    detector: Annotated[DetectorName | None, typer.Option("--detector", help="Face detector.")] = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = ExecutorName.local,
    address: AddressOption = None,
    max_failures: MaxFailuresOption = 0.05,
    clip_timeout: ClipTimeoutOption = None,
    repair: Annotated[bool, typer.Option("--repair", help="First remove what `mtpkd verify` finds broken.")] = False,
) -> None:
    """Raw corpus -> face crops, signals, sound and features in HDF5 shards, clips.csv and failures.csv."""
    from pipelines.recipe.loading import load_recipe, override_recipe
    from pipelines.stages import preprocess as stage
    from pipelines.workspace import Workspace

    speak()
    work = Machines(workers, executor, address).work()
    place = Workspace(workspace or RUNS / corpus.value)
    known = _workspace_recipe(corpus, place)
    own = _own_recipe(corpus, root, known, is_named=workspace is not None)
    recipe = own or known or load_recipe(SHIPPED[corpus])
    changes: dict[str, object] = {}
    if root is not None and own is None:
        changes["corpus.root"] = str(root)
    if detector is not None:
        changes["faces.detector"] = detector.value
    recipe = override_recipe(recipe, **changes)
    stage.run(
        recipe,
        place,
        only=only,
        workers=work,
        max_failures=max_failures,
        clip_timeout=clip_timeout,
        repairing=repair,
    )


def manifest_recipe(root: Path | None) -> "Recipe":
    """The recipe of a manifest: a YAML file, or `recipe.yaml` in a folder; None is where `mtpkd init` writes it.

    Raises:
        SettingsError: there is none, it cannot be used, or it is that of another corpus.
    """
    from pipelines.errors import SettingsError
    from pipelines.recipe.loading import load_recipe

    path = _manifest_recipe_path(root)
    if not path.is_file():
        raise SettingsError(
            f"{path}: there is no such recipe, and a manifest needs one that says what its columns are: `mtpkd init "
            f"manifest {path.parent}` writes an example"
        )
    recipe = load_recipe(path)
    if recipe.corpus.name != CorpusName.manifest.value:
        raise SettingsError(f"{path} is a recipe of {recipe.corpus.name}, and one of a manifest was expected")
    return recipe


def _manifest_recipe_path(root: Path | None) -> Path:
    root = root or Path("data/manifest")
    return root if root.suffix in (".yaml", ".yml") else root / "recipe.yaml"


def _own_recipe(corpus: CorpusName, root: Path | None, known: "Recipe | None", *, is_named: bool) -> "Recipe | None":
    """A manifest's recipe, edited where the manifest lies; None where the one that the workspace knows is meant.

    What was named on the command line is meant: the manifest, or else the workspace; of neither the manifest in its
    default place.
    """
    if corpus is not CorpusName.manifest:
        return None
    if root is None and known is not None and (is_named or not _manifest_recipe_path(root).exists()):
        return None
    return manifest_recipe(root)


def _workspace_recipe(corpus: CorpusName, place: "Workspace") -> "Recipe | None":
    """The recipe of a workspace that exists."""
    from pipelines.errors import SettingsError
    from pipelines.recipe.loading import load_recipe

    if not place.recipe.exists():
        return None
    recipe = load_recipe(place.recipe)
    if recipe.corpus.name != corpus.value:
        raise SettingsError(
            f"{place.root} holds the corpus {recipe.corpus.name}, not {corpus.value}: name another --workspace"
        )
    return recipe
