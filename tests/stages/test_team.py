"""The command line on two real processes: started by Fabric or by torchrun, killed, and run again."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pipelines.errors import MtpkdError, SettingsError
from pipelines.recipe.loading import override_recipe
from pipelines.stages import distill, preprocess, run_before
from pipelines.stages.fitting import fabric_for
from pipelines.stages.team import _losses_told, assembled
from pipelines.training.checkpoints import load_checkpoint
from pipelines.workspace import Workspace

CHILD = Path(__file__).with_name("team_child.py")
LONGEST_S = 100.0
DROPOUTS = {f"encoders.{name}.dropout": 0.0 for name in ("faces", "eda", "ecg", "emg")}


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    """Without dropout, so that one process and two can be compared; one fold of it is enough."""
    changes = {"model.dropout": 0.0, "training.fusion.epochs": 12, "training.fusion.patience": 12}
    dropouts = {name: value for name, value in DROPOUTS.items() if name.split(".")[1] in tiny_recipe.encoders}
    return override_recipe(tiny_recipe, **{**changes, **dropouts, "distillation.methods": ["none", "mt-pkdot"]})


@pytest.fixture(scope="module")
def cached(recipe, tmp_path_factory):
    """A workspace with nothing but a cache."""
    workspace = Workspace(tmp_path_factory.mktemp("cached"))
    preprocess.run(recipe, workspace, workers=0)
    return workspace.root


@pytest.fixture(scope="module")
def alone(recipe, cached, tmp_path_factory):
    """What one process made."""
    root = shutil.copytree(cached, tmp_path_factory.mktemp("alone") / "w")
    run_before("distill", recipe, Workspace(root), workers=1)
    distill.run(recipe, Workspace(root), workers=1)
    return root


@pytest.fixture(scope="module")
def together(cached, tmp_path_factory):
    """What two processes made that Fabric started."""
    root = shutil.copytree(cached, tmp_path_factory.mktemp("together") / "w")
    child = start([], root, "--devices", 2)
    out = child.communicate(timeout=LONGEST_S)[0]
    assert child.returncode == 0, out
    return root, out


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def torchrun():
    address = ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    return ["-m", "torch.distributed.run", "--nproc-per-node", "2", *address]


def start(launcher, root, *options, pause_s=0.0, names=None):
    """`mtpkd distill --with-dependencies`; its workspace and moment tell its processes from those of other runs.

    `names`: of the environment, as they are told by whoever starts the processes of a team.
    """
    command = [*launcher, str(CHILD), "distill", "--with-dependencies", "--workspace", str(root), *map(str, options)]
    path = os.pathsep.join([str(CHILD.parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "MTPKD_PAUSE_S": str(pause_s), "MTPKD_RUN": run_of(root)}
    for name in ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        environment.pop(name, None)
    environment |= names or {}
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )


def step_of_slurm(rank, *, tasks=2, nodes=1):
    """What srun tells a task, in a job that asked for others and is called as interactive ones are."""
    told = {"STEP_NUM_TASKS": tasks, "STEP_NUM_NODES": nodes, "STEP_ID": 1, "STEP_NODELIST": "127.0.0.1"}
    told |= {"PROCID": rank, "LOCALID": rank % (tasks // nodes), "NODEID": rank // (tasks // nodes), "NTASKS": tasks}
    told |= {"JOB_ID": os.getpid(), "JOB_NAME": "interactive", "NTASKS_PER_NODE": 7}
    return {f"SLURM_{name}": str(value) for name, value in told.items()}


def run_of(root):
    return f"{root}, {len(list(root.rglob('*')))} files"


def members(run):
    """{rank: process} of those of a run that train."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text()
            known = dict(item.partition("=")[::2] for item in (folder / "environ").read_text().split("\0"))
        except (OSError, ValueError):
            continue
        if known.get("MTPKD_RUN") == run and CHILD.name in command and "torch.distributed.run" not in command:
            found[int(known.get("LOCAL_RANK", 0))] = int(folder.name)
    return found


def saved(root):
    """Epochs of the training that was interrupted, by its saved state; 0 where there is none."""
    states = list(root.rglob(".joint.safetensors.resume"))
    return load_checkpoint(states[0]).schema["progress"]["epoch"] if states else 0


def kill_in_training(launcher, root, *options, rank):
    """SIGKILL to one process once a training has come further; what was said."""
    run, before, until = run_of(root), saved(root), time.monotonic() + LONGEST_S
    child = start(launcher, root, *options, pause_s=0.3)
    while saved(root) <= before:
        assert child.poll() is None, child.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(members(run)[rank], signal.SIGKILL)
    out = child.communicate(timeout=LONGEST_S)[0]
    until = time.monotonic() + 20
    while members(run):
        assert time.monotonic() < until, "processes are left"
        time.sleep(0.05)
    return out


