"""A trained student on any videos: which ones are meant, and where what is said of each of them goes.

Not one of the five stages: it needs no workspace, only a student. A video that cannot be read is reported and the
others go on. Rows are written as they come, so that what was said before a stop or a fault is there.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pipelines.errors import SettingsError, UnreadableMedia
from pipelines.inference.estimates import Estimate
from pipelines.inference.overlay import LIVE_RATE, overlaid
from pipelines.inference.plot import Curve
from pipelines.inference.prediction import Summary, Tally
from pipelines.inference.rows import Format, Per, row_writer
from pipelines.inference.sources import Camera, Source, VideoFile
from pipelines.inference.student import INTERVAL, Student
from pipelines.media.video import write_video

VIDEO_SUFFIXES = frozenset(
    (".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv")
)
"""What is taken for a video in a folder; a file that is named is read whatever it is called."""
_OVERLAYS, _PLOTS = (".mp4",), (".png", ".svg", ".pdf")
"""What the files may end in; the first is what they are called in a folder."""


@dataclass(frozen=True)
class Item:
    """A video to be predicted.

    Attributes:
        source: of its frames.
        place: what its overlay and plot are called, without a suffix, below the folder for them.
    """

    source: Source
    place: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What is wanted.

    Attributes:
        file: of the table; None for the standard output.
        form, per: of the table.
        hop, abstain, interval: see `Student.stream`.
        overlay, plot: a file for one video, a folder for several; None for none.
    """

    file: Path | None = None
    form: Format = "csv"
    per: Per = "window"
    hop: float | None = None
    abstain: float = 0.0
    interval: float = INTERVAL
    overlay: Path | None = None
    plot: Path | None = None


def find_videos(
    arguments: Sequence[str], *, seconds: float | None = None, stopped: Callable[[], bool] = lambda: False, keep: bool
) -> list[Item]:
    """The videos that are meant: files, all videos below folders in the order of their names, and indices of cameras.

    Args:
        arguments: as the user gave them; a number is a camera unless there is a file of that name.
        seconds: how long cameras are read.
        stopped: asked by cameras before every frame.
        keep: whether cameras keep their pictures for an overlay.

    Raises:
        SettingsError: a folder without videos, `seconds` without a camera, or none of them.
    """
    items: list[Item] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            items += _in_folder(path)
        elif argument.isascii() and argument.isdigit() and not path.exists():
            camera = Camera(int(argument), seconds=seconds, stopped=stopped, keeps_pictures=keep)
            items.append(Item(camera, Path(f"camera-{argument}")))
        else:
            items.append(Item(VideoFile(path), Path(path.stem)))
    if seconds is not None and not seconds > 0:
        raise SettingsError(f"--seconds {seconds:g}: give a number above 0")
    if seconds is not None and not any(item.source.live for item in items):
        raise SettingsError(f"--seconds {seconds:g} is how long a camera is read, and no camera is named")
    return items


def _in_folder(folder: Path) -> list[Item]:
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]
    files = [path for path in files if not path.name.startswith(".")]
    if not files:
        known = ", ".join(sorted(VIDEO_SUFFIXES))
        raise SettingsError(f"{folder}: there is no video below this folder; videos end in {known}")
    return [Item(VideoFile(path), path.relative_to(folder).with_suffix("")) for path in files]


def run(student: Student, items: Sequence[Item], outputs: Outputs, *, report: Callable[[Summary], None]) -> list[str]:
    """Predict videos one after the other.

    Args:
        student: that predicts.
        items: the videos.
        outputs: what is wanted of each.
        report: told of each video when it is over.

    Returns:
        What was wrong with each video that could not be read, to its end or at all.

    Raises:
        SettingsError: an output that cannot be meant or written.
    """
    student.check(hop=outputs.hop, abstain=outputs.abstain, interval=outputs.interval)
    overlays = _places(items, outputs.overlay, _OVERLAYS, "--overlay")
    plots = _places(items, outputs.plot, _PLOTS, "--plot")
    _spare_inputs(items, [outputs.file, *overlays, *plots])
    faults: list[str] = []
    with _opened(outputs.file) as file:
        write = row_writer(file, outputs.form, outputs.per, student.description)
        if outputs.overlay or outputs.plot:
            write = _outliving_reader(write, file)
        for item, overlay, plot in zip(items, overlays, plots, strict=True):
            try:
                report(_predict(student, item.source, outputs, write, overlay, plot))
            except UnreadableMedia as error:
                faults.append(str(error))
    return faults


def _predict(
    student: Student,
    source: Source,
    outputs: Outputs,
    write: Callable[[str, Estimate], None],
    overlay: Path | None,
    plot: Path | None,
) -> Summary:
    tally = Tally(source.name, student.description, abstain=outputs.abstain)
    estimates = student.stream(source, hop=outputs.hop, abstain=outputs.abstain, interval=outputs.interval)

    def passing() -> Iterator:
        for estimate in tally.counted(estimates):
            if estimate.per == outputs.per:
                write(source.name, estimate)
            yield estimate

    curve = Curve(
        student.description, title=Path(source.name).name, interval=outputs.interval, threshold=outputs.abstain
    )
    passed = curve.collected(passing()) if plot else passing()
    if overlay:
        pictures = overlaid(passed, source, student.description, threshold=outputs.abstain)
        write_video(overlay, pictures, source.rate or LIVE_RATE)
    else:
        for _ in passed:
            pass
    if plot:
        curve.save(plot)
    return tally.summary()


def _places(items: Sequence[Item], wanted: Path | None, suffixes: Sequence[str], option: str) -> list[Path | None]:
    """Where each video's output goes: one video's to the file that is wanted, those of several below a folder."""
    if wanted is None:
        return [None] * len(items)
    if len(items) == 1 and wanted.suffix and not wanted.is_dir():
        if wanted.suffix.lower() not in suffixes:
            raise SettingsError(f"{option} {wanted}: the name of such a file ends in {' or '.join(suffixes)}")
        if not wanted.parent.is_dir():
            raise SettingsError(f"{option} {wanted}: there is no folder {wanted.parent}")
        return [wanted]
    if wanted.suffix and not wanted.is_dir():
        raise SettingsError(f"{option} {wanted}: {len(items)} videos need a folder, and this is the name of a file")
    places: list[Path | None] = []
    for item in items:
        place, number = item.place, 2
        while (path := wanted / place.with_name(place.name + suffixes[0])) in places:
            place, number = item.place.with_name(f"{item.place.name}-{number}"), number + 1
        path.parent.mkdir(parents=True, exist_ok=True)
        places.append(path)
    return places


def _spare_inputs(items: Sequence[Item], written: Iterable[Path | None]) -> None:
    """Raises SettingsError where a video that is to be read would be written over."""
    read = {item.source.path.resolve() for item in items if isinstance(item.source, VideoFile)}
    for path in written:
        if path is not None and path.resolve() in read:
            raise SettingsError(f"{path} is a video that is read: write to another file or folder")


def _outliving_reader(write: Callable[[str, Estimate], None], file: IO[str]) -> Callable[[str, Estimate], None]:
    """The same, but whoever stops reading the table, such as `head`, does not stop overlays and plots."""

    def outliving(video: str, estimate: Estimate) -> None:
        try:
            write(video, estimate)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())

    return outliving


@contextmanager
def _opened(path: Path | None) -> Iterator[IO[str]]:
    if path is None:
        yield sys.stdout
        return
    try:
        file = path.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"--output {path}: cannot be written: {error.strerror}") from None
    with file:
        yield file
