"""Does the machinery grow linearly, and does anything hold the corpus in memory? 87, 870 and 8,700 clips.

    python benchmarks/scale.py [--clips 87 870 8700] [--folder DIR]

BioVid's layout with as many clips as asked for, of eight frames and one second of signals each: a few are drawn, all
others are links to them, so what is measured is what surrounds decoding. Subjects grow with the clips (9, 29, 87), as
shards, folds and what is asked of each of them do; clips a subject grow too (about 10, 30, 100). Each step runs in a
process of its own that imports first; its time is that of the work alone, its memory the peak of the whole process
(VmHWM) and of the largest process that it started.

Training is no part of it. Checkpoints are stand-ins of a few bytes, recorded under the fingerprints that the stages ask
for, with random predictions: `finished` workspaces in which no stage has anything left to do, with five folds and
leaving one subject out.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pipelines.recipe import Recipe
    from pipelines.stages.execution import Artifact
    from pipelines.training.samples import Sample
    from pipelines.workspace import Workspace

SUBJECTS = {87: 9, 870: 29, 8700: 87}
FRAMES, RATE, SIGNAL_RATE, MODELS = 8, 25, 512, 5
GROWTH, OPENING_S = 1.3, 2.0
PROTOCOLS = ("k-fold", "loso")
Step = Callable[["Recipe", "Workspace"], Iterator[int]]
"""Imports, then yields; works, then yields how many clips it went through."""


def make_corpus(root: Path, clips: int) -> None:
    """A folder in BioVid's layout: `clips` clips of a few people, all links to five drawn ones."""
    from pipelines.corpora.biovid import CLASSES

    drawn = root / "drawn"
    drawn.mkdir(parents=True)
    for number in range(MODELS):
        _draw(drawn / f"{number}.mp4", number)
        _simulate(drawn / f"{number}_bio.csv", number)
    subjects = SUBJECTS.get(clips, max(4, round(clips**0.5)))
    rows = ["subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"]
    for number in range(clips):
        person, turn = number % subjects, number // subjects
        subject, pain = f"{70000 + person:06d}_{'wm'[person % 2]}_{20 + person % 45}", (turn + person) % len(CLASSES)
        name = f"{subject}-{CLASSES[pain]}-{turn + 1:03d}"
        rows.append(f"{person + 1}\t{subject}\t{pain}\t{CLASSES[pain]}\t{number + 1}\t{name}")
        for folder, suffix in (("video", ".mp4"), ("biosignals_raw", "_bio.csv")):
            path = root / "PartA" / folder / subject / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(drawn / f"{number % MODELS}{suffix}")
    table = root / "PartA" / "starting_point" / "samples.csv"
    table.parent.mkdir()
    table.write_text("\n".join(rows) + "\n")


def _draw(path: Path, seed: int) -> None:
    from pipelines.corpora.synthetic_face import draw_frames
    from pipelines.corpora.synthetic_truth import ACTIONS, draw_subjects, stream
    from pipelines.media.video import write_video

    subject, actions = draw_subjects(seed, 1)[0], np.zeros((FRAMES, len(ACTIONS)))
    write_video(path, draw_frames(stream(seed, 3), subject, actions, seed=seed, width=160, rate=RATE), RATE)


def _simulate(path: Path, seed: int) -> None:
    random, time_s = np.random.default_rng(seed), np.arange(SIGNAL_RATE) / SIGNAL_RATE
    columns = [time_s * 1e6, 5 + 0.1 * time_s, 500 * (np.sin(7 * time_s) > 0.95), *np.zeros((3, SIGNAL_RATE))]
    values = np.stack(columns, 1)
    values[:, 1:] += random.normal(0, 0.01, (SIGNAL_RATE, 5))
    header = "time\tgsr\tecg\temg_trapezius\temg_corrugator\temg_zygomaticus"
    np.savetxt(path, values, fmt="%.6f", delimiter="\t", header=header, comments="")


def recipe_for(root: Path, protocol: str) -> "Recipe":
    """BioVid's recipe for five classes, as long as the clips are."""
    from pipelines.recipe.loading import load_recipe, override_recipe

    short = {"biosignals.seconds": 1.0, "windows.start": 0.0, "windows.stop": FRAMES / RATE, "windows.frames": FRAMES}
    chosen = {"corpus.root": str(root), "corpus.task": "pain-five", "protocol.name": protocol, "training.device": "cpu"}
    return override_recipe(load_recipe("biovid"), **short, **chosen)


