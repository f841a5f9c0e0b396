"""`mtpkd validate`: what a corpus holds, before hours of work."""

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtpkd_cli.preprocess import CorpusName

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pipelines.corpora.validation import FileCount, ValidationReport

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
    root: Annotated[Path | None, typer.Argument(help="Where it lies.", show_default="data/CORPUS")] = None,
    part: Annotated[Part, typer.Option("--part", help="Part of BioVid.")] = Part.A,
) -> None:
    """Raw corpus -> counts of what is there, missing and unreadable; exits with 1 where anything is wrong."""
    from rich.console import Console
    from tqdm import tqdm

    from pipelines.corpora.validation import validate_corpus
    from pipelines.recipe import BioVidCorpus, SyntheticCorpus

    chosen = {CorpusName.biovid: BioVidCorpus, CorpusName.synthetic: SyntheticCorpus}[corpus]
    # All five classes: preprocessing another task later should hold no surprise.
    settings = chosen(root=root or Path("data") / corpus.value, part=part.value, task="pain-five")
    with tqdm(desc="validate", unit="clip", disable=None, delay=1, leave=False) as bar:
        report = validate_corpus(settings, progress=bar)
    console = Console(highlight=False, markup=False)
    _print_summary(console, report, f"{corpus.value}, part {part.value}")
    _print_problems(console, report)
    if report.problems:
        raise typer.Exit(1)


def _print_summary(console: "Console", report: "ValidationReport", title: str) -> None:
    console.print(f"{title}: {report.root}\n", soft_wrap=True)
    sexes = ", ".join(f"{count} {sex}" for sex, count in report.subjects_by_sex.items())
    classes = "   ".join(f"{name} {count:,}" for name, count in report.clips_per_class.items() if count)
    console.print(f"subjects {report.subjects:>8,}   {sexes}")
    console.print(f"clips    {report.clips:>8,}   {classes}\n")
    console.print(_file_table(report))


def _file_table(report: "ValidationReport") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("files")
    for heading in ("there", "missing", "unreadable"):
        table.add_column(heading, justify="right")
    table.add_column("what they hold", overflow="fold")
    for modality, count in report.files.items():
        numbers = (f"{number:,}" for number in (count.there, count.missing, count.unreadable))
        table.add_row(modality, *numbers, "\n".join(_told(count)))
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


def _print_problems(console: "Console", report: "ValidationReport") -> None:
    """Problems by modality and reason, the commonest first, each with its first file."""
    if not report.problems:
        console.print("\nno problems found")
        return
    console.print(f"\n{len(report.problems):,} problems found")
    kinds = Counter((problem.modality, problem.reason) for problem in report.problems)
    for (modality, reason), number in kinds.most_common(_REASONS):
        first = next(p for p in report.problems if (p.modality, p.reason) == (modality, reason))
        console.print(f"{number:>7,}  {modality}: {reason}", soft_wrap=True)
        console.print(f"         {'first: ' if number > 1 else ''}{first.file}", soft_wrap=True)
    if len(kinds) > _REASONS:
        console.print(f"         and {len(kinds) - _REASONS} more kinds of problems")
