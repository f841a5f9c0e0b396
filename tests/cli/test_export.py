from pathlib import Path
from types import SimpleNamespace

from pipelines.inference.graphs import Agreement


def test_mistakes_end_in_a_message(mtpkd, tmp_path):
    status, _, err = mtpkd("export", tmp_path / "nowhere")
    assert status == 2
    assert "no such file or folder" in err
    status, _, err = mtpkd("export", "x", "--format", "tflite")
    assert status == 2
    assert "tflite" in err


def test_what_was_done_fits_a_line(mtpkd, monkeypatch):
    from pipelines.stages import export

    def run(student, *, format, output):
        assert (student, format, output) == (Path("runs/demo"), "torch", None)
        return export.Exported(
            student=Path("student.safetensors"),
            graph=Path("student.pt2"),
            card=Path("MODEL_CARD.md"),
            kept=Path("MODEL_CARD.previous-1.md"),
            size=2**20,
            agreement=Agreement(3.2e-7, (1, 8), (10, 11)),
            evaluated=False,
        )

    monkeypatch.setattr("pipelines.stages.export", SimpleNamespace(run=run))
    status, out, _ = mtpkd("export", "runs/demo", "--format", "torch")
    assert status == 0
    assert out.splitlines() == [
        "student     student.safetensors",
        "exported    student.pt2, 1.0 MiB",
        "checked     largest difference 3.2e-07, W = 1 and 8, T = 10 and 11",
        "model card  MODEL_CARD.md",
        "            the one that lay there is now MODEL_CARD.previous-1.md",
        "            without numbers: `mtpkd evaluate` makes them, then export again",
    ]
    assert all(len(line) <= 80 for line in out.splitlines())
