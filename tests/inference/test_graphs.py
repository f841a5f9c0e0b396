"""Untrained students, because a graph does not care what its weights are: exported once, and asked many things."""

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.corpora import task_of
from pipelines.errors import MtpkdError, SettingsError
from pipelines.inference import graphs, onnx_runtime
from pipelines.inference.description import StudentDescription
from pipelines.inference.graphs import ProgramRuntime, check_graph, graph_metadata, write_onnx, write_program
from pipelines.inference.onnx_runtime import OnnxRuntime
from pipelines.media.sampling import PIXEL_MEAN
from pipelines.models.recording import RecordingNetwork
from pipelines.recipe.loading import override_recipe, plain
from pipelines.training.restoring import make_student, make_teacher

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class TorchStudent:
    """A network as a runtime, without a checkpoint."""

    network: RecordingNetwork
    description: StudentDescription

    @torch.no_grad()
    def __call__(self, windows, present):
        return self.network(torch.from_numpy(windows), torch.from_numpy(present)).numpy()


def student_of(recipe, method, **schema) -> TorchStudent:
    torch.manual_seed(0)
    task, windows = task_of(recipe.corpus), recipe.windows
    network = make_student(recipe, method, task.num_outputs)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    size = recipe.faces.size
    description = StudentDescription(recipe, {"method": method, "task": plain(task), **schema})
    return TorchStudent(
        RecordingNetwork(
            encoder=make_teacher(recipe, "faces", task, (3, windows.frames, size, size)).encoder,
            student=network,
            context=windows.context,
            scale=description.label_scale,
        ),
        description,
    )


def recording(student, count, frames, seed=0):
    random, size = np.random.default_rng(seed), student.description.faces.size
    windows = random.standard_normal((count, 3, frames, size, size), np.float32)
    present = random.random(count) < 0.7
    windows[~present] = np.nan
    return windows, present


@pytest.fixture(scope="module")
def clips(tiny_recipe):
    """A student of whole clips with a hallucination net."""
    return student_of(override_recipe(tiny_recipe, **{"faces.size": 48}), "mt-pkdot")


@pytest.fixture(scope="module")
def trials(tiny_affwild2):
    """A student of trials that sees five windows, without a hallucination net, on a scale of its own."""
    recipe = override_recipe(tiny_affwild2, **{"faces.size": 48, "windows.context": 5})
    return student_of(recipe, "none", label_scale={"mean": [5.0, 0.0], "std": [20.0, 0.5]})


