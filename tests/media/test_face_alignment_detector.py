"""The learned detector: its path from landmarks to crops with networks made up, its weights with addresses made up."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipelines.errors import MtpkdError
from pipelines.media.alignment import ARCFACE_TEMPLATE, crop_face
from pipelines.media.face_alignment_detector import LANDMARKS, FaceAlignmentDetector, load_networks
from pipelines.media.frame import VideoFrame
from pipelines.weights import REGISTRY

RED = np.array([255, 0, 0])


class RedEyed:
    """Takes the red dots of a picture for a face's five points."""

    def __init__(self, score: float = 0.9) -> None:
        self.score, self.sizes = score, []

    def boxes(self, image):
        self.sizes.append(image.shape)
        y, x = np.nonzero(np.abs(image.astype(int) - RED).max(2) < 110)
        return np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1, self.score]]) if x.size else np.zeros((0, 5))

    def landmarks(self, image, box):
        _, _, _, centres = cv2.connectedComponentsWithStats((np.abs(image.astype(int) - RED).max(2) < 110).astype("u1"))
        upper, lower = np.split(centres[1:][np.argsort(centres[1:, 1])], [3])
        eyes, nose = sorted(upper[:2].tolist()), upper[2]
        points = np.zeros((68, 2))
        for (first, last), point in zip(LANDMARKS, [*eyes, nose, *sorted(lower.tolist())], strict=True):
            points[first:last] = point
        return points


@pytest.fixture
def dotted(as_frame):
    """A frame of 1280x960 whose dots lie at the template's points, five times enlarged, and these points."""
    points = 5 * ARCFACE_TEMPLATE + [400, 150]
    image = np.full((960, 1280, 3), 60, np.uint8)
    for x, y in points.tolist():
        cv2.circle(image, (round(x), round(y)), 14, RED.tolist(), -1)
    return as_frame(image), points


def test_landmarks_are_read_at_full_resolution_and_align_the_crop(dotted):
    frame, points = dotted
    networks = RedEyed()
    (face,) = FaceAlignmentDetector(networks).detect(frame)
    assert max(networks.sizes[0]) == 320
    np.testing.assert_allclose(face.landmarks, points + 0.5, atol=1.0)
    crop = crop_face(frame, face, 112, 0.2)
    for x, y in np.round(ARCFACE_TEMPLATE).astype(int):
        assert np.abs(crop[y, x].astype(int) - RED).max() < 30


class Onlooker(RedEyed):
    """Finds nothing, and keeps what it was shown."""

    def boxes(self, image):
        self.image = image
        return np.zeros((0, 5))


