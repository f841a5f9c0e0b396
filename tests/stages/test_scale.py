"""What is asked of disk and memory grows with the clips, the shards and the folds, and with no product of them."""

import os
import pickle
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipelines.cache.hdf5 import FORMAT, create, open_for_reading
from pipelines.cache.tables import ClipRow, write_clips
from pipelines.corpora import index_corpus
from pipelines.recipe.loading import load_recipe, override_recipe
from pipelines.stages import study as study_module
from pipelines.stages import train_teachers
from pipelines.stages.cells import FitUnit, load_cells
from pipelines.stages.execution import run_units
from pipelines.stages.preprocess import run as preprocess
from pipelines.stages.shards import GroupUnit, ShardUnit, artifacts_of, kinds_of
from pipelines.training import sources
from pipelines.training.sources import OpenShards
from pipelines.workspace import Recording, Workspace, write_csv, write_text

ONE_OUT = {"protocol.name": "loso", "teachers.cross_fit": 0}
CLASSES = ("BL1", "PA1", "PA2", "PA3", "PA4")


def make_corpus(root, subjects, each):
    """BioVid's layout, with empty files."""
    rows = []
    for person in range(subjects):
        subject = f"{70000 + person:06d}_w_20"
        for number in range(each):
            name = f"{subject}-{CLASSES[number % 5]}-{number + 1:03d}"
            rows.append([person + 1, subject, number % 5, CLASSES[number % 5], len(rows) + 1, name])
            for folder, suffix in (("video", ".mp4"), ("biosignals_raw", "_bio.csv")):
                path = root / "PartA" / folder / subject / f"{name}{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    header = ["subject_id", "subject_name", "class_id", "class_name", "sample_id", "sample_name"]
    table = root / "PartA" / "starting_point" / "samples.csv"
    table.parent.mkdir()
    table.write_text("\n".join("\t".join(map(str, row)) for row in [header, *rows]) + "\n")
    return override_recipe(
        load_recipe("biovid"),
        **{**ONE_OUT, "corpus.root": str(root), "corpus.task": "pain-five"},
    )


def stand_in(artifact):
    """An artifact of a few bytes, recorded as if it had been built."""
    recording = Recording(artifact.fingerprint)
    write_text(artifact.path, "stand-in")
    nothing = {"coverage": {}, "attributes": {}, "failures": []}
    recording.finish(artifact.path, **nothing)


@pytest.fixture
def asked(monkeypatch):
    """Counts what is asked of the file system: `stat` and `open`."""
    counts = Counter()
    stat, read_text, open_path = os.stat, Path.read_text, Path.open

    def counted(name, function):
        def call(*args, **kwargs):
            counts[name] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(os, "stat", counted("stat", stat))
    monkeypatch.setattr(Path, "read_text", counted("open", read_text))
    monkeypatch.setattr(Path, "open", counted("open", open_path))
    return counts


def cached(folder, subjects, each):
    """A corpus, its recipe, and a workspace in which all shards seem to be there."""
    recipe, workspace = make_corpus(folder / "corpus", subjects, each), Workspace(folder / "run")
    for kind in kinds_of(recipe):
        for group, clips in index_corpus(recipe.corpus).by_group().items():
            unit = ShardUnit(kind=kind, group=group, clips=clips, recipe=recipe, workspace=workspace)
            for artifact in artifacts_of(GroupUnit((unit,))):
                stand_in(artifact)
    preprocess(recipe, workspace, workers=0)
    return recipe, workspace


def test_a_finished_cache_is_asked_of_each_clip_once_and_opened_by_shard(tmp_path, asked):
    seen = {}
    for each in (5, 25):
        recipe, workspace = cached(tmp_path / str(each), subjects=4, each=each)
        asked.clear()
        preprocess(recipe, workspace, workers=0)
        seen[each] = asked.copy()
    assert seen[25]["open"] == seen[5]["open"]
    more = 4 * (25 - 5)
    assert (seen[25]["stat"] - seen[5]["stat"]) / more <= 2  # its two files, each once


def trained(folder, subjects):
    """A cache of two clips a subject, and stand-ins for all that stage 2 makes of it."""
    folder.mkdir()
    recipe, workspace = override_recipe(load_recipe("biovid"), **ONE_OUT), Workspace(folder)
    whole = dict.fromkeys(recipe.modalities, 1.0)
    names = [f"subject-{number:02d}" for number in range(subjects)]
    rows = [ClipRow(f"{name}-{n}", name, n, CLASSES[n], {}, whole) for name in names for n in (0, 1)]
    write_clips(workspace.clips, rows)
    for name in names:
        for kind in kinds_of(recipe):
            shard = workspace.shard(kind, name)
            write_csv(shard, ["stand-in"], [])
    return recipe, workspace


def units_of(recipe, workspace):
    return [FitUnit(cell, fit) for cell in load_cells(recipe, workspace) for fit in cell.fits()]


