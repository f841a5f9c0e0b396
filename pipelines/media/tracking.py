"""One person followed through a video: which face is the subject's, and in which frames it is there.

Decisions:

- Four generators, each holding a few frames and never the video: `observe` looks, `bridge` closes gaps, `confirm` drops
  what was too short to be a face, `smooth` takes out the detector's jitter. Together they hold less than a second of
  frames.
- The detector runs on every sixth frame. Where two of these agree, the frames between are interpolated; where they do
  not, the middle one is searched, then the halves: motion, entrance and exit are found to the frame at the price of two
  or three more searches.
- The largest face begins; once seen for CONFIRM_SECONDS it is the subject and stays it. Lost, it is sought where it was
  for a second, then everywhere, but a face elsewhere must also have the subject's colours: joint YCbCr histograms of
  one person differed by at most .21 (Bhattacharyya) within a video, those of four people in one photograph by .33 and
  more. A bystander dressed and lit like the subject can pass; one that differs never becomes the subject.
- A frame without a face stays without one. Only gaps of up to 0.2 s between two sightings of the same place are filled:
  the cascade blinks there, the face does not leave.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from pipelines.media.detectors import Box, Detection, Detector, clipped, grown, overlap
from pipelines.media.frame import VideoFrame

Sighting = tuple[VideoFrame, Detection | None]

KEY_FRAMES, KEY_SECONDS = 6, 0.24
"""The detector runs once in so many frames, or seconds where the rate is low: at 25 a second, 0.2 s lie between."""
STEADY = 0.75
"""Overlap of two sightings from which the frames between them are interpolated."""
SAME_PLACE = 0.3
"""Least overlap with the box before, for a face to be the same one."""
MEMORY_SECONDS = 1.0
"""How long a lost face is first sought where it was."""
CONFIRM_SECONDS = 0.4
"""A face seen for a shorter time is taken for a false alarm, unless the whole video is shorter."""
GAP_SECONDS = 0.2
"""Longest gap that is filled."""
SMOOTH_SECONDS = 0.2
"""Half the width of the triangle by which boxes are averaged."""
SAME_COLOURS = 0.3
"""Largest Bhattacharyya distance between colours of one person."""
EPSILON = 1e-6
"""Time stamps are rounded to the container's time base."""


def follow(frames: Iterable[VideoFrame], detector: Detector) -> Iterator[Sighting]:
    """Every frame with the subject's face, or with None where it is not to be seen."""
    return smooth(confirm(bridge(observe(frames, detector))))


def observe(frames: Iterable[VideoFrame], detector: Detector) -> Iterator[Sighting]:
    """Every frame with the face that the detector, or interpolation between two agreeing answers of it, finds there."""
    subject = _Subject(detector)
    last: Sighting | None = None
    pending: list[VideoFrame] = []
    for frame in frames:
        pending.append(frame)
        late = last is None or frame.time_s - last[0].time_s >= KEY_SECONDS - EPSILON
        if late or len(pending) == KEY_FRAMES:
            key = (frame, subject.look(frame))
            yield from _between(subject, last, pending[:-1], key)
            yield key
            last, pending = key, []
    if pending:
        key = (pending[-1], subject.look(pending[-1]))
        yield from _between(subject, last, pending[:-1], key)
        yield key


def bridge(sightings: Iterable[Sighting]) -> Iterator[Sighting]:
    """Fills gaps of up to GAP_SECONDS between two sightings of the same place."""
    before: Sighting | None = None
    gap: list[Sighting] = []
    for sighting in sightings:
        frame, face = sighting
        if face is not None:
            same = before is not None and _same_face(before[1], face)
            yield from ((f, _blend(before, sighting, f)) for f, _ in gap) if same and before else gap
            yield sighting
            before, gap = sighting, []
            continue
        gap.append(sighting)
        if before is None or frame.time_s - before[0].time_s > GAP_SECONDS + EPSILON:
            yield from gap
            before, gap = None, []
    yield from gap


def confirm(sightings: Iterable[Sighting]) -> Iterator[Sighting]:
    """Masks runs shorter than CONFIRM_SECONDS that do not fill the whole video."""
    run: list[Sighting] = []
    confirmed, interrupted = False, False
    for sighting in sightings:
        frame, face = sighting
        if face is None:
            yield from ((f, None) for f, _ in run)
            yield sighting
            run, confirmed, interrupted = [], False, True
        elif confirmed:
            yield sighting
        else:
            run.append(sighting)
            confirmed = frame.time_s - run[0][0].time_s >= CONFIRM_SECONDS - EPSILON
            if confirmed:
                yield from run
                run = []
    yield from ((f, None) for f, _ in run) if interrupted else run


def smooth(sightings: Iterable[Sighting]) -> Iterator[Sighting]:
    """Averages every face with its neighbours in time, by a triangle that looks both ways and so does not lag."""
    past: deque[Sighting] = deque()
    ahead: deque[Sighting] = deque()
    for sighting in sightings:
        ahead.append(sighting)
        while sighting[0].time_s - ahead[0][0].time_s >= SMOOTH_SECONDS:
            yield _averaged(past, ahead)
    while ahead:
        yield _averaged(past, ahead)


