"""Face crops that a corpus publishes as one image a frame, as the same stream of FaceCrops that a video gives.

Decisions:

- The number in a file's name is the frame: images are found by it and never by their order, and a number that is not
  there is a frame without a face.
- A JPEG of the right size is passed on as it is: encoding it a second time would lose for nothing. It is decoded all
  the same, because one that cannot be read must be a frame without a face and not an error in the middle of training.
- An image that cannot be read costs its frame, not its clip. It is counted, and so are images beyond the last frame.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from pipelines.errors import UnreadableMedia
from pipelines.media.faces import FaceCrop, decode_jpeg
from pipelines.media.picture_size import JPEG_BEGIN
from pipelines.media.whole_file import read_whole

NAME = re.compile(r"(\d+)\.(?:jpe?g|png)", re.IGNORECASE)
JPEG_END = b"\xff\xd9"
MAX_BYTES = 64 * 2**20
"""Largest file that is read."""


@dataclass(eq=False)
class PublishedCrops:
    """One clip's crops; iterating yields one FaceCrop a frame, in order, and reads one image at a time.

    Attributes:
        folder: where the images lie.
        images: frame, from 0 -> name of its image.
        times: (n,) seconds of every frame.
        size: side in pixels of the crops that are yielded.
        beyond: images that belong to no frame.
        unreadable: names of the images that could not be read, known when all crops were taken.
    """

    folder: Path
    images: Mapping[int, str]
    times: np.ndarray
    size: int
    beyond: int
    unreadable: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[FaceCrop]:
        self.unreadable.clear()
        for index, time_s in enumerate(self.times.tolist()):
            name = self.images.get(index)
            image, jpeg = (None, None) if name is None else self._read(name)
            yield FaceCrop(index, time_s, None, image, jpeg)

    def _read(self, name: str) -> tuple[np.ndarray | None, bytes | None]:
        try:
            data = read_whole(self.folder / name, max_bytes=MAX_BYTES)
            is_jpeg = data.startswith(JPEG_BEGIN)
            # OpenCV fills what is missing of a JPEG that was cut short with grey.
            if is_jpeg and JPEG_END not in data[-64:]:
                raise UnreadableMedia(self.folder / name, "the image is cut short")
            image = decode_jpeg(data)
        except UnreadableMedia:
            self.unreadable.append(name)
            return None, None
        if image.shape[:2] == (self.size, self.size):
            return image, data if is_jpeg else None
        shrinks = image.shape[0] > self.size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(image, (self.size, self.size), interpolation=how), None


def read_published_crops(folder: Path, times: np.ndarray, size: int) -> PublishedCrops:
    """Finds the images of a clip: `00001.jpg` (.jpeg, .png, any number of digits) is the first frame.

    Args:
        folder: images of one clip; other files in it do not matter.
        times: (n,) seconds of every frame of the clip.
        size: side of a crop in pixels; images of another size are resized.

    Raises:
        UnreadableMedia: the folder cannot be listed.
    """
    images: dict[int, str] = {}
    beyond = 0
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except OSError as error:
        raise UnreadableMedia(folder, (error.strerror or "cannot be listed").lower()) from None
    for name in names:
        if match := NAME.fullmatch(name):
            index = int(match.group(1)) - 1
            if 0 <= index < len(times):
                images.setdefault(index, name)
            else:
                beyond += 1
    return PublishedCrops(folder=folder, images=images, times=times, size=size, beyond=beyond)
