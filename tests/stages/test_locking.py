"""One command at a time writes in a workspace."""

import errno
import json
import os
import subprocess
import sys

import pytest
from filelock import FileLock

from pipelines.errors import MtpkdError, WorkspaceInUse
from pipelines.stages import locking
from pipelines.stages.locking import exclusive, hold
from pipelines.workspace import JOBS, Workspace

HOLDER = """
import sys
from pathlib import Path
from pipelines.stages.locking import hold
from pipelines.workspace import JOBS, Workspace
sys.argv = ["mtpkd", "preprocess", "biovid"]
with hold(Workspace(Path({root!r}))):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "w")


@pytest.fixture
def holder(workspace):
    """Another process that holds the workspace until a line is sent."""
    script = HOLDER.format(root=str(workspace.root))
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_told_who_the_first_is(workspace, holder):
    with pytest.raises(WorkspaceInUse) as caught, hold(workspace):
        pass
    message = str(caught.value)
    assert f"{workspace.root} is in use by `mtpkd preprocess biovid` (process {holder.pid} on " in message
    assert "another --workspace" in message


def test_a_share_of_labels_has_the_lock_of_the_whole(workspace, holder):
    workspace.recipe.write_text("")
    with pytest.raises(WorkspaceInUse), hold(workspace.labelled(0.3)):
        pass


def test_the_lock_ends_with_its_holder_however_that_ends(workspace, holder):
    holder.kill()
    holder.wait()
    with hold(workspace):
        note = json.loads((workspace.root / ".lock.json").read_text())
        assert note["process"] == os.getpid()
    assert not (workspace.root / ".lock.json").exists()


def test_what_a_killed_run_left_of_its_tables_is_removed(workspace):
    workspace.cache.mkdir(parents=True)
    left = [workspace.root / ".recipe.yaml.0a.partial", workspace.cache / ".clips.csv.json.0b.partial"]
    for path in left:
        path.write_text("")
    with hold(workspace):
        assert not any(path.exists() for path in left)


def test_a_stage_that_calls_another_keeps_the_lock(workspace):
    @exclusive
    def inner(recipe, place):
        return "done"

    @exclusive
    def outer(recipe, place, *, times):
        results = [inner(recipe, place) for _ in range(times)]
        assert (place.root / ".lock.json").exists()
        return results

    assert outer(None, workspace, times=2) == ["done", "done"]
    assert not (workspace.root / ".lock.json").exists()


def test_a_note_that_cannot_be_read_does_not_hide_that_somebody_is_there(workspace, holder):
    (workspace.root / ".lock.json").write_text("[]")
    with pytest.raises(WorkspaceInUse, match="in use by another process"), hold(workspace):
        pass


def test_a_note_that_cannot_be_written_leaves_nothing_locked(workspace, monkeypatch):
    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(locking, "write_text", full)
        with pytest.raises(MtpkdError, match="free some space") as caught, hold(workspace):
            pass
    free = FileLock(workspace.root / ".lock")
    with free.acquire(timeout=0):
        assert caught.value.__traceback__  # which keeps the lock alive: it is released, not just forgotten


def test_jobs_that_a_killed_command_left_elsewhere_find_their_folder_gone(workspace):
    workspace.root.mkdir()
    workspace.recipe.write_text("")  # what tells a workspace from a folder
    share = workspace.labelled(0.3)
    left = [place.root / JOBS / "1.journal" for place in (workspace, share)]
    for journal in left:
        journal.parent.mkdir(parents=True)
        journal.write_bytes(b"x")
    with hold(workspace):
        assert not any(journal.parent.exists() for journal in left)
        left[1].parent.mkdir()
        with hold(share):
            assert left[1].parent.exists(), "those of this command"
