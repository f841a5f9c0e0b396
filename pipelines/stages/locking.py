"""One command at a time writes in a workspace; the second is told who the first is.

- The lock is the kernel's (`flock`), so it ends with its process, however that ends; no lock is ever stale. On a file
  system that cannot lock, filelock falls back to a file of its own.
- Who holds it stands in a second file, for people only: it is never asked whether the lock is free.
- A stage that calls others holds the lock all along: it can be taken again in the same process.
- Workspaces for shares of labels lie in the one for all labels, read its cache, and share its lock.
"""

import functools
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from filelock import FileLock, Timeout

from pipelines.errors import WorkspaceInUse
from pipelines.stages.team import Team
from pipelines.workspace import JOBS, PARTIAL, Workspace, cannot_write, write_text

Parameters = ParamSpec("Parameters")
Settings = TypeVar("Settings")
Result = TypeVar("Result")


def exclusive(
    stage: Callable[Concatenate[Settings, Workspace, Parameters], Result],
) -> Callable[Concatenate[Settings, Workspace, Parameters], Result]:
    """Let a stage, a function of (recipe, workspace, ...), hold its workspace while it runs.

    Of several processes that run it as a team, given as `workers`, the first one does; the others begin when it has it.
    """

    @functools.wraps(stage)
    def held(recipe: Settings, workspace: Workspace, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        team = kwargs.get("workers")
        if not isinstance(team, Team):
            with hold(workspace):
                return stage(recipe, workspace, *args, **kwargs)
        with hold(workspace) if team.leads else nullcontext():
            team.wait()
            return stage(recipe, workspace, *args, **kwargs)

    return held


@contextmanager
def hold(workspace: Workspace) -> Iterator[None]:
    """Keep every other process from writing in a workspace.

    Raises:
        WorkspaceInUse: another one does; names its command, process, machine and start.
        MtpkdError: nothing can be written there.
    """
    root = workspace.whole.root
    with cannot_write(root):
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / ".lock", is_singleton=True)
        first = not lock.is_locked
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise WorkspaceInUse(
                f"{root} is in use by {_holder(root)}: wait until it has ended, or choose another --workspace"
            ) from None
    with ExitStack() as afterwards:
        afterwards.callback(lock.release)
        if first:
            with cannot_write(root):
                _tidy(root, workspace.cache)
                afterwards.callback(_note(root).unlink, missing_ok=True)
                write_text(_note(root), json.dumps(_me()) + "\n")
        yield


def _tidy(root: Path, cache: Path) -> None:
    """Remove what killed runs left of tables and settings; what they left of artifacts goes when those are made.

    Jobs that they left on other machines end when they find their folder gone.
    """
    for partial in (*root.glob(PARTIAL), *cache.glob(PARTIAL)):
        partial.unlink(missing_ok=True)
    for jobs in (*root.glob(JOBS), *root.glob(f"*/{JOBS}")):
        shutil.rmtree(jobs, ignore_errors=True)


def _note(root: Path) -> Path:
    return root / ".lock.json"


def _me() -> dict[str, str | int]:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"command": command, "process": os.getpid(), "machine": socket.gethostname(), "since": since}


def _holder(root: Path) -> str:
    try:
        note = json.loads(_note(root).read_text(encoding="utf-8"))
        return "`{command}` (process {process} on {machine}, since {since})".format(**note)
    except (OSError, ValueError, KeyError, TypeError):  # it was just taken, or its holder was killed by hand
        return "another process"
