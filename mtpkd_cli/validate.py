"""`mtpkd validate`: what a corpus holds, before hours of work."""

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtpkd_cli.preprocess import ROOT_HELP, CorpusName, manifest_recipe

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pipelines.corpora.clip import Failure
    from pipelines.corpora.validation_report import FileCount, ValidationReport
    from pipelines.recipe import AffWild2Corpus, BioVidCorpus, ManifestCorpus

_VALUES = 3
"""Most different values of a property that are shown."""

_REASONS = 10
"""Most kinds of problems that are listed."""


class Part(StrEnum):
    """Parts of BioVid."""

    A = "A"
    B = "B"


def validate(
    corpus: Annotated[CorpusName, typer.Argument(help="Which corpus to read.")],
    root: Annotated[Path | None, typer.Argument(help=ROOT_HELP, show_default="data/CORPUS")] = None,
    part: Annotated[Part | None, typer.Option("--part", help="Part of BioVid.", show_default="A")] = None,
) -> None:
    """Raw corpus -> counts of what is there, missing and unreadable; exits with 1 where anything is wrong."""
    from rich.console import Console
    from tqdm import tqdm

    from pipelines.corpora.validation import validate_corpus

    settings, title = _settings(corpus, root, part)
    with tqdm(desc="validate", unit="clip", disable=None, delay=1, leave=False) as bar:
        report = validate_corpus(settings, progress=bar)
    console = Console(highlight=False, markup=False)
    _print_summary(console, report, title)
    _print_kinds(console, report.noted, report.examples, "observations")
    _print_kinds(console, report.problems, report.examples, "problems")
    if report.problems:
        raise typer.Exit(1)
    console.print("\nno problems found")


def _settings(
    corpus: CorpusName, root: Path | None, part: Part | None
) -> tuple["BioVidCorpus | AffWild2Corpus | ManifestCorpus", str]:
    """What to read, and its name in the report."""
    from pipelines.errors import SettingsError
    from pipelines.recipe import (
        AffWild2Corpus,
        BioVidCorpus,
        ManifestCorpus,
        SyntheticAffWild2Corpus,
        SyntheticCorpus,
    )

    if corpus not in (CorpusName.biovid, CorpusName.synthetic) and part is not None:
        raise SettingsError(f"--part {part.value}: {corpus.value} has no parts, leave the option out")
    if corpus is CorpusName.manifest:
        settings = manifest_recipe(root).corpus
        assert isinstance(settings, ManifestCorpus)
        return settings, corpus.value
    root = root or Path("data") / corpus.value
    if corpus in (CorpusName.affwild2, CorpusName.synthetic_affwild2):
        of_videos = AffWild2Corpus if corpus is CorpusName.affwild2 else SyntheticAffWild2Corpus
        return of_videos(root=root), corpus.value
    part = part or Part.A
    of_clips = BioVidCorpus if corpus is CorpusName.biovid else SyntheticCorpus
    # All five classes: preprocessing another task later should hold no surprise.
    return of_clips(root=root, part=part.value, task="pain-five"), f"{corpus.value}, part {part.value}"


def _print_summary(console: "Console", report: "ValidationReport", title: str) -> None:
    console.print(f"{title}: {report.root}\n", soft_wrap=True)
    if report.layout:
        width = max(len(what) for what, _ in report.layout)
        for what, where in report.layout:
            console.print(f"{what:<{width}}   {where}", soft_wrap=True)
        console.print()
    names = max(len(total.name) for total in report.totals)
    digits = max(8, *(len(f"{total.number:,}") for total in report.totals))
    for total in report.totals:
        console.print(f"{total.name:<{names}} {total.number:>{digits},}   {total.parts}")
    console.print()
    console.print(_file_table(report))


def _file_table(report: "ValidationReport") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("files")
    for heading in ("there", "missing", "unreadable"):
        table.add_column(heading, justify="right")
    table.add_column("what they hold", overflow="fold")
    for kind, count in report.files.items():
        numbers = (f"{number:,}" for number in (count.there, count.missing, count.unreadable))
        table.add_row(kind, *numbers, "\n".join(_told(count)))
    return table


def _told(count: "FileCount") -> list[str]:
    """One line a property: the value, or the commonest ones with how many files have each."""
    lines = []
    for name, values in count.seen.items():
        if len(values) == 1:
            lines.append(f"{next(iter(values))} {name}")
            continue
        shown = ", ".join(f"{value} in {files:,}" for value, files in values.most_common(_VALUES))
        rest = f", {len(values) - _VALUES} more values" if len(values) > _VALUES else ""
        lines.append(f"{name}: {shown}{rest}")
    return lines


def _print_kinds(console: "Console", found: Sequence["Failure"], examples: int, noun: str) -> None:
    """What was found by modality and reason, the commonest first, each with its first places."""
    if not found:
        return
    console.print(f"\n{len(found):,} {noun} found")
    kinds = Counter((failure.modality, failure.reason) for failure in found)
    for (modality, reason), number in kinds.most_common(_REASONS):
        places: dict[str, str] = {}
        for failure in found:
            if (failure.modality, failure.reason) == (modality, reason):
                places.setdefault(failure.clip, failure.file)
        console.print(f"{number:>7,}  {modality}: {reason}", soft_wrap=True)
        for index, place in enumerate(list(places.values())[:examples]):
            console.print(f"         {'first: ' if number > 1 and not index else ''}{place}", soft_wrap=True)
    if len(kinds) > _REASONS:
        console.print(f"         and {len(kinds) - _REASONS} more kinds of {noun}")
