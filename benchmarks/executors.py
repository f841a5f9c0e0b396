"""`preprocess` with one worker and with two: local processes against tasks of a Ray cluster that is started here.

python benchmarks/executors.py [--rounds N] [--subjects N]

Everything is made anew each time, in interleaved rounds; the caches are compared byte for byte. A round of either kind
starts its processes itself; of Ray, the nodes run already, as a cluster's do.
"""

import argparse
import hashlib
import logging
import statistics
import tempfile
import time
from pathlib import Path

from pipelines.corpora.synthetic import render_synthetic
from pipelines.recipe import BioVidCorpus, Recipe, SyntheticCorpus
from pipelines.recipe.loading import load_recipe, override_recipe, plain
from pipelines.stages import preprocess
from pipelines.stages.executors import Workers
from pipelines.stages.executors.ray_cluster import RayCluster
from pipelines.workspace import Workspace

ARMS: dict[str, Workers] = {
    "local, 1": 1,
    "local, 2": 2,
    "Ray, 1": RayCluster(workers=1, address="local"),
    "Ray, 2": RayCluster(workers=2, address="local"),
}


def corpus(folder: Path, subjects: int) -> Recipe:
    """A rendered corpus, read as BioVid."""
    small = {"corpus.root": str(folder / "corpus"), "corpus.subject_count": subjects, "corpus.clips_per_class": 3}
    recipe = override_recipe(load_recipe("demo"), **small)
    assert isinstance(recipe.corpus, SyntheticCorpus)
    render_synthetic(recipe.corpus)
    return override_recipe(recipe, corpus=plain(BioVidCorpus(root=recipe.corpus.root)))


def seconds(recipe: Recipe, workers: Workers) -> tuple[float, str]:
    """Wall time of making the cache, and a digest of it."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "w")
        started = time.perf_counter()
        preprocess.run(recipe, workspace, workers=workers)
        taken = time.perf_counter() - started
        shards = sorted(workspace.cache.rglob("*.h5"))
        return taken, hashlib.sha256(b"".join(path.read_bytes() for path in shards)).hexdigest()


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--subjects", type=int, default=12)
    asked = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        recipe = corpus(Path(folder), asked.subjects)
        RayCluster(address="local").connect()
        rounds = [{name: seconds(recipe, workers) for name, workers in ARMS.items()} for _ in range(asked.rounds + 1)]
    assert len({digest for found in rounds for _, digest in found.values()}) == 1, "caches differ"
    taken = {name: [found[name][0] for found in rounds[1:]] for name in ARMS}
    for name, values in taken.items():
        print(f"{name}: {statistics.median(values):.1f} s")
    for kind in ("local", "Ray"):
        ratio = statistics.median(a / b for a, b in zip(taken[f"{kind}, 1"], taken[f"{kind}, 2"], strict=True))
        print(f"{kind}: two workers are {ratio:.2f}x as fast as one")
    for count in (1, 2):
        pairs = zip(taken[f"Ray, {count}"], taken[f"local, {count}"], strict=True)
        print(f"Ray against local, {count}: {statistics.median(a / b for a, b in pairs):.2f}x the time")


if __name__ == "__main__":
    main()
