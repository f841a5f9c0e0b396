"""One worker and two, local processes against tasks of a Ray cluster that is started here: shards, and trainings.

python benchmarks/executors.py [--rounds N] [--subjects N]

Everything is made anew each time, in interleaved rounds, and compared byte for byte. A round of either kind starts its
processes itself; of Ray, the nodes run already, as a cluster's do.
"""

import argparse
import hashlib
import logging
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipelines.corpora.synthetic import render_synthetic
from pipelines.recipe import BioVidCorpus, Recipe, SyntheticCorpus
from pipelines.recipe.loading import load_recipe, override_recipe, plain
from pipelines.stages import preprocess, train_teachers
from pipelines.stages.executors import Executor
from pipelines.stages.executors.ray_cluster import RayCluster
from pipelines.workspace import Workspace

ARMS: dict[str, int | Executor] = {
    "local, 1": 1,
    "local, 2": 2,
    "Ray, 1": RayCluster(workers=1, address="local"),
    "Ray, 2": RayCluster(workers=2, address="local"),
}
Job = Callable[[Recipe, Workspace, int | Executor], None]


def corpus(folder: Path, subjects: int) -> Recipe:
    """A rendered corpus, read as BioVid; trainings are as long as the demo's."""
    small = {"corpus.root": str(folder / "corpus"), "corpus.subject_count": subjects, "corpus.clips_per_class": 3}
    recipe = override_recipe(load_recipe("demo"), **small)
    assert isinstance(recipe.corpus, SyntheticCorpus)
    render_synthetic(recipe.corpus)
    return override_recipe(recipe, corpus=plain(BioVidCorpus(root=recipe.corpus.root)))


def shards(recipe: Recipe, workspace: Workspace, workers: int | Executor) -> None:
    """Stage 1."""
    preprocess.run(recipe, workspace, workers=workers)


def trainings(recipe: Recipe, workspace: Workspace, workers: int | Executor) -> None:
    """Stage 2."""
    train_teachers.run(recipe, workspace, workers=workers)


def seconds(job: Job, recipe: Recipe, workers: int | Executor, begin: Path | None) -> tuple[float, str]:
    """Wall time of a job in a workspace like another one or an empty one, and a digest of what it made."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "w")
        if begin:
            shutil.copytree(begin, workspace.root)
        started = time.perf_counter()
        job(recipe, workspace, workers)
        taken = time.perf_counter() - started
        made = sorted(path for kind in ("h5", "safetensors") for path in workspace.root.rglob(f"*.{kind}"))
        return taken, hashlib.sha256(b"".join(path.read_bytes() for path in made)).hexdigest()


def measure(name: str, job: Job, recipe: Recipe, begin: Path | None, rounds: int) -> None:
    """Interleaved rounds of all arms, of which the first does not count; prints medians and ratios."""
    found = [{arm: seconds(job, recipe, workers, begin) for arm, workers in ARMS.items()} for _ in range(rounds + 1)]
    assert len({digest for each in found for _, digest in each.values()}) == 1, "they made something else"
    taken = {arm: [each[arm][0] for each in found[1:]] for arm in ARMS}
    print(f"{name}: " + ", ".join(f"{arm}: {statistics.median(values):.1f} s" for arm, values in taken.items()))
    for kind in ("local", "Ray"):
        ratio = statistics.median(a / b for a, b in zip(taken[f"{kind}, 1"], taken[f"{kind}, 2"], strict=True))
        print(f"  {kind}: two workers are {ratio:.2f}x as fast as one")
    for count in (1, 2):
        pairs = zip(taken[f"Ray, {count}"], taken[f"local, {count}"], strict=True)
        print(f"  Ray against local, {count}: {statistics.median(a / b for a, b in pairs):.2f}x the time")


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--subjects", type=int, default=12)
    asked = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        recipe = corpus(Path(folder), asked.subjects)
        cached = Workspace(Path(folder) / "cached")
        preprocess.run(recipe, cached, workers=2)
        RayCluster(address="local").connect()
        measure("shards", shards, recipe, None, asked.rounds)
        measure("trainings", trainings, recipe, cached.root, asked.rounds)


if __name__ == "__main__":
    main()
