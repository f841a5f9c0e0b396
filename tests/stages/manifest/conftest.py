"""A corpus of the user's own, of features and signals in every layout, much of it missing; two finished runs on it."""

import csv
import shutil

import numpy as np
import pytest

from pipelines.recipe import Recipe
from pipelines.recipe.loading import override_recipe, parse_recipe
from pipelines.stages import align, distill, preprocess, run_all, train_teachers
from pipelines.workspace import Workspace

GROUPS, CLIPS, RATE = 8, 4, 20.0
EPOCHS = {"epochs": 2, "batch_size": 8}
CONTINUOUS = {"corpus.task": "continuous", "corpus.labels": ["strain"], "corpus.classes": []}


def write_corpus(root):
    """32 clips of 8 groups: a table prevalent; two signals, in CSV and npy, and vectors privileged, a third missing."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows, table = [], [["id", "au1", "au2", "au3"]]
    for number in range(GROUPS * CLIPS):
        clip, group = f"c{number:02d}", f"g{number // CLIPS}"
        level = (number % CLIPS) / CLIPS + rng.normal(0, 0.1)
        cells = {"pulse": f"{clip}.csv", "breath": f"{clip}.npy", "tests": f"{clip}_tests.npy"}
        time = np.arange(round(3.5 * RATE)) / RATE
        wave = np.sin(2 * np.pi * (1 + level) * time) + rng.normal(0, 0.1, len(time))
        (root / cells["pulse"]).write_text("t,ppg\n" + "\n".join(f"{t},{v}" for t, v in zip(time, wave, strict=True)))
        np.save(root / cells["breath"], wave[::-1] * 5)
        np.save(root / cells["tests"], np.array([level, rng.normal()]))
        table.append([clip, *(f"{value:.6f}" for value in (level, -level, rng.normal()))])
        for place, name in enumerate(cells):
            if (number + place) % 3 == 0:
                cells[name] = ""
        high = "" if number % 11 == 5 else ("low", "high")[number % 2]
        rows.append([clip, group, high, f"{50 + 20 * level:.3f}" if high else "", *cells.values(), "fm"[number % 2]])
    table[4][1:] = ["", "nan", ""]  # c03 has a row without any number
    del table[8]  # c07 has no row
    write_rows(
        root / "manifest.csv", [["clip", "group", "label", "strain", *("pulse", "breath", "tests"), "sex"], *rows]
    )
    write_rows(root / "faces.csv", table)


def write_rows(path, rows):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


def make_recipe(root, **changes) -> Recipe:
    values = {
        "corpus": {
            "name": "manifest",
            "root": str(root),
            "classes": ["low", "high"],
            "attributes": ["sex"],
            "modalities": {
                "faces": {"kind": "features", "table": "faces.csv", "key": "id"},
                "pulse": {
                    "kind": "signal", "column": "pulse", "channel": "ppg", "rate": RATE, "seconds": 3.0,
                    "band": [0.1, 5.0], "normalisation": "per-group",
                },
                "breath": {"kind": "signal", "column": "breath", "rate": RATE, "seconds": 3.0, "resampled": 12.0},
                "tests": {"kind": "features", "column": "tests"},
            },
        },
        "prevalent": ["faces"],
        "privileged": ["pulse", "breath", "tests"],
        "encoders": {
            "faces": {"architecture": "features-mlp"},
            "pulse": {"architecture": "wave-cnn"},
            "breath": {"architecture": "small-spectrogram"},
            "tests": {"architecture": "features-mlp"},
        },
        "model": {"embedding": 16, "width": 8, "heads": 2, "tokens": 2},
        "teachers": {"cross_fit": 2},
        "protocol": {"folds": 2, "validation_share": 0.3},
        "distillation": {"anchors": 4, "methods": ["none", "kd", "mt-pkdot"]},
        "training": dict.fromkeys(("teachers", "fusion", "hallucination", "alignment", "distillation"), EPOCHS),
        "evaluation": {"resamples": 100},
    }  # fmt: skip
    return override_recipe(parse_recipe(values, source="test"), **changes)


@pytest.fixture(scope="session")
def recipe_of():
    """`recipe_of(root, **changes)`: classes; with `strain=True` continuous labels."""

    def make(root, *, strain=False, **changes):
        return make_recipe(root, **{**(CONTINUOUS if strain else {}), **changes})

    return make


@pytest.fixture
def edit_cells():
    """`edit_cells(path, column, change)` changes one column of a CSV; `change` is given each row as a mapping."""

    def edit(path, column, change):
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
        for row in rows:
            row[column] = change(row)
        write_rows(path, [list(rows[0]), *(list(row.values()) for row in rows)])

    return edit


@pytest.fixture
def weights():
    """The bytes of every checkpoint of a workspace, by name."""

    def read(workspace):
        found = {str(p.relative_to(workspace.root)): p.read_bytes() for p in workspace.root.rglob("*.safetensors")}
        assert found
        return found

    return read


@pytest.fixture
def train():
    """`train(recipe, workspace)` runs all stages but the last."""

    def run(recipe, workspace):
        for stage in (preprocess, train_teachers, align, distill):
            stage.run(recipe, workspace, workers=1)

    return run


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """The corpus. Not to be changed by a test."""
    folder = tmp_path_factory.mktemp("manifest") / "data"
    write_corpus(folder)
    return folder


@pytest.fixture
def own(root, tmp_path):
    """A private copy of the corpus."""
    shutil.copytree(root, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def classes(root, tmp_path_factory) -> Workspace:
    """A workspace of classes that went through all five stages. Not to be changed by a test."""
    workspace = Workspace(tmp_path_factory.mktemp("runs") / "classes")
    run_all(make_recipe(root), workspace, workers=1)
    return workspace


@pytest.fixture(scope="session")
def strain(root, tmp_path_factory) -> Workspace:
    """The same with continuous labels. Not to be changed by a test."""
    workspace = Workspace(tmp_path_factory.mktemp("runs") / "strain")
    run_all(make_recipe(root, **CONTINUOUS), workspace, workers=1)
    return workspace
