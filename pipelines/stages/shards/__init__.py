"""Building one shard of the cache: the pure functions of (clips, recipe) that stage 1 runs in its processes.

A kind of shard says what it is made from, which settings shape it, and how it is built. A clip that cannot be used is
recorded with file and reason and takes nothing else with it; shards remember that in their sidecars. BioVid and
Aff-Wild2 have kinds of their own; a manifest has one a modality, named as it.
"""

from dataclasses import replace
from functools import partial

from pipelines.cache.hdf5 import FORMAT
from pipelines.recipe import ManifestCorpus, ModalityKind, Recipe
from pipelines.stages.artifacts import Artifact
from pipelines.stages.shards.annotations import ANNOTATIONS
from pipelines.stages.shards.audio import AUDIO
from pipelines.stages.shards.biosignals import BIOSIGNAL_SHARDS
from pipelines.stages.shards.faces import face_shards
from pipelines.stages.shards.features import feature_shards
from pipelines.stages.shards.signals import signal_shards
from pipelines.stages.shards.sounds import sound_shards
from pipelines.stages.shards.unit import GroupUnit, ShardKind, ShardUnit
from pipelines.workspace import Fingerprint, stale_reason

__all__ = ["GroupUnit", "ShardKind", "ShardUnit", "artifacts_of", "kinds_of", "without"]

_PUBLISHED = (ANNOTATIONS, face_shards("faces", video="video", crops="crops"), AUDIO, BIOSIGNAL_SHARDS)


def kinds_of(recipe: Recipe) -> dict[str, ShardKind]:
    """The kinds of shards that a recipe's corpus has, by name, in an order in which each finds what it is made from."""
    if isinstance(recipe.corpus, ManifestCorpus):
        return {name: _manifest_kind(name, kind) for name, kind in recipe.corpus.kinds.items()}
    there = {*recipe.corpus.kinds, *(("annotations",) if recipe.corpus.continuous else ())}
    return {kind.name: kind for kind in _PUBLISHED if there & set(kind.modalities or (kind.name,))}


def _manifest_kind(modality: str, kind: ModalityKind) -> ShardKind:
    if kind == "video":
        return face_shards(modality, video=modality)
    return {"sound": sound_shards, "signal": signal_shards, "features": feature_shards}[kind](modality)


def artifacts_of(unit: GroupUnit) -> list[Artifact]:
    """The shards of a group, in order."""
    return [_artifact_of(shard) for shard in unit.shards]


def without(unit: GroupUnit, clip: str, reason: str) -> GroupUnit:
    """The same group, with a clip that is left alone in the shard that was being made: the first that is stale."""
    shards = list(unit.shards)
    for number, artifact in enumerate(artifacts_of(unit)):
        if stale_reason(artifact.path, artifact.fingerprint) is not None:
            shards[number] = shards[number].without(clip, reason)
            break
    return replace(unit, shards=tuple(shards))


def _artifact_of(unit: ShardUnit) -> Artifact:
    """The one shard; its recipe keys are those of its kind only."""
    kind = kinds_of(unit.recipe)[unit.kind]
    fingerprint = Fingerprint(
        recipe={unit.kind: kind.settings(unit), "clips": [clip.name for clip in unit.clips], "format": FORMAT},
        inputs=kind.inputs(unit),
    )
    return Artifact(unit.path, fingerprint, partial(kind.build, unit), cost=len(unit.clips))
