import pytest
import torch
from safetensors.torch import save_file

from pipelines.errors import CannotWrite, MtpkdError
from pipelines.recipe.loading import load_recipe
from pipelines.training.checkpoints import load_checkpoint, save_checkpoint

STATE = {"head.weight": torch.arange(6.0).reshape(2, 3), "encoder.bias": torch.tensor([1, 2])}


def test_a_checkpoint_holds_weights_schema_and_the_whole_recipe(tmp_path):
    recipe = load_recipe("demo")
    save_checkpoint(tmp_path / "c.safetensors", STATE, {"labels": ["BL1", "PA4"]}, recipe)
    read = load_checkpoint(tmp_path / "c.safetensors")
    assert read.recipe == recipe
    assert read.schema == {"labels": ["BL1", "PA4"]}
    assert torch.equal(read.part("head")["weight"], STATE["head.weight"])
    assert set(read.part("head")) == {"weight"}
    header = load_checkpoint(tmp_path / "c.safetensors", weights=False)
    assert (header.schema, header.recipe, header.state) == (read.schema, recipe, {})


def test_equal_checkpoints_have_equal_bytes(tmp_path):
    for name in ("1", "2"):
        save_checkpoint(tmp_path / name, STATE, {"b": 1, "a": 2}, load_recipe("demo"))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, disk_full_at):
    said = r"c.safetensors cannot be written \(File too large\): free some space"
    with disk_full_at(100_000), pytest.raises(CannotWrite, match=said):
        save_checkpoint(tmp_path / "c.safetensors", {"a": torch.zeros(100_000)}, {})
    assert list(tmp_path.iterdir()) == []


def test_shared_and_strided_tensors_are_written_as_they_look(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    save_checkpoint(tmp_path / "c", {"a": base.T, "b": base}, {})
    assert torch.equal(load_checkpoint(tmp_path / "c").state["a"], base.T)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\xff" * 64])
def test_what_is_no_checkpoint_is_refused_by_name(tmp_path, content):
    (tmp_path / "c.safetensors").write_bytes(content)
    with pytest.raises(MtpkdError, match=r"c\.safetensors is not a readable safetensors file"):
        load_checkpoint(tmp_path / "c.safetensors")


def test_foreign_weights_and_absent_files_are_refused(tmp_path):
    save_file(STATE, tmp_path / "foreign.safetensors")
    with pytest.raises(MtpkdError, match="was not written by mtpkd"):
        load_checkpoint(tmp_path / "foreign.safetensors")
    with pytest.raises(MtpkdError, match="absent is missing"):
        load_checkpoint(tmp_path / "absent")
