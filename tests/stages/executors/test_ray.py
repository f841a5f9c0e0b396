"""Two real Ray nodes on loopback: worker processes, a whole node and the driver are killed, and nothing is lost."""

import importlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pipelines.errors import MtpkdError, UnreadableMedia
from pipelines.recipe.loading import render_recipe
from pipelines.stages import compare, preprocess
from pipelines.stages.executors.elsewhere import Site
from pipelines.stages.executors.ray_cluster import RayCluster, RayCrew
from pipelines.stages.workers import Death, Progress
from pipelines.training.device import DEVICE_VARIABLE
from pipelines.workspace import Workspace

ray = pytest.importorskip("ray", reason="RAY NOT TESTED: pip install 'mtpkd[ray]'")
ROOT = Path(__file__).resolve().parents[3]
TASK = "ray::_attend"
LOST = "a machine was lost at"
LONGEST_S = 120.0
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


class Nodes:
    """A head, which is this process' own, and a second node that may be killed."""

    def __init__(self, folder):
        from ray.cluster_utils import Cluster

        head = {**NODE, "include_dashboard": False, "temp_dir": folder}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._second = self._cluster.add_node(**NODE)
        self.address = self._cluster.address

    @staticmethod
    def _raylet(node):
        return node.all_processes["raylet"][0].process.pid

    @property
    def head(self):
        return self._raylet(self._cluster.head_node)

    @property
    def second(self):
        return self._raylet(self._second)

    def busy(self, running, what=TASK):
        """Process -> node, of those that do this here: another cluster may be on this machine."""
        return {number: parent for number, parent in running(what).items() if parent in (self.head, self.second)}

    def kill_second(self):
        self._cluster.remove_node(self._second, allow_graceful=False)

    def add_second(self):
        self._second = self._cluster.add_node(**NODE)

    def shutdown(self):
        ray.shutdown()
        for node in (*self._cluster.worker_nodes, self._cluster.head_node):
            node.kill_all_processes(check_alive=False, allow_graceful=False)


@pytest.fixture(scope="module")
def nodes():
    folder = tempfile.mkdtemp(dir="/tmp", prefix="mr")  # sockets lie in it, and their paths must be short
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # or they starve beside other tests
        cluster = Nodes(folder)
        yield cluster
        cluster.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def executor(nodes):
    return RayCluster(address=nodes.address)


class Disturber(threading.Thread):
    """Kills a worker process of the head, then the second node, as soon as some artifact is finished and both work."""

    def __init__(self, workspace, pattern, nodes, running, sidecars, said):
        super().__init__(daemon=True)
        self._workspace, self._pattern, self._nodes = workspace, pattern, nodes
        self._running, self._sidecars, self._said = running, sidecars, said
        self.kept = {}

    def run(self):
        self._wait(lambda: any(self._workspace.root.glob(self._pattern)) and len(set(self._busy().values())) == 2)
        self.kept = self._sidecars(self._workspace)
        victim = next(number for number, parent in self._busy().items() if parent == self._nodes.head)
        os.kill(victim, signal.SIGKILL)
        while not self._lose_second():
            self._nodes.add_second()

    def _busy(self):
        return self._nodes.busy(self._running)

    def _lose_second(self):
        """Whether work was lost with it: it may have been done in the last moment."""
        self._wait(lambda: self._nodes.second in self._busy().values())
        self._nodes.kill_second()
        with suppress(AssertionError):
            self._wait(lambda: LOST in self._said(), 15.0)
        return LOST in self._said()

    @staticmethod
    def _wait(is_true, longest_s=LONGEST_S):
        until = time.monotonic() + longest_s
        while not is_true():
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.fixture
def disturbed(nodes, running, sidecars, caplog):
    """Does something while a worker process and a node are killed: nothing that was finished is made again."""

    def disturb(act, workspace, pattern):
        caplog.clear()
        disturber = Disturber(workspace, pattern, nodes, running, sidecars, lambda: "\n".join(caplog.messages))
        disturber.start()
        result = act()
        disturber.join(30)
        nodes.add_second()
        said = "\n".join(caplog.messages)
        assert said.count("a worker process was killed at") == 1, said
        assert said.count(LOST) == 1, said
        assert disturber.kept
        assert {path: path.stat().st_mtime_ns for path in disturber.kept} == disturber.kept
        assert not list(workspace.root.rglob("*.partial"))
        return result

    with caplog.at_level(logging.WARNING, "mtpkd"):
        yield disturb


