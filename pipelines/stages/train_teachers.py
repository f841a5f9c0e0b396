"""Stage 2: cache -> teachers, embeddings and the hallucination net, for every fold, seed and fit.

Encoders are trained on frames, waves and sound; then every training and validation clip (or window of one) is embedded
once, and teachers that fuse modalities, or neighbouring windows, and the hallucination net are trained on those
embeddings. Test clips are not read. The fits of the cross-fitting repeat all of it on parts of the training groups:
they exist to judge the others' clips out of fold.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pipelines.cache.embeddings import EmbeddingStore, write_embeddings
from pipelines.models.hallucination import HallucinationNet
from pipelines.models.teachers import FusionTeacher
from pipelines.recipe import Recipe
from pipelines.stages.artifacts import Artifact, Job
from pipelines.stages.cells import FitUnit, load_cells
from pipelines.stages.executors import Workers
from pipelines.stages.fitting import problem_tables, run_tracked, train
from pipelines.stages.forests import forest_artifact
from pipelines.stages.locking import exclusive
from pipelines.stages.networks import embed_modality, encoder_schema
from pipelines.stages.team import Team
from pipelines.stages.tracking import check_services
from pipelines.training.checkpoints import load_checkpoint
from pipelines.training.device import prepare_encoder
from pipelines.training.normalisation import fit_normaliser, normalisation_keys, scope_of
from pipelines.training.restoring import make_teacher
from pipelines.training.sources import make_source, placement_keys
from pipelines.weights import REGISTRY, ensure, path_of
from pipelines.workspace import Fingerprint, Workspace, atomic_path

if TYPE_CHECKING:
    from lightning_fabric import Fabric

log = logging.getLogger("mtpkd")


@exclusive
def run(
    recipe: Recipe,
    workspace: Workspace,
    *,
    workers: Workers | None = None,
    track: Sequence[str] = (),
    resume: bool = True,
) -> None:
    """Train every stale teacher; `track` names services. Raises MissingArtifact before `preprocess`.

    `resume`: see `run_tracked`.
    """
    check_services(track)
    cells = load_cells(recipe, workspace)
    units = [FitUnit(cell, fit) for cell in cells for fit in cell.fits()]
    _fetch_weights(recipe, units, workers if isinstance(workers, Team) else None)
    run_tracked("train-teachers", recipe, workspace, units, artifacts_of, workers=workers, track=track, resume=resume)


def _fetch_weights(recipe: Recipe, units: Sequence[FitUnit], team: Team | None) -> None:
    """Have the published weights that stale encoders start from, before workers ask for them where nobody sees it."""
    if team is None or team.fabric.local_rank == 0:
        _fetch_weights_here(recipe, units)
    if team is not None:
        team.wait()


def _fetch_weights_here(recipe: Recipe, units: Sequence[FitUnit]) -> None:
    for modality in recipe.modalities:
        name = str(recipe.encoders[modality].weights)
        if name not in REGISTRY or path_of(REGISTRY[name]).exists():
            continue
        encoders = (_encoder_artifact(unit, modality, _split_keys(unit)) for unit in units)
        if any(encoder.stale_reason() for encoder in encoders):
            log.info("train-teachers: fetching %s, %.0f MB", name, REGISTRY[name].size / 1e6)
            ensure([name], user=f"encoders.{modality}.weights = {name}")


def artifacts_of(unit: FitUnit) -> list[Artifact]:
    """Encoders, their embeddings, multimodal teachers, and for the full fit the hallucination net."""
    recipe, split_keys = unit.cell.recipe, _split_keys(unit)
    artifacts = [_encoder_artifact(unit, modality, split_keys) for modality in recipe.modalities]
    artifacts.append(_embedding_artifact(unit))
    fused = [name for name in recipe.teacher_subsets if unit.cell.is_fused(name)]
    make = forest_artifact if recipe.teachers.model == "forest" else _fusion_artifact
    artifacts += [make(unit, name, split_keys) for name in fused]
    if unit.fit.name == "full":
        artifacts.append(_hallucination_artifact(unit, split_keys))
    return artifacts


def _split_keys(unit: FitUnit) -> dict[str, Any]:
    """What of the split makes a teacher stale: all clips of its groups go into it, so it is asked for once a unit."""
    fit = unit.fit
    digest = unit.cell.digest((*fit.train, *fit.validation))
    return {"train": list(fit.train), "validation": list(fit.validation), "clips": digest}


def _encoder_artifact(unit: FitUnit, modality: str, split_keys: dict[str, Any]) -> Artifact:
    cell, fit = unit.cell, unit.fit
    keys = ["model.embedding", f"encoders.{modality}", "training.teachers"]
    keys += [*placement_keys(cell.recipe, modality), *normalisation_keys(cell.recipe, modality)]
    inputs = cell.shards(modality, (*fit.train, *fit.validation))
    weights = cell.recipe.encoders[modality].weights
    if weights is not None and str(weights) not in REGISTRY:  # what a name stands for never changes
        inputs["weights"] = weights
    fingerprint = Fingerprint({**cell.learning_keys(*keys), **split_keys}, inputs, cell.split.seed)
    cost = cell.count(fit.train) * cell.recipe.training.teachers.epochs
    build = partial(_train_encoder, unit, modality)
    return Artifact(cell.encoder(fit, modality), fingerprint, build, cost, trained=True)


def _train_encoder(unit: FitUnit, modality: str, job: Job) -> dict[str, Any]:
    from pipelines.training.problems.encoder import EncoderProblem, ModalityReader

    cell, fit, recipe = unit.cell, unit.fit, unit.cell.recipe
    source = make_source(cell.workspace, recipe, modality)
    train_rows, validation_rows = (
        cell.usable(source, groups, f"{purpose} the {modality} teacher on")
        for groups, purpose in ((fit.train, "train"), (fit.validation, "validate"))
    )
    normaliser = fit_normaliser(source, train_rows, scope_of(recipe, modality))
    normaliser = normaliser.extended(source, validation_rows)
    shape = source.read(train_rows[0]).shape
    name = f"{fit.name}: teacher {modality}"

    def build(fabric: "Fabric") -> EncoderProblem:
        network = make_teacher(recipe, modality, cell.task, shape)
        prepare_encoder(network.encoder, fabric.device, compiled=recipe.training.compiled)
        return EncoderProblem(
            name=name,
            network=network,
            reader=ModalityReader(source, normaliser, fabric.device),
            train=[row for row in train_rows if row.label is not None],
            validation=[row for row in validation_rows if row.label is not None],
            task=cell.task,
            batch_size=recipe.training.teachers.batch_size,
            seed=(cell.split.seed, cell.split.fold),
        )

    return train(
        cell,
        job,
        name=name,
        build=build,
        settings=recipe.training.teachers,
        schema=encoder_schema(modality, normaliser, shape),
    )


def _embedding_artifact(unit: FitUnit) -> Artifact:
    cell, fit = unit.cell, unit.fit
    groups = (*cell.split.train, *cell.split.validation)
    inputs = {f"teacher {m}": cell.encoder(fit, m) for m in cell.recipe.modalities}
    for modality in cell.recipe.modalities:
        inputs |= cell.shards(modality, groups)
    placement = [key for modality in cell.recipe.modalities for key in placement_keys(cell.recipe, modality)]
    keys = {**cell.learning_keys(*placement), "clips": cell.digest(groups), "samplings": _samplings(unit)}
    cost = cell.count(groups) * len(cell.recipe.modalities)
    path = cell.embeddings(fit)
    return Artifact(path, Fingerprint(keys, inputs, cell.split.seed), partial(_embed_clips, unit), cost)


def _samplings(unit: FitUnit) -> int:
    # Cross-fitted teachers only judge clips at the regular sampling; storing the others would cost gigabytes.
    return unit.cell.samplings if unit.fit.name == "full" else 1


def _embed_clips(unit: FitUnit, job: Job) -> dict[str, Any]:
    cell = unit.cell
    rows = cell.of((*cell.split.train, *cell.split.validation))
    columns = {}
    for modality in cell.recipe.modalities:
        samplings = _samplings(unit) if cell.recipe.corpus.kinds[modality] == "video" else 1
        checkpoint = load_checkpoint(cell.encoder(unit.fit, modality))
        columns[modality] = embed_modality(cell, checkpoint, modality, rows, samplings=samplings)
        job.advance(len(rows))
    with atomic_path(job.path) as partial_path:
        write_embeddings(partial_path, EmbeddingStore(clips=tuple(row.name for row in rows), columns=columns))
    return {"clips": len(rows)}


def _fusion_artifact(unit: FitUnit, name: str, split_keys: dict[str, Any]) -> Artifact:
    cell, fit = unit.cell, unit.fit
    keys = {**cell.learning_keys("model", "training.fusion"), "subset": list(cell.recipe.teacher_subsets[name])}
    fingerprint = Fingerprint({**keys, **split_keys}, {"embeddings": cell.embeddings(fit)}, cell.split.seed)
    cost = cell.count(fit.train) * cell.recipe.training.fusion.epochs
    return Artifact(cell.teacher(fit, name), fingerprint, partial(_train_fusion, unit, name), cost, trained=True)


def _train_fusion(unit: FitUnit, name: str, job: Job) -> dict[str, Any]:
    from pipelines.training.problems.fusion import FusionProblem

    cell, fit, recipe = unit.cell, unit.fit, unit.cell.recipe
    subset = recipe.teacher_subsets[name]

    def build(fabric: "Fabric") -> FusionProblem:
        return FusionProblem(
            network=FusionTeacher(
                modalities=subset,
                settings=recipe.model,
                num_outputs=cell.task.num_outputs,
                context=recipe.windows.context,
            ),
            task=cell.task,
            **problem_tables(cell, fit, subset, subset, fabric),
            name=f"{fit.name}: teacher {name}",
            batch_size=recipe.training.fusion.batch_size,
        )

    return train(
        cell,
        job,
        name=f"{fit.name}: teacher {name}",
        build=build,
        settings=recipe.training.fusion,
        schema={"modalities": list(subset)},
    )


def _hallucination_artifact(unit: FitUnit, split_keys: dict[str, Any]) -> Artifact:
    cell, fit = unit.cell, unit.fit
    keys = {**cell.learning_keys("model", "training.hallucination", "prevalent", "privileged"), **split_keys}
    fingerprint = Fingerprint(keys, {"embeddings": cell.embeddings(fit)}, cell.split.seed)
    cost = cell.count(fit.train) * cell.recipe.training.hallucination.epochs
    return Artifact(cell.hallucination, fingerprint, partial(_train_hallucination, unit), cost, trained=True)


def _train_hallucination(unit: FitUnit, job: Job) -> dict[str, Any]:
    from pipelines.training.problems.hallucination import HallucinationProblem, explained_variance

    cell, recipe = unit.cell, unit.cell.recipe
    problems: list[HallucinationProblem] = []

    def build(fabric: "Fabric") -> HallucinationProblem:
        width, dropout = recipe.model.embedding, recipe.model.dropout
        network = HallucinationNet(privileged=recipe.privileged, prevalent=width, embedding=width, dropout=dropout)
        problems.append(
            HallucinationProblem(
                network=network,
                prevalent=recipe.prevalent,
                **problem_tables(cell, unit.fit, recipe.modalities, recipe.prevalent, fabric, context=False),
                name="hallucination net",
                batch_size=recipe.training.hallucination.batch_size,
            )
        )
        return problems[0]

    details = train(
        cell,
        job,
        name="hallucination net",
        build=build,
        settings=recipe.training.hallucination,
        schema={"prevalent": list(recipe.prevalent), "privileged": list(recipe.privileged)},
    )
    return {**details, "r2_on_validation_subjects": explained_variance(problems[0])}
