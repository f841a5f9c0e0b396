import os

import pytest
import torch

from pipelines.errors import MtpkdError, SettingsError
from pipelines.recipe.loading import override_recipe
from pipelines.stages.artifacts import Artifact
from pipelines.stages.execution import default_workers, run_units
from pipelines.stages.executors.ray_cluster import RayCluster
from pipelines.stages.fitting import training_workers
from pipelines.workspace import Fingerprint, write_text


def unit(path, text, *, parts=1):
    """Artifacts that write a text, each reporting one clip."""

    def build(job):
        write_text(job.path, text)
        job.advance(1)
        return {"length": len(text)}

    names = [path.with_name(f"{path.name}-{part}") for part in range(parts)]
    return [Artifact(name, Fingerprint({"text": text}), build, cost=1) for name in names]


def test_only_stale_artifacts_are_made(tmp_path):
    def artifacts(name):
        return unit(tmp_path / name, name, parts=2)

    assert run_units("stage", ["a", "b"], artifacts, workers=1, root=tmp_path) == 2
    (tmp_path / "b-1").unlink()
    before = (tmp_path / "b-0").stat().st_mtime_ns
    assert run_units("stage", ["a", "b"], artifacts, workers=1, root=tmp_path) == 1
    assert (tmp_path / "b-1").read_text() == "b"
    assert (tmp_path / "b-0").stat().st_mtime_ns == before
    assert run_units("stage", ["a", "b"], artifacts, workers=1, root=tmp_path) == 0


def test_what_was_made_before_an_error_is_kept(tmp_path):
    def artifacts(name):
        good = unit(tmp_path / name, name)
        if name == "b":
            return [*good, Artifact(tmp_path / "bad", Fingerprint({}), fail, cost=1)]
        return good

    def fail(job):
        raise MtpkdError("no")

    with pytest.raises(MtpkdError, match="no"):
        run_units("stage", ["a", "b"], artifacts, workers=1, root=tmp_path)
    assert (tmp_path / "a-0").exists()
    assert (tmp_path / "b-0").exists()
    assert not (tmp_path / "bad").exists()


def test_processes_by_default(tiny_recipe, monkeypatch):
    assert default_workers() == len(os.sched_getaffinity(0))
    threads = override_recipe(tiny_recipe, **{"training.threads": 1000})
    assert training_workers(threads) == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert training_workers(override_recipe(tiny_recipe, **{"training.device": "auto"})) == 1
    assert training_workers(tiny_recipe) == default_workers(), "the demo asks for the CPU"


def test_a_device_that_is_not_there_is_refused_in_words(tiny_recipe, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match=r"training\.device = 'cuda': torch finds no CUDA device"):
        training_workers(override_recipe(tiny_recipe, **{"training.device": "cuda"}))


@pytest.mark.parametrize(
    ("device", "said", "given"),
    [("cpu", None, 0), ("cpu", 0.5, 0), ("cuda", None, 1), ("cuda", 0.5, 0.5), ("auto", None, 0), ("auto", 2, 2)],
)
def test_elsewhere_a_training_is_given_cards_where_the_device_is_one(tiny_recipe, monkeypatch, device, said, given):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    recipe = override_recipe(tiny_recipe, **{"training.device": device, "training.threads": 3})
    assert training_workers(recipe, RayCluster(gpus=said)) == RayCluster(cpus=3, gpus=given)
    monkeypatch.setenv("MTPKD_DEVICE", "cuda")
    assert training_workers(recipe, RayCluster(gpus=said)) == RayCluster(cpus=3, gpus=1 if said is None else said)
