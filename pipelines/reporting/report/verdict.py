"""The first thing on the page: what the numbers allow to say, in a sentence, and on how much it rests."""

from markupsafe import Markup

from pipelines.metrics import negative_transfer
from pipelines.reporting.comparison import CONTROLS
from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.html import code, join, paragraph
from pipelines.reporting.report.section import Section
from pipelines.reporting.report.words import amount, by_group, counted, difference_text, number, shown_first
from pipelines.reporting.table import BASELINE, BASELINE_WORDS, ResultRow, format_number
from pipelines.reporting.table import verdict as verdict_of

ANCHOR, TITLE = "verdict", "The result"
ABSENT = "There is no student to judge: `mtpkd distill` trains them, `mtpkd evaluate` tests them."


def section(facts: Facts) -> Section | None:
    """The verdict on the student the page is about, those of the others, and what was measured."""
    first = shown_first(facts)
    rows = {row.method: row for row in facts.rows[facts.metric.name] if row.role == "student"}
    if not rows:
        return None
    parts: list[str | Markup] = []
    if facts.changed:
        parts.append(
            paragraph(
                code("recipe.yaml"), " was changed after these numbers were computed; the page describes the settings ",
                "that they were computed with. ", code("mtpkd evaluate"), " brings both together.", kind="warning",
            )
        )  # fmt: skip
    if first is None:
        parts.append(paragraph("Only visual only was trained: there is nothing to compare it with.", kind="lead"))
    else:
        parts += [paragraph(_sentence(rows[first]), kind="lead"), _numbers(facts, rows[first], rows.get(BASELINE))]
    parts += [
        paragraph(_sentence(row), kind="lead more")
        for method, row in rows.items()
        if method not in (first, BASELINE, *CONTROLS)
    ]
    return Section(ANCHOR, TITLE, join([*parts, _measured(facts), *_caveats(facts)]))


def _sentence(row: ResultRow) -> str:
    """The words of `mtpkd evaluate`, as a sentence."""
    return f"{verdict_of(row)}."


def _numbers(facts: Facts, row: ResultRow, baseline: ResultRow | None) -> Markup:
    """The numbers that the verdict stands on."""
    metric = facts.metric
    percent = " %" if metric.percent else ""
    text = f"{row.method}: {'mean ' if facts.labels else ''}{metric.name} {format_number(row.value, metric)}{percent}"
    if baseline is None:
        return paragraph(f"{text}.")
    text += f"; {BASELINE_WORDS}: {format_number(baseline.value, metric)}{percent}. "
    difference = difference_text(row.difference, row.difference_low, row.difference_high, metric)
    confidence = f"{100 * facts.recipe.evaluation.confidence:g} % interval over test {facts.unit} in brackets"
    text += (
        f"Difference on the {'trials' if row.frames else 'clips'} that both predict: "
        f"{difference}{' points' if metric.percent else ''}, {confidence}."
    )
    worse = negative_transfer(
        by_group(facts, row.method), by_group(facts, BASELINE), higher_is_better=metric.higher_is_better
    )
    if worse.groups:
        text += f" It is worse for {len(worse.losses)} of {worse.groups} {facts.unit}"
        text += f", by up to {amount(worse.worst, metric)}." if worse.losses else "."
    return paragraph(text)


def _measured(facts: Facts) -> Markup:
    """What was measured, on how much, and how."""
    most = max(facts.rows[facts.metric.name], key=lambda row: row.clips)
    protocol = facts.recipe.protocol
    clips = counted(most.clips, "trial" if most.frames else "clip")
    kept = {
        "Corpus": facts.recipe.corpus.name,
        "Predicted": " / ".join(facts.task.labels)
        if facts.task.num_outputs < 6
        else f"{facts.task.num_outputs} classes",
        "Seen at test time": ", ".join(facts.recipe.prevalent),
        "Seen in training only": ", ".join(facts.recipe.privileged),
        "Test data": f"{clips} of {most.groups:,} {facts.unit}" + (f", {most.frames:,} frames" if most.frames else ""),
        "Protocol": facts.protocol.splitlines()[0].split(", ")[0],
        "Seeds": ", ".join(map(str, protocol.seeds)),
        "Labels used": f"{100 * protocol.labelled:g} % of training {facts.unit}",
    }
    items = join(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, text) for name, text in kept.items())
    return Markup("<dl>\n{}\n</dl>").format(items)


def _caveats(facts: Facts) -> list[Markup]:
    """What a reader must know before believing it."""
    compared = (facts.comparison or {}).get("metrics", {}).get(facts.metric.name, {})
    noise = number(compared, "noise")
    found = [text.capitalize() + "." for text in facts.protocol.splitlines()[1:]]
    if noise == noise:
        found.append(f"Two trainings of {BASELINE_WORDS} differ by {amount(noise, facts.metric)} on average.")
    found.append(f"Measured over {facts.protocol.splitlines()[0]}.")
    return [paragraph(text, kind="note") for text in found]
