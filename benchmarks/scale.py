"""Does the machinery grow linearly, and does anything hold the corpus in memory? 87, 870 and 8,700 clips.

    python benchmarks/scale.py [--clips 87 870 8700] [--folder DIR]

BioVid's layout with so many clips of eight frames and one second of signals: a few are drawn, all others are links to
them, so what is measured is what surrounds decoding. Subjects grow with the clips (9, 29, 87), because shards and folds
grow with them; clips a subject do too (10, 30, 100). Each step runs in a process of its own that imports first: its
time is that of the work alone, its memory the peak of the process (VmHWM) and of the largest one that it started. The
last column is the time a clip against that at the size before. `mtpkd` is timed whole, as a user waits for it.

Training is no part of it: checkpoints are stand-ins of a few bytes under the fingerprints that the stages ask for, and
predictions are random, with five folds and leaving one subject out.
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
from typing import TYPE_CHECKING

import numpy as np
from support.scale_workspace import FRAMES, RATE, finish, make_corpus, tested

if TYPE_CHECKING:
    from pipelines.recipe import Recipe
    from pipelines.training.samples import Sample
    from pipelines.workspace import Workspace

SUBJECTS = {87: 9, 870: 29, 8700: 87}
PROTOCOLS = ("k-fold", "loso")
Step = Callable[["Recipe", "Workspace"], Iterator[int]]
"""Imports, then yields; works, then yields how many clips it went through."""


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
                train, validation = (frozenset(s.group for s in cell.of(part)) for part in (fit.train, fit.validation))
                audit(cell.split, [Evidence("a", "weights", train), Evidence("b", "selection", validation)])
    yield _clips(workspace)


def enter(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """What a training does before its first step: splits, samples, and a batch of every modality."""
    from pipelines.stages.cells import load_cells
    from pipelines.training.sources import make_source

    yield 0
    cell = load_cells(recipe, workspace)[0]
    rows = cell.of((*cell.split.train, *cell.split.validation, *cell.split.test))
    for modality in recipe.modalities:
        source = make_source(workspace, recipe, modality)
        for row in [row for row in rows if source.is_usable(row)][:32]:
            source.read(row)
    yield len(rows)


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
    files = prediction_files(tested(recipe), cells)
    write_results(workspace, compute_results(files, task_of(recipe.corpus), recipe.evaluation), recipe, cells[0].task)
    yield _clips(workspace)


def stand_in(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """What stages 2 to 5 would have made."""
    from pipelines.stages import evaluate  # noqa: F401 (importing is not measured)
    from pipelines.stages.cells import load_cells

    cells = load_cells(recipe, workspace)
    yield 0
    finish(recipe, workspace, cells)
    yield _clips(workspace)


def nothing(recipe: "Recipe", workspace: "Workspace") -> Iterator[int]:
    """The first four stages of a workspace in which nothing is to do."""
    import importlib

    from pipelines.stages import STAGES, run_before

    for module in STAGES.values():
        importlib.import_module(module)
    yield 0
    run_before("evaluate", recipe, workspace, workers=1)
    yield _clips(workspace)


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
    "open for training": enter,
    "read clips": read_clips,
    "write embeddings": embed,
    "read embeddings": read_embeddings,
}
"""Of the one cache, in the order of the pipeline; `FINISHED` are those of each protocol."""
FINISHED: dict[str, Step] = {"stand-ins": stand_in, "evaluate": score, "nothing to do": nothing}


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
    print(json.dumps({"clips": clips, "seconds": seconds, "MiB": peak, "worker": workers}))


def measure(name: str, root: Path, workspace: Path, protocol: str) -> dict[str, float]:
    """What a step took in a process of its own."""
    options = ["--step", name, "--root", str(root), "--workspace", str(workspace), "--protocol", protocol]
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Make the corpora, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, nargs="+", default=list(SUBJECTS), choices=SUBJECTS)
    parser.add_argument("--folder", type=Path, help="where corpora and workspaces are made, and kept")
    for name, kind in (("step", str), ("protocol", str), ("root", Path), ("workspace", Path)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        run_step(arguments.step, arguments.root, arguments.workspace, arguments.protocol)
        return
    print(f"{'clips':>6}  {'step':<24}{'s':>9}{'clips/s':>10}{'MiB':>7}{'worker':>8}{'time a clip':>20}")
    before: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for clips in arguments.clips:
            for name, found in measure_all(arguments.folder or Path(temporary), clips):
                show(clips, name, found, before)


def measure_all(folder: Path, clips: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Every step at one size, and what it took."""
    root, places = folder / f"corpus-{clips}", {name: folder / f"{name}-{clips}" for name in PROTOCOLS}
    if not root.exists():
        make_corpus(root, clips, SUBJECTS[clips])
    first = places[PROTOCOLS[0]]
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
        if place != first and not (place / "cache").exists():
            (place / "cache").symlink_to(first / "cache", target_is_directory=True)
    for name in STEPS:
        yield name, measure(name, root, first, PROTOCOLS[0])
    for protocol, place in places.items():
        for name in FINISHED:
            yield f"{protocol}: {name}", measure(name, root, place, protocol)
        for command in ("inspect", "evaluate"):
            started = time.perf_counter()
            line = [sys.executable, "-m", "mtpkd_cli", command, "--workspace", str(place)]
            subprocess.run(line, check=True, capture_output=True)
            yield f"{protocol}: mtpkd {command}", {"clips": clips, "seconds": time.perf_counter() - started}


def show(clips: int, name: str, found: dict[str, float], before: dict[str, float]) -> None:
    """One line of the table; `before` is the time a clip at the size before, and becomes that of this one."""
    assert found["clips"] == clips, f"{name}: {found['clips']} of {clips} clips"
    seconds, memory = found["seconds"], "".join(f"{found[key]:>7.0f}" for key in ("MiB", "worker") if key in found)
    growth = f"{seconds / clips / before[name]:.2f}x" if name in before else ""
    print(f"{clips:>6}  {name:<24}{seconds:>9.2f}{clips / seconds:>10,.0f}{memory:<15}{growth:>20}", flush=True)
    before[name] = seconds / clips


if __name__ == "__main__":
    main()
