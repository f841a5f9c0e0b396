"""A tiny corpus on disk, the recipe that fits it, and one finished workspace, made once for the whole session."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from pipelines.recipe import Recipe
from pipelines.recipe.loading import load_recipe, override_recipe

TINY = {
    "corpus.subject_count": 6,
    "corpus.clips_per_class": 2,
    "corpus.seconds": 2.0,
    "corpus.width": 160,
    "biosignals.seconds": 2.0,
    "windows.start": 0.2,
    "windows.stop": 1.8,
    "windows.frames": 4,
    "windows.samplings": 2,
    "model.embedding": 32,
    "model.width": 16,
    "protocol.folds": 2,
    "protocol.validation_share": 0.3,
    "teachers.cross_fit": 0,
    "training.teachers.epochs": 2,
    "training.fusion.epochs": 2,
    "training.hallucination.epochs": 2,
    "training.alignment.epochs": 2,
    "training.distillation.epochs": 2,
    "training.distillation.batch_size": 8,
    "distillation.anchors": 4,
    "evaluation.resamples": 200,
}

TINY_AFFWILD2 = {
    "corpus.videos": 8,
    "corpus.seconds": 5.0,
    "corpus.width": 200,
    "faces.size": 64,
    "windows.frames": 2,
    "windows.samplings": 2,
    "windows.hop": 12,
    "windows.context": 3,
    "model.embedding": 32,
    "model.width": 16,
    "protocol.name": "hold-out",
    "protocol.validation_share": 0.3,
    "teachers.cross_fit": 2,
    "training.teachers.epochs": 2,
    "training.fusion.epochs": 2,
    "training.hallucination.epochs": 2,
    "training.alignment.epochs": 2,
    "training.distillation.epochs": 2,
    "training.distillation.batch_size": 16,
    "distillation.anchors": 4,
    "evaluation.resamples": 200,
    "evaluation.smoothing": [0.0, 1.0],
}


@pytest.fixture
def disk_full_at() -> Callable[[int], AbstractContextManager[None]]:
    """`with disk_full_at(bytes):` no file that this process writes grows larger."""

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)

    return limited


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """The demo's recipe on a corpus of 24 clips, which is rendered when it is first preprocessed."""
    root = tmp_path_factory.mktemp("corpus") / "synthetic"
    return override_recipe(load_recipe("demo"), **{**TINY, "corpus.root": str(root)})


@pytest.fixture(scope="session")
def crossed_recipe(tiny_recipe: Recipe) -> Recipe:
    """The tiny recipe with cross-fitted teachers."""
    return override_recipe(tiny_recipe, **{"corpus.subject_count": 6, "teachers.cross_fit": 2, "protocol.folds": 3})


@pytest.fixture(scope="session")
def tiny_affwild2(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """The demo's recipe on eight drawn videos with sound, rendered when they are first preprocessed."""
    root = tmp_path_factory.mktemp("corpus") / "synthetic-affwild2"
    return override_recipe(load_recipe("demo-affwild2"), **{**TINY_AFFWILD2, "corpus.root": str(root)})


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings; tests that need it are skipped, saying so, where it is not there."""
    folder = Path(os.environ.get("MTPKD_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "real"))
    if not folder.is_dir():
        pytest.skip(f"REAL RECORDINGS NOT TESTED: {folder} does not exist, set MTPKD_REAL_DATA to the folder")
    return folder