def index(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """samples.csv and folders -> clips."""
    from pipelines.corpora import index_corpus

    yield 0
    yield len(index_corpus(recipe.corpus).clips)


def cache(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """Stage 1, whatever of it is to do, with two workers."""
    from pipelines.stages import preprocess

    yield 0
    preprocess.run(recipe, workspace, workers=2)
    yield _clips(workspace)


def check(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """Every shard against its checksum and clips.csv."""
    from pipelines.stages.verify import verify_cache

    yield 0
    assert verify_cache(workspace).is_sound
    yield _clips(workspace)


def look(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """The overview of the cache."""
    from pipelines.stages.inspection import overview

    yield 0
    yield overview(recipe, workspace).clips


def split(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """Every fold and fit of both protocols, each audited on the samples that it would train and validate on."""
    from pipelines.protocols.audit import Evidence, audit
    from pipelines.stages.cells import load_cells

    yield 0
    for protocol in PROTOCOLS:
        for cell in load_cells(recipe_for(recipe.corpus.root, protocol), workspace):
            for fit in cell.fits():
                used = {"weights": fit.train, "selection": fit.validation, "test": cell.split.test}
                evidence = [Evidence(name, name, frozenset(s.group for s in cell.of(g))) for name, g in used.items()]
                audit(cell.split, evidence)
    yield _clips(workspace)


def read_clips(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """An epoch of what encoders read, in random order: crops and all biosignals, standardised, 32 at a time."""
    from pipelines.training.normalisation import fit_normaliser, scope_of
    from pipelines.training.problems.encoder import ModalityReader
    from pipelines.training.sources import make_source

    yield 0
    rows = _samples(recipe, workspace)
    order = np.random.default_rng(0).permutation(len(rows))
    for modality in recipe.modalities:
        source = make_source(workspace, recipe, modality)
        usable = [rows[i] for i in order if source.is_usable(rows[i])]
        reader = ModalityReader(source, fit_normaliser(source, usable, scope_of(recipe, modality)))
        for start in range(0, len(usable), 32):
            reader.batch(usable[start : start + 32], ("epoch", 0))
    yield len(rows)


def embed(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """Write a store of embeddings of every clip, as large as BioVid's."""
    from pipelines.cache.embeddings import Column, EmbeddingStore, write_embeddings

    rows, width = _samples(recipe, workspace), recipe.model.embedding
    yield 0
    views = {modality: recipe.windows.samplings if modality == "faces" else 1 for modality in recipe.modalities}
    columns = {
        m: Column(np.ones((len(rows), v, width), np.float32), np.ones(len(rows), bool)) for m, v in views.items()
    }
    write_embeddings(workspace.root / "embeddings.h5", EmbeddingStore(tuple(row.name for row in rows), columns))
    yield len(rows)


def read_embeddings(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """Opening that store, as a training does, and an epoch of random batches of 128."""
    import torch

    from pipelines.cache.embeddings import read_embeddings as read
    from pipelines.corpora import task_of
    from pipelines.training.tables import EmbeddingTable

    rows = _samples(recipe, workspace)
    yield 0
    store = read(workspace.root / "embeddings.h5")
    table = EmbeddingTable(store, recipe.modalities, rows, task_of(recipe.corpus))
    for part in torch.randperm(len(rows)).split(128):
        table.embeddings(part, table.draw(part, jitter=True))
    yield len(rows)


def score(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """Predictions of every method -> the three files of results, with intervals and verdicts."""
    from pipelines.corpora import task_of
    from pipelines.reporting.results import compute_results, write_results
    from pipelines.stages.cells import load_cells
    from pipelines.stages.evaluate import prediction_files

    cells = load_cells(recipe, workspace)
    yield 0
    files = prediction_files(_methods(recipe), cells)
    write_results(workspace, compute_results(files, task_of(recipe.corpus), recipe.evaluation), recipe, cells[0].task)
    yield _clips(workspace)


def finish(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """Stand-ins for everything that stages 2 to 5 make."""
    from pipelines.recipe.loading import render_recipe
    from pipelines.stages import align, distill, evaluate, train_teachers
    from pipelines.stages.cells import FitUnit, load_cells
    from pipelines.workspace import Recording, write_text

    write_text(workspace.recipe, render_recipe(recipe))
    cells = load_cells(recipe, workspace)
    yield 0
    units: list[tuple[Callable[[Any], list[Artifact]], Any]]
    units = [
        (stage.artifacts_of, FitUnit(c, fit)) for stage in (train_teachers, align) for c in cells for fit in c.fits()
    ]
    units += [(distill.artifacts_of, distill.StudentUnit(c, m)) for c in cells for m in recipe.distillation.methods]
    units += [(evaluate.artifacts_of, evaluate.EvaluationUnit(c, _methods(recipe))) for c in cells]
    for artifacts_of, unit in units:
        for artifact in artifacts_of(unit):
            recording = Recording(artifact.fingerprint)
            if artifact.path.parent.name == "predictions":
                _predict(artifact.path, unit.cell.of(unit.cell.split.test), unit.cell.task)
            else:
                write_text(artifact.path, f"stand-in for {artifact.path}")
            recording.finish(artifact.path)
    yield _clips(workspace)


def nothing(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """The first four stages of a workspace in which nothing is to do."""
    from pipelines.stages import run_before

    yield 0
    run_before("evaluate", recipe, workspace, workers=1)
    yield _clips(workspace)


def _predict(path: Path, rows: "list[Sample]", task: Any) -> None:
    from pipelines.cache.predictions import write_predictions
    from pipelines.metrics import Predictions

    random = np.random.default_rng(len(path.name))
    write_predictions(
        path,
        Predictions(
            groups=np.array([row.group for row in rows]),
            clips=np.array([row.clip for row in rows]),
            target=np.array([row.label for row in rows], np.int64),
            scores=random.dirichlet(np.ones(task.num_outputs), len(rows)),
        ),
        task,
    )


def _methods(recipe: "Recipe") -> tuple[str, ...]:
    students = [name for name in ("none", "none-matched", "mt-pkdot") if name in recipe.distillation.methods]
    return (*(f"teacher:{name}" for name in recipe.teacher_subsets), *students)


def _clips(workspace: "Workspace") -> int:
    with workspace.clips.open() as stream:
        return sum(1 for _ in stream) - 1


def _samples(recipe: "Recipe", workspace: "Workspace") -> "list[Sample]":
    from pipelines.cache.tables import read_clips
    from pipelines.training.samples import make_samples

    return make_samples(read_clips(workspace.clips), workspace, recipe.windows)


STEPS: dict[str, Step] = {
    "index": index,
    "preprocess, 2 workers": cache,
    "preprocess again": cache,
    "verify": check,
    "inspect": look,
    "splits and audit": split,
    "read clips": read_clips,
    "write embeddings": embed,
    "read embeddings": read_embeddings,
}
"""Of the one cache; in the order of the pipeline."""
FINISHED: dict[str, Step] = {"stand-ins": finish, "evaluate": score, "nothing to do": nothing}
"""Of each protocol."""


def run_step(name: str, root: Path, workspace: Path, protocol: str) -> None:
    """Do one step in this process, and print what it took."""
    from pipelines.workspace import Workspace

    work = {**STEPS, **FINISHED}[name](recipe_for(root, protocol), Workspace(workspace))
    next(work)
    started = time.perf_counter()
    clips = next(work)
    seconds = time.perf_counter() - started
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"clips": clips, "seconds": seconds, "MiB": peak, "MiB of a worker": workers}))


def measure(name: str, root: Path, workspace: Path, protocol: str) -> dict[str, float]:
    """What a step took in a process of its own."""
    options = ["--step", name, "--root", str(root), "--workspace", str(workspace), "--protocol", protocol]
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Make the corpora, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, nargs="+", default=list(SUBJECTS))
    parser.add_argument("--folder", type=Path, help="where corpora and workspaces are made, and kept")
    for name in ("step", "protocol"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    for name in ("root", "workspace"):
        parser.add_argument(f"--{name}", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        run_step(arguments.step, arguments.root, arguments.workspace, arguments.protocol)
        return
    with tempfile.TemporaryDirectory() as temporary:
        for clips in arguments.clips:
            measure_all(arguments.folder or Path(temporary), clips)


def measure_all(folder: Path, clips: int) -> None:
    """Every step at one size."""
    root, places = folder / f"corpus-{clips}", {name: folder / f"{name}-{clips}" for name in PROTOCOLS}
    if not root.exists():
        make_corpus(root, clips)
    first = places[PROTOCOLS[0]]
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
        if place != first and not (place / "cache").exists():
            (place / "cache").symlink_to(first / "cache", target_is_directory=True)
    for name in STEPS:
        show(clips, name, measure(name, root, first, PROTOCOLS[0]))
    for protocol, place in places.items():
        for name in FINISHED:
            show(clips, f"{protocol}: {name}", measure(name, root, place, protocol))
        for command in ("inspect", "evaluate"):
            started = time.perf_counter()
            line = [sys.executable, "-m", "mtpkd_cli", command, "--workspace", str(place)]
            subprocess.run(line, check=True, capture_output=True)
            print(f"{clips:>6}  {f'{protocol}: mtpkd {command}':<28}{time.perf_counter() - started:>9.2f}", flush=True)


def show(clips: int, name: str, found: dict[str, float]) -> None:
    """One line of the table."""
    assert found["clips"] == clips, f"{name}: {found['clips']} of {clips} clips"
    seconds, peak, workers = found["seconds"], found["MiB"], found["MiB of a worker"]
    print(f"{clips:>6}  {name:<28}{seconds:>9.2f}{clips / seconds:>12,.0f}{peak:>8.0f}{workers:>8.0f}", flush=True)


if __name__ == "__main__":
    main()
