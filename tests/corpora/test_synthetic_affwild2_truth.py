import numpy as np
import pytest

from pipelines.corpora.synthetic_affwild2_truth import draw_performances, during, speech_of

TIMES = np.arange(0.0, 600.0, 0.1)


def performances(people: int = 1, videos: int = 12, seconds: float = 600.0):
    return [draw_performances(0, video, people, seconds) for video in range(videos)]


def test_courses_are_wide_slow_and_of_both_signs():
    for (performance,) in performances():
        for course in (performance.valence(TIMES), performance.arousal(TIMES)):
            assert np.abs(course).max() < 1
            assert 0.25 < course.std() < 0.7
            assert course.min() < -0.1 < 0.1 < course.max()
            # 0.1 s apart they hardly differ, 3 s apart they do.
            assert np.corrcoef(course[:-1], course[1:])[0, 1] > 0.98
            assert np.corrcoef(course[:-30], course[30:])[0, 1] < 0.7


def test_valence_and_arousal_have_little_in_common():
    both = [np.corrcoef(p.valence(TIMES), p.arousal(TIMES))[0, 1] for (p,) in performances()]
    assert abs(np.mean(both)) < 0.15


def test_two_who_talk_share_part_of_their_arousal_and_take_turns():
    shared, valence = [], []
    for left, right in performances(people=2):
        shared.append(np.corrcoef(left.arousal(TIMES), right.arousal(TIMES))[0, 1])
        valence.append(np.corrcoef(left.valence(TIMES), right.valence(TIMES))[0, 1])
        assert left.person.index != right.person.index
        speaking = [during(TIMES, one.phrases, ramp=0.001) > 0.5 for one in (left, right)]
        assert not (speaking[0] & speaking[1]).any()
        assert 0.8 < (speaking[0] | speaking[1]).mean() < 1
    assert 0.3 < np.mean(shared) < 0.8
    assert abs(np.mean(valence)) < 0.2


def test_the_same_video_again_is_the_same_and_another_one_differs():
    first, again, other = (draw_performances(0, video, 1, 20.0)[0] for video in (3, 3, 4))
    assert np.array_equal(first.valence(TIMES), again.valence(TIMES))
    assert first.person == again.person
    assert not np.array_equal(first.valence(TIMES), other.valence(TIMES))


def test_a_course_does_not_depend_on_where_it_is_sampled():
    (performance,) = draw_performances(0, 0, 1, 20.0)
    whole = performance.arousal(TIMES)
    assert np.array_equal(performance.arousal(TIMES[100:110]), whole[100:110])


def test_annotations_follow_the_truth_late_and_stop_where_the_face_is_hidden():
    lags = np.arange(0.0, 0.5, 0.02)
    for (performance,) in performances():
        values = performance.annotations(TIMES)
        hidden = np.isnan(values).any(axis=1)
        assert np.array_equal(hidden, performance.hidden(TIMES))
        assert 0 < hidden.mean() < 0.2
        seen = values[~hidden, 1]
        assert np.abs(seen).max() <= 1
        error = [np.std(performance.arousal(TIMES - lag)[~hidden] - seen) for lag in lags]
        assert lags[np.argmin(error)] == pytest.approx(performance.lag_s, abs=0.03)
        assert 0.02 < min(error) < 0.06


def test_the_shortest_video_has_a_hidden_face_too():
    for (performance,) in performances(seconds=2.0):
        times = np.arange(0.0, 2.0, 0.04)
        assert 0 < performance.hidden(times).sum() < 0.35 * len(times)


def test_half_of_the_people_show_little_of_their_arousal():
    people = [performance.person for (performance,) in performances(videos=200, seconds=4.0)]
    subdued = np.array([person.arousal_shown < 0.3 for person in people])
    assert 0.4 < subdued.mean() < 0.6
    assert min(person.valence_shown for person in people) > 0.5
    assert len({person.sex for person in people}) == 2


def test_runs_begin_and_end_smoothly():
    times = np.arange(0.0, 4.0, 0.01)
    value = during(times, np.array([[1.0, 2.0], [2.5, 3.0]]), ramp=0.4)
    assert np.array_equal(value == 1.0, ((times >= 1.0) & (times <= 2.0)) | ((times >= 2.5) & (times <= 3.0)))
    assert np.all(value[(times < 0.6) | (times > 3.4)] == 0)
    assert np.abs(np.diff(value)).max() < 0.05
    assert not during(times, np.empty((0, 2))).any()


def test_the_excited_speak_faster_and_nobody_speaks_in_pauses():
    (performance,) = draw_performances(0, 0, 1, 600.0)
    speech = speech_of(performance, 600.0)
    tempo = np.gradient(speech.syllables, speech.times)
    assert np.corrcoef(tempo, speech.arousal)[0, 1] > 0.99
    assert 2.5 < tempo.min() < tempo.max() < 6
    silent = during(speech.times, performance.phrases, ramp=0.06) == 0
    assert silent.any()
    assert not speech.strength[silent].any()
    assert speech.strength.max() > 0.95
