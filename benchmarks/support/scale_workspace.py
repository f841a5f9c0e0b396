"""What `scale.py` measures: a corpus of links to a few drawn clips, and a workspace with nothing left to do."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pipelines.recipe import Recipe, Task
    from pipelines.stages.artifacts import Artifact
    from pipelines.stages.cells import Cell
    from pipelines.training.samples import Sample
    from pipelines.workspace import Workspace

FRAMES, RATE, SIGNAL_RATE, MODELS = 8, 25, 512, 5


def make_corpus(root: Path, clips: int, subjects: int) -> None:
    """A folder in BioVid's layout: so many clips of so many people, all links to five drawn ones."""
    from pipelines.corpora.biovid import CLASSES

    drawn = root / "drawn"
    drawn.mkdir(parents=True)
    for number in range(MODELS):
        _draw(drawn / f"{number}.mp4", number)
        _simulate(drawn / f"{number}_bio.csv", number)
    rows = ["subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"]
    for number in range(clips):
        person, turn = number % subjects, number // subjects
        subject, pain = f"{70000 + person:06d}_{'wm'[person % 2]}_{20 + person % 45}", (turn + person) % len(CLASSES)
        name = f"{subject}-{CLASSES[pain]}-{turn + 1:03d}"
        rows.append(f"{person + 1}\t{subject}\t{pain}\t{CLASSES[pain]}\t{number + 1}\t{name}")
        for folder, suffix in (("video", ".mp4"), ("biosignals_raw", "_bio.csv")):
            path = root / "PartA" / folder / subject / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(drawn / f"{number % MODELS}{suffix}")
    table = root / "PartA" / "starting_point" / "samples.csv"
    table.parent.mkdir()
    table.write_text("\n".join(rows) + "\n")


def _draw(path: Path, seed: int) -> None:
    from pipelines.corpora.synthetic_face import draw_frames
    from pipelines.corpora.synthetic_truth import ACTIONS, draw_subjects, stream
    from pipelines.media.video import write_video

    subject, actions = draw_subjects(seed, 1)[0], np.zeros((FRAMES, len(ACTIONS)))
    write_video(path, draw_frames(stream(seed, 3), subject, actions, seed=seed, width=160, rate=RATE), RATE)


def _simulate(path: Path, seed: int) -> None:
    random, time_s = np.random.default_rng(seed), np.arange(SIGNAL_RATE) / SIGNAL_RATE
    columns = [time_s * 1e6, 5 + 0.1 * time_s, 500 * (np.sin(7 * time_s) > 0.95), *np.zeros((3, SIGNAL_RATE))]
    values = np.stack(columns, 1)
    values[:, 1:] += random.normal(0, 0.01, (SIGNAL_RATE, 5))
    header = "time\tgsr\tecg\temg_trapezius\temg_corrugator\temg_zygomaticus"
    np.savetxt(path, values, fmt="%.6f", delimiter="\t", header=header, comments="")


def finish(recipe: "Recipe", workspace: "Workspace", cells: "list[Cell]") -> None:
    """Stand-ins for everything that stages 2 to 5 make, and random predictions."""
    from pipelines.recipe.loading import render_recipe
    from pipelines.stages import align, distill, evaluate, train_teachers
    from pipelines.stages.cells import FitUnit
    from pipelines.workspace import Recording, write_text

    write_text(workspace.recipe, render_recipe(recipe))
    fits = [FitUnit(cell, fit) for cell in cells for fit in cell.fits()]
    students = [distill.StudentUnit(cell, method) for cell in cells for method in recipe.distillation.methods]
    units: list[tuple[Callable[[Any], list[Artifact]], Any]] = [
        *((train_teachers.artifacts_of, unit) for unit in fits),
        *((align.artifacts_of, unit) for unit in fits),
        *((distill.artifacts_of, unit) for unit in students),
        *((evaluate.artifacts_of, evaluate.EvaluationUnit(cell, tested(recipe))) for cell in cells),
    ]
    for artifacts_of, unit in units:
        for artifact in artifacts_of(unit):
            recording = Recording(artifact.fingerprint)
            if artifact.path.parent.name == "predictions":
                _predict(artifact.path, unit.cell.of(unit.cell.split.test), unit.cell.task)
            else:
                write_text(artifact.path, f"stand-in for {artifact.path}")
            for path in artifact.beside:
                write_text(path, f"stand-in for {path}")
                recording.finish(path)
            recording.finish(artifact.path)


def _predict(path: Path, rows: "list[Sample]", task: "Task") -> None:
    from pipelines.cache.predictions import write_predictions
    from pipelines.metrics import Predictions

    random = np.random.default_rng(len(path.name))
    write_predictions(
        path,
        Predictions(
            groups=np.array([row.group for row in rows]),
            clips=np.array([row.clip for row in rows]),
            target=np.array([row.label for row in rows], np.int64),
            scores=random.dirichlet(np.ones(task.num_outputs), len(rows)),
        ),
        task,
    )


def tested(recipe: "Recipe") -> tuple[str, ...]:
    """Teachers and students, as `evaluate` orders them."""
    students = [name for name in ("none", "none-matched", "mt-pkdot") if name in recipe.distillation.methods]
    return (*(f"teacher:{name}" for name in recipe.teacher_subsets), *students)
