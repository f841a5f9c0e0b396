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


def test_without_geomloss_the_transport_is_measured_alone(gpu, sizes, monkeypatch):
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    assert [row[2] for row in gpu.transport("cpu", sizes)] == ["geomloss is not here"]


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA GH200 480GB", 989e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA GeForce RTX 4090", 165e12),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA L40", None),
        ("Tesla V100-SXM2-16GB", None),
    ],
)
def test_the_peak_is_that_of_the_data_sheet_where_the_card_is_known(gpu, name, peak):
    assert gpu.peak_of(name) == peak


@pytest.fixture
def pretended(gpu, monkeypatch):
    """A device of which nothing is asked; what fails when it is to be compiled."""

    def forward(network, batch, device, sizes):
        if compiled:
            raise RuntimeError("no compiler")

    compiled = []
    monkeypatch.setattr(gpu, "prepare_encoder", lambda *_, **options: compiled.extend([1] * options["compiled"]))
    replaced = {"forward_of": forward, "matrix_rate": lambda *_: 4945e11, "seconds": lambda *_: 1.0}
    for name, function in replaced.items():
        monkeypatch.setattr(gpu, name, function)
    monkeypatch.setattr(gpu, "r3d_18", torch.nn.Identity)
    monkeypatch.setattr(gpu, "operations", lambda sizes: 989e10)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, device: self)


def test_it_says_which_peak_it_goes_by_and_goes_on_without_a_compiler(gpu, sizes, pretended, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    assert gpu.embedding("cuda", sizes) == [
        ("bfloat16 product of 8 x 8", "494.5 TFLOP/s", "50.0% of data sheet"),
        ("R3D-18 forward, batch 1", "1 clips/s", "1.0% of 989 TFLOP/s"),
        ("R3D-18 forward, batch 1, compiled", "not compiled", "RuntimeError"),
    ]


def test_of_an_unknown_card_the_peak_is_measured(gpu, sizes, pretended, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA L40")
    product, forward, *_ = gpu.embedding("cuda", sizes)
    assert (product[2], forward[2]) == ("taken as the peak", "2.0% of 494 TFLOP/s")


def test_without_a_device_it_says_so(gpu, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    gpu.main()
    assert capsys.readouterr().out == "torch finds no CUDA device here: nothing was measured\n"
