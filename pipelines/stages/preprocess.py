"""Stage 1: raw corpus -> HDF5 shards, clips.csv and failures.csv.

One shard a group and kind, built by a pure function of (clips, recipe), see `shards`. Kinds that are made from the same
recordings are made together, group by group, so that a slow disk or network gives every file once. The tables are put
together from what the shards' sidecars remember, so they survive any resume.
"""

import logging
from collections.abc import Sequence

from pipelines.cache.tables import FAILURE_COLUMNS, ClipRow, write_clips
from pipelines.corpora import Corpus, Failure, index_corpus
from pipelines.errors import MtpkdError, SettingsError, TooManyFailures
from pipelines.recipe import Recipe, SyntheticAffWild2Corpus, SyntheticCorpus
from pipelines.recipe.loading import render_recipe
from pipelines.stages.execution import default_workers, run_units
from pipelines.stages.executors import Executor
from pipelines.stages.locking import hold
from pipelines.stages.shards import GroupUnit, ShardUnit, artifacts_of, kinds_of, without
from pipelines.stages.shards.features import WIDTH
from pipelines.stages.supervision import Supervision
from pipelines.stages.verify import repair
from pipelines.workspace import Fingerprint, Recording, Workspace, read_sidecar, write_csv, write_text

log = logging.getLogger("mtpkd")
CLIP_TIMEOUT_S = {False: 600.0, True: 7200.0}
"""Recipe of continuous labels? -> longest time for a clip: of a few seconds, or of up to an hour on a slow detector."""


def run(
    recipe: Recipe,
    workspace: Workspace,
    *,
    only: str | None = None,
    workers: int | Executor | None = None,
    max_failures: float = 0.05,
    clip_timeout: float | None = None,
    repairing: bool = False,
) -> None:
    """Build every stale shard and write the tables.

    Args:
        only: `faces`, `audio` or `biosignals`, or a modality of a manifest; None builds all. Annotations always are.
        workers: processes; None takes one a processor. 0 works in this one, which a file may crash or hang. Or an
            executor.
        max_failures: share of clips that may fail before the run counts as failed.
        clip_timeout: seconds after which a clip counts as failed; None takes `CLIP_TIMEOUT_S`.
        repairing: check every shard against its checksum first, and make the broken ones again.

    Raises:
        SettingsError: the corpus is not where or what it should be.
        MtpkdError: files of features that differ in length from group to group.
        WorkspaceInUse, CannotWrite: somebody else writes in the workspace, or nobody can.
        TooManyFailures: after everything was written.
    """
    workers = default_workers() if workers is None else workers
    if isinstance(workers, Executor):
        workers = workers.needing(cpus=1, gpus=0)
    wanted = _wanted(recipe, only)
    corpus = _read_layout(recipe, workers)
    supervision = Supervision(clip_timeout or CLIP_TIMEOUT_S[recipe.corpus.continuous], without)
    with hold(workspace):
        write_text(workspace.recipe, render_recipe(recipe))
        if repairing:
            repair(workspace, kinds=wanted)
        for kinds in _runs(wanted, recipe):
            _build(kinds, corpus, recipe, workspace, workers, supervision)
        failures = _write_tables(corpus, recipe, workspace)
    _summarise(corpus, failures, workspace, max_failures)


def _wanted(recipe: Recipe, only: str | None) -> list[str]:
    """Kinds of shards to build: what is no modality always is."""
    kinds = kinds_of(recipe)
    media = [name for name, kind in kinds.items() if kind.modalities]
    if only is not None and only not in media:
        raise SettingsError(f"--only {only}: {recipe.corpus.name} has {', '.join(media)}")
    return [name for name in kinds if name == (only or name) or name not in media]


def _runs(wanted: Sequence[str], recipe: Recipe) -> list[tuple[str, ...]]:
    """The kinds that are made together: all of recordings, and every other one by itself."""
    kinds = kinds_of(recipe)
    recorded = tuple(name for name in wanted if kinds[name].of_recordings)
    others = [(name,) for name in wanted if name not in recorded]
    return [recorded, *others] if recorded else others


def _read_layout(recipe: Recipe, workers: int | Executor) -> Corpus:
    """The corpus' clips; a synthetic one is drawn first."""
    if isinstance(recipe.corpus, SyntheticCorpus | SyntheticAffWild2Corpus):
        _render(recipe.corpus, workers if isinstance(workers, int) else default_workers())
    corpus = index_corpus(recipe.corpus)
    log.info("corpus: %d clips of %d groups in %s", len(corpus.clips), len(corpus.groups), corpus.root)
    return corpus


