"""`reference/cli.md`, written while the site is built from the command line itself: it cannot be out of date."""

from collections.abc import Iterator
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.main import get_command

from mtpkd_cli.main import app

PAGE = "reference/cli.md"
_OPENING = """# Command line

{help}

`mtpkd COMMAND --help` says the same in the terminal. What a command needs and does not find, it names, with the command
that makes it.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | the run failed |
| 2 | wrong usage or settings |
| 3 | more clips failed than allowed |
| 130 | interrupted; the same command goes on where it stopped |
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """mkdocs: the site's files, with this page among them."""
    files.append(File.generated(config, PAGE, content="\n".join(_page())))
    return files


def _page() -> Iterator[str]:
    group: Any = get_command(app)
    yield _OPENING.format(help=group.help)
    yield "\nBefore the command, for all of them:\n"
    yield from _tables(group, typer.Context(group, info_name="mtpkd"))
    for name, command in group.commands.items():
        yield from _command(name, command, depth=2)


def _command(name: str, command: Any, *, depth: int) -> Iterator[str]:
    """A command's section, and those of the commands inside it."""
    context = typer.Context(command, info_name=f"mtpkd {name}")
    usage = " ".join(command.get_usage(context).removeprefix("Usage:").split())
    yield f"\n{'#' * depth} {name}\n\n{_escaped(command.help)}\n"
    inside = getattr(command, "commands", {})
    if not inside:
        yield f"```text\n{usage}\n```\n"
    yield from _tables(command, context)
    for sub, part in inside.items():
        yield from _command(f"{name} {sub}", part, depth=depth + 1)


def _tables(command: Any, context: typer.Context) -> Iterator[str]:
    """A table of the arguments and one of the options, where there are any."""
    for kind in ("argument", "option"):
        rows = [_row(parameter, context) for parameter in command.params if parameter.param_type_name == kind]
        if rows:
            yield "\n".join([f"| {kind} | | default, bounds |", "|---|---|---|", *rows, ""])


def _row(parameter: Any, context: typer.Context) -> str:
    """`| name and type | what it does | default and bounds |`, as the help of the terminal has them."""
    shown, text = parameter.get_help_record(context)
    meaning = (parameter.help or "").strip()
    rest = text.strip().removeprefix(meaning).strip().removeprefix("[").removesuffix("]")
    remarks = [part.removeprefix("default: ").removeprefix("(").removesuffix(")") for part in rest.split("; ")]
    shown = shown.replace("|", "\\|")
    return f"| `{shown}` | {_escaped(meaning)} | {_escaped('; '.join(remarks))} |"


def _escaped(text: str) -> str:
    """Text that a table and Markdown leave as it is."""
    for character in "|*_":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.replace("<", "&lt;").split())
