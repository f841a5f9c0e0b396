"""Stage 1: raw corpus -> HDF5 shards, clips.csv and failures.csv.

One shard a group and kind, built by a pure function of (clips, recipe), see `shards`. The tables are put together from
what the shards' sidecars remember, so they survive any resume.
"""

import logging
from collections.abc import Mapping, Sequence

from pipelines.cache.tables import ClipRow, write_clips
from pipelines.corpora import Corpus, Failure, index_corpus
from pipelines.errors import MtpkdError, SettingsError, TooManyFailures
from pipelines.recipe import Recipe, SyntheticAffWild2Corpus, SyntheticCorpus
from pipelines.recipe.loading import render_recipe
from pipelines.stages.execution import default_workers, run_units
from pipelines.stages.shards import ShardKind, ShardUnit, artifacts_of, kinds_of
from pipelines.stages.shards.features import WIDTH
from pipelines.workspace import Workspace, read_sidecar, write_csv, write_text

log = logging.getLogger("mtpkd")


def run(
    recipe: Recipe,
    workspace: Workspace,
    *,
    only: str | None = None,
    workers: int | None = None,
    max_failures: float = 0.05,
) -> None:
    """Build every stale shard and write the tables.

    Args:
        only: `faces`, `audio` or `biosignals`, whichever the corpus has, or a modality of a manifest; None builds all.
            Annotations are always built.
        workers: processes; None takes one a processor.
        max_failures: share of clips that may fail before the run counts as failed.

    Raises:
        SettingsError: the corpus is not where or what it should be.
        MtpkdError: files of features that differ in length from group to group.
        TooManyFailures: after everything was written.
    """
    kinds = kinds_of(recipe)
    media = [name for name, kind in kinds.items() if kind.modalities]
    if only is not None and only not in media:
        raise SettingsError(f"--only {only}: {recipe.corpus.name} has {', '.join(media)}")
    workers = workers or default_workers()
    if isinstance(recipe.corpus, SyntheticCorpus | SyntheticAffWild2Corpus):
        _render(recipe.corpus, workers)
    corpus = index_corpus(recipe.corpus)
    log.info("corpus: %d clips of %d groups in %s", len(corpus.clips), len(corpus.groups), corpus.root)
    write_text(workspace.recipe, render_recipe(recipe))
    for kind in kinds:
        if kind == (only or kind) or kind not in media:
            units = [_unit(kind, group, corpus, recipe, workspace) for group in corpus.groups]
            # Numbers are copied faster than a process starts.
            processes = 1 if recipe.corpus.kinds.get(kind) == "features" else workers
            run_units(f"preprocess {kind}", units, artifacts_of, workers=processes, root=workspace.root)
            _check_width(kind, corpus, workspace)
    failures = _write_tables(corpus, kinds, recipe, workspace)
    _summarise(corpus, failures, workspace, max_failures)


def _render(settings: SyntheticCorpus | SyntheticAffWild2Corpus, workers: int) -> None:
    from tqdm import tqdm

    from pipelines.corpora.synthetic import render_synthetic
    from pipelines.corpora.synthetic_affwild2 import render_synthetic_affwild2

    with tqdm(total=0, desc="render corpus", unit="clip", disable=None, delay=1, leave=False) as bar:
        if isinstance(settings, SyntheticCorpus):
            render_synthetic(settings, workers=workers, progress=bar)
        else:
            render_synthetic_affwild2(settings, workers=workers, progress=bar)


def _unit(kind: str, group: str, corpus: Corpus, recipe: Recipe, workspace: Workspace) -> ShardUnit:
    clips = tuple(clip for clip in corpus.clips if clip.group == group)
    return ShardUnit(kind=kind, group=group, clips=clips, recipe=recipe, workspace=workspace)


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


def _write_tables(
    corpus: Corpus, kinds: Mapping[str, ShardKind], recipe: Recipe, workspace: Workspace
) -> list[Failure]:
    coverage: dict[str, dict[str, float]] = {clip.name: {} for clip in corpus.clips}
    attributes: dict[str, dict[str, str]] = {clip.name: dict(clip.attributes) for clip in corpus.clips}
    failures = list(corpus.missing)
    modalities: dict[str, float] = {}
    for name, kind in kinds.items():
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
    write_csv(workspace.failures, ("clip", "modality", "file", "reason"), lines)
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