def _render(settings: SyntheticCorpus | SyntheticAffWild2Corpus, workers: int) -> None:
    from tqdm import tqdm

    from pipelines.corpora.synthetic import render_synthetic
    from pipelines.corpora.synthetic_affwild2 import render_synthetic_affwild2

    with tqdm(total=0, desc="render corpus", unit="clip", disable=None, delay=1, leave=False) as bar:
        if isinstance(settings, SyntheticCorpus):
            render_synthetic(settings, workers=workers, progress=bar)
        else:
            render_synthetic_affwild2(settings, workers=workers, progress=bar)


def _build(
    kinds: Sequence[str],
    corpus: Corpus,
    recipe: Recipe,
    workspace: Workspace,
    workers: int | Executor,
    supervision: Supervision,
) -> None:
    """Build the stale shards of some kinds."""
    units = [
        GroupUnit(
            tuple(ShardUnit(kind=kind, group=group, clips=clips, recipe=recipe, workspace=workspace) for kind in kinds)
        )
        for group, clips in corpus.by_group().items()
    ]
    of_features = recipe.corpus.kinds.get(kinds[0]) == "features"
    # Numbers are copied faster than a process starts.
    processes = 0 if of_features else workers
    label = f"preprocess {', '.join(kinds)}"
    run_units(label, units, artifacts_of, workers=processes, root=workspace.root, supervision=supervision)
    if of_features:
        _check_width(kinds[0], corpus, workspace)


def _check_width(kind: str, corpus: Corpus, workspace: Workspace) -> None:
    """An encoder of features reads the same number of them from every clip."""
    records = {group: read_sidecar(workspace.shard(kind, group)) for group in corpus.groups}
    widths = {
        group: record["details"][WIDTH] for group, record in records.items() if record and WIDTH in record["details"]
    }
    if len(set(widths.values())) > 1:
        least, most = min(widths, key=widths.__getitem__), max(widths, key=widths.__getitem__)
        raise MtpkdError(
            f"{kind}: clips of {least} have {widths[least]} features, those of {most} {widths[most]}: write the same "
            "features of every clip, NaN for those that could not be computed"
        )


def _write_tables(corpus: Corpus, recipe: Recipe, workspace: Workspace) -> list[Failure]:
    coverage: dict[str, dict[str, float]] = {clip.name: {} for clip in corpus.clips}
    attributes: dict[str, dict[str, str]] = {clip.name: dict(clip.attributes) for clip in corpus.clips}
    failures = list(corpus.missing)
    modalities: dict[str, float] = {}
    for name, kind in kinds_of(recipe).items():
        for group in corpus.groups:
            record = read_sidecar(workspace.shard(name, group))
            if record is None:
                continue
            modalities |= dict.fromkeys(kind.modalities, 0.0)
            failures += [Failure(**failure) for failure in record["details"]["failures"]]
            for clip, shares in record["details"]["coverage"].items():
                coverage.get(clip, {}).update(shares)
            for clip, values in record["details"]["attributes"].items():
                attributes.get(clip, {}).update(values)
    rows = [
        ClipRow(
            clip=clip.name,
            group=clip.group,
            label=clip.label,
            label_name=corpus.task.labels[clip.label] if isinstance(clip.label, int) else "",
            attributes=attributes[clip.name],
            coverage={**modalities, **coverage[clip.name]},
        )
        for clip in corpus.clips
    ]
    write_clips(workspace.clips, rows, dimensions=corpus.task.labels if recipe.continuous_clips else ())
    lines = sorted((f.clip, f.modality, f.file, f.reason) for f in failures)
    write_csv(workspace.failures, FAILURE_COLUMNS, lines)
    for table in (workspace.clips, workspace.failures):
        Recording(Fingerprint({})).finish(table)
    return failures


def _summarise(corpus: Corpus, failures: Sequence[Failure], workspace: Workspace, max_failures: float) -> None:
    failed = {failure.clip for failure in failures if not failure.tolerated}
    everything = {clip.name for clip in corpus.clips} | failed
    share = len(failed) / len(everything)
    log.info("clips: %d, with failures: %d (%.1f %%)", len(everything), len(failed), 100 * share)
    failures = sorted(failures, key=lambda failure: failure.tolerated)
    for failure in failures[:3]:
        log.info("  %s, %s: %s", failure.clip, failure.modality, failure.reason)
    if failures:
        log.info("  all %d in %s", len(failures), workspace.failures)
    if share > max_failures:
        raise TooManyFailures(
            f"{len(failed)} of {len(everything)} clips failed ({100 * share:.1f} %), more than --max-failures "
            f"{max_failures:g} allows: see {workspace.failures}. Everything else is in the cache."
        )