class _Subject:
    """What is known of the person that is followed."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._box: Box | None = None
        self._seen = self._since = self._painted = -np.inf
        self._colours: np.ndarray | None = None

    def look(self, frame: VideoFrame) -> Detection | None:
        """The subject in a later frame than before, sought where it was and then everywhere."""
        face = None
        if self._box is not None and frame.time_s - self._seen <= MEMORY_SECONDS + EPSILON:
            face = self.look_near(frame, self._box)
        if face is None:
            if self._colours is None:
                self._box = None  # seen too shortly to be anyone
            face = self._search(frame)
        if face is not None:
            self._remember(frame, face)
        return face

    def look_near(self, frame: VideoFrame, box: Box) -> Detection | None:
        """The face that continues a box of a neighbouring frame."""
        if frame.damaged:
            return None
        faces = [face for face in self._detector.detect(frame, box) if overlap(face.box, box) >= SAME_PLACE]
        return max(faces, key=lambda face: overlap(face.box, box), default=None)

    def _search(self, frame: VideoFrame) -> Detection | None:
        if frame.damaged:
            return None
        faces = self._detector.detect(frame, None)
        if self._colours is not None:
            distances = [
                cv2.compareHist(_colours(frame, f.box), self._colours, cv2.HISTCMP_BHATTACHARYYA) for f in faces
            ]
            faces = [face for face, distance in zip(faces, distances, strict=True) if distance <= SAME_COLOURS]
            if self._box is not None:
                centre = _centre(self._box)
                return min(faces, key=lambda face: np.hypot(*(_centre(face.box) - centre)), default=None)
        return max(faces, key=lambda face: face.box[2] - face.box[0], default=None)

    def _remember(self, frame: VideoFrame, face: Detection) -> None:
        if self._box is None or frame.time_s - self._seen > MEMORY_SECONDS:
            self._since = frame.time_s
        self._box, self._seen = face.box, frame.time_s
        lasting = frame.time_s - self._since >= CONFIRM_SECONDS - EPSILON
        if lasting and frame.time_s - self._painted >= MEMORY_SECONDS:
            self._colours, self._painted = _colours(frame, face.box), frame.time_s


def _between(
    subject: _Subject, before: Sighting | None, frames: Sequence[VideoFrame], after: Sighting
) -> Iterator[Sighting]:
    if before is None or not frames:
        return
    if before[1] is None and after[1] is None:
        yield from ((frame, None) for frame in frames)
        return
    if before[1] and after[1] and overlap(before[1].box, after[1].box) >= STEADY:
        yield from ((frame, _blend(before, after, frame)) for frame in frames)
        return
    middle = len(frames) // 2
    ends = [face.box for _, face in (before, after) if face is not None]
    looks = (subject.look_near(frames[middle], box) for box in ends)
    found = (frames[middle], next((face for face in looks if face is not None), None))
    yield from _between(subject, before, frames[:middle], found)
    yield found
    yield from _between(subject, found, frames[middle + 1 :], after)


def _blend(before: Sighting, after: Sighting, frame: VideoFrame) -> Detection | None:
    """The face at a frame between two sightings, linear in time."""
    if before[1] is None or after[1] is None:
        return None
    share = (frame.time_s - before[0].time_s) / max(after[0].time_s - before[0].time_s, EPSILON)
    return _mean([before[1], after[1]], np.array([1 - share, share]))


def _averaged(past: deque[Sighting], ahead: deque[Sighting]) -> Sighting:
    """Takes the first of `ahead`, averaged with as much time before as after it, moves it to `past`."""
    sighting = frame, face = ahead.popleft()
    while past and frame.time_s - past[0][0].time_s > SMOOTH_SECONDS:
        past.popleft()
    if face is None:
        past.clear()
        return sighting
    if past and not _same_face(past[-1][1], face):
        past.clear()
    future = []
    for other in ahead:
        if other[1] is None or not _same_face(face, other[1]):
            break
        future.append(other)
    run = [*past, sighting, *future]
    past.append(sighting)
    reach = min(SMOOTH_SECONDS, frame.time_s - run[0][0].time_s, run[-1][0].time_s - frame.time_s)
    if reach <= EPSILON:
        return sighting
    weights = np.array([max(0.0, 1 - abs(other.time_s - frame.time_s) / reach) for other, _ in run])
    faces = [other for _, other in run if other is not None]
    return frame, replace(_mean(faces, weights / weights.sum()), score=face.score)


def _mean(faces: Sequence[Detection], weights: np.ndarray) -> Detection:
    x0, y0, x1, y1 = (float(value) for value in weights @ np.array([face.box for face in faces]))
    points = [face.landmarks for face in faces if face.landmarks is not None]
    landmarks = np.tensordot(weights, np.stack(points), 1) if len(points) == len(faces) else None
    return Detection((x0, y0, x1, y1), float(weights @ [face.score for face in faces]), landmarks)


def _same_face(one: Detection | None, other: Detection) -> bool:
    return one is not None and overlap(one.box, other.box) >= SAME_PLACE


def _centre(box: Box) -> np.ndarray:
    return np.array([box[0] + box[2], box[1] + box[3]]) / 2


def _colours(frame: VideoFrame, box: Box) -> np.ndarray:
    """Joint histogram of luma and chroma of the face and what is right around it, hair and collar."""
    region = clipped(grown(box, 0.1 * (box[2] - box[0])), frame)
    if region is None:
        raise ValueError(f"box {box} lies beside a frame of {frame.width}x{frame.height}")
    patch = cv2.resize(frame.rgb(region), (48, 48), interpolation=cv2.INTER_AREA)
    ycrcb = np.clip(cv2.cvtColor(patch, cv2.COLOR_RGB2YCrCb), (0, 96, 80), (255, 191, 175)).astype(np.uint8)
    histogram = cv2.calcHist([ycrcb], [0, 1, 2], None, [4, 16, 16], [0, 256, 96, 192, 80, 176])
    return histogram / max(float(histogram.sum()), 1.0)
