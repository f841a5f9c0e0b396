"""`--device` overrules the recipe for one command, says so, and makes nothing stale."""

import os

import pytest
import torch

from pipelines.recipe.loading import render_recipe
from pipelines.stages import align
from pipelines.stages.executors.ray_cluster import RayCluster
from pipelines.training.device import DEVICE_VARIABLE

COMMANDS = ["train-teachers", "align", "distill", "evaluate", "compare", "run"]


@pytest.fixture(autouse=True)
def _without_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(DEVICE_VARIABLE, "")  # the command line sets it for good: here it is taken back after each test


def test_a_device_of_the_command_line_makes_nothing_stale(mtpkd, tiny_recipe, tmp_path):
    (tmp_path / "tiny.yaml").write_text(render_recipe(tiny_recipe))
    assert mtpkd("run", "tiny.yaml", "--workers", 1)[0] == 0
    status, out, err = mtpkd("run", "tiny.yaml", "--workers", 1, "--device", "cpu")
    assert status == 0, err
    assert "device: cpu, by --device; what is up to date stays so" in out
    assert out.count("up to date, nothing to do") == 6
    status, _, err = mtpkd("train-teachers", "--device", "auto")
    assert status == 0, err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_that_is_not_there_is_a_message(mtpkd, command):
    status, _, err = mtpkd(command, *(["demo"] if command == "run" else []), "--device", "cuda")
    assert (status, err) == (2, "mtpkd: error: --device = 'cuda': torch finds no CUDA device here; use auto or cpu\n")


def test_who_hands_out_work_needs_no_device(mtpkd, tiny_recipe, monkeypatch, tmp_path):
    folder = tmp_path / "runs" / "synthetic"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(render_recipe(tiny_recipe))
    asked = []
    monkeypatch.setattr(align, "run", lambda *_, workers, **__: asked.append((workers, os.environ[DEVICE_VARIABLE])))
    monkeypatch.setattr(RayCluster, "connect", lambda self: None)
    status, out, err = mtpkd("align", "--executor", "ray", "--device", "cuda")
    assert status == 0, err
    assert "device: cuda, by --device" in out
    assert asked == [(RayCluster(), "cuda")]
