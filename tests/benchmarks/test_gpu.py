"""`make bench-gpu` measures nothing here, but what it would run is run, small and on the CPU."""

import sys

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def gpu(benchmark):
    pytest.importorskip("geomloss", reason="the anchor of the transport is geomloss")
    return benchmark("gpu")


@pytest.fixture
def sizes(gpu):
    return gpu.Sizes(
        clips=12, clouds=((8, 4),), embedded=(1,), side=16, frames=2, matrix=8, stored=2, batch=2, steps=1, rounds=1
    )


@pytest.mark.parametrize("part", ["distillation", "transport", "embedding", "loader"])
def test_every_part_runs(gpu, sizes, part):
    rows = getattr(gpu, part)("cpu", sizes)
    assert rows
    printed = gpu.table(rows)
    assert all(len(line) <= 80 for line in printed.splitlines()), printed
    assert "nan" not in printed


def test_every_part_is_measured(gpu):
    assert [part.__name__ for part in gpu.PARTS] == ["distillation", "transport", "embedding", "loader"]


def test_operations_of_the_encoder_are_those_of_its_convolutions(gpu):
    """Known of R3D-18: 40.7 billion multiplications with an addition on 16 frames."""
    assert gpu.operations(gpu.Sizes(frames=16)) == pytest.approx(2 * 40.7e9, rel=0.01)


def test_without_a_device_it_says_so(gpu, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    gpu.main()
    assert capsys.readouterr().out == "torch finds no CUDA device here: nothing was measured\n"
