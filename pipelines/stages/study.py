"""What all folds and seeds of a workspace share, worked out once however many they are.

Leaving one subject out of BioVid asks, several hundred times, which clips most of the subjects have, how many samples
those are, and where their shards lie. Whatever is asked of groups is therefore kept by group.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.cache.tables import ClipRow
from pipelines.corpora import task_of
from pipelines.recipe import Recipe, Task
from pipelines.recipe.loading import plain
from pipelines.training.samples import Sample, make_samples
from pipelines.workspace import Workspace, identify


@dataclass(frozen=True)
class Study:
    """A recipe, where its artifacts lie, and all clips of the cache in the order of their table."""

    recipe: Recipe
    workspace: Workspace
    clips: tuple[ClipRow, ...]

    def __reduce__(self) -> tuple[type["Study"], tuple[Recipe, Workspace, tuple[ClipRow, ...]]]:
        """To another process goes what it is made of, not what was worked out."""
        return Study, (self.recipe, self.workspace, self.clips)

    @cached_property
    def task(self) -> Task:
        """What is predicted."""
        return task_of(self.recipe.corpus)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The recipe as plain values; not to be changed."""
        return plain(self.recipe)

    @cached_property
    def by_group(self) -> dict[str, list[ClipRow]]:
        """Group -> its clips."""
        members: dict[str, list[ClipRow]] = {}
        for row in self.clips:
            members.setdefault(row.group, []).append(row)
        return members

    @cached_property
    def digests(self) -> dict[str, str]:
        """Group -> what changes with its clips, their labels and their coverage."""
        return {group: self._digest(group, rows) for group, rows in self.by_group.items()}

    def _digest(self, group: str, rows: Iterable[ClipRow]) -> str:
        lines = [f"{row.clip}\t{row.group}\t{row.label}\t{sorted(row.coverage.items())}" for row in rows]
        if self.recipe.corpus.continuous:
            shard = self.workspace.shard("annotations", group)
            lines.append(f"{shard.name}\t{(identify(shard) or {}).get('sha256')}")
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @cached_property
    def samples(self) -> tuple[Sample, ...]:
        """The samples (clips, or windows of them) of all clips, in the order of the table and of time."""
        return tuple(make_samples(self.clips, self.workspace, self.recipe.windows))

    @cached_property
    def sizes(self) -> Counter[str]:
        """Group -> how many samples it has."""
        return Counter(sample.group for sample in self.samples)

    @cached_property
    def shards(self) -> dict[str, dict[str, Path]]:
        """Modality -> group, in sorted order -> the shard that holds it."""
        kinds = {modality: self.recipe.shard_kind(modality) for modality in self.recipe.modalities}
        groups = sorted(self.by_group)
        return {name: {group: self.workspace.shard(kind, group) for group in groups} for name, kind in kinds.items()}
