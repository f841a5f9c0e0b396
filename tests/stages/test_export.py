import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import MtpkdError, SettingsError
from pipelines.inference.graphs import Agreement
from pipelines.inference.onnx_runtime import OnnxRuntime
from pipelines.inference.student import load_student
from pipelines.inference.torch_runtime import TorchRuntime
from pipelines.stages import export
from pipelines.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]


def lines_of(card, heading):
    """The table below a heading, header and rule left out, as cells."""
    part = card.split(heading, 1)[1].split("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


@pytest.fixture
def study(finished, tmp_path):
    """A private copy of a finished workspace: an exported file lies beside its student."""
    root = tmp_path / "study"
    shutil.copytree(finished.root, root)
    return Workspace(root)


@pytest.fixture
def quick(monkeypatch):
    """For what is asked of the card and the files: a graph that takes no time."""
    kind = replace(
        export._KINDS["torch"], write=lambda _, path, __: path.write_bytes(b"graph"), read=lambda path, _: path
    )
    monkeypatch.setitem(export._KINDS, "torch", kind)
    monkeypatch.setattr(export, "check_graph", lambda *_: Agreement(0.0, (1, 4), (4, 5)))


@pytest.fixture(scope="module")
def exported(finished, tmp_path_factory):
    """The student of mt-pkdot as an ONNX graph, with its card."""
    return export.run(finished.root, format="onnx", output=tmp_path_factory.mktemp("exported"))


def test_an_exported_student_gives_what_its_checkpoint_gives(exported):
    assert exported.graph.name == "student.onnx"
    assert exported.agreement.largest <= 1e-4
    assert exported.evaluated
    random = np.random.default_rng(1)
    ours, theirs = OnnxRuntime(exported.graph), TorchRuntime(exported.student)
    for count, frames in ((2, 3), (5, 6)):
        windows = random.standard_normal((count, 3, frames, 112, 112), np.float32)
        present = np.arange(count) != 1
        np.testing.assert_allclose(ours(windows, present), theirs(windows, present), atol=1e-4)


def test_predicting_with_a_graph_imports_no_torch(exported, tiny_recipe, tmp_path):
    video = sorted(tiny_recipe.corpus.root.rglob("*.mp4"))[0]
    code = (
        "import sys\nfrom mtpkd_cli.main import app\n"
        f"try:\n    app(['predict', sys.argv[1], {str(video)!r}, '--output', sys.argv[2]])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print('torch' in sys.modules)"
    )
    loaded = {}
    for student in (exported.graph, exported.student):
        output = tmp_path / f"{student.suffix}.csv"
        command = [sys.executable, "-c", code, str(student), str(output)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        loaded[output] = done.stdout.split()[-1]
    assert list(loaded.values()) == ["False", "True"]
    ours, theirs = (list(csv.DictReader(path.open(newline=""))) for path in loaded)
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert mine["label"] == other["label"]
        assert float(mine["p_PA4"]) == pytest.approx(float(other["p_PA4"]), abs=1e-4)


def test_the_graph_beside_a_checkpoint_is_run_only_if_it_is_of_it(exported, finished, tmp_path):
    shutil.copyfile(exported.graph, tmp_path / "student.onnx")
    shutil.copyfile(exported.student, tmp_path / "student.safetensors")
    assert isinstance(load_student(tmp_path, runtime="onnx").runtime, OnnxRuntime)
    assert isinstance(load_student(tmp_path).runtime, TorchRuntime)
    shutil.copyfile(finished.student(1, 0, "mt-pkdot"), tmp_path / "student.safetensors")
    with pytest.raises(SettingsError, match="is of another training of this student"):
        load_student(tmp_path, runtime="onnx")


def test_a_graph_carries_no_path_and_no_name_of_a_subject(exported, finished, tiny_recipe):
    text = exported.graph.read_bytes() + exported.card.read_bytes()
    assert str(tiny_recipe.corpus.root).encode() not in text
    assert str(finished.root).encode() not in text
    for shard in (finished.cache / "faces").glob("*.h5"):
        assert shard.stem.encode() not in text


def test_the_card_has_the_numbers_of_the_results(exported, finished):
    card = exported.card.read_text()
    results = json.loads(finished.results(".json").read_text())
    rows = {line[0].removesuffix(" %"): line[1:] for line in lines_of(card, "## Evaluation")}
    own = {r["metric"]: r["value"] for r in fold_rows(finished, "mt-pkdot")}
    for name, members in results["metrics"].items():
        wanted = next(row for row in members if (row["role"], row["method"]) == ("student", "mt-pkdot"))
        scale = 100 if name.endswith(("accuracy", "f1")) else 1
        value, difference, _, of_file = rows[name]
        assert float(value.split()[0]) == pytest.approx(scale * wanted["value"], abs=0.051 if scale > 1 else 6e-4)
        assert float(difference.split()[0]) == pytest.approx(
            scale * wanted["difference"], abs=0.051 if scale > 1 else 6e-4
        )
        assert float(of_file) == pytest.approx(scale * float(own[name]), abs=0.051 if scale > 1 else 6e-4)
    verdict = next(r for r in results["metrics"]["accuracy"] if r["method"] == "mt-pkdot")["verdict"]
    assert verdict in card
    assert "| sex | women |" in card
    assert "By age, the worst value is that of" in card


def fold_rows(workspace, method):
    lines = workspace.results(".csv").read_text().splitlines()
    rows = [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]
    return [row for row in rows if (row["method"], row["fold"], row["seed"]) == (method, "0", "0")]


def test_the_card_of_a_student_without_teachers(study, quick):
    path = study.student(0, 0, "none")
    done = export.run(path.parent, format="torch")
    assert done.graph == path.with_suffix(".pt2")
    card = done.card.read_text()
    assert "it has none: it learned from labels" in card
    assert "What it imagines" not in card
    assert "in words: **" not in card
    assert "Reading a torch.export file can run code" in card


def test_a_student_of_trials_as_a_program(continuous, tmp_path):
    done = export.run(continuous.student(0, 0, "mt-pkdot"), format="torch", output=tmp_path / "va.pt2")
    assert done.agreement.windows == (1, 6)
    card = done.card.read_text()
    assert [line[0] for line in lines_of(card, "## Evaluation")][:3] == ["ccc", "ccc-valence", "ccc-arousal"]
    assert "each sees 1 neighbours on either side" in card


def test_without_results_the_card_says_so(study, quick):
    study.results(".json").unlink()
    done = export.run(study.root, format="torch")
    assert not done.evaluated
    assert "Not known: the student was not evaluated: run `mtpkd evaluate --workspace study`" in done.card.read_text()


def test_results_of_another_training_are_not_shown(study, quick):
    shutil.copyfile(study.student(1, 0, "mt-pkdot"), study.student(0, 0, "mt-pkdot"))
    done = export.run(study.root, format="torch")
    assert "the results are of another training of this student" in done.card.read_text()


def test_a_student_outside_its_workspace(study, quick, tmp_path):
    alone = tmp_path / "alone.safetensors"
    shutil.copyfile(study.student(0, 0, "none"), alone)
    done = export.run(alone, format="torch")
    assert done.graph == tmp_path / "alone.pt2"
    assert "lay outside its workspace" in done.card.read_text()


def test_a_card_that_was_completed_by_hand_is_kept(study, quick):
    first = export.run(study.root, format="torch")
    first.card.write_text("by hand")
    second = export.run(study.root, format="torch")
    assert second.kept is not None
    assert second.kept.read_text() == "by hand"
    assert export.run(study.root, format="torch").kept is None
    second.card.write_text("by hand, again")
    third = export.run(study.root, format="torch")
    assert [path.read_text() for path in (second.kept, third.kept)] == ["by hand", "by hand, again"]


def test_a_graph_that_differs_leaves_nothing(study, monkeypatch):
    restore = export.restore_recording

    def broken(checkpoint):
        network = restore(checkpoint)
        network.student.head.linear.bias.data += 1e-3
        return network

    monkeypatch.setattr(export, "restore_recording", broken)
    folder = study.student(0, 0, "mt-pkdot").parent
    before = sorted(folder.iterdir())
    with pytest.raises(MtpkdError, match=r"student\.pt2 was not written: the graph differs from the checkpoint by 1"):
        export.run(study.root, format="torch")
    assert sorted(folder.iterdir()) == before


def test_mistakes_are_named(exported, finished, tmp_path):
    with pytest.raises(SettingsError, match="no such file or folder"):
        export.run(tmp_path / "nowhere", format="onnx")
    with pytest.raises(SettingsError, match=r"student\.onnx is exported already"):
        export.run(exported.graph, format="onnx")
    with pytest.raises(SettingsError, match=r"a file of this format ends in \.onnx"):
        export.run(finished.root, format="onnx", output=tmp_path / "student.pt2")
