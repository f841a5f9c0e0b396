"""The `face-alignment` package: SFD finds the face, 2DFAN-4 its 68 landmarks (Bulat et al. 2017, arXiv 1703.07332).

Decisions:

- The package would fetch its weights while it is built, without a time limit, and load one of the two files by
  unpickling whatever is in it. Here the files are looked up first, where the package looks for them (torch hub's
  `checkpoints` folder), fetched from the package's own addresses with the package's own download and a time limit,
  checked against the hash in their names, and handed over as local files, which it reads as tensors only.
- What cannot be fetched is an error that names files and folder. The detector is never replaced by another.
- Faces are sought at 320 pixels, and no full-size RGB picture of a large frame is made for that. Landmarks are read
  from full resolution, shrunk so that the face has the package's reference size: it rounds landmarks to whole pixels of
  the picture that it is given.
- `FaceNetworks` is the seam: two functions on arrays, so that the path from landmarks to crops runs without weights.
"""

import hashlib
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Protocol
from urllib.parse import urlparse

import cv2
import numpy as np

from pipelines.errors import MtpkdError
from pipelines.media.detectors import SEARCH_SIDE, Box, Detection, clipped, grown
from pipelines.media.frame import Region, VideoFrame

DOWNLOAD_TIMEOUT_S = 20.0
"""Seconds without a byte before a download is given up."""

HASH_IN_NAME = re.compile(r"-([0-9a-f]+)\.")

LANDMARKS = ((36, 42), (42, 48), (30, 31), (48, 49), (54, 55))
"""Ranges of the 68 points whose means are the eyes, the nose tip and the mouth's corners."""


