import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipelines.errors import MtpkdError
from pipelines.models import SmallSpectrogramEncoder, load_weights, resnet_18
from pipelines.models.encoders import make_encoder
from pipelines.recipe import EncoderSettings
from pipelines.weights import REGISTRY, path_of


@pytest.fixture(params=["weights.safetensors", "weights.pt"])
def save(request, tmp_path):
    """Writes a state dict in either format, returns the file."""

    def save(state):
        file = tmp_path / request.param
        if file.suffix == ".safetensors":
            save_file(state, file)
        else:
            torch.save(state, file)
        return file

    return save


def test_a_published_file_fills_a_network_without_fc(save):
    published, network = resnet_18(num_outputs=7), resnet_18()
    load_weights(network, save(published.state_dict()))
    for key, value in network.state_dict().items():
        assert torch.equal(value, published.state_dict()[key])


def test_a_file_without_fc_and_counters_fits_too(save):
    published, network = resnet_18(), resnet_18()
    state = {key: value for key, value in published.state_dict().items() if "num_batches" not in key}
    load_weights(network, save(state))
    assert torch.equal(network.conv1.weight, published.conv1.weight)


@torch.no_grad()
def test_one_channel_takes_the_sum_over_three(save):
    published, network = resnet_18(), resnet_18(in_channels=1)
    load_weights(network, save(published.state_dict()))
    image = torch.randn(2, 1, 48, 48)
    torch.testing.assert_close(network.eval()(image), published.eval()(image.expand(-1, 3, -1, -1)))


def _without(state):
    return {key: value for key, value in state.items() if key != "norm.weight"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without, r"key norm.weight is missing, expected with shape \(1088,\)"),
        (lambda state: {**state, "extra": torch.zeros(3)}, r"unexpected key extra with shape \(3,\)"),
        (
            lambda state: {**state, "norm.weight": torch.zeros(7)},
            r"key norm.weight has shape \(7,\), expected \(1088,\)",
        ),
    ],
)
def test_a_mismatch_names_file_key_and_shapes(save, change, message):
    network = SmallSpectrogramEncoder()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    state = {key: value + 1 for key, value in before.items()}
    file = save(change(state))
    with pytest.raises(MtpkdError, match=message) as error:
        load_weights(network, file)
    assert str(file) in str(error.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_network_with_fc_wants_its_fc(save):
    with pytest.raises(MtpkdError, match=r"key fc.weight has shape \(7, 512\), expected \(5, 512\)"):
        load_weights(resnet_18(num_outputs=5), save(resnet_18(num_outputs=7).state_dict()))


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", bytes(range(256)) * 8])
def test_a_corrupt_file_is_an_error_of_ours(tmp_path, name, content):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(MtpkdError, match=name):
        load_weights(resnet_18(), file)


def test_a_truncated_file_is_an_error_of_ours(save):
    file = save({"a": torch.randn(1000)})
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(MtpkdError, match="not a readable weights file"):
        load_weights(resnet_18(), file)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("zipped", [True, False])
def test_flipped_bytes_are_an_error_of_ours(tmp_path, zipped):
    """Where they make a torch file's instructions wrong, its reader raises almost anything."""
    file = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(3), "b": torch.zeros(2, 2)}, file, _use_new_zipfile_serialization=zipped)
    whole = file.read_bytes()
    for position in range(0, min(len(whole), 900), 3):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 0x5B]) + whole[position + 1 :])
        with pytest.raises(MtpkdError):
            load_weights(nn.Linear(2, 2), file)


def test_a_missing_file_and_a_pickle_are_errors_of_ours(tmp_path):
    with pytest.raises(MtpkdError, match="no such weights file"):
        load_weights(resnet_18(), tmp_path / "none.pt")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(MtpkdError, match="not a readable weights file"):
        load_weights(resnet_18(), tmp_path / "module.pt")
    torch.save({"state_dict": {}}, tmp_path / "nested.pt")
    with pytest.raises(MtpkdError, match="more than tensors"):
        load_weights(resnet_18(), tmp_path / "nested.pt")


@pytest.fixture
def registered(tmp_path, monkeypatch):
    """Weights in the registry and the cache: what they are called, and the network that they came from."""
    network = resnet_18(num_outputs=7)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    digest = hashlib.sha256((tmp_path / "net.pth").read_bytes()).hexdigest()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MTPKD_OFFLINE", "1")
    known = replace(REGISTRY["resnet_18-imagenet"], address="http://127.0.0.1:9/net.pth", sha256=digest)
    monkeypatch.setitem(REGISTRY, "resnet_18-imagenet", known)
    path_of(known).parent.mkdir(parents=True)
    (tmp_path / "net.pth").rename(path_of(known))
    return "resnet_18-imagenet", network


def test_a_recipe_may_name_registered_weights(registered):
    name, published = registered
    settings = EncoderSettings(architecture="resnet-18", weights=Path(name))
    encoder = make_encoder(settings, embedding=512)
    expected = published.conv1.weight.sum(1, keepdim=True)
    torch.testing.assert_close(encoder.conv1.weight, expected)
    torch.testing.assert_close(encoder.layer4[1].conv2.weight, published.layer4[1].conv2.weight)


def test_registered_weights_are_checked_and_never_taken_from_elsewhere(registered):
    name, _ = registered
    path = path_of(REGISTRY[name])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(MtpkdError, match="damaged or not the published file"):
        load_weights(resnet_18(), name)
    path.unlink()
    with pytest.raises(MtpkdError, match=r"(?s)weights: resnet_18-imagenet needs weights.*fetch resnet_18-imagenet"):
        load_weights(resnet_18(), name)


def test_a_name_that_is_not_registered_points_to_the_list():
    with pytest.raises(MtpkdError, match=r"no such weights file.*mtpkd weights list"):
        load_weights(resnet_18(), "resnet_18-imagenett")
