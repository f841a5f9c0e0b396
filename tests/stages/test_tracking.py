"""What is measured is in metrics.csv once, whoever was killed, and in the services' own files on request."""

import csv
import importlib.util
import math
import shutil
import socket
from datetime import UTC, datetime

import pandas as pd
import pytest

from pipelines import __version__
from pipelines.errors import CannotWrite, DamagedFile, SettingsError
from pipelines.stages import distill, evaluate, run_all, tracking
from pipelines.stages.tracking import COLUMNS, Entry, Measurement, MetricsFile, check_services, tracked
from pipelines.workspace import Workspace


def read(workspace):
    """metrics.csv, as a user reads it."""
    return pd.read_csv(workspace.metrics)


def epoch(workspace, number, *, model="mt-pkdot", run="abc", **values):
    """One epoch of a student's training."""
    values = values or {"loss": 1.0 / (number + 1)}
    return Measurement(run, workspace.student(0, 1, model), 0, 1, model, number, values)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "pain")


def test_every_epoch_of_every_training_is_there_as_in_its_history(finished):
    measured = read(finished)
    assert tuple(measured.columns) == COLUMNS
    histories = sorted(finished.root.rglob("*.history.csv"))
    trained = measured[measured.epoch.notna()]
    names = {str(path.relative_to(finished.root)).replace(".history.csv", ".safetensors") for path in histories}
    assert set(trained.artifact) == names
    for path in histories:
        artifact = str(path.relative_to(finished.root)).replace(".history.csv", ".safetensors")
        told = trained[trained.artifact == artifact].pivot(index="epoch", columns="metric", values="value")
        history = pd.read_csv(path).set_index("epoch")
        told = told[history.columns]
        pd.testing.assert_frame_equal(told, history, check_names=False, check_index_type=False, check_dtype=False)
        assert trained[trained.artifact == artifact].run.nunique() == 1
    students = trained[trained.stage == "distill"]
    assert set(students.model) == {"none", "none-matched", "mt-pkdot"}
    assert {"teacher faces", "teacher joint", "hallucination net", "alignment"} <= set(trained.model)


def test_results_are_there_as_in_results_csv(finished):
    measured = read(finished)
    results = measured[measured.epoch.isna()]
    assert set(results.stage) == {"evaluate"}
    with finished.results(".csv").open() as stream:
        expected = {
            (row["method"].replace(":", " "), int(row["fold"]), int(row["seed"]), row["metric"]): float(row["value"])
            for row in csv.DictReader(stream)
        }
    found = {(row.model, row.fold, row.seed, row.metric): row.value for row in results.itertuples()}
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert math.isclose(found[key], value, rel_tol=1e-5) or math.isnan(found[key]) == math.isnan(value)


def test_workers_tell_the_process_that_writes(finished, crossed_recipe, tmp_path):
    copy = Workspace(tmp_path / "copy")
    shutil.copytree(finished.root, copy.root)
    before = read(copy)
    copy.metrics.unlink()

    def train_again(workers):
        for sidecar in copy.root.rglob("students/none/student.safetensors.json"):
            sidecar.unlink()
        distill.run(crossed_recipe, copy, methods=["none"], workers=workers)

    train_again(workers=2)
    columns = ["run", "artifact", "fold", "seed", "model", "epoch", "metric", "value"]
    expected = before[(before.stage == "distill") & (before.model == "none")][columns]
    assert set(read(copy)[columns].itertuples(index=False)) == set(expected.itertuples(index=False))
    assert len(read(copy)) == len(expected)
    train_again(workers=1)
    evaluate.run(crossed_recipe, copy, workers=1)
    evaluate.run(crossed_recipe, copy, workers=1)
    results = before[before.stage == "evaluate"]
    assert len(read(copy)) == len(expected) + len(results), "what came out the same is not written again"


def test_a_resumed_training_is_not_written_twice(workspace):
    first = MetricsFile(workspace)
    assert all(first.add("distill", epoch(workspace, number)) for number in range(6))
    second = MetricsFile(workspace)
    assert [second.add("distill", epoch(workspace, number)) for number in range(8)] == [False] * 6 + [True] * 2
    assert not second.add("distill", epoch(workspace, 7))
    assert second.add("distill", epoch(workspace, 7, run="other settings"))
    measured = read(workspace)
    assert list(measured.epoch) == [*range(8), 7]
    assert list(measured.artifact.unique()) == ["fold-0/seed-1/students/mt-pkdot/student.safetensors"]
    assert pd.to_datetime(measured.time).dt.tz is not None


