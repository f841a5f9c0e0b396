"""Peak memory of preprocessing a 20-minute video against a 20-second one: face crops, published crops, sound.

    python benchmarks/memory.py [--minutes N]

A drawn face with noise for sound, 20 s at 25 frames a second and 320x240, and the same packets over and over. Each part
writes its shard in a process of its own, whose peak of resident memory (VmHWM, Linux) is compared.
"""

import argparse
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE, SECONDS, SOUND_RATE = 25, 20, 44100
TARGET = 1.2


def render(path: Path) -> None:
    """20 s of a drawn face."""
    from pipelines.corpora.synthetic_face import draw_frames
    from pipelines.corpora.synthetic_truth import ACTIONS, draw_subjects, stream
    from pipelines.media.video import write_video

    actions = np.zeros((SECONDS * RATE, len(ACTIONS)))
    write_video(path, draw_frames(stream(0, 3), draw_subjects(0, 1)[0], actions, seed=0, width=320, rate=RATE), RATE)


def repeat(source: Path, target: Path, times: int) -> None:
    """The same pictures over and over, with noise for sound."""
    random = np.random.default_rng(0)
    with av.open(str(source)) as once, av.open(str(target), "w") as out:
        pictures = out.add_stream_from_template(once.streams.video[0])
        sound = out.add_stream("aac", rate=SOUND_RATE)
        sound.layout = "mono"
        packets = [packet for packet in once.demux(video=0) if packet.size]
        kept = [(packet.pts, packet.dts) for packet in packets]
        length = round(SECONDS / packets[0].time_base)
        for turn in range(times):
            for packet, (pts, dts) in zip(packets, kept, strict=True):
                packet.pts, packet.dts, packet.stream = pts + turn * length, dts + turn * length, pictures
                packet.time_base = once.streams.video[0].time_base
                out.mux(packet)
            for second in range(SECONDS):
                noise = random.normal(0, 0.1, (1, SOUND_RATE)).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
                frame.sample_rate, frame.time_base = SOUND_RATE, Fraction(1, SOUND_RATE)
                frame.pts = (turn * SECONDS + second) * SOUND_RATE
                out.mux(sound.encode(frame))
        out.mux(sound.encode(None))


def crop(video: Path, shard: Path) -> None:
    """Face crops of the video."""
    import cv2

    from pipelines.cache.faces import FaceShardWriter
    from pipelines.media.faces import crop_faces
    from pipelines.recipe import FaceSettings

    cv2.setNumThreads(1)
    with FaceShardWriter(shard, size=112, storage="jpeg") as writer:
        writer.add("clip", crop_faces(video, FaceSettings()))


def take_published(video: Path, shard: Path) -> None:
    """An image a frame, as if a corpus had published them, at the times of the video's frames."""
    from pipelines.cache.faces import FaceShardWriter
    from pipelines.media.published_crops import read_published_crops
    from pipelines.media.time_stamps import frame_times

    times = frame_times(video)
    with FaceShardWriter(shard, size=112, storage="jpeg") as writer:
        writer.add("clip", read_published_crops(video.with_suffix(""), times, 112))


def hear(video: Path, shard: Path) -> None:
    """Log-mel of its sound."""
    from pipelines.cache.audio import AudioShardWriter
    from pipelines.media.audio import read_sound
    from pipelines.recipe import AudioSettings

    with AudioShardWriter(shard, AudioSettings()) as writer:
        for block in read_sound(video, AudioSettings().rate):
            writer.add(block)


PARTS = {"face crops": crop, "published crops": take_published, "sound": hear}


def publish(video: Path, frames: int) -> None:
    """A folder of crops beside a video."""
    from pipelines.media.faces import encode_jpeg

    folder = video.with_suffix("")
    folder.mkdir()
    noise = np.random.default_rng(0).integers(60, 200, (112, 112, 3), dtype=np.uint8)
    first = folder / "00001.jpg"
    first.write_bytes(encode_jpeg(noise))
    for number in range(2, frames + 1):
        (folder / f"{number:05d}.jpg").hardlink_to(first)


def peak(part: str, video: Path) -> float:
    """MiB of resident memory at most, of a process that does one part."""
    command = [sys.executable, __file__, "--part", part, "--video", str(video)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def run_part(part: str, video: Path) -> None:
    """Do one part in this process and print its peak in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        PARTS[part](video, Path(folder) / "shard.h5")
    status = Path("/proc/self/status").read_text()
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def main() -> None:
    """Make the videos, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--video", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        run_part(arguments.part, arguments.video)
        return
    with tempfile.TemporaryDirectory() as name:
        once, short, long = (Path(name) / f"{video}.mp4" for video in ("once", "short", "long"))
        render(once)
        for video, times in ((short, 1), (long, arguments.minutes * 60 // SECONDS)):
            repeat(once, video, times)
            publish(video, times * SECONDS * RATE)
        print(f"{'MiB at most':<20}{'20 s':>10}{f'{arguments.minutes} min':>10}{'ratio':>8}{'target':>9}")
        for part in PARTS:
            brief, lengthy = peak(part, short), peak(part, long)
            print(
                f"{part:<20}{brief:>10.0f}{lengthy:>10.0f}{lengthy / brief:>8.2f}{'<= ' + str(TARGET):>9}", flush=True
            )


if __name__ == "__main__":
    main()
