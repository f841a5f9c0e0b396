"""`mtpkd weights`: the published weights that encoders and the face detector can use."""

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import SettingsError

if TYPE_CHECKING:
    from pipelines.weights import Weights

app = typer.Typer(
    help="Published weights for encoders and the face detector: what there is, and fetching it.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

NamesArgument = Annotated[list[str] | None, typer.Argument(help="As in `mtpkd weights list`.", show_default=False)]


@app.command("list")
def list_weights(
    as_json: Annotated[bool, typer.Option("--json", help="Everything that is known of them, as JSON.")] = False,
) -> None:
    """What there is, and whether it is here; reads every file that is."""
    from pipelines.weights import REGISTRY, path_of, state_of

    states = {name: state_of(weights) for name, weights in REGISTRY.items()}
    if as_json:
        known = [
            {**vars(weights), "path": str(path_of(weights)), "state": states[name]}
            for name, weights in REGISTRY.items()
        ]
        print(json.dumps(known, indent=1))
    else:
        _show(states)


@app.command("fetch")
def fetch_weights(
    names: NamesArgument = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Open no connection: fail where one is needed.")] = False,
) -> None:
    """Fetch what is absent, and what is damaged again; goes on where an earlier attempt stopped."""
    from pipelines.weights import REGISTRY, get_weights, state_of

    if bool(names) == everything:
        raise SettingsError("name the weights to fetch, or give --all; `mtpkd weights list` shows what there is")
    if offline:
        os.environ["MTPKD_OFFLINE"] = "1"
    for weights in [get_weights(name) for name in (REGISTRY if everything else names or ())]:
        if state_of(weights) == "there":
            print(f"{weights.name}: there already")
        else:
            _fetch(weights)


@app.command("verify")
def verify_weights(names: NamesArgument = None) -> None:
    """Compare the SHA-256 of what is there with the published one; exits with 1 where something is wrong.

    Absent files are wrong only where they are named.
    """
    from pipelines.weights import REGISTRY, digest_of, get_weights, path_of, state_of

    wrong = False
    for weights in [get_weights(name) for name in names or REGISTRY]:
        state, path = state_of(weights), path_of(weights)
        wrong |= state == "damaged" or (state == "absent" and bool(names))
        print(f"{weights.name}: {'as published' if state == 'there' else state}  ({path})")
        if state == "damaged":
            print(f"  its SHA-256 is {digest_of(path)}\n  published is   {weights.sha256}")
            print(f"  `mtpkd weights fetch {weights.name}` puts it aside and fetches it again")
    if wrong:
        raise typer.Exit(1)


@app.command("path")
def print_path(
    name: Annotated[str, typer.Argument(help="As in `mtpkd weights list`.", show_default=False)],
) -> None:
    """Print where the file lies, and nothing else; for scripts."""
    from pipelines.weights import require

    print(require(name))


def _show(states: dict) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from pipelines.weights import REGISTRY, cache_folder

    table = Table(box=SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("MB", justify="right")
    table.add_column("licence", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("used for")
    for name, weights in REGISTRY.items():
        table.add_row(name, f"{weights.size / 1e6:.0f}", weights.licence, states[name], weights.purpose)
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print(f"\nfolder: {cache_folder()}", soft_wrap=True)
    console.print("Licences are what the publishers say; --json has addresses and further terms.")


def _fetch(weights: "Weights") -> None:
    from tqdm import tqdm

    from pipelines.weights import fetch

    with tqdm(desc=weights.name, unit="B", unit_scale=True, disable=None, leave=False) as bar:

        def report(done: int, whole: int) -> None:
            bar.total = whole
            bar.update(done - bar.n)

        path = fetch(weights, report=report)
    print(f"{weights.name}: fetched, as published  ({path})")
