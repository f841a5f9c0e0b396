"""Processes that die, hang or raise, and what is left of the others' work."""

import multiprocessing
import os
import signal
import time

import pytest

from pipelines.errors import UnreadableMedia
from pipelines.stages.workers import Crew, Death, Logged, Progress


def write(unit, send):
    """A unit is (file, what happens): every one appends its name to the file."""
    file, action = unit
    send("start", file.name)
    if action == "kill" or (action == "kill once" and not file.exists()):
        file.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "hang":
        time.sleep(60)
    if action == "raise":
        raise UnreadableMedia(file, "no good")
    if action == "exit":
        os._exit(7)
    file.write_text("done")
    send("advance", 2)
    send("shrink", 1)


def dies_unnamed(unit, send):
    os._exit(3)


def events(crew, units):
    return list(crew.work(units))


def test_every_unit_is_done_and_told(tmp_path):
    units = [(tmp_path / str(number), "") for number in range(5)]
    with Crew(2, write) as crew:
        told = events(crew, units)
    assert [file.read_text() for file, _ in units] == ["done"] * 5
    assert sorted(told, key=str) == [Progress("advance", 2)] * 5 + [Progress("shrink", 1)] * 5


def test_a_death_names_unit_clip_and_cause_and_costs_the_others_nothing(tmp_path):
    units = [(tmp_path / "a", "kill"), (tmp_path / "b", ""), (tmp_path / "c", "exit"), (tmp_path / "d", "")]
    with Crew(2, write) as crew:
        deaths = {event.clip: event for event in events(crew, units) if isinstance(event, Death)}
    assert deaths == {
        "a": Death(units[0], "", "a", 0, late=False, exit_code=-signal.SIGKILL),
        "c": Death(units[2], "", "c", 0, late=False, exit_code=7),
    }
    assert (tmp_path / "b").read_text() == (tmp_path / "d").read_text() == "done"


def test_a_unit_can_be_given_again(tmp_path):
    units = [(tmp_path / "a", "kill once"), (tmp_path / "b", "")]
    deaths = 0
    with Crew(2, write) as crew:
        for event in crew.work(units):
            if isinstance(event, Death):
                deaths += 1
                crew.add(event.unit, alone=True)
    assert deaths == 1
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == "done"


def span(unit, send):
    """Note when a unit began and ended."""
    begin = time.monotonic()
    time.sleep(0.3)
    unit.write_text(f"{begin} {time.monotonic()}")


def test_alone_means_that_nothing_else_is_at_work(tmp_path):
    files = [tmp_path / str(number) for number in range(4)]
    with Crew(2, span) as crew:
        crew.add(files[2], alone=True)
        crew.add(files[3], alone=True)
        events(crew, files[:2])
    spans = [tuple(map(float, file.read_text().split())) for file in files]
    for index in (2, 3):
        begin, end = spans[index]
        assert all(other[1] <= begin or other[0] >= end for at, other in enumerate(spans) if at != index)


def test_who_takes_too_long_over_a_clip_is_killed(tmp_path):
    units = [(tmp_path / "slow", "hang"), (tmp_path / "quick", "")]
    started = time.monotonic()
    with Crew(2, write, limit_s=1.0) as crew:
        deaths = [event for event in events(crew, units) if isinstance(event, Death)]
    assert [(death.clip, death.late) for death in deaths] == [("slow", True)]
    assert (tmp_path / "quick").read_text() == "done"
    assert time.monotonic() - started < 40


def hangs_between(unit, send):
    for part in ("first", "second"):
        send("begin", part)
        send("start", "clip")
        send("advance", 3)
    time.sleep(60)


def test_who_is_silent_between_clips_is_killed_and_what_it_made_is_known():
    with Crew(1, hangs_between, limit_s=1.0) as crew:
        (death,) = [event for event in events(crew, ["unit"]) if isinstance(event, Death)]
    assert (death.place, death.clip, death.advanced, death.late) == ("second", "", 3, True)


def test_an_error_crosses_with_its_values_and_its_traceback(tmp_path):
    with pytest.raises(UnreadableMedia) as caught, Crew(1, write) as crew:
        events(crew, [(tmp_path / "a", "raise")])
    assert (caught.value.file, caught.value.reason) == (tmp_path / "a", "no good")
    assert "in write" in caught.value.__notes__[0]


def test_a_death_before_any_clip_has_none(tmp_path):
    with Crew(1, dies_unnamed) as crew:
        assert events(crew, ["unit"]) == [Death("unit", "", "", 0, late=False, exit_code=3)]


def test_nobody_is_left_behind(tmp_path):
    with Crew(2, write) as crew:
        next(crew.work([(tmp_path / "quick", ""), (tmp_path / "slow", "hang")]))
        processes = multiprocessing.active_children()
        assert len(processes) == 2
    assert not any(process.is_alive() for process in processes)


def logs(unit, send):
    send("begin", "somewhere")
    send("log", {"loss": unit})


def test_what_is_logged_is_passed_on(tmp_path):
    with Crew(2, logs) as crew:
        assert sorted(event.value["loss"] for event in events(crew, [1, 2, 3]) if isinstance(event, Logged)) == [
            1,
            2,
            3,
        ]
