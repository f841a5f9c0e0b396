"""docs/scale.md shows what the script prints, and the script stands on what was measured."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def paper(benchmark):
    return benchmark("scale_on_paper")


def test_the_page_is_what_the_script_prints(paper, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["scale_on_paper.py"])
    paper.main()
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    assert page.endswith(capsys.readouterr().out), "run benchmarks/scale_on_paper.py again and paste what it prints"


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("face crops of 138 frames", "{0.FACES_S:.2f} s"),
        ("embeddings of a clip by R3D-18", "{1:.0f} ms"),
        ("ten random frames of a cached clip", "{2:.2f} ms"),
        ("ten random frames of a cached clip", "{0.STORED} of raw size"),
        ("student's step, MT-PKDOT over five teachers", "{3:.0f} ms"),
        ("student's step over seven windows", "{4:.0f} ms"),
    ],
)
def test_unit_costs_are_those_that_were_measured(paper, row, value):
    steps = (1e3 * paper.STEP_S[name] for name in ("biovid", "affwild2"))
    expected = value.format(paper, 1e3 * paper.EMBEDDED_S, 1e3 * paper.READ_S, *steps).replace("0.151", ".151")
    table = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    (line, *_) = [line for line in table.splitlines() if line.startswith(f"| {row}")]
    assert expected in line


def test_a_cell_is_counted_by_hand(paper):
    """Ten samples in two folds: four to train on and one to validate; three crossed fits train on two thirds."""
    study = paper.Study("biovid", "small", "two folds", clips=10, samples=10, stored_frames=1380, folds=2)
    assert study.cells == 10
    full = 40 * (3 * 4 + 1) + 4 * 5
    crossed = 3 * (40 * (3 * 4 * 2 / 3 + 1) + 5)
    assert paper.encoder_forwards(study) == pytest.approx(full + crossed)
    assert paper.student_steps(study) == 60
    assert paper.core_seconds(study)["face crops, once for all"] == pytest.approx(10 * 1.4)


def test_a_card_twice_as_fast_halves_the_encoder_and_nothing_else(paper):
    slow = paper.cell_seconds(paper.BIOVID, paper.Card())
    fast = paper.cell_seconds(paper.BIOVID, paper.Card(peak=2 * paper.Card.peak))
    assert fast[0] == pytest.approx(slow[0] / 2)
    assert fast[1] == slow[1]


def test_whole_nodes_are_paid_for(paper):
    """25 cells on 64 cards: one round, on four nodes of eight; on eight cards four rounds, the last of one cell."""
    card = paper.Card(price=3.0)
    hour = paper.cell_seconds(paper.AFFWILD2, card)[0] / 3600
    many, few, one = (paper.bill(paper.AFFWILD2, card, devices) for devices in (64, 8, 1))
    assert [many.busy, few.busy, one.busy] == [25, 8, 1]
    assert [many.hours, few.hours, one.hours] == pytest.approx([hour, 4 * hour, 25 * hour])
    assert [many.device_hours, few.device_hours, one.device_hours] == pytest.approx([32 * hour, 32 * hour, 25 * hour])
    assert one.cost == pytest.approx(3 * 25 * hour)


def test_students_on_the_cards_are_added(paper):
    alone, both = (paper.bill(paper.BIOVID, paper.Card(), 1, students=students) for students in (False, True))
    (*_, students) = paper.core_seconds(paper.BIOVID).values()
    assert both.hours - alone.hours == pytest.approx(students / 3600)