class FaceNetworks(Protocol):
    """What the two networks answer, in pixels of the image given."""

    def boxes(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB -> (n, 5): x0, y0, x1, y1, probability."""
        ...

    def landmarks(self, image: np.ndarray, box: Box) -> np.ndarray:
        """(H, W, 3) uint8 RGB and a face in it -> (68, 2): x, y."""
        ...


class FaceAlignmentDetector:
    """Boxes with five landmarks, by learned networks."""

    begin, keep = 0.8, 0.5
    """Probability needed to find a face anywhere, and near one just seen; the package itself drops all below 0.5."""
    around = 0.5
    """Share of the expected face's side that is searched beyond each border."""
    size_ratio = 1.5
    """Largest ratio between the side of an expected face and the one found."""
    face_side = 195
    """Side to which a face is shrunk before its landmarks are read: the package's reference scale."""

    def __init__(self, networks: FaceNetworks) -> None:
        self._networks = networks

    def detect(self, frame: VideoFrame, near: Box | None = None) -> list[Detection]:
        """See `Detector.detect`."""
        region: Region | None = (0, 0, frame.width, frame.height)
        if near is not None:
            region = clipped(grown(near, self.around * _side(near)), frame)
        if region is None:
            return []
        image, scale = _shrunk(frame, region, SEARCH_SIDE / max(region[2] - region[0], region[3] - region[1]))
        origin = np.array([*region[:2], *region[:2]])
        least = self.begin if near is None else self.keep
        found = []
        for *corners, score in np.asarray(self._networks.boxes(image), float).reshape(-1, 5):
            x0, y0, x1, y1 = (float(value) for value in np.array(corners) / scale + origin)
            box = (x0, y0, x1, y1)
            fits = near is None or 1 / self.size_ratio <= _side(box) / _side(near) <= self.size_ratio
            if score >= least and fits and clipped(box, frame) is not None:
                found.append(Detection(box, float(score), self._five_points(frame, box)))
        return found

    def _five_points(self, frame: VideoFrame, box: Box) -> np.ndarray:
        region = clipped(grown(box, 0.5 * _side(box)), frame)
        assert region is not None  # the box itself lies in the frame
        image, scale = _shrunk(frame, region, self.face_side / _side(box))
        x0, y0, x1, y1 = (np.array(box) - [*region[:2], *region[:2]]) * scale
        points = self._networks.landmarks(image, (x0, y0, x1, y1))
        five = np.stack([points[first:last].mean(0) for first, last in LANDMARKS])
        # Landmarks are pixel indices, boxes measure at pixel edges.
        return (five + 0.5) / scale + region[:2]


class _LibraryNetworks:
    """`face_alignment.FaceAlignment` behind FaceNetworks."""

    def __init__(self, package_model) -> None:
        self._model = package_model

    def boxes(self, image: np.ndarray) -> np.ndarray:
        return np.asarray(self._model.face_detector.detect_from_image(image), float).reshape(-1, 5)

    def landmarks(self, image: np.ndarray, box: Box) -> np.ndarray:
        return self._model.get_landmarks_from_image(image, detected_faces=[np.array(box)])[0]


def load_networks(device: str = "cpu") -> FaceNetworks:
    """The package's networks with its published weights, fetched when absent.

    Args:
        device: torch device, `cpu` or `cuda`.

    Raises:
        MtpkdError: a weight file is absent and cannot be fetched, or is not what its name says.
    """
    import face_alignment
    import face_alignment.api
    from face_alignment.detection.sfd import sfd_detector

    addresses = (sfd_detector.models_urls["s3fd"], face_alignment.api.models_urls["2DFAN-4"])
    detector_file, _ = ensure_weights(addresses)
    model = face_alignment.FaceAlignment(
        face_alignment.LandmarksType.TWO_D,
        device=device,
        compile=False,
        face_detector_kwargs={"path_to_detector": str(detector_file)},
    )
    return _LibraryNetworks(model)


def ensure_weights(addresses: tuple[str, ...]) -> list[Path]:
    """The local files of some weights, in torch hub's `checkpoints` folder; absent ones are fetched.

    Raises:
        MtpkdError: one could not be fetched, or a file is not the one that the hash in its name tells of. Names files,
            folder and addresses, and the way without.
    """
    from torch.hub import download_url_to_file, get_dir

    folder = Path(get_dir()) / "checkpoints"
    files = [folder / Path(urlparse(address).path).name for address in addresses]
    absent = [(file, address) for file, address in zip(files, addresses, strict=True) if not file.exists()]
    try:
        for file, address in absent:
            folder.mkdir(parents=True, exist_ok=True)
            with _time_limit(DOWNLOAD_TIMEOUT_S):
                download_url_to_file(address, str(file), _digest_in(file), progress=False)
    # OSError: no network, no such page, no room; RuntimeError: torch's word for a wrong hash.
    except (OSError, HTTPException, RuntimeError) as error:
        lines = "".join(f"\n  {file.name}  from {address}" for file, address in absent if not file.exists())
        raise MtpkdError(
            f"the face-alignment detector needs weights that are not in {folder} and could not be fetched ({error}):"
            f"{lines}\nPut them into {folder}, or use --detector haar, which works offline."
        ) from error
    for file in files:
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if not digest.startswith(_digest_in(file)):
            raise MtpkdError(
                f"{file}: damaged or not the published file, its SHA-256 begins with {digest[:10]}; delete it and it "
                "is fetched again, or use --detector haar, which needs none"
            )
    return files


def _digest_in(file: Path) -> str:
    """The beginning of the SHA-256 that torch hub's file names carry: `name-<digits>.pth`."""
    found = HASH_IN_NAME.search(file.name)
    return found.group(1) if found else ""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    # torch's download passes no time limit on, so the one for new sockets is set around it.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _shrunk(frame: VideoFrame, region: Region, scale: float) -> tuple[np.ndarray, float]:
    """The region in RGB, never enlarged, and its scale."""
    scale = min(1.0, scale)
    x0, y0, x1, y1 = region
    # By a whole number while it is converted, so that no picture of the region's full size is made; cv2 does the rest.
    whole = max(1, min(int(1 / scale + 1e-9), x1 - x0, y1 - y0))
    size = (x1 - x0) // whole, (y1 - y0) // whole
    colours = frame.rgb((x0, y0, x0 + size[0] * whole, y0 + size[1] * whole), size if whole > 1 else None)
    rest = scale * whole
    return cv2.resize(np.ascontiguousarray(colours), None, fx=rest, fy=rest, interpolation=cv2.INTER_AREA), scale


def _side(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])