@pytest.mark.parametrize("lost", [1, 7, 30])
def test_what_was_torn_off_is_cut_away_and_written_again(workspace, lost):
    file = MetricsFile(workspace)
    for number in range(3):
        file.add("distill", epoch(workspace, number))
    whole = workspace.metrics.read_bytes()
    workspace.metrics.write_bytes(whole[:-lost])
    assert MetricsFile(workspace).add("distill", epoch(workspace, 2))
    assert list(read(workspace).epoch) == [0, 1, 2]
    workspace.metrics.write_bytes(whole[:5])
    assert MetricsFile(workspace).add("distill", epoch(workspace, 0))
    assert list(read(workspace).epoch) == [0]


@pytest.mark.parametrize(("lines", "torn"), [(2, 9), (2, 0), (3, 30), (3, 0), (1, 1)])
def test_an_epoch_of_which_a_part_was_torn_off_is_completed(workspace, lines, torn):
    """As by a full disk: the header and some metrics are whole, and of the next a piece is there, or nothing."""
    values = {"loss": 1.0, "gap": 2.0, "share": 3.0}
    MetricsFile(workspace).add("distill", epoch(workspace, 0, **values))
    whole = workspace.metrics.read_bytes().splitlines(keepends=True)
    workspace.metrics.write_bytes(b"".join(whole[:lines]) + whole[lines][:torn])
    assert MetricsFile(workspace).add("distill", epoch(workspace, 0, **values))
    assert not MetricsFile(workspace).add("distill", epoch(workspace, 0, **values))
    assert [(row.metric, row.value) for row in read(workspace).itertuples()] == list(values.items())


def test_a_file_of_something_else_is_left_alone(workspace):
    workspace.root.mkdir()
    workspace.metrics.write_text("my,own\n1,2\n")
    with pytest.raises(DamagedFile, match=r"metrics.csv is not a file of measurements: move it away"):
        MetricsFile(workspace).add("distill", epoch(workspace, 0))
    assert workspace.metrics.read_text() == "my,own\n1,2\n"


def test_what_cannot_be_written_is_said(workspace):
    workspace.root.write_text("a file")
    with pytest.raises(CannotWrite, match=r"metrics.csv cannot be written"):
        MetricsFile(Workspace(workspace.root / "inside")).add("distill", epoch(workspace, 0))


def test_names_with_commas_and_values_that_are_no_numbers_are_read_back(workspace):
    MetricsFile(workspace).add("distill", epoch(workspace, 0, model='a, "b"', loss=math.nan, gap=math.inf))
    (nan, inf) = read(workspace).itertuples()
    assert (nan.model, math.isnan(nan.value), inf.value) == ('a, "b"', True, math.inf)
    assert not MetricsFile(workspace).add("distill", epoch(workspace, 0, model='a, "b"'))


def test_tensorboard_has_the_same_curves(workspace, tiny_recipe):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tracked("distill", tiny_recipe, workspace, ["tensorboard"]) as keep:
        for number in range(4):
            keep(epoch(workspace, number))
            keep(epoch(workspace, number, model="teacher faces", run="def"))
        keep(epoch(workspace, 3))
    events = EventAccumulator(str(workspace.root / "tensorboard/fold-0/seed-1/mt-pkdot/abc"))
    events.Reload()
    curve = [(event.step, pytest.approx(event.value, rel=1e-5)) for event in events.Scalars("distill/loss")]
    assert curve == [(number, 1.0 / (number + 1)) for number in range(4)]
    assert (workspace.root / "tensorboard/fold-0/seed-1/teacher-faces/def").is_dir()


def test_a_service_that_is_asked_for_late_gets_all_of_it_once(workspace, tiny_recipe, monkeypatch):
    told = []

    class Recorder:
        def log(self, entry):
            (workspace.root / "tensorboard").mkdir(exist_ok=True)
            told.append(entry)

        def close(self, *, failed):
            told.append(failed)

    monkeypatch.setattr(tracking, "_open", lambda *_: Recorder())
    file = MetricsFile(workspace)
    expected = [epoch(workspace, number, loss=1 / 4, gap=float(number)) for number in range(3)]
    for item in expected[:2]:
        file.add("distill", item)
    with tracked("distill", tiny_recipe, workspace, ["tensorboard", "tensorboard"]) as keep:
        keep(expected[2])
    assert [entry.item for entry in told[:-1]] == expected
    assert {entry.stage for entry in told[:-1]} == {"distill"}
    assert told.pop() is False
    file = MetricsFile(workspace)
    file.add("distill", epoch(workspace, 3))
    for _ in range(2):
        with tracked("evaluate", tiny_recipe, workspace, ["tensorboard"]):
            pass
    assert [entry.item.epoch for entry in told[:-1]] == [0, 1, 2, 3]
    (workspace.root / "tensorboard").rmdir()
    with tracked("evaluate", tiny_recipe, workspace, ["tensorboard"]):
        pass
    assert [entry.item.epoch for entry in told[5:-1]] == [0, 1, 2, 3]
    with workspace.metrics.open("a") as file:
        file.write(",".join(["now", *"abcdefghi"]) + "\n")
    with pytest.raises(DamagedFile, match="no measurement"), tracked("x", tiny_recipe, workspace, ["tensorboard"]):
        pass


