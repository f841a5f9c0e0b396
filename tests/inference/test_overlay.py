"""Overlaid pictures; `tests/stages/test_predict.py` has those of a whole video."""

from pipelines.inference.overlay import overlaid
from pipelines.inference.student import Student


def test_every_frame_has_a_picture_and_the_file_is_not_opened_for_each(describe, runtime, crops, fake_source):
    class Counting(fake_source):
        asked = 0

        @property
        def rate(self):
            self.asked += 1
            return 25.0

        @rate.setter
        def rate(self, value):
            pass

    source = Counting(lambda: crops([100] * 20 + [None] * 20))
    student = Student(runtime(describe(**{"windows.start": 0.0, "windows.stop": 0.5})), detector=object())
    pictures = list(overlaid(student.stream(source), source, student.description))
    assert {picture.shape for picture in pictures} == {(240 + 104, 320, 3)}
    assert len(pictures) == 40
    assert source.asked == 1
