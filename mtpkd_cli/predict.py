"""`mtpkd predict`: a trained student on a video, a folder of them or a camera."""

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.inference.prediction import Summary
    from pipelines.inference.student import Student
    from pipelines.stages.predict import Item, Outputs


class TableFormat(StrEnum):
    """Of the table."""

    csv = "csv"
    jsonl = "jsonl"


class Per(StrEnum):
    """What a row is about."""

    window = "window"
    frame = "frame"


class RuntimeName(StrEnum):
    """What runs the networks."""

    torch = "torch"
    onnx = "onnx"


StudentArgument = Annotated[
    Path, typer.Argument(help="A student.safetensors, an exported .onnx, its folder, or a workspace.")
]
VideosArgument = Annotated[
    list[str], typer.Argument(metavar="VIDEO...", help="Videos, folders of videos, or a camera's index such as 0.")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Where the table goes.", show_default="the standard output")
]
HopOption = Annotated[
    float | None,
    typer.Option(
        "--hop",
        help="Seconds between windows, for students of clips; 0 reads the trained window alone.",
        show_default="1.0",
    ),
]
AbstainOption = Annotated[
    float, typer.Option("--abstain", help="Say no class that is less probable than this.", show_default="off")
]
IntervalOption = Annotated[
    float, typer.Option("--interval", help="Share of new people's values that an interval is to hold.")
]
OverlayOption = Annotated[
    Path | None, typer.Option("--overlay", help="Draw it into the video: an .mp4, or a folder for several videos.")
]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", help="Draw it over time: a .png, or a folder for several videos.")
]
RuntimeOption = Annotated[
    RuntimeName | None,
    typer.Option("--runtime", help="What runs the student.", show_default="onnx for .onnx, else torch"),
]
SecondsOption = Annotated[
    float | None, typer.Option("--seconds", help="How long a camera is read.", show_default="until Ctrl-C")
]


def predict(
    student: StudentArgument,
    videos: VideosArgument,
    form: Annotated[TableFormat, typer.Option("--format", help="Of the table.")] = TableFormat.csv,
    output: OutputOption = None,
    per: Annotated[Per, typer.Option("--per", help="What a row of the table is about.")] = Per.window,
    hop: HopOption = None,
    abstain: AbstainOption = 0.0,
    interval: IntervalOption = 0.9,
    overlay: OverlayOption = None,
    plot: PlotOption = None,
    device: Annotated[str, typer.Option("--device", help="Where torch runs the student: cpu, cuda.")] = "cpu",
    runtime: RuntimeOption = None,
    seconds: SecondsOption = None,
) -> None:
    """A student and videos -> what it says of every window or frame, as a table, a figure or an overlaid video."""
    from pipelines.inference.student import load_student
    from pipelines.stages.predict import Outputs, find_videos

    _speak_aside()
    said = {"hop": hop, "abstain": abstain, "interval": interval}
    outputs = Outputs(file=output, form=form.value, per=per.value, **said, overlay=overlay, plot=plot)
    with _stopped_by_interrupt() as (stopped, watch):
        items = find_videos(videos, seconds=seconds, stopped=stopped, keep=overlay is not None)
        loaded = load_student(student, device=device, runtime=None if runtime is None else runtime.value)
        if any(item.source.live for item in items):
            watch()
        failed = _run(loaded, items, outputs)
    if failed:
        raise typer.Exit(1)


def _run(student: "Student", items: "list[Item]", outputs: "Outputs") -> bool:
    """Whether a video could not be read."""
    from pipelines.inference.prediction import interval_note
    from pipelines.stages import predict as stage

    if not student.classes and (note := interval_note(student.description, outputs.interval, per=outputs.per)):
        _tell(note)
    elif student.classes and not student.description.calibration.known:
        _tell("probabilities are not calibrated: this student was trained before that was recorded")
    faults = stage.run(student, items, outputs, report=_report)
    for fault in faults:
        _tell(f"mtpkd: error: {fault}")
    return bool(faults)


def _report(summary: "Summary") -> None:
    """A line about a video, beside the table."""
    parts = [_said(summary), f"{summary.estimated} of {summary.windows} windows"]
    parts += [f"{summary.abstained} abstained"] if summary.abstained else []
    parts += [f"{summary.real_time_factor:.1f}x real time"]
    _tell(f"{summary.video}: {' | '.join(parts)}")


def _said(summary: "Summary") -> str:
    if summary.values is None:
        return "no estimate"
    if not summary.of_classes:
        pairs = zip(summary.labels, summary.values, strict=True)
        return ", ".join(f"{label} {value:+.2f}" for label, value in pairs)
    top = float(summary.values.max())
    return f"{summary.label or 'abstained'} {top:.2f}"


def _tell(line: str) -> None:
    """The standard output is the table's."""
    print(line, file=sys.stderr, flush=True)


def _speak_aside() -> None:
    logger = logging.getLogger("mtpkd")
    logger.setLevel(logging.INFO)
    logger.handlers = [logging.StreamHandler()]
    logger.propagate = False


@contextmanager
def _stopped_by_interrupt() -> Iterator[tuple[Callable[[], bool], Callable[[], None]]]:
    """Whether Ctrl-C was pressed, and what makes it only that: the camera ends, and all that it showed is written.

    A second Ctrl-C ends the program as everywhere.
    """
    before, pressed = signal.getsignal(signal.SIGINT), False

    def press(*_: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, before)

    try:
        yield lambda: pressed, lambda: (signal.signal(signal.SIGINT, press), None)[1]
    finally:
        signal.signal(signal.SIGINT, before)
