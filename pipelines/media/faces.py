"""From a video to square crops of one face, frame by frame, and crops as JPEG.

Decisions:

- What is in a frame is `detectors`' matter, whose it is `tracking`'s, how it is cut out `alignment`'s; this module
  joins them, so that a caller needs one function.
- A frame without the subject's face has no crop, and so has a frame that the decoder had to conceal: missing is
  recorded, never filled.
- A folder of crops is complete when it has its `faces.csv`, which is written last.
- OpenCV's own threads are left as the caller set them. Workers that run in parallel call `cv2.setNumThreads(1)`.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipelines.errors import UnreadableMedia
from pipelines.media.alignment import crop_face
from pipelines.media.detectors import Box, Detector, OneSided, make_detector
from pipelines.media.frame import VideoFrame
from pipelines.media.picture_size import image_size, size_fault
from pipelines.media.tracking import follow
from pipelines.media.video import read_frames
from pipelines.recipe import FaceSettings

JPEG_QUALITY = 95


@dataclass(frozen=True, eq=False)
class FaceCrop:
    """One frame of a video and the subject's face in it.

    Attributes:
        index: of the frame, from 0.
        time_s: the container's time stamp in seconds.
        box: the face in the upright frame, in pixels, without margin; None in a frame without it, and where someone
            else made the crop.
        image: (size, size, 3) uint8 RGB; None in a frame without the face.
        jpeg: the JPEG file that `image` was decoded from, to be stored as it is; None where there is none.
    """

    index: int
    time_s: float
    box: Box | None
    image: np.ndarray | None
    jpeg: bytes | None = None


def crop_faces(
    path: Path | str, settings: FaceSettings, *, detector: Detector | None = None, side: str = ""
) -> Iterator[FaceCrop]:
    """Yields one FaceCrop a frame of a video, or of a still image, in order, with flat memory.

    Args:
        path: the video.
        settings: detector, size and margin of the crops.
        detector: made beforehand, to be used for many videos; by default made from the settings.
        side: "left" or "right" where two people are in the picture and the subject is the one in that half of it.

    Raises:
        UnreadableMedia: see `pipelines.media.video.read_frames`; frames yielded before stay valid.
        MtpkdError: the detector's files are missing.
    """
    detector = detector or make_detector(settings)
    yield from crops_of(read_frames(path), settings, detector=OneSided(detector, side) if side else detector)


def crops_of(frames: Iterable[VideoFrame], settings: FaceSettings, *, detector: Detector) -> Iterator[FaceCrop]:
    """The same of frames from anywhere, such as a camera; less than a second of them is held."""
    for frame, face in follow(frames, detector):
        image = None
        if face is not None and not frame.damaged:
            image = crop_face(frame, face, settings.size, settings.margin)
        yield FaceCrop(frame.index, frame.time_s, None if face is None or image is None else face.box, image)


def write_crops(
    crops: Iterable[FaceCrop], folder: Path, *, progress: Callable[[Iterable[FaceCrop]], Iterable[FaceCrop]] = iter
) -> tuple[int, int]:
    """Writes crops as `00001.jpg` ..., numbered by frame from 1 with gaps where there is no face, and `faces.csv`.

    The table has a row a frame, `frame,time_s,x0,y0,x1,y1`, with empty corners where there is no face. Crops and table
    of an earlier call are replaced; other files in the folder are left alone.

    Args:
        crops: as `crop_faces` yields them.
        folder: made when absent.
        progress: wraps the crops, e.g. in a progress bar.

    Returns:
        Numbers of frames and of crops.
    """
    table = folder / "faces.csv"
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in [table, *(file for file in folder.iterdir() if re.fullmatch(r"\d{5,}\.jpg", file.name))]:
        earlier.unlink(missing_ok=True)
    rows: list[list[str | int]] = []
    found = 0
    for crop in progress(crops):
        corners = [""] * 4 if crop.box is None else [f"{value:.2f}" for value in crop.box]
        rows.append([crop.index + 1, f"{crop.time_s:.6f}", *corners])
        if crop.image is not None:
            (folder / f"{crop.index + 1:05d}.jpg").write_bytes(encode_jpeg(crop.image))
            found += 1
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([["frame", "time_s", "x0", "y0", "x1", "y1"], *rows])
    return len(rows), found


def encode_jpeg(image: np.ndarray, quality: int = JPEG_QUALITY) -> bytes:
    """(H, W, 3) uint8 RGB as a JPEG file, with Huffman tables of its own: the same pixels in a tenth less space.

    Args:
        image: the crop.
        quality: 1 to 100.
    """
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise ValueError(f"an image of shape {image.shape} and type {image.dtype} cannot be written as JPEG")
    return data.tobytes()


def decode_jpeg(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 RGB from a JPEG or PNG file; nothing is allocated before its header is judged.

    Raises:
        UnreadableMedia: the bytes are not an image, or one that is implausibly large.
    """
    size = image_size(data)
    if size is not None and (fault := size_fault(*size)):
        raise UnreadableMedia("face crop", fault)
    try:
        image = None if size is None else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # what imdecode raises where it does not return None
        image = None
    if image is None:
        raise UnreadableMedia("face crop", f"{len(data)} bytes are not a JPEG image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
