"""A trained student as an object: `load_student(path).predict(video)`."""

import logging
from collections.abc import Iterator
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Literal

from pipelines.errors import SettingsError
from pipelines.inference.description import StudentDescription
from pipelines.inference.estimates import FrameEstimate, Meaning, WindowEstimate
from pipelines.inference.locating import find_student
from pipelines.inference.prediction import Prediction, Tally
from pipelines.inference.runtime import Runtime
from pipelines.inference.sources import Camera, Source, VideoFile
from pipelines.inference.stream import stream
from pipelines.media.detectors import Box, Detection, Detector, make_detector
from pipelines.media.frame import VideoFrame
from pipelines.workspace import identify

log = logging.getLogger("mtpkd")

HOP_S = 1.0
"""Seconds from one window of a student of clips to the next, unless another is asked for."""
INTERVAL = 0.9
"""Share of new people's values that an interval is to hold, unless another is asked for."""


def load_student(
    path: Path | str, *, device: str = "cpu", runtime: Literal["torch", "onnx"] | None = None
) -> "Student":
    """Load a trained student.

    Args:
        path: a `student.safetensors`, an exported `.onnx` file, the folder of one, or a workspace, which stands for its
            first student of mt-pkdot.
        device: where torch runs it: `cpu`, `cuda`.
        runtime: what runs it; by default onnx for an `.onnx` file, else torch. Asked for onnx, it takes the graph that
            `mtpkd export` wrote beside the checkpoint.

    Raises:
        MtpkdError: there is no student, its file is damaged, or it sees something else than one video.
        SettingsError: the runtime cannot read the file, the graph is of another training of the student than the
            checkpoint beside it, or there is no such device.
    """
    file = find_student(path)
    if runtime == "onnx" and (graph := file.with_suffix(".onnx")).exists() and graph != file:
        student = load_student(graph, device=device)
        if student.description.schema.get("checkpoint") != (identify(file) or {}).get("sha256"):
            raise SettingsError(f"{graph} is of another training of this student: `mtpkd export` writes it anew")
        log.info("runs as: %s", graph)
        return student
    kind = "onnx" if file.suffix == ".onnx" else "torch"
    if runtime is not None and runtime != kind:
        remedy = "`mtpkd export` makes an .onnx file of it" if kind == "torch" else "give the student.safetensors"
        raise SettingsError(f"{file}: the {runtime} runtime cannot read it; {remedy}")
    if kind == "onnx":
        if device != "cpu":
            raise SettingsError(f"--device {device}: an .onnx file is run on the cpu")
        from pipelines.inference.onnx_runtime import OnnxRuntime

        return Student(OnnxRuntime(file))
    from pipelines.inference.torch_runtime import TorchRuntime

    return Student(TorchRuntime(file, device=device))


class Student:
    """A trained student and the preprocessing that it was trained with.

    Args:
        runtime: its networks.
        detector: of faces; by default made from the student's own settings when it is first needed.
    """

    def __init__(self, runtime: Runtime, *, detector: Detector | None = None) -> None:
        self.runtime = runtime
        self._given = detector

    @property
    def description(self) -> StudentDescription:
        """What it was trained on and how."""
        return self.runtime.description

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, or of the continuous dimensions."""
        return self.description.labels

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; none where it predicts continuous dimensions."""
        return self.labels if self.description.of_classes else ()

    @cached_property
    def _detector(self) -> Detector:
        return self._given or make_detector(self.description.faces)

    def stream(
        self,
        source: Path | str | int | Source,
        *,
        hop: float | None = None,
        abstain: float = 0.0,
        interval: float = INTERVAL,
    ) -> Iterator[WindowEstimate | FrameEstimate]:
        """Yields estimates of windows and of frames as they come, each kind in order of time, with flat memory.

        One person is followed: the largest face begins, and where it was lost, one of the same colours goes on.

        Args:
            source: a video file, or the index of a camera.
            hop: seconds from one window of a student of clips to the next, 1 by default; 0 reads the window that it was
                trained on and no other. Students of trials have a hop of their own.
            abstain: classes less probable than this are not said.
            interval: share of new people's values that the intervals of continuous values are to hold.

        Raises:
            SettingsError: an option that cannot be meant for this student.
            UnreadableMedia: see `pipelines.media.video.read_frames`; estimates yielded before stay valid.
        """
        self.check(hop=hop, abstain=abstain, interval=interval)
        video = as_source(source)
        smoothing = self.description.calibration.smoothing_s if self.description.is_sliding else 0.0
        width = video.smoothing_width(smoothing)
        yield from stream(
            video.crops(self.description.faces, _Telling(self._detector, video.name)),
            self.runtime,
            meaning=Meaning(self.description, abstain=abstain, interval=interval),
            hop=HOP_S if hop is None else hop,
            width=width,
            live=video.live,
        )

    def predict(
        self,
        source: Path | str | int | Source,
        *,
        hop: float | None = None,
        abstain: float = 0.0,
        interval: float = INTERVAL,
    ) -> Prediction:
        """All estimates of a video at once; arguments and errors are those of `stream`."""
        tally = Tally(as_source(source).name, self.description, abstain=abstain)
        estimates = list(tally.counted(self.stream(source, hop=hop, abstain=abstain, interval=interval)))
        return Prediction(
            description=self.description,
            windows=tuple(each for each in estimates if isinstance(each, WindowEstimate)),
            frames=tuple(each for each in estimates if isinstance(each, FrameEstimate)),
            summary=tally.summary(),
        )

    def check(self, *, hop: float | None, abstain: float, interval: float) -> None:
        """Raises SettingsError for options that cannot be meant for this student."""
        if hop is not None and self.description.is_sliding:
            raise SettingsError(f"hop = {hop:g}: this student's windows lie as far apart as it was trained with")
        if hop is not None and not 0 <= hop < inf:
            raise SettingsError(f"hop = {hop:g}: give seconds, or 0 for the trained window alone")
        if abstain and not self.description.of_classes:
            raise SettingsError(f"abstain = {abstain:g}: only classes have probabilities; use the intervals")
        if not 0 <= abstain <= 1 or not 0.5 <= interval <= 0.99:
            raise SettingsError(f"abstain = {abstain:g} and interval = {interval:g}: give 0 to 1, and .5 to .99")


class _Telling:
    """A detector that says when it looks for somebody to follow and finds several: estimates are of one of them.

    Args:
        detector: finds the faces.
        video: its name.
    """

    def __init__(self, detector: Detector, video: str) -> None:
        self._detector, self._video, self._told = detector, video, False

    def detect(self, frame: VideoFrame, near: Box | None = None) -> list[Detection]:
        """See `Detector.detect`."""
        faces = self._detector.detect(frame, near)
        if near is None and len(faces) > 1 and not self._told:
            self._told = True
            where = f"{self._video}: {len(faces)} faces at {frame.time_s:.1f} s"
            log.warning("%s; estimates are of one person, at first the largest face", where)
        return faces


def as_source(source: Path | str | int | Source) -> Source:
    """The source that is meant by a path or by a camera's index."""
    if isinstance(source, int):
        return Camera(source)
    return VideoFile(Path(source)) if isinstance(source, Path | str) else source
