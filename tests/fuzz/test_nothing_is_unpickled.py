"""No file that is read can run code: neither by what the source calls, nor by what planted files do."""

import ast
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipelines.errors import MtpkdError
from pipelines.media.npy_file import read_npy
from pipelines.media.signal_file import read_signal
from pipelines.models.encoders.weights import load_weights
from pipelines.recipe.loading import load_recipe
from pipelines.training.checkpoints import load_checkpoint
from pipelines.workspace import read_sidecar

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("mtpkd_cli/**/*.py"), *ROOT.glob("pipelines/**/*.py")])
FORBIDDEN = {
    "pickle.load", "pickle.loads", "pickle.Unpickler", "joblib.load", "dill.load", "cloudpickle.load", "marshal.load",
    "marshal.loads", "shelve.open", "cv2.FileStorage", "yaml.load", "yaml.load_all", "yaml.unsafe_load",
    "yaml.full_load", "yaml.UnsafeLoader", "yaml.Loader", "torch.jit.load", "pandas.read_pickle", "pd.read_pickle",
    "eval", "exec", "numpy.lib.format.read_array", "np.lib.format.read_array", "np.fromfile", "torch.package",
}  # fmt: skip


def calls(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {key.arg: ast.unparse(key.value) for key in node.keywords}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_in_the_source_unpickles(path):
    for name, options in calls(path):
        assert name not in FORBIDDEN
        assert options.get("allow_pickle", "False") == "False"
        if name == "torch.load":
            assert options.get("weights_only") == "True"
        if name in ("np.load", "numpy.load"):
            assert options.get("allow_pickle") == "False"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.module not in ("pickle", "marshal", "shelve", "joblib", "dill")


class Trap:
    """Makes a marker file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path):
    """Where the trap leaves its mark; a plain unpickler springs it, and no reader may."""
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").is_dir()
    return tmp_path / "marker"


def torch_file(trap: Trap) -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": trap}, stream)
    return stream.getvalue()


def old_torch_file(trap: Trap) -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": trap}, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def object_array(trap: Trap) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([trap], object), allow_pickle=True)
    return stream.getvalue()


def renamed_archive(trap: Trap) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(trap))
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def yaml_object(trap: Trap) -> bytes:
    return f"seed: !!python/object/apply:os.mkdir ['{trap.marker}']\n".encode()


READERS = {
    "weights.pt": lambda path: load_weights(nn.Linear(2, 2), path),
    "weights.pth": lambda path: load_weights(nn.Linear(2, 2), path),
    "weights.safetensors": lambda path: load_weights(nn.Linear(2, 2), path),
    "checkpoint.safetensors": load_checkpoint,
    "signal.npy": read_npy,
    "also.npy": lambda path: read_signal(path, None),
    "recipe.yaml": load_recipe,
}
PLANTS = [pickle.dumps, torch_file, old_torch_file, object_array, renamed_archive, yaml_object]


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_pickle_is_not_sprung(tmp_path, marker, name, plant):
    (tmp_path / name).write_bytes(plant(Trap(marker)))
    with pytest.raises(MtpkdError, match=name):
        READERS[name](tmp_path / name)
    assert not marker.exists()


def test_a_sidecar_that_is_a_pickle(tmp_path, marker):
    (tmp_path / "x.json").write_bytes(pickle.dumps(Trap(marker)))
    assert read_sidecar(tmp_path / "x") is None
    assert not marker.exists()