def test_what_tensorboard_was_told_outlives_a_kill(workspace, tiny_recipe):
    """metrics.csv counts it as sent; nothing is closed here."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from pipelines.stages.trackers import TensorBoard

    board = TensorBoard(tiny_recipe, workspace)
    board.log(Entry("distill", datetime.now(UTC), epoch(workspace, 0)))
    events = EventAccumulator(str(workspace.root / "tensorboard/fold-0/seed-1/mt-pkdot/abc"))
    events.Reload()
    assert [event.value for event in events.Scalars("distill/loss")] == [1.0]
    board.close(failed=False)


def test_tensorboard_keeps_few_files_open(workspace, tiny_recipe):
    from pipelines.stages.trackers import TensorBoard

    board = TensorBoard(tiny_recipe, workspace)
    for number in range(40):
        board.log(Entry("distill", datetime.now(UTC), epoch(workspace, 0, run=f"run-{number}")))
    assert len(board._writers) == 16
    board.close(failed=False)


@pytest.fixture
def mlflow_client(workspace, tiny_recipe, monkeypatch):
    """Reads what was tracked of three epochs, a resumption, and a result; without a network."""
    real = socket.socket.connect

    def connect(self, address):
        assert self.family == socket.AF_UNIX, f"a connection to {address}"
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    for numbers in (range(2), range(3)):
        with tracked("distill", tiny_recipe, workspace, ["mlflow"]) as keep:
            for number in numbers:
                keep(epoch(workspace, number, **{"loss": 1.0 / (number + 1), "share:joint": 0.5}))
    with tracked("evaluate", tiny_recipe, workspace, ["mlflow"]) as keep:
        path = workspace.predictions(0, 1, "mt-pkdot")
        keep(Measurement("fed", path, 0, 1, "mt-pkdot", None, {"accuracy": 0.75}))
        keep(Measurement("fee", path, 1, 1, "mt-pkdot", None, {"accuracy": 0.25}))
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{workspace.root / 'mlflow.db'}")


def test_mlflow_has_a_run_a_model_and_cell(mlflow_client, tiny_recipe, workspace):
    experiment = mlflow_client.get_experiment_by_name("pain")
    first, second = sorted(
        mlflow_client.search_runs([experiment.experiment_id]), key=lambda run: run.data.tags["mtpkd.fold"]
    )
    history = mlflow_client.get_metric_history(first.info.run_id, "loss")
    assert {item.step: item.value for item in history} == pytest.approx({0: 1.0, 1: 0.5, 2: 1 / 3}, rel=1e-5)
    assert len(history) == 3
    assert first.data.metrics["evaluate/accuracy"] == 0.75
    assert second.data.metrics == {"evaluate/accuracy": 0.25}
    assert first.data.tags["mtpkd.version"] == __version__
    assert first.data.tags["mtpkd.artifact"] == "fold-0/seed-1/students/mt-pkdot/student.safetensors"
    assert first.info.run_name == "mt-pkdot, fold 0, seed 1"
    assert first.info.status == "FINISHED"
    assert first.data.params["training.distillation.epochs"] == str(tiny_recipe.training.distillation.epochs)
    assert first.data.params["faces.size"] == str(tiny_recipe.faces.size)

    def fail():
        with tracked("distill", tiny_recipe, workspace, ["mlflow"]) as keep:
            keep(epoch(workspace, 5))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert mlflow_client.get_run(first.info.run_id).info.status == "FAILED"


def test_a_store_that_is_none_is_named(workspace, tiny_recipe):
    MetricsFile(workspace).add("distill", epoch(workspace, 0))
    (workspace.root / "mlflow.db").write_text("something else\n" * 100)
    said = pytest.raises(DamagedFile, match=r"mlflow.db is no store of this MLflow \(.*move it away")
    with said, tracked("distill", tiny_recipe, workspace, ["mlflow"]):
        pass


def test_a_service_that_is_not_installed_is_said_before_any_work(monkeypatch, tiny_recipe, workspace):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else real(name))
    check_services(["tensorboard"])
    with pytest.raises(SettingsError, match=r"--track mlflow: mlflow is not installed: pip install 'mtpkd\[mlflow\]'"):
        run_all(tiny_recipe, workspace, track=["tensorboard", "mlflow"])
    assert not workspace.root.exists()
    with pytest.raises(SettingsError, match="--track wandb: use one of tensorboard, mlflow"):
        check_services(["wandb"])
