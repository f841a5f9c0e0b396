"""What reading a video again for its sound costs: time beside what is made of it, and bytes from the disk.

    python benchmarks/one_read.py [--rounds N]

Preprocessing reads a video to hash it and for its frames' times, its faces and its sound. Time is that of
demultiplexing it once more, against making face crops and a spectrogram of it. Bytes are what Linux fetched from the
disk for it (/proc/self/io): kind after kind, as in a corpus larger than memory, where each finds the video evicted from
the page cache, and one kind right after the other. Needs a real video with sound (folder from MTPKD_REAL_DATA, by
default ../shared/real beside the project) and a folder for temporary files that is on a disk.
"""

import argparse
import hashlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import torch

from pipelines.media.audio import read_sound
from pipelines.media.container import demux, open_container
from pipelines.media.detectors import make_detector
from pipelines.media.faces import crop_faces
from pipelines.media.log_mel import LogMelStream
from pipelines.media.time_stamps import frame_times
from pipelines.recipe import AudioSettings, FaceSettings

ROOT = Path(__file__).resolve().parent.parent
FACES, AUDIO = FaceSettings(), AudioSettings()
DETECTOR = make_detector(FACES)


def demultiplex(video: Path) -> None:
    """Every packet of sound, undecoded: what one pass for faces and sound would save."""
    with open_container(video, "video") as container:
        for _ in demux(video, container, container.streams.audio[0]):
            pass


def hear(video: Path) -> None:
    """A spectrogram of its sound."""
    stream = LogMelStream(AUDIO)
    for block in read_sound(video, AUDIO.rate):
        stream.push(block.samples)
    stream.finish()


def crop(video: Path) -> None:
    """Its face crops."""
    for _ in crop_faces(video, FACES, detector=DETECTOR):
        pass


def kinds(video: Path) -> Iterator[Callable[[], object]]:
    """Annotations, faces and sound: each hashes the video and reads it."""
    for work in (frame_times, crop, hear):
        yield lambda work=work: (hashlib.sha256(video.read_bytes()), work(video))


def evict(file: Path) -> None:
    """Take a file out of the system's page cache."""
    number = os.open(file, os.O_RDONLY)
    os.fsync(number)
    os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(number)


def fetched(video: Path, *, evicted_between: bool) -> float:
    """Bytes from the disk in sizes of the video, for all kinds."""

    def told() -> int:
        return int(Path("/proc/self/io").read_text().split("read_bytes: ")[1].split()[0])

    evict(video)
    before = told()
    for work in kinds(video):
        work()
        if evicted_between:
            evict(video)
    return (told() - before) / video.stat().st_size


def seconds(work: Callable[[Path], None], video: Path) -> float:
    """Of one run."""
    start = time.perf_counter()
    work(video)
    return time.perf_counter() - start


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    source = Path(os.environ.get("MTPKD_REAL_DATA", ROOT.parent / "shared" / "real"), "faces/WolfgangLanger_Pexels.mp4")
    if not source.exists():
        sys.exit(f"{source} is missing: set MTPKD_REAL_DATA to the folder that has faces/")
    with tempfile.TemporaryDirectory() as name:
        video = Path(shutil.copy(source, name))
        for work in kinds(video):
            work()
        arms = {"demultiplexing again": demultiplex, "spectrogram": hear, "face crops": crop}
        times: dict[str, list[float]] = {what: [] for what in arms}
        for _ in range(arguments.rounds):
            for what, work in arms.items():
                times[what].append(seconds(work, video))
        print(f"{video.name}, {video.stat().st_size / 1e6:.1f} MB\n")
        medians = {what: statistics.median(values) for what, values in times.items()}
        whole = medians["spectrogram"] + medians["face crops"]
        for what, value in medians.items():
            print(f"{what:<24}{1e3 * value:>9.1f} ms{100 * value / whole:>8.1f} % of both")
        apart, together = (fetched(video, evicted_between=between) for between in (True, False))
        print(
            f"\nfrom the disk, kind after kind: {apart:.2f} times the video; one right after the other: {together:.2f}"
        )


if __name__ == "__main__":
    main()
