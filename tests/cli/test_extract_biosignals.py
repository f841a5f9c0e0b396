"""`mtpkd extract-biosignals` on one file."""

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from mtpkd_cli.extract_biosignals import extract_biosignals
from pipelines.errors import UnreadableMedia

HEADER = "time\tgsr\tecg\temg_trapezius\temg_corrugator"


@pytest.fixture
def run(monkeypatch):
    """Run the command with arguments on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    app = typer.Typer()
    app.command()(extract_biosignals)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def recording(tmp_path):
    """A clip with sound EDA and EMG, and no ECG."""
    random = np.random.default_rng(0)
    path = tmp_path / "clip_bio.csv"
    lines = [
        f"{round(i * 1e6 / 512)}\t{5 + np.sin(i / 300)}\t0\t{a}\t{100 * b}"
        for i, (a, b) in enumerate(random.normal(size=(2816, 2)))
    ]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def test_the_table_says_what_is_there_and_what_is_not(run, recording):
    result = run(recording)
    assert result.exit_code == 0, result.output
    assert "2816 samples at 512.0 Hz, 5.50 s" in result.output
    rows = {line.split()[0]: line for line in result.output.splitlines() if line.strip()}
    assert "100.0 %" in rows["eda"]
    assert "missing" in rows["ecg"]
    assert "flat line at 0.0" in rows["ecg"]
    assert "uV RMS" in rows["emg"]
    assert all(len(line) <= 80 for line in result.output.splitlines()[1:])


def test_files_are_written_where_asked(run, recording, tmp_path):
    output, plot = tmp_path / "clip.npz", tmp_path / "clip.png"
    result = run(recording, "--output", output, "--plot", plot, "--emg-channel", "emg_corrugator")
    assert result.exit_code == 0, result.output
    assert plot.read_bytes().startswith(b"\x89PNG")
    with np.load(output, allow_pickle=False) as file:
        assert file["emg_features"][0] == pytest.approx(100, rel=0.1)  # the corrugator is a hundred times louder


def test_without_options_nothing_is_written(run, recording, tmp_path):
    run(recording)
    assert list(tmp_path.iterdir()) == [recording]


def test_mistakes_are_errors_with_a_remedy(run, recording, tmp_path):
    assert isinstance(run(tmp_path / "absent.csv").exception, UnreadableMedia)
    assert "set biosignals.rate" in str(run(recording, "--rate", "1000").exception)
    assert run(recording, "--emg-channel", "biceps").exit_code == 2
    assert run(recording, "--rate", "0").exit_code == 2
