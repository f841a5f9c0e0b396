"""`--executor` and its options: what they mean to the stages, and mistakes."""

import pytest

from pipelines.recipe.loading import load_recipe, render_recipe
from pipelines.stages import align, compare
from pipelines.stages.executors.ray_cluster import RayCluster
from pipelines.stages.executors.slurm import SlurmArray


@pytest.fixture
def workspace(tmp_path):
    """The folder of a workspace that holds a recipe and nothing else."""
    folder = tmp_path / "runs" / "synthetic"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(render_recipe(load_recipe("demo")))
    return folder


@pytest.fixture
def asked(monkeypatch):
    """The executors that stages were given; none of them does anything."""
    given = []

    def run(*_, workers, **__):
        given.append(workers)
        raise KeyboardInterrupt

    for stage in (align, compare):
        monkeypatch.setattr(stage, "run", run)
    monkeypatch.setattr(RayCluster, "connect", lambda self: None)
    return given


def test_ray_is_handed_to_the_stage(mtpkd, workspace, asked):
    mtpkd("align", "--executor", "ray")
    mtpkd("compare", "--executor", "ray", "--address", "head:6379", "--workers", 8, "--num-gpus", 0.25)
    assert asked == [RayCluster(), RayCluster(workers=8, gpus=0.25, address="head:6379")]


def test_an_array_job_is_handed_to_the_comparison(mtpkd, workspace, asked):
    pytest.importorskip("submitit")
    options = ["--partition", "gpu", "--time", 90, "--array", 16, "--cluster", "local"]
    mtpkd("compare", "--executor", "slurm", *options)
    assert asked == [SlurmArray(workers=16, partition="gpu", minutes=90, cluster="local")]


def test_processes_of_this_machine_are_the_default(mtpkd, workspace, asked):
    mtpkd("align", "--workers", 3)
    mtpkd("compare")
    assert asked == [3, None]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("align", "--address", "local"), "--address says how a cluster is used: it needs --executor ray"),
        (("compare", "--num-gpus", 1), "--num-gpus says how a cluster is used: it needs --executor ray"),
        (("compare", "--partition", "gpu"), "--partition needs --executor slurm"),
        (("compare", "--executor", "ray", "--array", 2), "--array needs --executor slurm"),
        (("compare", "--executor", "slurm", "--address", "auto"), "--address needs --executor ray"),
        (("compare", "--executor", "slurm", "--workers", 2), "--array says how many jobs run at a time"),
    ],
)
def test_an_option_of_another_executor_is_refused(mtpkd, workspace, asked, command, said):
    status, _, err = mtpkd(*command)
    assert status == 2
    assert said in err
    assert not asked
