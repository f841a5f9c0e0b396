"""Array jobs through submitit, run on this machine: a killed job, a killed driver, and what a journal holds."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines.errors import MtpkdError, SettingsError
from pipelines.recipe.loading import render_recipe
from pipelines.stages import preprocess
from pipelines.stages.executors.elsewhere import Site
from pipelines.stages.executors.slurm import Journal, SlurmArray
from pipelines.workspace import Workspace

pytest.importorskip("submitit", reason="SLURM NOT TESTED: pip install 'mtpkd[slurm]'")
ROOT = Path(__file__).resolve().parents[3]
JOB = "submitit.core._submit"
ONE = SlurmArray(workers=1, cluster="local")


@pytest.fixture(scope="module")
def cache(raw, tmp_path_factory):
    """What this process makes of the corpus: place -> bytes."""
    workspace = Workspace(tmp_path_factory.mktemp("cache"))
    preprocess.run(raw, workspace, workers=0)
    return contents(workspace)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Jobs run this checkout."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def contents(workspace):
    files = [*workspace.cache.rglob("*.h5"), *workspace.cache.glob("*.csv")]
    return {str(file.relative_to(workspace.root)): file.read_bytes() for file in files}


def wait(is_true):
    until = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_of_a_killed_job_all_that_it_had_not_done_is_done_by_others(raw, cache, running, sidecars, tmp_path, caplog):
    workspace, kept = Workspace(tmp_path / "w"), {}

    def kill():
        wait(lambda: sidecars(workspace))
        kept.update(sidecars(workspace))
        (job,) = running(JOB, str(workspace.root / ".slurm"))
        os.kill(job, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with caplog.at_level(logging.WARNING, "mtpkd"):
        preprocess.run(raw, workspace, workers=ONE)
    killer.join()
    assert "a worker process was killed at" in caplog.text
    assert contents(workspace) == cache
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert not (workspace.root / ".slurm").exists()


def test_the_next_driver_goes_on_where_a_killed_one_stopped(raw, cache, sidecars, running, tmp_path):
    workspace = Workspace(tmp_path / "w")
    workspace.root.mkdir()
    workspace.recipe.write_text(render_recipe(raw))
    command = [sys.executable, "-m", "mtpkd_cli", "compare", "--methods", "kd", "--workspace", str(workspace.root)]
    driver = subprocess.Popen([*command, "--executor", "slurm", "--cluster", "local", "--array", "1"], cwd=ROOT)
    wait(lambda: sidecars(workspace))
    driver.kill()
    driver.wait()
    before = sidecars(workspace)
    preprocess.run(raw, workspace, workers=ONE)
    assert contents(workspace) == cache
    assert {path: path.stat().st_mtime_ns for path in before} == before
    wait(lambda: not running(str(workspace.root / ".slurm")))


def test_a_journal_is_read_word_by_word_also_while_one_is_written(tmp_path):
    journal = Journal(tmp_path / "j")
    assert list(journal.read()) == []
    journal.write("start", "clip")
    journal.write("advance", 2)
    whole = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(whole[:-1])
    assert list(journal.read()) == [("start", "clip")]
    (tmp_path / "j").write_bytes(whole)
    assert list(journal.read()) == [("advance", 2)]
    assert list(journal.read()) == []


def test_what_nobody_wants_to_hear_ends_the_job(tmp_path):
    with pytest.raises(FileNotFoundError):
        Journal(tmp_path / "removed" / "j").write("advance", 1)


def test_without_slurm_it_is_said_where_to_go(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="there is no sbatch here"):
        SlurmArray().check()


def test_a_machine_that_is_not_at_home_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here = Site.here(Path("runs/w"))
    with pytest.raises(MtpkdError, match=r"has no folder \S+/runs/w: all machines must see the workspace"):
        here.enter()
    other = Site(here.folder, here.folder, "0.0.0", ())
    with pytest.raises(MtpkdError, match=r"the work is that of 0\.0\.0: install the same version"):
        other.enter()