def test_what_is_asked_about_a_finished_training_grows_with_the_folds_alone(tmp_path, asked, monkeypatch):
    made = Counter()
    monkeypatch.setattr(study_module, "make_samples", counting(study_module.make_samples, made))
    seen = {}
    for subjects in (6, 12):
        recipe, workspace = trained(tmp_path / str(subjects), subjects)
        for unit in units_of(recipe, workspace):
            for artifact in train_teachers.artifacts_of(unit):
                stand_in(artifact)
        made.clear()
        units = units_of(recipe, workspace)
        asked.clear()
        assert not run_units("train-teachers", units, train_teachers.artifacts_of, workers=0, root=tmp_path)
        seen[subjects] = asked.copy()
        assert made.total() == 1
    # Twice the folds are twice the artifacts and shards; asking for every shard in every fold would be four times.
    assert seen[12]["stat"] <= 2.05 * seen[6]["stat"]
    assert seen[12]["open"] <= 2.05 * seen[6]["open"]


def counting(function, counts):
    def call(*args, **kwargs):
        counts[function.__name__] += 1
        return function(*args, **kwargs)

    return call


def test_a_shard_is_identified_once_for_all_folds(tmp_path, asked):
    recipe, workspace = trained(tmp_path / "run", 6)
    first, *others = [train_teachers.artifacts_of(unit)[0] for unit in units_of(recipe, workspace)]
    Recording(first.fingerprint)
    Recording(others[0].fingerprint)  # tests on another subject, so it knows the one that the first left out
    asked.clear()
    for artifact in others[1:]:
        Recording(artifact.fingerprint)
    assert asked["open"] == 0


def test_a_changed_shard_is_identified_again(tmp_path):
    recipe, workspace = trained(tmp_path / "run", 6)
    artifact = train_teachers.artifacts_of(units_of(recipe, workspace)[0])[0]
    before = Recording(artifact.fingerprint).key
    shard = next(iter(artifact.fingerprint.inputs.values()))
    status = shard.stat()
    write_csv(shard, ["stand-on"], [])
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert Recording(artifact.fingerprint).key != before


def test_to_another_process_goes_no_more_of_a_study_than_its_clips(tmp_path):
    recipe, workspace = trained(tmp_path / "run", 6)
    unit = units_of(recipe, workspace)[0]
    fresh = pickle.dumps(unit.cell.study)
    train_teachers.artifacts_of(unit)
    assert unit.cell.study.sizes.total() == 12
    assert pickle.dumps(unit.cell.study) == fresh


@pytest.mark.parametrize("step", ["index", "cells"])
def test_memory_is_a_few_kilobytes_a_clip(step, tmp_path):
    peaks = {}
    for each in (10, 100):
        recipe = make_corpus(tmp_path / f"{each}", 6, each)
        workspace, whole = Workspace(tmp_path / f"run-{each}"), dict.fromkeys(recipe.modalities, 1.0)
        rows = [ClipRow(c.name, c.group, c.label, "", c.attributes, whole) for c in index_corpus(recipe.corpus).clips]
        write_clips(workspace.clips, rows)
        tracemalloc.start()
        if step == "index":
            kept = index_corpus(recipe.corpus)
        else:
            kept = load_cells(recipe, workspace)
            assert [len(cell.of(cell.split.train)) > 0 and cell.digest(cell.split.train) for cell in kept]
        peaks[each] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        del kept
    assert (peaks[100] - peaks[10]) / (6 * 90) < 4096


class Shard:
    """A reader of a file, as those of the cache."""

    def __init__(self, path):
        self.path, self._file = path, open_for_reading(path, "faces")

    def kind(self):
        return self._file.attrs["kind"]


def files_open(folder):
    """How many files of a folder this process has open."""
    links = [path for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return sum(os.readlink(path).startswith(str(folder)) for path in links if os.path.lexists(path))


def test_only_so_many_shards_are_open_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_OPEN_AT_ONCE", 3)
    workspace = Workspace(tmp_path)
    workspace.shard("faces", "a").parent.mkdir(parents=True)
    for group in "abcdefg":
        create(workspace.shard("faces", group), "faces").close()
    shards = OpenShards(workspace, "faces", Shard)
    for group in "abcdefa":
        assert shards[group].path.stem == group
        assert files_open(tmp_path) <= 3
    latest = shards["f"], shards["a"]
    assert shards["g"]
    assert (shards["f"], shards["a"]) == latest
    for group in "bcde":
        assert shards[group]
    assert latest[0].kind() == b"faces", "one that is read is not closed under its reader"
    del latest
    assert files_open(tmp_path) == 3


def test_a_reader_keeps_nothing_of_what_it_read(tmp_path):
    path = tmp_path / "shard.h5"
    with h5py.File(path, "w") as file:
        file.attrs["kind"], file.attrs["format"] = np.bytes_("faces"), FORMAT
        file.create_dataset("bytes", data=np.zeros(1 << 20, "uint8"), chunks=(1 << 16,))
    with open_for_reading(path, "faces") as file:
        # By default HDF5 keeps the last 8 MiB of every dataset: most of a gigabyte for the shards of a corpus.
        assert file["bytes"].id.get_access_plist().get_chunk_cache()[1] == 0


def test_asking_what_is_stale_does_not_load_what_trains():
    code = (
        "import sys, importlib\n"
        "from pipelines.stages import STAGES\n"
        "importlib.import_module(STAGES['preprocess'])\n"
        "assert not {'torch', 'scipy.signal', 'neurokit2'} & set(sys.modules)\n"
        "for module in STAGES.values(): importlib.import_module(module)\n"
        "assert not {'lightning_fabric', 'sklearn', 'pandas', 'scipy.ndimage'} & set(sys.modules)\n"
    )
    root = Path(study_module.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
