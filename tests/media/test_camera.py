"""A camera's frames; the command's tests have the rest, with cameras that are stopped, pulled out or absent."""

import cv2
import numpy as np
import pytest

from pipelines.errors import UnreadableMedia
from pipelines.media.camera import read_camera


class Camera:
    """Gives grey pictures for ever."""

    def __init__(self, index):
        self.isOpened = lambda: True
        self.read = lambda: (True, np.full((96, 128, 3), 90, np.uint8))
        self.release = lambda: None


def test_a_camera_that_is_stopped_before_its_first_picture_is_told(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    with pytest.raises(UnreadableMedia, match="camera 3: it was stopped before its first picture"):
        next(read_camera(3, stopped=lambda: True))
    assert next(read_camera(3)).rgb().shape == (96, 128, 3)
