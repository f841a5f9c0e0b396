import re

import numpy as np

from pipelines.corpora.synthetic_truth import ACTIONS, draw_course, draw_subjects, stream

TIMES = np.arange(138) / 25


def courses(class_name, subjects, clips=4):
    return [
        (subject, draw_course(stream(0, subject.index, 9, number), subject, class_name, 5.5))
        for subject in subjects
        for number in range(clips)
    ]


def test_subjects_are_named_like_biovids_and_a_larger_corpus_starts_with_the_same():
    subjects = draw_subjects(0, 400)
    assert len({subject.name for subject in subjects}) == 400
    assert all(re.fullmatch(r"\d{6}_[wm]_\d{2}", subject.name) for subject in subjects)
    assert draw_subjects(0, 10) == subjects[:10]
    assert draw_subjects(1, 10) != subjects[:10]


def test_about_a_quarter_of_the_subjects_show_next_to_nothing():
    shares = np.array([subject.expressiveness for subject in draw_subjects(0, 400)])
    assert 0.2 < np.mean(shares < 0.15) < 0.3
    assert np.all((shares < 0.15) | (shares >= 0.5))


def test_streams_are_independent_of_the_order_they_are_drawn_in():
    first = stream(3, 1, 4, 2).random(4)
    stream(3, 1, 4, 3).random(100)
    assert np.array_equal(stream(3, 1, 4, 2).random(4), first)
    assert not np.array_equal(stream(3, 1, 4, 3).random(4), first)


def test_pain_starts_after_about_a_second_and_rises_with_the_class():
    subjects = draw_subjects(0, 20)
    means = [
        np.mean([course.intensity(TIMES)[-50:].mean() for _, course in courses(name, subjects)])
        for name in ("BL1", "PA1", "PA2", "PA3", "PA4")
    ]
    assert np.all(np.diff(means) > 0.1)
    for _, course in courses("PA4", subjects):
        assert 0.8 < course.onset < 2.0
        assert course.intensity(TIMES[TIMES < 0.7]).max() < 0.25


def test_what_is_shown_is_a_bounded_share_of_what_is_felt():
    subjects = draw_subjects(0, 40)
    for subject, course in courses("PA4", subjects):
        actions = course.actions(TIMES, subject.pattern)
        assert actions.shape == (138, len(ACTIONS))
        assert actions.min() >= 0
        assert actions.max() <= 1
        assert course.shown <= 1.3 * subject.expressiveness * course.felt
    brows = {
        expressive: np.mean(
            [
                course.actions(TIMES, subject.pattern)[75:, ACTIONS.index("brow")].mean()
                for subject, course in courses("PA4", subjects)
                if (subject.expressiveness > 0.3) == expressive
            ]
        )
        for expressive in (False, True)
    }
    assert brows[True] > brows[False] + 0.2
