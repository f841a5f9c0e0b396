"""What is asked of Ray, of which cluster, and how much at a time, as far as no cluster is needed to tell."""

import os
import socket
import sys
from types import SimpleNamespace

import pytest

from pipelines.errors import SettingsError
from pipelines.stages.executors.elsewhere import Site
from pipelines.stages.executors.ray_cluster import RayCluster, RayCrew

ray = pytest.importorskip("ray", reason="RAY NOT TESTED: pip install 'mtpkd[ray]'")


def act(unit, send):
    """A task that nobody does."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """What is set for Ray is taken back."""
    for name in ("RAY_NUM_REDIS_GET_RETRIES", "RAY_USAGE_STATS_ENABLED", "RAY_worker_niceness"):
        monkeypatch.setenv(name, "")  # or it would not be known that there was none
        monkeypatch.delenv(name)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


def test_without_ray_or_its_cluster_the_remedy_is_named(monkeypatch):
    def nobody(**_):
        raise ConnectionError("Could not find any running Ray instance.\nAnd more.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", nobody)
    with pytest.raises(SettingsError, match=r"--address auto: no Ray cluster answers .* `ray start --head`"):
        RayCluster().connect()
    assert os.environ["RAY_NUM_REDIS_GET_RETRIES"] == "1", "twenty take ten minutes"
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r"pip install 'mtpkd\[ray\]'"):
        RayCluster().connect()


@pytest.fixture
def nobody_is_asked(monkeypatch):
    """No cluster is there, and Ray is not asked for one."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray asks for ten minutes where nobody listens"))


def test_where_nobody_listens_ray_is_not_asked(nobody_is_asked, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match=rf"--address {address}: no Ray cluster answers there \(.*refused"):
            RayCluster(address=address).connect()
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(SettingsError, match=r"--address auto: no Ray cluster answers there \(.*refused"):
            RayCluster().connect()


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "head:port", "head:65536"])
def test_an_address_that_is_none_is_refused(nobody_is_asked, address):
    with pytest.raises(SettingsError, match=r"expected auto, local or HOST:PORT.* `ray start --address HOST:PORT`"):
        RayCluster(address=address).connect()


@pytest.mark.parametrize("gpus", [1.5, 0.00001])
def test_a_share_of_cards_that_ray_cannot_give_is_refused(nobody_is_asked, gpus):
    with pytest.raises(SettingsError, match=r"--num-gpus .* whole graphics cards, or a share of one"):
        RayCluster(gpus=gpus).connect()


def test_as_many_tasks_at_a_time_as_nodes_have_room_for(monkeypatch, tmp_path):
    nodes = [
        {"Alive": True, "Resources": {"CPU": 16.0, "GPU": 1.0}},
        {"Alive": True, "Resources": {"CPU": 3.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 16.0}},
        {"Alive": False, "Resources": {"CPU": 16.0, "GPU": 8.0}},
    ]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)

    def room(cpus, gpus, workers=None):
        cluster = RayCluster(workers=workers).needing(cpus=cpus, gpus=gpus)
        return RayCrew(cluster, act, limit_s=None, site=Site.here(tmp_path))._room()

    assert room(1, 0.1) == 10 + 3, "1 // 0.1 is 9 in floating point"
    assert room(1, 0.3) == 3 + 3
    assert room(2, 0) == 8 + 1 + 8
    assert room(1, 1) == 1 + 2
    assert room(1, 1, workers=2) == 2
    assert room(64, 0) == 1, "one waits until a node joins that can carry it"


def test_a_stopped_task_has_ended_before_its_unit_is_given_to_another(tmp_path):
    did = []
    crew = RayCrew(RayCluster(), act, limit_s=1.0, site=Site.here(tmp_path))
    crew._ray = SimpleNamespace(
        cancel=lambda ref, force: did.append(("killed", ref, force)),
        wait=lambda refs, timeout: did.append(("awaited", *refs)),
    )
    crew._tasks = {"one": 1, "two": 2}
    crew._stop(2)
    assert did == [("killed", "two", True), ("awaited", "two")]
    assert crew._tasks == {"one": 1}
