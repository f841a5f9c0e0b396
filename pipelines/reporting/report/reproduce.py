"""Settings, seeds, versions, times and files: how to get every number again.

Decisions. Versions are those installed where the page is written, but that of mtpkd, which stands in the results.
Times are those of the sidecars, added up: what the work took, however many processes shared it. Files are named within
the workspace's folder and identified by SHA-256.
"""

import hashlib
import platform
import shlex
from collections import defaultdict
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from markupsafe import Markup

from pipelines.reporting.report.facts import Facts
from pipelines.reporting.report.html import Cell, Number, code, details, heading, join, paragraph, pre, table
from pipelines.reporting.report.section import Section
from pipelines.workspace import read_sidecar, relative

ANCHOR, TITLE = "reproduce", "How to get these numbers again"
ABSENT = "There are no results yet: `mtpkd evaluate` writes them."
_PACKAGES = (
    "torch", "numpy", "scipy", "scikit-learn", "opencv-python", "av", "h5py", "librosa", "neurokit2", "POT",
    "lightning-fabric", "safetensors", "pydantic", "matplotlib",
)  # fmt: skip


def section(facts: Facts) -> Section | None:
    """Commands, settings, seeds and splits, versions, times and files."""
    return Section(
        ANCHOR,
        TITLE,
        join(
            [
                heading("Commands"),
                paragraph(
                    "With this recipe, seeds and versions, on one machine, every number comes out the same. Run them ",
                    "where ",
                    code("runs/"),
                    " lies: from there the paths of the recipe start.",
                ),
                pre(_commands(facts)),
                details("The recipe, every setting with a comment", pre(facts.recipe_text)),
                heading("Who was trained on, validated on and tested"),
                _splits(facts),
                heading("Where each number comes from"),
                _files(facts),
                heading("What it took"),
                _times(facts),
                heading("Versions"),
                _versions(facts),
            ]
        ),
    )


def _commands(facts: Facts) -> str:
    """What runs it all again from the recordings, with nothing but the recipe."""
    name = facts.name
    again = shlex.quote(f"runs/{name.replace('/', '-')}-again")
    recipe = "recipe.yaml" if facts.changed else shlex.quote(f"runs/{name}/recipe.yaml")
    methods = ",".join(facts.students)
    lines = ["# save the recipe below as recipe.yaml first"] if facts.changed else []
    lines.append(f"mtpkd run {recipe} --workspace {again}")
    if facts.students != facts.recipe.distillation.methods:
        lines[-1] += f" \\\n  --set 'distillation.methods=[{methods}]'"
    if facts.comparison is not None or facts.curve:
        seeds = len(facts.recipe.protocol.seeds)
        labelled = f" --labelled {','.join(f'{share:g}' for share in facts.curve)}" if facts.curve else ""
        lines.append(f"mtpkd compare --methods {methods} \\\n  --seeds {seeds}{labelled} --workspace {again}")
    return "\n".join([*lines, f"mtpkd report {again}"])


def _splits(facts: Facts) -> Markup:
    lines: list[list[Cell]] = []
    for cell in facts.cells:
        split = cell.split
        sizes = [len(split.train), len(split.validation), len(split.unlabelled), len(split.test)]
        numbers = [Number(str(size), size) for size in (split.fold, split.seed, *sizes)]
        lines.append([*numbers, ", ".join(split.test)])
    columns = ["fold", "seed", "train", "validation", "unlabelled", "test", f"{facts.unit} tested"]
    caption = f"{facts.unit} of every fold and seed; no one is on two sides, and those without labels are among train"
    body = table(columns, lines, caption=caption)
    return body if len(lines) <= 10 else details(f"{len(lines)} folds and seeds", body)


def _files(facts: Facts) -> Markup:
    place = facts.workspace
    sources = {
        place.results(".json"): "the result, the tables of methods, confusion matrices",
        place.results(".csv"): "every fold and seed",
        place.results("_by_group.csv"): f"every {facts.unit[:-1]}",
        place.root / "comparison.json": "controls, test over folds, effect sizes",
        place.recipe: "settings",
        place.clips: "coverage, sex and age",
        place.failures: "failures",
    }
    lines: list[list[Cell]] = [
        [code(relative(path, place.whole.root)), what, code(_digest(path)[:16])]
        for path, what in sources.items()
        if path.exists() and (facts.comparison is not None or path.name != "comparison.json")
    ]
    predictions = [path for files in facts.predictions.values() for path in files.values()]
    what = f"by sex and age, pictures of predictions; {len(predictions)} files"
    folder = relative(predictions[0].parent, place.whole.root)
    lines.append([code(f"{folder}/*.csv"), what, code(_digest(*sorted(predictions))[:16])])
    caption = "files in the workspace's folder; the first 16 digits of their SHA-256, of several one after the other"
    return table(["file", "of it on this page", "SHA-256"], lines, caption=caption)


def _digest(*paths: Path) -> str:
    """Of the contents one after the other, as `cat` gives them."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            hashlib.file_digest(stream, lambda: total)
    return total.hexdigest()


def _times(facts: Facts) -> Markup:
    """Seconds of work by kind of artifact, of the sidecars."""
    seconds, counts = _work(facts)
    lines: list[list[Cell]] = [
        [kind, Number(str(counts[kind]), counts[kind]), Number(_duration(seconds[kind]), seconds[kind])]
        for kind in seconds
    ]
    total = sum(seconds.values())
    text = f"Together {_duration(total)} of work, shared by as many processes as there were."
    caption = "artifacts and the time it took to make them, of their sidecars"
    return join([paragraph(text), table(["artifacts", "number", "time"], lines, caption=caption)])


def _work(facts: Facts) -> tuple[Mapping[str, float], Mapping[str, int]]:
    place = facts.workspace
    folders = {path: f"cache: {path.name}" for path in sorted(place.cache.glob("*")) if path.is_dir()}
    seconds: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    found = [(path, kind) for folder, kind in folders.items() for path in sorted(folder.glob("*.h5"))]
    for cell in {place.cell(item.split.fold, item.split.seed): None for item in facts.cells}:
        for path in sorted(cell.rglob("*.json")):
            artifact = path.with_suffix("")
            parts = artifact.relative_to(cell).parts
            kind = next(
                (name for name in ("students", "aligned", "teachers", "encoders") if name in parts), "embeddings"
            )
            found.append((artifact, "hallucination" if artifact.stem == "hallucination" else kind))
    found += [(path, "predictions") for files in facts.predictions.values() for path in files.values()]
    for path, kind in found:
        record = read_sidecar(path)
        if record is not None:
            seconds[kind] += float(record.get("wall_time_s") or 0)
            counts[kind] += 1
    return seconds, counts


def _duration(seconds: float) -> str:
    """E.g. `4.2 s`, `12 min 05 s`, `3 h 07 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _versions(facts: Facts) -> Markup:
    known = {"mtpkd": facts.results["version"], "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            continue
    lines: list[list[Cell]] = [[name, text] for name, text in known.items()]
    return details("Packages", table(["package", "version"], lines, caption="installed where this page was written"))