def artifacts(root):
    return {path.relative_to(root) for path in root.rglob("*.safetensors")}


def details(path):
    return json.loads(path.with_name(path.name + ".json").read_text())["details"]


def test_two_processes_make_what_one_makes(alone, together):
    root, out = together
    assert artifacts(root) == artifacts(alone)
    assert len(artifacts(root)) >= 8
    for name in sorted(artifacts(root)):
        one, two = details(alone / name), details(root / name)
        assert two.pop("processes") == 2
        assert two.keys() == one.keys()
        assert two["best_epoch"] == one["best_epoch"], name
        assert two["validation_loss"] == pytest.approx(one["validation_loss"], rel=1e-3, abs=1e-4), name
        ours, theirs = load_checkpoint(root / name), load_checkpoint(alone / name)
        assert ours.state.keys() == theirs.state.keys()
        for key, tensor in ours.state.items():
            assert torch.allclose(tensor.float(), theirs.state[key].float(), rtol=0, atol=0.02), (name, key)
    assert out.count("train-teachers: done in") == 1, "the first process speaks"
    assert "Warning" not in out
    assert "distributed" not in out
    rows = list(csv.DictReader((root / "metrics.csv").open()))
    known = [(row["artifact"], row["epoch"], row["metric"]) for row in rows]
    assert len(set(known)) == len(known), "the first process writes"


def test_what_two_processes_made_is_not_stale_for_one(recipe, together, caplog):
    root, _ = together
    caplog.set_level("INFO", logger="mtpkd")
    run_before("distill", recipe, Workspace(root), workers=1)
    distill.run(recipe, Workspace(root), workers=1)
    said = [record.getMessage() for record in caplog.records]
    for stage in ("train-teachers", "align", "distill"):
        assert any(line.startswith(f"{stage}: up to date") for line in said), said


def test_killed_processes_end_the_run_and_the_next_goes_on_under_srun(cached, together, tmp_path):
    root = shutil.copytree(cached, tmp_path / "w")
    out = kill_in_training([], root, "--devices", 2, rank=0)
    assert "mtpkd: error: process 1: another process of this training ended" in out
    out = kill_in_training(torchrun(), root, rank=1)
    assert re.search(r"mtpkd: error: (another process of this training ended|told to end)", out), out
    assert "goes on where it stopped" in out
    assert "mtpkd_cli/main.py" not in out, "only torchrun shows its own traceback"
    assert 12 > saved(root) >= 2
    children = [start([], root, names=step_of_slurm(rank)) for rank in range(2)]
    said = [child.communicate(timeout=LONGEST_S)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0], said
    assert "distill: done in" in said[0]
    assert not said[1], "the first process speaks"
    for name in artifacts(together[0]):
        assert (root / name).read_bytes() == (together[0] / name).read_bytes(), name
    assert not list(root.rglob("*.resume"))


@pytest.mark.parametrize(
    ("names", "asked", "message"),
    [
        (step_of_slurm(0), {"devices": 4}, "--devices 4: srun started --devices 2 --nodes 1; leave"),
        (step_of_slurm(0, tasks=4, nodes=2), {"devices": 2, "nodes": 1}, "srun started --devices 2 --nodes 2; leave"),
        (step_of_slurm(0, tasks=5, nodes=2), {}, "srun started 5 processes on 2 machines: start as many on each"),
        (
            {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "1", "WORLD_SIZE": "2"},
            {"devices": 2},
            "--devices 2: torchrun started --devices 1 --nodes 2; leave",
        ),
    ],
)
def test_options_that_contradict_who_started_the_processes_are_refused(recipe, monkeypatch, names, asked, message):
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message), assembled(recipe, **asked):
        pass


def test_a_job_of_several_tasks_is_no_step_of_them(recipe, monkeypatch):
    """The script of a job runs once, whatever it asked for."""
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}.items():
        monkeypatch.setenv(name, value)
    with assembled(recipe) as team:
        assert team is None
    assert fabric_for(recipe).world_size == 1


def test_a_team_leaves_no_room_for_workers_and_needs_somebody_to_start_other_machines(recipe, monkeypatch):
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    asked = {
        "--workers 3: 2 processes train": {"devices": 2, "instead_of": "--workers 3"},
        "--nodes 2: start the same": {"nodes": 2},
    }
    for message, options in asked.items():
        with pytest.raises(SettingsError, match=message), assembled(recipe, **options):
            pass
    with assembled(recipe, instead_of="--workers 3") as team:
        assert team is None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[../gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:1", MtpkdError),
        ("ncclRemoteError: A call failed possibly due to a network error or a remote process exiting", MtpkdError),
        ("ncclInvalidUsage: Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 1", RuntimeError),
    ],
)
def test_only_what_says_that_a_process_is_lost_is_told_as_that(said, told):
    with pytest.raises(told), _losses_told():
        raise RuntimeError(said)
