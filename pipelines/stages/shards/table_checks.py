"""Do clips.csv and failures.csv say what the sidecars of the shards remember?"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.cache.tables import ClipRow
from pipelines.corpora import Failure
from pipelines.stages.shards.integrity import CheckedShard
from pipelines.stages.shards.unit import ShardKind

_DIGITS = 0.6e-4
"""clips.csv gives shares with four digits."""


@dataclass(frozen=True)
class SoundShard:
    """One shard that is what was written."""

    kind: ShardKind
    group: str
    checked: CheckedShard


def clip_faults(rows: Sequence[ClipRow], shards: Iterable[SoundShard]) -> Iterator[str]:
    """What is wrong with clips.csv, as rests of sentences that begin with its name: clips lost, doubled, misjudged."""
    by_name = {row.clip: row for row in rows}
    members: dict[str, set[str]] = {}
    for row in rows:
        members.setdefault(row.group, set()).add(row.clip)
    yield from (f"has clip {clip} {times} times" for clip, times in Counter(r.clip for r in rows).items() if times > 1)
    for shard in shards:
        clips = set(shard.checked.clips)
        where = f"{shard.kind.name}/{shard.group}.h5"
        yield from (f"lacks clip {clip} of {where}" for clip in sorted(clips - members[shard.group]))
        yield from (f"has clip {clip}, which {where} lacks" for clip in sorted(members[shard.group] - clips))
        for clip in shard.checked.clips:
            if clip in by_name:
                yield from _row_faults(by_name[clip], shard)


def _row_faults(row: ClipRow, shard: SoundShard) -> Iterator[str]:
    outcome = shard.checked.outcome
    shares = outcome.coverage.get(row.clip, {})
    for modality in shard.kind.modalities:
        told, share = row.coverage.get(modality), shares.get(modality, 0.0)
        if told is None or not abs(told - share) <= _DIGITS:
            given = "no number" if told is None else f"{told:g}"
            yield f"gives {given} as coverage of clip {row.clip}, {modality}, where the shard has {share:.4f}"
    for name, value in outcome.attributes.get(row.clip, {}).items():
        if row.attributes.get(name) != value:
            yield f"gives {row.attributes.get(name)!r} as {name} of clip {row.clip}, where the shard has {value!r}"


def failure_faults(failures: Iterable[Failure], shards: Iterable[SoundShard]) -> Iterator[str]:
    """What failures.csv lacks of what shards remember. What the index missed stands in no shard."""
    remembered = Counter(_line(failure) for shard in shards for failure in shard.checked.outcome.failures)
    for line, times in (remembered - Counter(map(_line, failures))).items():
        clip, modality, _, reason = line
        yield from [f"lacks the failure of clip {clip}, {modality}: {reason}"] * times


def _line(failure: Failure) -> tuple[str, str, str, str]:
    return failure.clip, failure.modality, failure.file, failure.reason
