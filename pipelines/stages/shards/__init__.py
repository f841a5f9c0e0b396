"""Building one shard of the cache: the pure functions of (clips, recipe) that stage 1 runs in its processes.

A kind of shard says what it is made from, which settings shape it, and how it is built. A clip that cannot be used is
recorded with file and reason and takes nothing else with it; shards remember that in their sidecars.
"""

from functools import partial

from pipelines.recipe import Recipe
from pipelines.stages.execution import Artifact
from pipelines.stages.shards.annotations import ANNOTATIONS
from pipelines.stages.shards.audio import AUDIO
from pipelines.stages.shards.biosignals import BIOSIGNAL_SHARDS
from pipelines.stages.shards.faces import FACES
from pipelines.stages.shards.unit import ShardKind, ShardUnit
from pipelines.workspace import Fingerprint

__all__ = ["KINDS", "ShardKind", "ShardUnit", "artifacts_of", "kinds_of"]

KINDS: dict[str, ShardKind] = {kind.name: kind for kind in (ANNOTATIONS, FACES, AUDIO, BIOSIGNAL_SHARDS)}
"""In an order in which each finds what it is made from."""


def kinds_of(recipe: Recipe) -> tuple[str, ...]:
    """The kinds of shards that a recipe's corpus has."""
    there = {*recipe.corpus.kinds, *(("annotations",) if recipe.corpus.continuous else ())}
    return tuple(name for name, kind in KINDS.items() if there & set(kind.modalities or (name,)))


def artifacts_of(unit: ShardUnit) -> list[Artifact]:
    """The one shard of a unit; its recipe keys are those of its kind only."""
    kind = KINDS[unit.kind]
    fingerprint = Fingerprint(
        recipe={unit.kind: kind.settings(unit), "clips": [clip.name for clip in unit.clips]}, inputs=kind.inputs(unit)
    )
    return [Artifact(unit.path, fingerprint, partial(kind.build, unit), cost=len(unit.clips))]
