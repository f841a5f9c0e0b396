from dataclasses import replace

import numpy as np
import pytest

from pipelines.corpora.synthetic_affwild2_truth import Speech, draw_performances, speech_of
from pipelines.corpora.synthetic_sound import RATE, speak
from pipelines.corpora.synthetic_truth import stream


@pytest.fixture(scope="module")
def person():
    return draw_performances(0, 0, 1, 4.0)[0].person


def steady(arousal: float, valence: float = 0.0, seconds: float = 4.0) -> Speech:
    """Someone who speaks without a pause, of one mind."""
    (performance,) = draw_performances(0, 0, 1, seconds)
    speech = speech_of(performance, seconds)
    constant = np.ones(len(speech.times))
    syllables = speech.times * 4.0
    return replace(
        speech, arousal=arousal * constant, valence=valence * constant, syllables=syllables, strength=constant
    )


def sound(person, speech, *, start_s=0.0, seed=0):
    rng = stream(seed, 0, 0, 5)
    return np.concatenate(list(speak(rng, [person], [speech], start_s=start_s, stop_s=speech.times[-1])))


def pitch(wave: np.ndarray) -> float:
    """Frequency in Hz of the greatest autocorrelation between 60 and 400 Hz, over a quarter of a second."""
    piece = wave[RATE : RATE + RATE // 4]
    spectrum = np.fft.rfft(piece * np.hanning(len(piece)), 4 * len(piece))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    lags = np.arange(RATE // 400, RATE // 60)
    return RATE / lags[correlation[lags].argmax()]


def level(wave: np.ndarray) -> float:
    return 20 * np.log10(np.sqrt(np.mean(wave**2)))


def brightness(wave: np.ndarray) -> float:
    """Share of the power between 2 and 8 kHz, in decibels."""
    power = np.abs(np.fft.rfft(wave)) ** 2
    frequency = np.fft.rfftfreq(len(wave), 1 / RATE)
    return 10 * np.log10(power[(frequency > 2000) & (frequency < 8000)].sum() / power.sum())


def test_a_track_in_blocks(person):
    blocks = list(speak(stream(0, 1), [person], [steady(0.0)], start_s=0.25, stop_s=3.0))
    assert [len(block) for block in blocks] == [RATE, RATE, round(0.75 * RATE)]
    assert all(block.dtype == np.float32 and np.abs(block).max() < 1 for block in blocks)


def test_the_voice_follows_arousal(person):
    calm, middle, excited = (sound(person, steady(arousal)) for arousal in (-0.8, 0.0, 0.8))
    assert pitch(middle) == pytest.approx(person.pitch, rel=0.06)
    assert pitch(excited) / pitch(calm) == pytest.approx(2 ** (0.4 * 1.6), rel=0.08)
    assert 10 < level(excited) - level(calm) < 22
    assert brightness(excited) > brightness(calm) + 3


def test_a_smile_is_heard_a_little(person):
    sad, glad = (sound(person, steady(0.0, valence)) for valence in (-0.8, 0.8))
    assert pitch(sad) == pytest.approx(pitch(glad), rel=0.02)
    assert abs(level(sad) - level(glad)) < 3
    assert brightness(glad) > brightness(sad)


def test_pauses_hold_only_the_room(person):
    speech = steady(0.0)
    speech = replace(speech, strength=np.where(speech.times < 2.0, 1.0, 0.0))
    wave = sound(person, speech)
    assert level(wave[:RATE]) > -45
    assert -72 < level(wave[round(2.2 * RATE) : round(3.8 * RATE)]) < -60


def test_a_late_track_lacks_its_beginning_and_is_not_shifted(person):
    speech = steady(0.0)
    speech = replace(speech, strength=np.where((speech.times > 2.0) & (speech.times < 2.5), 1.0, 0.0))
    begins = [
        start_s + np.flatnonzero(np.abs(sound(person, speech, start_s=start_s)) > 0.02)[0] / RATE
        for start_s in (0.0, 0.25)
    ]
    assert begins[0] == pytest.approx(2.0, abs=0.05)
    assert begins[1] == pytest.approx(begins[0], abs=0.01)


def test_two_are_heard_together(person):
    first, second = steady(0.0), steady(0.0)
    first = replace(first, strength=np.where(first.times < 2.0, 1.0, 0.0))
    second = replace(second, strength=np.where(second.times < 2.0, 0.0, 1.0))
    wave = np.concatenate(list(speak(stream(0, 2), [person] * 2, [first, second], start_s=0.0, stop_s=4.0)))
    assert min(level(wave[: 2 * RATE]), level(wave[2 * RATE :])) > -45


def test_the_same_track_again(person):
    assert np.array_equal(sound(person, steady(0.3)), sound(person, steady(0.3)))
    assert not np.array_equal(sound(person, steady(0.3)), sound(person, steady(0.3), seed=1))
