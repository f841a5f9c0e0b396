"""Drawing one clip of the cache as a contact sheet."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.cache.tables import ClipRow, read_clips, read_failures
from pipelines.corpora import task_of
from pipelines.errors import SettingsError
from pipelines.recipe import Recipe
from pipelines.reporting.contact_sheet import save_sheet
from pipelines.reporting.sheet_content import Sheet
from pipelines.stages.cached_clip import CachedClip, Span
from pipelines.workspace import Workspace

_CLOSE = 4
"""Names that are suggested for one that does not exist."""


@dataclass(frozen=True)
class Inspected:
    """A sheet that was drawn: where it lies, and the clip's coverage in a line."""

    path: Path
    coverage: str


def inspect_clip(
    recipe: Recipe,
    workspace: Workspace,
    name: str,
    *,
    output: Path | None = None,
    start_s: float | None = None,
    stop_s: float | None = None,
) -> Inspected:
    """Draw a clip's sheet.

    Args:
        recipe: of the workspace.
        workspace: with the cache.
        name: of the clip.
        output: where the PNG goes; None is `inspect/<clip>.png` in the workspace.
        start_s, stop_s: the stretch of seconds to show; None is from the start, or to the end.

    Raises:
        SettingsError: no such clip, a stretch outside it, or an output that is no `.png`.
        MissingArtifact: nothing was preprocessed yet.
        MtpkdError: a shard is damaged, or the file cannot be written.
    """
    path = output or workspace.root / "inspect" / f"{name}.png"
    if path.suffix.lower() != ".png":
        raise SettingsError(f"{path}: a contact sheet is a .png")
    row = _find(recipe, workspace, name)
    failures = read_failures(workspace.require(workspace.failures, f"mtpkd preprocess {recipe.corpus.name}"))
    clip = CachedClip(recipe, workspace, row, [failure for failure in failures if failure.clip == name])
    span = _span(clip, start_s, stop_s)
    facts = [_who(row, recipe), "usable:  " + describe_coverage(row)]
    facts += [f"{failure.modality}: {failure.reason}" for failure in clip.other_failures()]
    panels = tuple(clip.panel(part, span) for part in clip.parts)
    save_sheet(Sheet(title=name, facts=tuple(facts), start_s=span[0], stop_s=span[1], panels=panels), path)
    return Inspected(path, describe_coverage(row))


def describe_coverage(row: ClipRow) -> str:
    """The share of every modality that can be used, in words."""
    return "   ".join(
        f"{name} {f'{100 * share:.1f} %' if share else 'missing'}" for name, share in row.coverage.items()
    )


def _find(recipe: Recipe, workspace: Workspace, name: str) -> ClipRow:
    rows = read_clips(workspace.require(workspace.clips, f"mtpkd preprocess {recipe.corpus.name}"))
    for row in rows:
        if row.clip == name:
            return row
    near = _close(name, [row.clip for row in rows])
    hint = f"did you mean {', '.join(near)}?" if near else f"all {len(rows)} are listed in {workspace.clips}"
    raise SettingsError(f"{workspace.root} has no clip {name!r}: {hint}")


def _close(name: str, known: Sequence[str]) -> list[str]:
    """Names that contain what was given, or else those that are spelt most like it."""
    holding = [one for one in known if name.lower() in one.lower()]
    return (holding or difflib.get_close_matches(name, known, _CLOSE))[:_CLOSE]


def _span(clip: CachedClip, start_s: float | None, stop_s: float | None) -> Span:
    """The seconds that are shown."""
    extents = [extent for extent in map(clip.extent, clip.parts) if extent is not None]
    if not extents:
        if start_s is not None or stop_s is not None:
            raise SettingsError(f"--from and --to: nothing that the cache holds of {clip.row.clip} has a time")
        return 0.0, 1.0
    first, last = min(0.0, *(start for start, _ in extents)), max(stop for _, stop in extents)
    span = first if start_s is None else start_s, last if stop_s is None else min(stop_s, last)
    if not first <= span[0] < span[1]:
        given = (("--from", start_s), ("--to", stop_s))
        asked = " ".join(f"{option} {value:g}" for option, value in given if value is not None)
        raise SettingsError(f"{asked}: {clip.row.clip} lasts from {first:g} to {last:.2f} s")
    return span


def _who(row: ClipRow, recipe: Recipe) -> str:
    """Group, label and what else is known."""
    labels = task_of(recipe.corpus).labels
    parts = [f"group {row.group}"]
    if isinstance(row.label, tuple):
        parts += [f"{name} {value:g}" for name, value in zip(labels, row.label, strict=True)]
    elif not recipe.corpus.continuous:
        parts.append(row.label_name or "no label")
    return "   ·   ".join([*parts, *(f"{name} {value}" for name, value in row.attributes.items() if value)])
