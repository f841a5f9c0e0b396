"""Damaged recordings: pictures, sound and time stamps of every container that cameras and microphones write."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pipelines.errors import UnreadableMedia
from pipelines.media.audio import read_sound
from pipelines.media.video import read_frames, write_video

BLACK = np.zeros((48, 64, 3), np.uint8)


@pytest.mark.parametrize(
    "family", ["mp4", "mov", "avi", "avi-mjpeg", "avi-mpeg4", "mkv", "webm", "wav", "aiff", "mp3", "m4a", "flac"]
)
def test_a_damaged_recording_is_read_or_refused(fuzz, family):
    batch = fuzz(family, 40)
    assert not batch.faults, batch.faults


def patched(content: bytes, after: bytes, offset: int, value: bytes) -> bytes:
    at = content.index(after) + len(after) + offset
    return content[:at] + value + content[at + len(value) :]


def huge_jpeg(side: int) -> bytes:
    content = cv2.imencode(".jpg", BLACK)[1].tobytes()
    return patched(content, b"\xff\xc0", 3, struct.pack(">HH", side, side))


def test_pictures_that_claim_gigabytes_are_refused_from_their_headers(outcomes_of, tmp_path):
    contents = {}
    for side in (9000, 16384, 65535):
        with av.open(str(tmp_path / "v.avi"), "w") as output:
            stream = output.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
            for index in range(4):
                packet = av.Packet(huge_jpeg(side))
                packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 25)
                output.mux(packet)
        contents[f"{side}.avi"] = (tmp_path / "v.avi").read_bytes()
    for outcomes in outcomes_of("avi-mjpeg", contents, tmp_path).values():
        assert outcomes[0] == "refused"


def test_containers_that_claim_gigabytes(outcomes_of, tmp_path):
    write_video(tmp_path / "v.mp4", [BLACK] * 5, 25)
    content, where = (tmp_path / "v.mp4").read_bytes(), b"avc1\0\0\0\0\0\0\0\1"
    sides = (9000, 16384, 65535)
    outcomes_of(
        "mp4", {f"{side}.mp4": patched(content, where, 16, struct.pack(">HH", side, side)) for side in sides}, tmp_path
    )


def test_a_stream_larger_than_its_container_says(tmp_path):
    with av.open(str(tmp_path / "v.mp4"), "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 8192, 8192, "yuv420p"
        picture = av.VideoFrame(8192, 8192, "yuv420p")
        for plane in picture.planes:
            plane.update(bytes(plane.buffer_size))
        picture.pts = 0
        output.mux(stream.encode(picture))
        output.mux(stream.encode())
    with pytest.raises(UnreadableMedia, match="frames of 8192x8192 pixels, 64 megapixels at most"):
        next(read_frames(tmp_path / "v.mp4"))


def test_sound_that_claims_another_rate_or_many_channels(outcomes_of, originals, tmp_path):
    content = (originals / "wav" / "0.wav").read_bytes()
    claims = [(channels, rate) for channels in (1, 60000) for rate in (1, 999, 1_000_001, 2**31 - 1, 2**32 - 1)]
    contents = {f"{c}-{r}.wav": patched(content, b"fmt ", 6, struct.pack("<HI", c, r)) for c, r in claims}
    for outcomes in outcomes_of("wav", contents, tmp_path).values():
        assert outcomes == ["refused", "refused"]
    for rate in (1, 999, 1_000_001):
        with pytest.raises(UnreadableMedia, match=f"sampled at {rate} Hz, 1000 to 1000000"):
            next(read_sound(tmp_path / f"1-{rate}.wav", 16000))


def test_chunks_that_claim_gigabytes(outcomes_of, originals, tmp_path):
    for family, tags in (("wav", (b"data", b"RIFF")), ("aiff", (b"SSND", b"COMM"))):
        content = (originals / family / f"0.{family}").read_bytes()
        claims = {f"{tag.decode()}.{family}": patched(content, tag, 0, b"\xff\xff\xff\x7f") for tag in tags}
        outcomes_of(family, claims, tmp_path)


def test_sound_of_64_bit_integers_is_refused(originals, tmp_path):
    content = (originals / "wav" / "0.wav").read_bytes()
    (tmp_path / "s.wav").write_bytes(patched(content, b"fmt ", 16, struct.pack("<HH", 8, 64)))
    with pytest.raises(UnreadableMedia, match="samples of type s64 cannot be read"):
        next(read_sound(tmp_path / "s.wav", 16000))


PLAYLISTS = {
    "hls.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n../outside/secret.ts\n#EXT-X-ENDLIST\n",
    "hls.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n../outside/secret.ts\n#EXT-X-ENDLIST\n",
    "concat.mp4": "ffconcat version 1.0\nfile inside.mp4\n",
    "concat.txt": "ffconcat version 1.0\nfile ../outside/secret.ts\n",
    "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_leads_nowhere(tmp_path, name):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    write_video(root / "inside.mp4", [BLACK] * 5, 25)
    with av.open(str(outside / "secret.ts"), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(10):
            picture = av.VideoFrame.from_ndarray(BLACK, format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            output.mux(stream.encode(picture))
        output.mux(stream.encode())
    (root / name).write_text(PLAYLISTS[name])
    with pytest.raises(UnreadableMedia, match="not a readable video"):
        list(read_frames(root / name))


def test_a_name_with_a_pattern_is_one_image(tmp_path):
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"x{index}.jpg"), BLACK)
    Path(tmp_path / "x0.jpg").rename(tmp_path / "x%d.jpg")
    assert len(list(read_frames(tmp_path / "x%d.jpg"))) == 1