@pytest.mark.parametrize("size", [(300, 200), (480, 640), (1387, 1037), (1080, 1920)])
def test_a_frame_is_shrunk_as_a_full_size_picture_would_be(as_frame, portrait, size):
    frame = as_frame(cv2.resize(portrait, size[::-1], interpolation=cv2.INTER_CUBIC))
    scale = min(1.0, 320 / max(size))
    expected = cv2.resize(np.ascontiguousarray(frame.rgb()), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    onlooker = Onlooker()
    FaceAlignmentDetector(onlooker).detect(frame)
    height, width = onlooker.image.shape[:2]
    assert abs(height - expected.shape[0]) <= 1
    assert abs(width - expected.shape[1]) <= 1
    least = np.s_[: min(height, expected.shape[0]), : min(width, expected.shape[1])]
    assert np.abs(onlooker.image[least].astype(int) - expected[least]).mean() < 1.5


def test_no_full_size_picture_of_a_large_frame_is_made():
    frame = VideoFrame(index=0, time_s=0.0, picture=av.VideoFrame(3840, 2160, "yuv420p"))
    tracemalloc.start()
    FaceAlignmentDetector(Onlooker()).detect(frame)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3840 * 2160 / 10


def test_near_a_box_only_what_is_around_it_is_searched(dotted):
    frame, _ = dotted
    detector = FaceAlignmentDetector(RedEyed())
    (face,) = detector.detect(frame)
    (again,) = detector.detect(frame, near=tuple(value + 20 for value in face.box))
    np.testing.assert_allclose(again.box, face.box, atol=4)
    assert detector.detect(frame, near=(10.0, 700.0, 210.0, 900.0)) == []
    assert detector.detect(frame, near=(5000.0, 0.0, 5100.0, 100.0)) == []
    x0, y0, x1, y1 = face.box
    assert detector.detect(frame, near=(x0 - 150, y0 - 150, x1 + 150, y1 + 150)) == []


def test_doubtful_faces_are_kept_but_begin_nothing(dotted):
    frame, _ = dotted
    (sure,) = FaceAlignmentDetector(RedEyed()).detect(frame)
    doubtful = FaceAlignmentDetector(RedEyed(score=0.6))
    assert doubtful.detect(frame) == []
    assert len(doubtful.detect(frame, near=sure.box)) == 1


def test_no_face_is_no_detection(as_frame):
    assert FaceAlignmentDetector(RedEyed()).detect(as_frame(np.zeros((240, 320, 3), np.uint8))) == []


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """An empty torch hub without a network; returns the folder in which weights are looked for."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MTPKD_OFFLINE", "1")
    return tmp_path / "home" / "hub" / "checkpoints"


def test_weights_that_cannot_be_had_are_an_error_that_says_what_to_do(hub):
    with pytest.raises(MtpkdError) as caught:
        load_networks()
    for words in ("the face-alignment detector needs", str(hub), "--detector haar", "mtpkd weights fetch s3fd 2dfan-4"):
        assert words in str(caught.value)
    for name in ("s3fd", "2dfan-4"):
        assert f"{REGISTRY[name].file_name}  from {REGISTRY[name].address}" in str(caught.value)
    assert not hub.exists()


def test_a_damaged_file_is_named(hub):
    hub.mkdir(parents=True)
    (hub / REGISTRY["s3fd"].file_name).write_bytes(b"weight")
    with pytest.raises(MtpkdError, match=f"{hub}/s3fd-.*damaged.*mtpkd weights fetch s3fd.*--detector haar"):
        load_networks()


PACKAGE = """
import hashlib, os, sys
from dataclasses import replace
import cv2, numpy as np, torch, face_alignment.api
from face_alignment.detection.sfd.net_s3fd import s3fd
from face_alignment.models import FAN

from pipelines.weights import REGISTRY, path_of

def put(name, net):
    torch.save(net.state_dict(), "net")
    digest = hashlib.sha256(open("net", "rb").read()).hexdigest()
    address = f"http://127.0.0.1:9/{name}-{digest[:10]}.pth"
    REGISTRY[name] = replace(REGISTRY[name], address=address, sha256=digest)
    os.makedirs(path_of(REGISTRY[name]).parent, exist_ok=True)
    os.replace("net", path_of(REGISTRY[name]))

torch.set_num_threads(1)
torch.manual_seed(0)
put("s3fd", s3fd())
put("2dfan-4", FAN(4))
def refuse(*_, **__): raise AssertionError("a download was tried")
torch.hub.download_url_to_file = face_alignment.utils.download_url_to_file = refuse
from pipelines.media.detectors import make_detector
from pipelines.recipe import FaceSettings
networks = make_detector(FaceSettings(detector="face-alignment"))._networks
image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
boxes = networks.boxes(image)
assert boxes.ndim == 2 and boxes.shape[1] == 5, boxes.shape
assert networks.boxes(np.zeros((64, 64, 3), np.uint8)).shape[1] == 5
points = networks.landmarks(image, (10.0, 10.0, 50.0, 50.0))
assert points.shape == (68, 2) and np.isfinite(points).all()
print("done")
"""


def test_the_real_package_runs_on_weights_that_are_there(tmp_path):
    """Untrained networks of the published shape, in a process of its own; numba would compile for ten seconds."""
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"TORCH_HOME": str(tmp_path), "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(root)}
    run = subprocess.run(
        [sys.executable, "-c", PACKAGE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.stdout.endswith("done\n"), run.stderr[-2000:]
