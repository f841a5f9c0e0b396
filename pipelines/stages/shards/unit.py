"""What all kinds of shards share: the unit of work, and what is remembered of its making."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pipelines.corpora import Clip, Failure
from pipelines.errors import UnreadableMedia
from pipelines.media.biosignals import ChannelBatch
from pipelines.recipe import ManifestCorpus, ManifestModality, Recipe
from pipelines.stages.artifacts import Job
from pipelines.workspace import Workspace


@dataclass(frozen=True)
class ShardUnit:
    """The clips of one group that go into one shard.

    Attributes:
        kind: of shard.
        group: of the clips.
        clips: all of the group.
        recipe: the whole one.
        workspace: where the shard belongs.
        skipped: clip -> why no process is to read it again.
    """

    kind: str
    group: str
    clips: tuple[Clip, ...]
    recipe: Recipe
    workspace: Workspace
    skipped: Mapping[str, str] = field(default_factory=dict)

    def without(self, clip: str, reason: str) -> "ShardUnit":
        """The same shard, with a clip that is left alone and recorded as failed."""
        return replace(self, skipped={**self.skipped, clip: reason})

    def start(self, clip: str, file: Path, job: Job) -> None:
        """Say that a clip's file is read next.

        Raises:
            UnreadableMedia: the clip is to be left alone.
        """
        if clip in self.skipped:
            raise UnreadableMedia(file, self.skipped[clip])
        job.start(clip)

    @property
    def path(self) -> Path:
        """Where the shard belongs."""
        return self.workspace.shard(self.kind, self.group)

    def files(self, source: str) -> dict[str, Path]:
        """Clip -> its file of a kind of source, for the clips that have one."""
        return {clip.name: clip.files[source] for clip in self.clips if source in clip.files}

    @property
    def modality(self) -> ManifestModality:
        """The settings of a manifest's modality, which names its own kind of shard."""
        assert isinstance(self.recipe.corpus, ManifestCorpus)
        return self.recipe.corpus.modalities[self.kind]


@dataclass(frozen=True)
class GroupUnit:
    """What is made of one group in one go, kind after kind: what the first one read lies in memory for the others.

    A corpus is larger than the page cache, so that making one kind of all groups after the other would read a video
    from the disk, or over the network, as often as there are kinds.
    """

    shards: tuple[ShardUnit, ...]


@dataclass(frozen=True)
class ShardKind:
    """How one kind of shard is made.

    Attributes:
        name: of the kind, and of its folder in the cache.
        modalities: columns of coverage that it fills; none for what is no modality.
        layout: of its files, see `pipelines.cache.contents`.
        settings: what shapes the shard, as plain values.
        inputs: name -> file it is made from.
        build: writes it; returns the details of its sidecar, see `Outcome`.
        of_recordings: whether it is made from files with pictures or sound, which other kinds may be made from too.
    """

    name: str
    modalities: tuple[str, ...]
    layout: str
    settings: Callable[[ShardUnit], Any]
    inputs: Callable[[ShardUnit], Mapping[str, Path]]
    build: Callable[[ShardUnit, Job], dict[str, Any]]
    of_recordings: bool = False

    @classmethod
    def of_modality(
        cls,
        modality: str,
        *,
        layout: str = "biosignals",
        settings: Callable[[ShardUnit], Any],
        build: Callable[[ShardUnit, Job], dict[str, Any]],
        inputs: Callable[[ShardUnit], Mapping[str, Path]] = lambda unit: unit.files(unit.kind),
        of_recordings: bool = False,
    ) -> "ShardKind":
        """A kind that holds one modality and is named as it is, made from the modality's own files."""
        return cls(
            name=modality,
            modalities=(modality,),
            layout=layout,
            settings=settings,
            inputs=inputs,
            build=build,
            of_recordings=of_recordings,
        )


@dataclass
class Outcome:
    """What the tables of the cache must know of a shard.

    Attributes:
        coverage: clip -> modality -> share that can be used.
        attributes: clip -> further columns of clips.csv.
        failures: what could not be used.
    """

    coverage: dict[str, dict[str, float]] = field(default_factory=dict)
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def add_channel(self, name: str, files: Mapping[str, Path], batch: ChannelBatch) -> None:
        """What can be used of a channel of the clips that `batch` was made of, and why not where it cannot."""
        for (clip, file), share, reason in zip(files.items(), batch.coverage, batch.reasons, strict=True):
            self.coverage.setdefault(clip, {})[name] = share
            if reason:
                self.failures.append(Failure(clip, name, str(file), reason))

    def details(self) -> dict[str, Any]:
        """Plain values for the sidecar."""
        failures = [asdict(failure) for failure in self.failures]
        return {"coverage": self.coverage, "attributes": self.attributes, "failures": failures}
