"""Array jobs through submitit, run on this machine: a killed job, a killed driver, and what a journal holds."""

import logging
import multiprocessing
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
from pipelines.stages.executors import slurm
from pipelines.stages.executors.elsewhere import DIED, Site
from pipelines.stages.executors.slurm import Journal, SlurmArray
from pipelines.stages.workers import DONE
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


def act(unit, send):
    """A unit is what happens: a signal that its process is sent, or nothing."""
    send("begin", "place")
    if unit:
        os.kill(os.getpid(), unit)
    send("advance", 1)


def job(units, site, journal):
    """Does what a job does, in a process of its own; how it ended, and what it said."""
    process = multiprocessing.get_context("fork").Process(target=slurm._attend, args=(units, act, site, journal))
    process.start()
    process.join(60)
    return process.exitcode, list(journal.read())


@pytest.mark.parametrize("warning", [signal.SIGUSR2, signal.SIGTERM])
def test_a_job_that_is_warned_of_its_end_leaves_and_blames_no_unit(tmp_path, warning):
    status, said = job([0, warning, 0], Site.here(tmp_path), Journal(tmp_path / "j"))
    assert status == 1
    assert said == [("begin", "place"), ("advance", 1), (DONE, None), ("begin", "place"), (DIED, True)]


def test_a_job_that_slurm_begins_again_has_left(tmp_path):
    site, journal = Site.here(tmp_path), Journal(tmp_path / "j")
    assert job([0], site, journal)[1][-1] == (DONE, None)
    assert job([0], site, journal) == (0, [(DIED, True)])


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a program of Slurm's where it is found."""

    def put(name, script):
        file = tmp_path / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{file.parent}:{os.environ['PATH']}")

    for name in ("srun", "sacct"):
        put(name, "")
    return put


def test_what_sbatch_refuses_is_told_in_one_line(program, tmp_path):
    program("sbatch", "echo 'sbatch: error: Batch job submission failed: Invalid partition specified' >&2; exit 1")
    with pytest.raises(MtpkdError) as caught, SlurmArray().crew(act, limit_s=None, root=tmp_path) as crew:
        list(crew.work([0]))
    said = "sbatch refused the jobs: sbatch: error: Batch job submission failed: Invalid partition specified: see"
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_an_array_is_no_larger_than_slurm_takes_and_ends_with_one_call(program, tmp_path, monkeypatch):
    program("sbatch", f"cp $1 {tmp_path}/script; echo Submitted batch job 77")
    program("scancel", f"echo $@ >> {tmp_path}/ended")

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(slurm.SlurmCrew, "_listen", interrupted)
    with pytest.raises(KeyboardInterrupt), SlurmArray(workers=300).crew(act, limit_s=None, root=tmp_path) as crew:
        list(crew.work(range(3000)))
    assert "#SBATCH --array=0-999%300" in (tmp_path / "script").read_text()
    assert (tmp_path / "ended").read_text() == "77\n"


def test_on_this_machine_no_more_jobs_run_than_it_has_processors_for(monkeypatch):
    monkeypatch.setattr(slurm, "default_workers", lambda: 8)
    array = SlurmArray(cluster="local").needing(cpus=3, gpus=0)
    assert array.at_a_time == 2
    assert array.needing(cpus=16, gpus=0).at_a_time == 1
    assert SlurmArray(cpus=3).at_a_time == 32
    assert SlurmArray(workers=5, cluster="local").at_a_time == 5


def test_cards_are_asked_for_whole(program, tmp_path):
    program("sbatch", "")
    submitter = SlurmArray(gpus=0.5).submitter(tmp_path)
    assert submitter._executor.parameters["gpus_per_node"] == 1
