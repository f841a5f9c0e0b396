"""What two processes compute of a batch under torchrun, against what one computes."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.overrides import TorchFunctionMode

from pipelines.objectives import METHODS
from pipelines.training.sharing import Share, share_batch_norm

CHILD = Path(__file__).with_name("sharing_child.py")
LONGEST_S = 200.0


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """{what: values} of the one process, and of each of two."""
    folder = tmp_path_factory.mktemp("computed")
    address = ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", "2", *address]
    path = os.pathsep.join([str(CHILD.parents[2]), os.environ.get("PYTHONPATH", "")])
    for launcher, processes in (([], 1), (torchrun, 2)):
        command = [sys.executable, *launcher, str(CHILD), str(folder), str(processes)]
        options = {"capture_output": True, "text": True, "timeout": LONGEST_S, "check": False}
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, **options)
        assert done.returncode == 0, done.stderr
    return [load_file(folder / f"{name}.safetensors") for name in ("0-of-1", "0-of-2", "1-of-2")]


def of(found, case):
    return {name.removeprefix(f"{case}|"): value for name, value in found.items() if name.startswith(f"{case}|")}


def furthest(one, two, only=""):
    """The largest difference of anything, in units of its largest value, or as it is where that is below 1."""
    names = [name for name in one if re.search(only, name)]
    assert names
    return max(float((one[name] - two[name]).abs().max() / one[name].abs().max().clamp(min=1)) for name in names)


CASES = [
    *(f"{method}, {kind}" for method in METHODS for kind in ("classes", "continuous")),
    *(f"{name}, {kind}" for name in ("transformer", "concat", "linear") for kind in ("classes", "continuous")),
    *(f"align by {term}, {kind}" for term in ("cosine", "mse", "mmd") for kind in ("classes", "continuous")),
    "align by kl",
    "joint-cross-attention",
    "hallucination",
    "resnet-18",
    "frames",
]


@pytest.mark.parametrize("case", CASES)
def test_losses_and_gradients_are_those_of_one_process(computed, case):
    one, two, other = (of(found, case) for found in computed)
    assert one.keys() == two.keys() == other.keys()
    assert sum(name.startswith("step 2|gradient|") for name in one) >= 4, "three batches, the last of one sample"
    assert furthest(one, two) < 1e-5
    assert all(torch.equal(two[name], other[name]) for name in two), "both processes know the same"


def test_every_problem_is_compared(computed):
    assert {name.split("|")[0] for name in computed[0]} == {*CASES, "learning", "dropout"}


def test_batch_norm_remembers_the_moments_of_the_whole_batch(computed):
    one, two, _ = (of(found, "resnet-18") for found in computed)
    remembered = [name for name in one if name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert len(remembered) == 60
    assert max(one[name].abs().max() for name in remembered) > 1.5
    assert furthest(one, two, "running|tracked") < 1e-5


def test_training_goes_the_same_way(computed):
    one, two, other = (of(found, "learning") for found in computed)
    assert float(one["epoch 3|loss"]) < float(one["epoch 0|loss"])
    assert furthest(one, two, "^epoch") < 1e-4
    assert all(torch.equal(two[name], other[name]) for name in two)


def test_processes_draw_dropout_of_their_own_and_the_same_batches(computed):
    one, two, other = (of(found, "dropout") for found in computed)
    assert furthest(one, two, "step 0") > 1e-3, "these are not the masks of one process"
    assert all(torch.equal(two[name], other[name]) for name in two), "the weights are the same everywhere"


@pytest.mark.parametrize(("count", "size"), [(7, 2), (1, 2), (8, 3), (2, 5), (0, 2)])
def test_shares_are_the_whole_batch_in_its_order(count, size):
    samples = torch.arange(count)
    shares = [Share(rank, size).of(samples) for rank in range(size)]
    assert torch.equal(torch.cat(shares), samples)
    lengths = [len(share) for share in shares]
    assert max(lengths) - min(lengths) <= 1


def test_one_process_hands_everything_on_untouched():
    inputs = (torch.ones(3, 2), {"faces": torch.ones(3)})
    assert Share().of_inputs(inputs) is inputs
    assert Share().gathered(inputs, 3) is inputs


def test_no_network_is_given_an_empty_batch():
    """Half-precision attention on a CUDA device refuses one."""
    embeddings, present = {"faces": torch.randn(1, 3)}, {"faces": torch.ones(1, dtype=torch.bool)}
    given = Share(1, 2).of_inputs((embeddings, present))
    assert torch.equal(given[0]["faces"], embeddings["faces"])
    assert torch.equal(given[1]["faces"], present["faces"])


class NoCopies(TorchFunctionMode):
    """Refuses tensors that are made on a device from values of the host."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        assert func not in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor), "the host waits for the copy"
        return func(*args, **(kwargs or {}))


def test_batch_norm_of_several_processes_waits_for_no_device(monkeypatch):
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda values: None)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    share_batch_norm(network)
    network.to("meta")
    with NoCopies():
        network(torch.empty(2, 3, 8, 8, device="meta")).sum().backward()
