"""Looking at the whole cache before training on it, in numbers; `clip_sheet` draws a single clip.

Decisions. The overview reads the tables that stage 1 wrote, and of shards only the annotations, whose distribution
stands nowhere else. Failures are grouped by what they say: where two reasons differ in numbers or names only they are
one kind, and the numbers become a range. A share counts a missing modality as 0, wherever it is shown.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.cache.annotations import read_annotations
from pipelines.cache.tables import ClipRow, read_clips, read_failures
from pipelines.corpora import Failure, task_of
from pipelines.recipe import Recipe
from pipelines.reporting.overview import Coverage, Distribution, FailureKind, Overview, Slice
from pipelines.workspace import Workspace

_NUMBER = re.compile(r"(?<![\w./-])(-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?)(?![\w/-])")
_PATH = re.compile(r"\S*/\S*[^\s/.,:;)]")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def overview(recipe: Recipe, workspace: Workspace) -> Overview:
    """Count what the cache of a workspace holds.

    Raises:
        MissingArtifact: nothing was preprocessed yet.
        MtpkdError: a table or a shard of annotations cannot be read.
    """
    command = f"mtpkd preprocess {recipe.corpus.name}"
    rows = read_clips(workspace.require(workspace.clips, command))
    failures = read_failures(workspace.require(workspace.failures, command))
    modalities = list(dict.fromkeys(name for row in rows for name in row.coverage))
    by_group: dict[str, list[ClipRow]] = defaultdict(list)
    for row in rows:
        by_group[row.group].append(row)
    groups = [_slice(name, members, modalities) for name, members in by_group.items()]
    partial = [group for group in groups if any(share < 1 for share in group.shares.values())]
    of_frames = recipe.corpus.continuous
    return Overview(
        clips=len(rows),
        groups=len(groups),
        unlabelled=sum(_is_unlabelled(row, of_frames=of_frames) for row in rows),
        coverage={name: _coverage([row.coverage[name] for row in rows]) for name in modalities},
        absent=tuple(name for name in recipe.corpus.kinds if name not in modalities),
        classes=_classes(rows, modalities, recipe),
        distributions=_distributions(rows, recipe, workspace),
        unit="frames" if of_frames else "clips",
        least=tuple(sorted(partial, key=lambda group: (sum(group.shares.values()), group.name))),
        failures=group_failures(failures, {row.clip: row.group for row in rows}),
    )


def group_failures(failures: Sequence[Failure], groups: Mapping[str, str]) -> tuple[FailureKind, ...]:
    """Failures by modality and by what they say, the most frequent first.

    Args:
        failures: in the order of failures.csv.
        groups: clip -> group; names of the two and paths within a reason are what differs between failures of a kind.
    """
    kinds: dict[tuple[str, str], list[Failure]] = defaultdict(list)
    reasons: dict[tuple[str, str], list[str]] = defaultdict(list)
    for failure in failures:
        reason = _anonymous(failure, groups.get(failure.clip, ""))
        key = failure.modality, _NUMBER.sub("#", reason)
        kinds[key].append(failure)
        reasons[key].append(reason)
    ordered = sorted(kinds, key=lambda key: (-len(kinds[key]), key))
    return tuple(
        FailureKind(key[0], _with_ranges(reasons[key]), len(kinds[key]), kinds[key][0].file) for key in ordered
    )


def _anonymous(failure: Failure, group: str) -> str:
    """A reason without the names of what it is about."""
    reason = _PATH.sub("…", failure.reason)
    for name in (failure.clip, group):
        if name:
            reason = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "…", reason)
    return reason


def _with_ranges(reasons: Sequence[str]) -> str:
    """One reason for many that differ in numbers only: `3` and `17` become `3..17`."""
    parts = [_NUMBER.split(reason) for reason in reasons]
    merged = list(parts[0])
    for place in range(1, len(merged), 2):
        texts = sorted({part[place] for part in parts}, key=lambda text: float(text.replace(",", "")))
        merged[place] = texts[0] if len(texts) == 1 else f"{texts[0]}..{texts[-1]}"
    return "".join(merged)


def _coverage(shares: Sequence[float]) -> Coverage:
    missing = sum(share == 0 for share in shares)
    whole = sum(share == 1 for share in shares)
    mean = sum(shares) / len(shares) if shares else 0.0
    return Coverage(whole, len(shares) - whole - missing, missing, mean)


def _slice(name: str, rows: Sequence[ClipRow], modalities: Sequence[str]) -> Slice:
    shares = {modality: _coverage([row.coverage[modality] for row in rows]).share for modality in modalities}
    return Slice(name, len(rows), shares)


def _is_unlabelled(row: ClipRow, *, of_frames: bool) -> bool:
    return row.attributes.get("annotated", "0") == "0" if of_frames else row.label is None


def _classes(rows: Sequence[ClipRow], modalities: Sequence[str], recipe: Recipe) -> tuple[Slice, ...]:
    task = task_of(recipe.corpus)
    if task.kind == "continuous":
        return ()
    members: dict[str, list[ClipRow]] = {name: [] for name in task.labels}
    for row in rows:
        members.setdefault(row.label_name or "no label", []).append(row)
    return tuple(_slice(name, found, modalities) for name, found in members.items())


def _distributions(rows: Sequence[ClipRow], recipe: Recipe, workspace: Workspace) -> tuple[Distribution, ...]:
    task = task_of(recipe.corpus)
    if task.kind != "continuous":
        return ()
    if recipe.corpus.continuous:
        parts = [_annotated(workspace, group) for group in sorted({row.group for row in rows})]
    else:
        parts = [np.array([row.label for row in rows if isinstance(row.label, tuple)])]
    values = np.concatenate([part.reshape(-1, task.num_outputs) for part in parts])
    return tuple(_distribution(name, values[:, number]) for number, name in enumerate(task.labels))


def _annotated(workspace: Workspace, group: str) -> np.ndarray:
    """(n, K) values of the annotated frames of a group's trials."""
    trials = [trial.values for trial in read_annotations(workspace.shard("annotations", group)).values()]
    values = np.concatenate(trials) if trials else np.zeros(0)
    return values[~np.isnan(values).any(axis=1)] if len(values) else values


def _distribution(dimension: str, values: np.ndarray) -> Distribution:
    if not len(values):
        return Distribution(dimension, 0, np.nan, np.nan, (np.nan,) * len(QUANTILES))
    quantiles = tuple(np.quantile(values, QUANTILES).tolist())
    return Distribution(dimension, len(values), float(values.mean()), float(values.std()), quantiles)
