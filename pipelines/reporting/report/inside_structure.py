"""Who resembles whom, to the teacher and to the student, and where the transport sends each clip's row.

Decisions. Matrices are drawn clip by clip for the first fold and seed only: averaged over cells, whose clips differ,
they would show nothing. What a number can say is averaged over all cells.
"""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from pipelines.cache.structure import StructureRecord, read_structure
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.html import Cell, Number, details, heading, join, paragraph, table
from pipelines.reporting.report.inside_moments import Moment
from pipelines.reporting.report.inside_structure_picture import picture
from pipelines.reporting.report.inside_words import decimals, seen_at_once, share
from pipelines.reporting.report.section import Section
from pipelines.reporting.report.words import shown_first

ANCHOR, TITLE = "structure", "What the transport does"
ABSENT = "Similarities and plans are recorded when mtpkd distill trains a method that transports, such as mt-pkdot."


def section(facts: Facts) -> Section | None:
    """The method that the page is about first, others on demand."""
    known = _records(facts)
    if not known:
        return None
    parts = [paragraph(text) for text in _how_to_read(facts, next(iter(known.values()))[0])]
    for number, (method, records) in enumerate(known.items()):
        drawn = picture(facts, method, records[0])
        parts += [heading(method), drawn] if number == 0 else [details(f"{method}: matrices and plan", drawn)]
    parts.append(_numbers(facts, known))
    return Section(ANCHOR, TITLE, join(parts))


def _records(facts: Facts) -> dict[str, list[StructureRecord]]:
    """Method -> what was recorded in each cell; cells in which no clip could be compared are left out."""
    known: dict[str, list[StructureRecord]] = {}
    first = shown_first(facts)
    for method in sorted(facts.students, key=lambda name: name != first):
        paths = [facts.workspace.structure(cell.split.fold, cell.split.seed, method) for cell in facts.cells]
        records = [record for record in (read_structure(path) for path in paths if path.exists()) if record.clips]
        if records:
            known[method] = records
    return known


def _how_to_read(facts: Facts, record: StructureRecord) -> list[str]:
    order = f"{facts.labels[0] if facts.labels else 'class'}, then {facts.unit[:-1]}"
    cell, number = facts.cells[0].split, len(facts.cells)
    where = f"Drawn for fold {cell.fold}, seed {cell.seed}" + (f", the first of {number}. " if number > 1 else ". ")
    blocks = "" if facts.labels else "blocks mean that only its class is found again, "
    return [
        "While it learns, the student should come to see the same clips as alike that the teacher sees as alike. Upper "
        "row: cosine similarity of every pair of clips, to the teacher and to the student; r is the correlation of the "
        "two. Lower row: the transport plan, that is how much of a clip's row of student similarities is sent to each "
        "clip's row of the teacher's. A diagonal means that a clip's row is matched with the same clip's, "
        f"{blocks}an even tint that it goes everywhere, and the transport then teaches little.",
        f"{where}Each row and column is one of {len(record.clips)} training {seen_at_once(facts)}, sorted by {order}.",
    ]


def _numbers(facts: Facts, known: Mapping[str, Sequence[StructureRecord]]) -> Markup:
    classes = not facts.labels
    lines: list[list[Cell]] = []
    for method, records in known.items():
        starts = [Moment.of(record, 0, classes=classes) for record in records]
        kept = [Moment.of(record, record.at(record.best), classes=classes) for record in records]
        chance = [Moment.by_chance(record, classes=classes) for record in records]
        lines += [
            _line(facts, method, when, Moment.mean(moments))
            for when, moments in (("untrained", starts), ("trained", kept), ("by chance", chance))
        ]
    columns = ["method", "student", "resemblance r", "sent to the same clip %"]
    columns += ["sent to the same class %"] if classes else []
    number = len(next(iter(known.values())))
    over = f"mean over {number} folds and seeds, of structure.h5" if number > 1 else "of structure.h5"
    return table(columns, lines, caption=f"Similarity matrices and transport plans, {over}")


def _line(facts: Facts, method: str, when: str, moment: Moment) -> list[Cell]:
    cells: list[Cell] = [method, when, Number(decimals(moment.resemblance), moment.resemblance)]
    shares = [moment.same_clip] if facts.labels else [moment.same_clip, moment.same_class]
    return cells + [Number(share(value), value) for value in shares]
