"""Simulations in which it is known whether privileged features help, through all five stages; see the benchmark."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "known_truth.py"
QUICK = {
    "teachers.cross_fit": 0,
    "training.teachers.epochs": 10,
    "training.hallucination.epochs": 15,
    "training.alignment.epochs": 5,
    "training.distillation.epochs": 60,
}


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("known_truth", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("number", range(4))
def test_distillation_gains_where_there_is_something_to_gain_and_harms_nowhere(benchmark, number, tmp_path):
    simulation = benchmark.SIMULATIONS[number]
    accuracy = benchmark.run_once(simulation, 0, tmp_path, methods=("none", "kd"), tested=2000, **QUICK)
    assert accuracy[benchmark.TEACHER] > accuracy["none"] + 4, "there is something that only x* knows"
    gain = accuracy["kd"] - accuracy["none"]
    assert gain > 3 if simulation.helps else gain > -3, f"{simulation.name}: {accuracy}"
