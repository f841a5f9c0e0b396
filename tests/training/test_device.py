import threading

import numpy as np
import pytest
import torch

from pipelines.errors import SettingsError
from pipelines.models.encoders import r3d_18, resnet_18
from pipelines.training import device
from pipelines.training.device import accelerator, lay_out_weights, prepare_encoder, read_ahead, to_device
from pipelines.training.normalisation import Normaliser
from pipelines.training.problems import encoder
from pipelines.training.problems.encoder import ModalityReader
from pipelines.training.samples import Sample
from pipelines.training.sources import Source


@pytest.fixture
def without_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def with_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)


@pytest.mark.parametrize(("setting", "expected"), [("auto", "cuda"), ("cuda", "cuda"), ("cpu", "cpu")])
def test_the_recipe_says_which_device(with_cuda, setting, expected):
    assert accelerator(setting) == expected


def test_auto_does_with_what_is_there(without_cuda):
    assert accelerator("auto") == "cpu"


@pytest.mark.parametrize(("asked", "expected"), [("cpu", "cpu"), ("auto", "cuda"), ("", "cuda")])
def test_the_command_line_overrules_the_recipe(with_cuda, monkeypatch, asked, expected):
    monkeypatch.setenv(device.DEVICE_VARIABLE, asked)
    assert accelerator("cuda") == expected


def test_a_device_that_is_not_there_is_refused_by_the_name_of_who_asked(without_cuda, monkeypatch):
    with pytest.raises(SettingsError, match=r"training\.device = 'cuda': torch finds no CUDA device"):
        accelerator("cuda")
    monkeypatch.setenv(device.DEVICE_VARIABLE, "cuda")
    with pytest.raises(SettingsError, match="--device = 'cuda': torch finds no CUDA device"):
        accelerator("cpu")
    monkeypatch.setenv(device.DEVICE_VARIABLE, "tpu")
    with pytest.raises(SettingsError, match="MTPKD_DEVICE = 'tpu': expected auto, cpu or cuda"):
        accelerator("cpu")


def test_on_the_cpu_nothing_is_moved_laid_out_or_compiled():
    values = torch.randn(2, 3, 4, 16, 16)
    assert to_device(values, "cpu") is values
    assert device.channels_last(values) is values
    assert device.pinned(values, "cpu") is values
    network = r3d_18()
    prepare_encoder(network, "cpu", compiled=True)
    assert network._compiled_call_impl is None
    assert all(weight.is_contiguous() for weight in network.parameters())


@pytest.mark.parametrize(
    ("make", "shape", "layout"),
    [
        (r3d_18, (2, 3, 4, 32, 32), torch.channels_last_3d),
        (lambda: resnet_18(in_channels=1), (2, 1, 32, 32), torch.channels_last),
    ],
)
def test_another_layout_gives_the_same_numbers_under_the_same_names(make, shape, layout):
    torch.manual_seed(0)
    network, values = make().eval(), torch.randn(shape)
    expected, names = network(values), list(network.state_dict())
    lay_out_weights(network)
    convolutions = [weight for weight in network.parameters() if weight.dim() == len(shape)]
    assert convolutions
    assert all(weight.is_contiguous(memory_format=layout) for weight in convolutions)
    torch.testing.assert_close(network(values.contiguous(memory_format=layout)), expected, rtol=1e-4, atol=1e-5)
    assert list(network.state_dict()) == names


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_reading_ahead_keeps_the_order(threads):
    assert list(read_ahead(((lambda n=n: n**2) for n in range(10)), threads)) == [n**2 for n in range(10)]


def test_reading_ahead_works_while_the_caller_does():
    begun = [threading.Event() for _ in range(4)]
    found = read_ahead((event.set for event in begun), threads=2)
    next(found)
    assert begun[2].wait(10), "the third task was begun before the second was asked for"
    assert not begun[3].is_set(), "but no more than were allowed"
    found.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("ThreadPool")], "a reader that is left ends"


def test_what_goes_wrong_ahead_is_told_in_its_turn():
    def fail():
        raise SettingsError("the second shard is damaged")

    found = read_ahead([lambda: 1, fail, lambda: 3], threads=2)
    assert next(found) == 1
    with pytest.raises(SettingsError, match="the second shard"):
        next(found)


class Jittered(Source):
    view = "frames"
    jitters = True

    def is_usable(self, row):
        return True

    def read(self, row, rng=None):
        return np.full((1, 2), float(row.clip)) + (0 if rng is None else rng.random((1, 2)))


def test_threads_read_what_one_would(monkeypatch):
    reader = ModalityReader(Jittered(), Normaliser("frames", "fixed"))
    rows = [Sample(str(number), "group", None) for number in range(7)]
    wanted = [(rows[:3], ("seed", 1)), (rows[3:6], None), (rows[6:], ("seed", 2))]
    alone = list(reader.batches(wanted))
    monkeypatch.setattr(encoder, "reading_threads", lambda device: 3)
    for ours, theirs in zip(reader.batches(wanted), alone, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