@pytest.fixture(scope="module")
def onnx_files(clips, trials, tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    for name, student in (("clips", clips), ("trials", trials)):
        write_onnx(student.network, folder / f"{name}.onnx", student.description)
    return folder


@pytest.mark.parametrize("name", ["clips", "trials"])
@pytest.mark.parametrize(("count", "frames"), [(1, 1), (3, 4), (9, 3), (2, 11)])
def test_onnx_gives_what_torch_gives(name, count, frames, onnx_files, request):
    student = request.getfixturevalue(name)
    windows, present = recording(student, count, frames)
    ours, theirs = OnnxRuntime(onnx_files / f"{name}.onnx")(windows, present), student(windows, present)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert np.isnan(ours[~present]).all()
    assert np.isfinite(ours[present]).all()


def test_a_program_gives_what_torch_gives_and_needs_no_mtpkd(trials, tmp_path):
    student, path = trials, tmp_path / "student.pt2"
    write_program(student.network, path, student.description)
    assert check_graph(ProgramRuntime(path, student.description), student).largest <= 1e-4
    assert b"pipelines/" not in path.read_bytes()
    windows, present = recording(student, 4, 5)
    np.savez(tmp_path / "in.npz", windows=windows, present=present)
    code = (
        "import numpy, sys, torch\nvalues = numpy.load('in.npz')\n"
        "student = torch.export.load('student.pt2').module()\n"
        "numpy.save('out.npy', student(*(torch.from_numpy(values[k]) for k in ('windows', 'present'))).detach())\n"
        "assert not any(name.startswith('pipelines') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd=tmp_path, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), student(windows, present), atol=1e-4)


def test_a_strided_network_takes_any_number_of_frames(tiny_recipe):
    changes = {"faces.size": 32, "encoders.faces.architecture": "r3d-18"}
    student = student_of(override_recipe(tiny_recipe, **changes), "none")
    program = graphs.trace(student.network, student.description).module()
    for frames in (1, 4, 9):  # the strides of R3D-18 leave 1, 1 and 2
        windows, present = recording(student, 2, frames)
        outputs = program(torch.from_numpy(windows), torch.from_numpy(present)).detach().numpy()
        np.testing.assert_allclose(outputs, student(windows, present), atol=1e-4)


@pytest.mark.parametrize("at_once", [1, 2, 7])
def test_parts_of_a_long_recording_give_the_whole(at_once, trials, onnx_files, monkeypatch):
    windows, present = recording(trials, 11, 2)
    monkeypatch.setattr(onnx_runtime, "_AT_ONCE", at_once)
    runtime = OnnxRuntime(onnx_files / "trials.onnx")
    fed = []
    session = runtime._session
    monkeypatch.setattr(runtime, "_session", Spy(session, fed))
    np.testing.assert_allclose(runtime(windows, present), trials(windows, present), atol=1e-4)
    assert max(fed) <= at_once + 4
    assert runtime(windows[:0], present[:0]).shape == (0, 2)


@dataclass
class Spy:
    session: object
    fed: list

    def run(self, names, inputs):
        self.fed.append(len(inputs["windows"]))
        return self.session.run(names, inputs)


def test_metadata_describe_the_student(trials, onnx_files):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(onnx_files / "trials.onnx")
    known = {item.key: item.value for item in model.metadata_props}
    assert known == graph_metadata(trials.description)
    assert json.loads(known["labels"]) == ["valence", "arousal"]
    assert known["task"] == "continuous"
    assert json.loads(known["crop_size"]) == 48
    assert json.loads(known["frames"]) == 2
    assert json.loads(known["window"])["context"] == 5
    assert np.allclose(json.loads(known["pixel_mean"]), PIXEL_MEAN)
    shape = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["W", 3, "T", 48, 48]
    assert OnnxRuntime(onnx_files / "trials.onnx").description == trials.description
    assert [item.version for item in model.opset_import if not item.domain] == [graphs.OPSET]


def test_a_graph_holds_no_path_of_its_source(onnx_files):
    assert b"pipelines/" not in (onnx_files / "clips.onnx").read_bytes()


def test_running_a_graph_imports_no_torch(onnx_files, tmp_path):
    code = (
        "import sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from pipelines.inference.onnx_runtime import OnnxRuntime\n"
        "from pipelines.inference.locating import find_student\n"
        f"runtime = OnnxRuntime(find_student(Path({str(onnx_files / 'clips.onnx')!r})))\n"
        "print(runtime(np.zeros((2, 3, 4, 48, 48), np.float32), np.array([True, False])).shape)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "(2, 2)"


def test_a_graph_that_is_not_right_is_refused(clips):
    class Off(TorchStudent):
        def __call__(self, windows, present):
            return super().__call__(windows, present) + self.by

    wrong = Off(clips.network, clips.description)
    wrong.by = 2e-4
    with pytest.raises(MtpkdError, match=r"differs from the checkpoint by 2\.0e-04, more than 0\.0001"):
        check_graph(wrong, clips)
    wrong.by = np.nan
    with pytest.raises(MtpkdError, match="has values where the checkpoint has none"):
        check_graph(wrong, clips)
    wrong.by = 5e-5
    assert 4e-5 < check_graph(wrong, clips).largest < 6e-5


def test_the_difference_is_in_the_unit_of_the_labels(trials):
    class Off(TorchStudent):
        def __call__(self, windows, present):
            return super().__call__(windows, present) + np.array([1e-3, 0])

    assert check_graph(Off(trials.network, trials.description), trials).largest == pytest.approx(5e-5, rel=0.1)


def test_what_is_no_graph_of_a_student_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    with pytest.raises(MtpkdError, match=r"absent\.onnx is not there"):
        OnnxRuntime(tmp_path / "absent.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\x08\x07 no graph at all")
    with pytest.raises(MtpkdError, match=r"broken\.onnx is not a graph that onnxruntime can run"):
        OnnxRuntime(broken)
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "other", [value("x", 1, [1])], [value("y", 1, [1])])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(MtpkdError, match=r"other\.onnx is an ONNX graph, but not of a student"):
        OnnxRuntime(tmp_path / "other.onnx")


def test_a_damaged_graph_is_refused_in_words_or_runs(onnx_files, tmp_path, capfd):
    whole, random = (onnx_files / "clips.onnx").read_bytes(), np.random.default_rng(0)
    damaged = tmp_path / "damaged.onnx"
    refused = 0
    for cut in range(60):
        data = bytearray(whole[: random.integers(len(whole))] if cut % 4 == 0 else whole)
        for place in random.integers(len(data), size=20):
            data[place] ^= 1 << random.integers(8)
        damaged.write_bytes(data)
        with suppress(MtpkdError):
            OnnxRuntime(damaged, threads=1)
            refused -= 1
        refused += 1
    assert refused > 20
    damaged.write_bytes(whole.replace(b"windows", b"w\xffndows"))
    with pytest.raises(MtpkdError, match=r"damaged\.onnx is not a graph .*'utf-8' codec.*export it again"):
        OnnxRuntime(damaged)
    assert "EP Error" not in capfd.readouterr().out


def test_a_missing_extra_is_named(clips, onnx_files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(SettingsError, match=r"pip install 'mtpkd\[export\]'"):
        write_onnx(clips.network, tmp_path / "student.onnx", clips.description)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SettingsError, match=r"pip install 'mtpkd\[export\]'"):
        OnnxRuntime(onnx_files / "clips.onnx")