def test_killed_workers_and_nodes_cost_nothing(raw, executor, disturbed, local, is_as_local, sidecars, tmp_path, capfd):
    workspace = Workspace(tmp_path / "w")
    disturbed(lambda: preprocess.run(raw, workspace, workers=executor), workspace, "cache/faces/*.h5.json")

    def run():
        return compare.run(raw, workspace, methods=("none", "kd"), workers=executor)

    outcome = disturbed(run, workspace, "fold-*/seed-*/teachers/*.safetensors.json")
    assert "worker died" not in capfd.readouterr().out, "Ray says nothing of its own"
    is_as_local(workspace)
    for metric, compared in local[1].by_metric.items():
        assert outcome.by_metric[metric].baseline.value == pytest.approx(compared.baseline.value, abs=1e-6, nan_ok=True)
    before = sidecars(workspace)
    run()
    assert sidecars(workspace) == before


def test_a_killed_driver_takes_its_tasks_with_it_and_the_next_goes_on(
    raw, nodes, executor, local, running, sidecars, tmp_path
):
    workspace = Workspace(tmp_path / "w")
    workspace.root.mkdir()
    workspace.recipe.write_text(render_recipe(raw))
    command = [sys.executable, "-m", "mtpkd_cli", "preprocess", "biovid", "--workspace", str(workspace.root)]
    driver = subprocess.Popen([*command, "--executor", "ray", "--address", nodes.address], cwd=ROOT)
    until = time.monotonic() + LONGEST_S
    while not (sidecars(workspace) and nodes.busy(running)):
        assert driver.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    driver.kill()
    driver.wait()
    while nodes.busy(running):
        assert time.monotonic() < until, "tasks outlived their driver"
        time.sleep(0.1)
    before = sidecars(workspace)
    assert len(before) < 12
    preprocess.run(raw, workspace, workers=executor)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for shard in (local[0].root / "cache").rglob("*.h5"):
        assert (workspace.root / shard.relative_to(local[0].root)).read_bytes() == shard.read_bytes()


def act(unit, send):
    """A unit is (file, what happens)."""
    import os
    import time

    file, action = unit
    send("begin", "place")
    send("start", file.name)
    if action == "hang":
        time.sleep(60)
    if action == "die":
        os.kill(os.getpid(), 9)
    if action == "raise":
        raise UnreadableMedia(file, "no good")
    file.write_text(f"{os.getcwd()} {os.environ['MTPKD_DEVICE']}")
    send("advance", 2)


@pytest.fixture
def crew(executor, tmp_path, monkeypatch):
    """Makes a crew that does `act`."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(DEVICE_VARIABLE, "cuda")
    yield lambda limit_s=None: RayCrew(executor, act, limit_s=limit_s, site=Site.here(tmp_path))
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def test_deaths_lateness_and_progress_are_told_as_by_local_workers(crew, tmp_path):
    units = [(tmp_path / "quick", ""), (tmp_path / "slow", "hang"), (tmp_path / "dead", "die")]
    with crew(limit_s=2.0) as workers:
        told = list(workers.work(units))
    deaths = {event.clip: event for event in told if isinstance(event, Death)}
    assert deaths == {
        "slow": Death(units[1], "place", "slow", 0, late=True, exit_code=None),
        "dead": Death(units[2], "place", "dead", 0, late=False, exit_code=None),
    }
    assert [event for event in told if isinstance(event, Progress)] == [Progress("advance", 2)]
    assert (tmp_path / "quick").read_text() == f"{tmp_path} cuda", "tasks work in the folder and on the device said"


def test_an_error_crosses_with_its_values_and_its_place(crew, tmp_path):
    with pytest.raises(UnreadableMedia) as caught, crew() as workers:
        list(workers.work([(tmp_path / "a", "raise")]))
    assert (caught.value.file, caught.value.reason) == (tmp_path / "a", "no good")
    assert "in act" in caught.value.__notes__[0]


def test_a_killed_mailbox_ends_the_command_in_words(nodes, crew, running, tmp_path):
    def kill():
        until = time.monotonic() + LONGEST_S
        while not (mailboxes := nodes.busy(running, "ray::Mailbox")):
            assert time.monotonic() < until
            time.sleep(0.02)
        for number in mailboxes:
            os.kill(number, signal.SIGKILL)

    with crew() as workers:
        kill()
        with pytest.raises(MtpkdError, match=r"report to, on this machine, was killed.* run the command again"):
            list(workers.work([(tmp_path / "a", "hang")]))


def test_a_machine_without_this_package_is_told_in_one_line(executor, crew, monkeypatch, tmp_path):
    (tmp_path / "only_here.py").write_text("def act(unit, send):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    only_here = importlib.import_module("only_here")
    lonely = RayCrew(executor, only_here.act, limit_s=None, site=Site.here(tmp_path))
    with pytest.raises(MtpkdError) as caught, lonely as workers:
        list(workers.work([1]))
    said = str(caught.value)
    assert said.startswith("a task of the Ray cluster failed: ModuleNotFoundError: No module named 'only_here': see")
    assert "\n" not in said
