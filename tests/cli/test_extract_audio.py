"""`mtpkd extract-audio` on one file."""

import wave

import cv2
import numpy as np
import pytest


@pytest.fixture
def recording(tmp_path):
    """Two seconds of stereo at 44,100 Hz, the second one ten times quieter."""
    path = tmp_path / "voice.wav"
    time = np.arange(88200) / 44100
    sound = np.sin(2 * np.pi * 300 * time) * np.where(time < 1, 0.5, 0.05)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(np.repeat(np.round(sound * 32767).astype("<i2"), 2).tobytes())
    return path


def test_it_says_what_was_recorded_and_writes_nothing(mtpkd, recording, tmp_path):
    status, out, _ = mtpkd("extract-audio", recording)
    assert status == 0
    assert "44100 Hz, 2 channels, 2.00 s" in out
    assert "loudness -29.0 to -9.0 dBFS by the second, peak -6.0 dBFS" in out
    assert "64 bands, 201 columns" in out
    assert "the video" not in out
    assert list(tmp_path.iterdir()) == [recording]


def test_files_are_written_where_asked(mtpkd, recording, tmp_path):
    status, _, _ = mtpkd("extract-audio", recording, "--output", "voice.npz", "--plot", "voice.png")
    assert status == 0
    assert (tmp_path / "voice.png").read_bytes().startswith(b"\x89PNG")
    with np.load(tmp_path / "voice.npz", allow_pickle=False) as file:
        assert file["log_mel"].shape == (64, 201)
        np.testing.assert_allclose(file["times"], np.arange(201) / 100)
        assert file["log_mel"][:, :95].max() - file["log_mel"][:, 105:].max() == pytest.approx(20, abs=1)


def test_mistakes_are_told_in_words(mtpkd, recording, tmp_path):
    cv2.imwrite(str(tmp_path / "still.png"), np.zeros((32, 32, 3), np.uint8))
    status, _, err = mtpkd("extract-audio", "still.png")
    assert (status, err) == (1, "mtpkd: error: still.png: there is no sound track\n")
    status, _, err = mtpkd("extract-audio", "absent.mp4")
    assert (status, err) == (1, "mtpkd: error: absent.mp4: the file does not exist\n")
    status, _, err = mtpkd("extract-audio", recording, "--output", "nowhere/voice.npz")
    assert (status, "nowhere/voice.npz: cannot be written" in err) == (2, True)
    status, _, err = mtpkd("extract-audio", recording, "--plot", "voice.txt")
    assert (status, "voice.txt" in err) == (2, True)
