"""SIGKILL at random moments of `preprocess`, then to the end: the cache is as if nothing had happened.

A process that has imported everything is forked for every run, so that runs die in the middle of their work and not of
their imports. Workers are started afresh, as always.
"""

import os
import random
import signal
import time
import traceback

import pytest

from pipelines.stages import preprocess
from pipelines.stages.verify import verify_cache
from pipelines.workspace import Workspace

LONGEST_S = 120.0


def start(recipe, workspace, workers):
    """A process of its own that preprocesses; its number."""
    process = os.fork()
    if process:
        return process
    try:
        os.setpgid(0, 0)
        preprocess.run(recipe, workspace, workers=workers)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def ended(process, within_s):
    """Its wait status, or None while it runs on."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        number, status = os.waitpid(process, os.WNOHANG)
        if number:
            return status
        time.sleep(0.002)
    return None


def time_of(recipe, workspace, workers):
    started = time.monotonic()
    assert ended(start(recipe, workspace, workers), LONGEST_S) == 0
    return time.monotonic() - started


@pytest.mark.parametrize(("workers", "few", "many"), [(0, 12, 100), (1, 4, 50), (2, 4, 50)])
def test_killed_at_random_moments(raw, undisturbed, digests, stressed, tmp_path, workers, few, many):
    kills = many if stressed else few
    takes_s = time_of(raw, Workspace(tmp_path / "timed"), workers)
    moments = random.Random(workers)
    done = runs = 0
    while done < kills:
        workspace = Workspace(tmp_path / f"w{runs}")
        runs += 1
        while done < kills:
            process = start(raw, workspace, workers)
            status = ended(process, moments.uniform(0, takes_s))
            if status is not None:
                assert status == 0
                break
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            done += 1
            after_a_kill(workspace, undisturbed, digests)
        assert ended(start(raw, workspace, workers), LONGEST_S) == 0
        assert digests(workspace) == undisturbed
        found = verify_cache(workspace)
        assert found.is_sound
        assert not found.leftovers


def after_a_kill(workspace, undisturbed, digests):
    """What lies in its place is whole."""
    assert digests(workspace).items() <= undisturbed.items()


def test_what_was_finished_before_a_kill_is_not_made_again(raw, tmp_path):
    workspace = Workspace(tmp_path / "w")
    process = start(raw, workspace, 0)
    shards = workspace.cache / "faces"
    while not (shards.exists() and len(list(shards.glob("*.h5.json"))) >= 2):
        assert ended(process, 0.005) is None
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    before = {path: path.stat().st_mtime_ns for path in shards.glob("*.json")}
    assert ended(start(raw, workspace, 0), LONGEST_S) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
