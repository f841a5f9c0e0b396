"""Damaged recordings: pictures, sound and time stamps of every container that cameras and microphones write."""

import pytest


@pytest.mark.parametrize(
    "family", ["mp4", "mov", "avi", "avi-mjpeg", "avi-mpeg4", "mkv", "webm", "wav", "aiff", "mp3", "m4a", "flac"]
)
def test_a_damaged_recording_is_read_or_refused(fuzz, family):
    batch = fuzz(family, 40)
    assert not batch.faults, batch.faults
