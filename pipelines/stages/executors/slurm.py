"""Units as an array job of Slurm, written and submitted by submitit.

- Every element of the array does several units one after the other, so that thousands of short ones do not each wait
  in the queue. Units that are tried again are an array of their own.
- What a job says is appended to a journal of its own, in a folder of the workspace that this process made and reads.
- A job outlives this process. The next one that works in the workspace removes the folder: then a job that wants to
  say something ends instead, and one that still waits in the queue finds nothing to do.
- A job that ran out of its time, or lost its node, is no suspect: its unit goes on where it stopped, in another job.
  Slurm warns it before, and submitit would take that for an error of the unit, or send the job to the queue again. So
  a job that is warned says that it leaves, and one that Slurm itself begins again finds that it has left.
"""

import importlib.util
import os
import shutil
import signal
import struct
import subprocess
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from secrets import token_hex
from typing import Any

from pipelines.errors import MtpkdError, SettingsError
from pipelines.stages.execution import default_workers
from pipelines.stages.executors import Executor
from pipelines.stages.executors.elsewhere import DIED, Elsewhere, Site, Word, attend
from pipelines.stages.workers import Task
from pipelines.workspace import JOBS

_POLL_S = {"local": 0.2, "slurm": 2.0}
_AT_A_TIME = 32
_PORTIONS = 4
"""Elements of an array for each that may run at a time: units differ in length."""
_MOST_ELEMENTS = 1000
"""Of an array; Slurm's own MaxArraySize, where nobody has raised it, is one more."""
_PATIENCE = 5
"""How often a job that has ended is asked for its last words: a shared disk shows them late."""
_LOST = ("TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REVOKED")
_WARNINGS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
"""That a job is about to be killed."""
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class SlurmArray(Executor):
    """Array jobs; `workers` is how many elements run at a time, by default 32, or what this machine's processors carry.

    Attributes:
        partition: to submit to; None for the cluster's default.
        minutes: that a job may take.
        cluster: `slurm`, or `local` for processes of this machine, to see whether all is well.
    """

    partition: str | None = None
    minutes: int = 240
    cluster: str = "slurm"

    def crew(self, task: Task, *, limit_s: float | None, root: Path) -> "SlurmCrew":
        """See `Executor`. Raises SettingsError without submitit or Slurm."""
        self.check()
        return SlurmCrew(self, task, limit_s=limit_s, site=Site.here(root))

    def check(self) -> None:
        """Raises SettingsError without submitit or Slurm."""
        if importlib.util.find_spec("submitit") is None:
            raise SettingsError("--executor slurm: submitit is not installed: pip install 'mtpkd[slurm]'")
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise SettingsError(
                "--executor slurm: there is no sbatch here: run the command on a machine that jobs are submitted from"
            )

    def submitter(self, folder: Path) -> Any:
        """What submits jobs."""
        import submitit

        submitter = submitit.AutoExecutor(folder=folder / "%j", cluster=self.cluster)
        options: dict[str, Any] = {"slurm_partition": self.partition} if self.partition else {}
        if self.gpus:
            options["gpus_per_node"] = ceil(self.gpus)
        submitter.update_parameters(
            name="mtpkd",
            timeout_min=self.minutes,
            cpus_per_task=self.cpus,
            slurm_array_parallelism=self.at_a_time,
            **options,
        )
        return submitter

    @property
    def at_a_time(self) -> int:
        """Elements of an array that run at a time."""
        here = max(1, default_workers() // self.cpus)
        return self.workers or (here if self.cluster == "local" else _AT_A_TIME)


class SlurmCrew(Elsewhere):
    """See `Elsewhere`."""

    def __init__(self, executor: SlurmArray, task: Task, *, limit_s: float | None, site: Site) -> None:
        super().__init__(limit_s=limit_s)
        self._executor = executor
        self._task = task
        self._site = site
        self._jobs: dict[int, Any] = {}
        self._journals: dict[int, Journal] = {}
        self._ended: dict[int, int] = {}

    def _open(self) -> None:
        shutil.rmtree(self._site.root / JOBS, ignore_errors=True)
        self._folder = self._site.root / JOBS / token_hex(4)
        self._submitter = self._executor.submitter(self._folder)
        self._folder.mkdir(parents=True, exist_ok=True)

    def _close(self, *, failed: bool) -> None:
        if self._executor.cluster == "slurm" and self._running:  # one call, for there may be a thousand
            arrays = {self._jobs[number].job_id.partition("_")[0] for number in self._running}
            subprocess.run(["scancel", *sorted(arrays)], check=False)
        else:
            for number in self._running:
                self._stop(number)
        if not failed:  # or it holds what the jobs printed
            shutil.rmtree(self._folder.parent, ignore_errors=True)

    def _portions(self, waiting: deque[Any]) -> Iterator[list[Any]]:
        rounds = 1 if self._executor.cluster == "local" else _PORTIONS  # which runs all of an array at once
        size = ceil(len(waiting) / min(rounds * self._executor.at_a_time, _MOST_ELEMENTS))
        portions = [
            [waiting.popleft() for _ in range(min(size, len(waiting)))] for _ in range(ceil(len(waiting) / size))
        ]
        numbers = range(self._assigned, self._assigned + len(portions))
        journals = {number: Journal(self._folder / f"{number}.journal") for number in numbers}
        self._jobs |= dict(zip(numbers, self._submit(portions, list(journals.values())), strict=True))
        self._journals |= journals
        yield from portions

    def _submit(self, portions: list[list[Any]], journals: "list[Journal]") -> list[Any]:
        from submitit.core.utils import FailedJobError

        try:
            with self._submitter.batch():
                return [
                    self._submitter.submit(_attend, units, self._task, self._site, journal)
                    for units, journal in zip(portions, journals, strict=True)
                ]
        except FailedJobError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise MtpkdError(
                f"sbatch refused the jobs: {reason}: see whether --partition, --time and --num-gpus are what this "
                "cluster allows"
            ) from None

    def _listen(self) -> Iterable[Word]:
        time.sleep(_POLL_S[self._executor.cluster])
        for number in list(self._running):
            job, journal = self._jobs[number], self._journals[number]
            self._ended[number] = self._ended.get(number, 0) + job.done()
            for kind, value in journal.read():
                yield number, kind, value
            if self._ended[number] > _PATIENCE:
                yield number, DIED, job.state.partition(" ")[0] in _LOST

    def _stop(self, number: int) -> None:
        self._jobs[number].cancel(check=False)


class Journal:
    """What a job says, one word after the other in a file; whoever reads it remembers how far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    @property
    def begun(self) -> bool:
        """Whether anything was said."""
        return self._path.exists()

    def write(self, kind: str, value: Any) -> None:
        """Add a word. Raises FileNotFoundError when nobody wants to hear it any more."""
        import cloudpickle

        content = cloudpickle.dumps((kind, value))
        with self._path.open("ab") as stream:
            stream.write(_LENGTH.pack(len(content)) + content)

    def read(self) -> Iterator[tuple[str, Any]]:
        """The words that were added since."""
        import cloudpickle

        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            stream.seek(self._at)
            content = stream.read()
        while len(content) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(content)
            word, rest = content[_LENGTH.size : _LENGTH.size + length], content[_LENGTH.size + length :]
            if len(word) < length:
                return
            self._at += _LENGTH.size + length
            content = rest
            yield cloudpickle.loads(word)


def _attend(units: list[Any], task: Task, site: Site, journal: Journal) -> None:
    """A job."""
    if journal.begun:
        journal.write(DIED, True)
        return

    def leave(signum: int, frame: Any) -> None:
        journal.write(DIED, True)
        os._exit(1)  # at once: others are about to write what this one writes

    for warning in _WARNINGS:
        signal.signal(warning, leave)
    for unit in units:
        if not attend(unit, task, site, journal.write):
            return
