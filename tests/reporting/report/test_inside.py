"""Sections on the inside of a training: the numbers are those of the files, and drawn is what is said."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from pipelines.cache.embeddings import Column, EmbeddingStore, write_embeddings
from pipelines.cache.predictions import read_predictions
from pipelines.cache.structure import StructureRecord, write_structure
from pipelines.metrics import concatenate, expected_calibration_error, tempered
from pipelines.reporting.report import (
    inside_calibration,
    inside_embeddings,
    inside_hallucination,
    inside_selection,
    inside_structure,
)
from pipelines.reporting.report.inside_moments import Moment, resemblance, same_class
from pipelines.reporting.report.inside_structure_picture import moments_drawn
from pipelines.reporting.report.inside_words import decimals, evenly, joined, share
from pipelines.reporting.training_record import Gap, Teaching, TrainingRecord
from pipelines.workspace import Fingerprint, Recording, write_text

SECTIONS = (inside_structure, inside_selection, inside_embeddings, inside_hallucination, inside_calibration)


def text_of(section):
    """What is read, without tags, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", section.html)).split())


def described(section):
    """The text alternatives of all pictures."""
    return [unescape(text) for text in re.findall(r"<desc[^>]*>(.*?)</desc>", section.html, re.S)]


def rows_of(section):
    """The first table: its rows as texts."""
    body = section.html[section.html.index("<tbody>") : section.html.index("</tbody>")]
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.S)
    return [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in rows]


def record(size=4, epochs=(0, 1, 2), best=2):
    """The student resembles the teacher more and more, and the plan becomes the diagonal."""
    rng = np.random.default_rng(size)
    teacher = rng.uniform(0, 2, (size, size))
    teacher = (teacher + teacher.T) / 2
    other = rng.uniform(0, 2, (size, size))
    progress = np.linspace(0, 1, len(epochs))[:, None, None]
    return StructureRecord(
        clips=tuple(f"c{i}" for i in range(size)),
        groups=("<s>",) * size,
        labels=np.arange(size)[:, None] * 2 // size * 1.0,
        epochs=epochs,
        best=best,
        teacher=teacher,
        student=progress * teacher + (1 - progress) * (other + other.T) / 2,
        plans=progress * np.eye(size) / size + (1 - progress) / size**2,
    )


@pytest.fixture(scope="module")
def own(facts_of):
    """Facts whose workspace nobody else reads: files are added to it."""
    return facts_of()


@pytest.fixture
def inside(own):
    """Facts with a record of what happened inside, one file of structure a cell, and sidecars of hallucination nets."""
    for number, cell in enumerate(own.cells):
        path = own.workspace.structure(cell.split.fold, cell.split.seed, "mt-pkdot")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_structure(path, record(4 + number))
        write_text(cell.hallucination, "...")
        scores = {"eda": (0.5, 0.25, 0.0)[number], "ecg": -2.0 - number}
        Recording(Fingerprint({})).finish(cell.hallucination, r2_on_validation_subjects=scores)
    teaching = Teaching(
        cells=[3, 3, 1],
        chosen={"eda": [0.25, 0.5, 1.0], "joint": [0.75, 0.5, 0.0]},
        last={"eda": 0.625, "joint": 0.375},
        diagonal_mass=[],
    )
    gaps = {"faces": Gap(0.9, 0.31), "eda": Gap(0.5, 0.62)}
    known = TrainingRecord({"mt-pkdot": teaching}, gaps, {"eda": 0.25, "ecg": -3.0})
    return replace(own, record=known)


@pytest.mark.parametrize("module", SECTIONS)
def test_without_a_record_there_is_no_section(only_baseline, module):
    facts = replace(only_baseline, results={**only_baseline.results, "calibration": {}})
    assert module.section(facts) is None
    assert module.ABSENT.endswith(".")
    assert "mtpkd " in module.ABSENT


def test_three_numbers_of_a_snapshot_by_hand():
    plan = np.array([[0.2, 0.1, 0.0], [0.0, 0.3, 0.1], [0.1, 0.1, 0.1]])
    assert same_class(plan, np.array([[0.0], [0.0], [1.0]])) == pytest.approx(0.7)
    # Of 0.6 between labelled clips, 0.2 + 0.3 + 0.1 stays.
    assert same_class(plan, np.array([[0.0], [0.0], [np.nan]])) == pytest.approx(1.0)
    assert np.isnan(same_class(plan, np.full((3, 1), np.nan)))
    teacher = np.array([[9.0, 1, 2], [1, 9, 4], [2, 4, 9]])
    assert resemblance(teacher, 5 - teacher) == pytest.approx(-1)
    assert np.isnan(resemblance(teacher, np.ones((3, 3))))
    assert np.isnan(resemblance(teacher[:2, :2], teacher[:2, :2]))
    one = record()
    assert Moment.of(one, 2, classes=True).same_clip == pytest.approx(1)
    chance = Moment.by_chance(one, classes=True)
    assert (chance.same_clip, chance.same_class) == (pytest.approx(0.25), pytest.approx(0.5))
    assert np.isnan(Moment.by_chance(one, classes=False).same_class)
    nothing = Moment(resemblance=np.nan, same_clip=0.5, same_class=np.nan)
    mean = Moment.mean([Moment(resemblance=0.5, same_clip=0.25, same_class=np.nan), nothing])
    assert (mean.resemblance, mean.same_clip) == (0.5, 0.375)
    assert np.isnan(mean.same_class)


def test_the_kept_moment_is_always_drawn():
    epochs = (0, 1, 2, 4, 8, 16, 23, 32)
    for best in epochs:
        places = moments_drawn(record(epochs=epochs, best=best))
        assert len(places) == 4
        assert {0, epochs.index(best), 7} <= set(places)
        assert places == sorted(places)
    assert moments_drawn(record(epochs=(0,), best=0)) == [0]
    assert moments_drawn(record(epochs=(0, 1), best=1)) == [0, 1]


def test_similarities_are_drawn_for_one_cell_and_averaged_over_all(inside):
    section = inside_structure.section(inside)
    text = text_of(section)
    assert "Drawn for fold 0, seed 0, the first of 3." in text
    assert "one of 4 training clips, sorted by class, then subject" in text
    rows = rows_of(section)
    by_hand = [record(4 + number) for number in range(3)]
    start = np.mean([resemblance(one.teacher, one.student[0]) for one in by_hand])
    assert rows[0][:3] == ["mt-pkdot", "untrained", decimals(float(start))]
    assert rows[1] == ["mt-pkdot", "trained", "1.00", "100.0", "100.0"]
    assert rows[2][3] == share(float(np.mean([1 / 4, 1 / 5, 1 / 6])))
    (told,) = described(section)
    assert f"untrained: r {decimals(resemblance(by_hand[0].teacher, by_hand[0].student[0]))}, 25.0 % same clip" in told
    assert "2 epochs, kept: r 1.00, 100.0 % same clip, 100.0 % same class. By chance 25.0 % same clip" in told


def test_continuous_labels_have_no_classes(facts_of):
    facts = facts_of(continuous=True, methods={"none": 0.5, "mt-pkdot": 0.7})
    path = facts.workspace.structure(facts.cells[0].split.fold, facts.cells[0].split.seed, "mt-pkdot")
    path.parent.mkdir(parents=True)
    write_structure(path, replace(record(), labels=np.linspace(-1, 1, 8).reshape(4, 2)))
    section = inside_structure.section(facts)
    assert "training windows, sorted by valence, then video" in text_of(section)
    assert "class" not in text_of(section)
    assert "class" not in described(section)[0]
    assert [row[1:] for row in rows_of(section)][1] == ["trained", "1.00", "100.0"]


def test_who_spoke_is_what_the_histories_say(inside):
    section = inside_selection.section(inside)
    assert "In the last epoch of mt-pkdot, eda spoke for 62.5 % of the clips and joint spoke for 37.5 %" in text_of(
        section
    )
    assert rows_of(section) == [["mt-pkdot", "eda", "25.0", "62.5"], ["mt-pkdot", "joint", "75.0", "37.5"]]
    assert described(section) == ["mt-pkdot, first and last epoch: eda 25.0 % and 62.5 %; joint 75.0 % and 37.5 %."]
    alone = replace(inside.record.teaching["mt-pkdot"], last={"eda": 0.0, "joint": 1.0})
    pkdot = replace(inside, record=replace(inside.record, teaching={"mt-pkdot": alone}))
    assert "joint spoke for 100.0 % of the clips, as it always does in PKDOT." in text_of(
        inside_selection.section(pkdot)
    )


def test_hallucination_says_what_a_value_below_zero_means(inside):
    section = inside_hallucination.section(inside)
    assert "Below 0, as for ecg, it is worse than that mean" in text_of(section)
    assert rows_of(section) == [["eda", ".25", ".00", ".50"], ["ecg", "−3.00", "−4.00", "−2.00"]]  # noqa: RUF001
    (told,) = described(section)
    assert told.startswith("eda: .25, .00 to .50 over folds and seeds; ecg:")
    good = replace(inside, record=replace(inside.record, hallucination={"eda": 0.25}))
    assert "Below 0" not in text_of(inside_hallucination.section(good))


def stores(facts, *, after_offset):
    """Embeddings of two encoders, and aligned ones, of every clip of the first cell's validation part."""
    cell = facts.cells[0]
    clips = tuple(row.clip for row in facts.clips if row.group in cell.split.validation)
    rng = np.random.default_rng(0)
    present = np.ones(len(clips), bool)
    present[0] = False
    values = rng.normal(size=(len(clips), 2, 6)) + 4
    values[0] = np.nan
    before = {name: Column(values + at, present) for at, name in enumerate(("faces", "eda"))}
    after = {name: Column(values + after_offset, present) for name in ("faces", "eda", "joint")}
    cell.embeddings.parent.mkdir(parents=True, exist_ok=True)
    write_embeddings(cell.embeddings, EmbeddingStore(clips, before))
    write_embeddings(cell.aligned, EmbeddingStore(clips, after))
    return clips


def test_embeddings_of_validation_clips_are_drawn_in_common_axes(inside):
    clips = stores(inside, after_offset=0.0)
    section = inside_embeddings.section(inside)
    text = text_of(section)
    assert f"Drawn for fold 0, seed 0: {len(clips)} clips of its validation subjects" in text
    assert "Alignment brought faces nearer to the joint teacher, not eda." in text
    assert rows_of(section) == [["faces", ".90", ".31"], ["eda", ".50", ".62"]]
    assert "faces: .90 before, .31 after; eda: .50 before, .62 after" in described(section)[0]
    assert inside_embeddings.section(inside).html == section.html, "nothing is drawn by chance"


def test_the_same_embeddings_lie_at_the_same_place_in_every_panel():
    rng = np.random.default_rng(1)
    values, present = rng.normal(size=(9, 1, 5)), np.array([True] * 7 + [False, True])
    names = tuple(f"c{i}" for i in range(9))
    store = EmbeddingStore(names, {"a": Column(values, present), "b": Column(3 * values, present)})
    samples = [inside_embeddings.Sample(name, "s", None) for name in (*names, "unknown")]
    found = inside_embeddings.project(store, {"first": "a", "second": "b", "third": "c"}, samples)
    assert set(found.clouds) == {"first", "second"}
    first, second = found.clouds.values()
    assert first.rows.tolist() == [0, 1, 2, 3, 4, 5, 6, 8]
    np.testing.assert_allclose(first.points, second.points, atol=1e-12)
    assert 0 < found.variance < 1
    assert inside_embeddings.project(store, {"first": "a"}, samples[:2]) is None


def test_thirds_of_valence_are_kinds(facts_of, inside):
    facts = facts_of(continuous=True, methods={"none": 0.5})
    samples = [inside_embeddings.Sample(f"c{i}", "s", (i / 10, 0.0) if i else None) for i in range(7)]
    names, kinds = inside_embeddings.kinds_of(facts, samples)
    assert names == ["valence below .27", "between", "above .43"]
    assert kinds.tolist() == [-1, 0, 0, 1, 1, 2, 2]
    names, kinds = inside_embeddings.kinds_of(inside, [replace(samples[0], label=1), samples[0]])
    assert names == ["BL1", "PA4"]
    assert kinds.tolist() == [1, -1]


@pytest.fixture
def calibrated(own):
    """Facts whose students have a temperature of 2 in every cell; results say what is asked of them."""
    for method in ("none", "mt-pkdot"):
        for path in own.predictions[method].values():
            Recording(Fingerprint({})).finish(path, calibration={"temperature": 2.0, "groups": ["a", "b"]})
    worth = {"ece": 0.0512, "ece_untempered": 0.1234, "temperature": [2.0, 1.5, 1.0], "calibration_groups": [3, 3, 4]}
    return replace(own, results={**own.results, "calibration": {"none": worth, "mt-pkdot": worth}})


def test_reliability_undoes_the_temperature(calibrated):
    bins = inside_calibration.reliability(calibrated, "mt-pkdot")
    whole = concatenate([read_predictions(p, calibrated.task) for p in calibrated.predictions["mt-pkdot"].values()])
    for when, scores in (("after", whole.scores), ("before", tempered(whole.scores, 0.5))):
        shares, confidence, accuracy = bins[when]
        assert shares.sum() == pytest.approx(1)
        error = float((shares * np.abs(confidence - accuracy)).sum())
        assert error == pytest.approx(expected_calibration_error(scores, whole.target))
    assert bins["before"][1].max() > bins["after"][1].max()


def test_calibration_of_classes_is_that_of_the_results(calibrated):
    section = inside_calibration.section(calibrated)
    assert rows_of(section)[1] == ["mt-pkdot", "0.123", "0.051", "1.00 to 2.00"]
    assert "before (ECE 0.123)" in section.html
    assert described(section)[0].startswith("visual only (none), after temperature: confidence ")


def test_intervals_are_those_of_the_results(facts_of):
    facts = facts_of(continuous=True, methods={"none": 0.5, "mt-pkdot": 0.7})
    worth = {
        "level": 0.75, "coverage": 0.7321, "coverage_interval": [0.61, 0.8499], "half_width": [0.31, 0.4],
        "groups": 12, "calibration_groups": [3, 4, 3], "curve": {"levels": [0.5, 0.75], "coverage": [0.55, 0.7321]},
    }  # fmt: skip
    few = {**worth, "level": None, "coverage": None, "coverage_interval": [None, None], "half_width": [None, None]}
    few["curve"] = {"levels": [], "coverage": []}
    results = {**facts.results, "calibration": {"none": few, "mt-pkdot": worth}}
    section = inside_calibration.section(replace(facts, results=results))
    rows = rows_of(section)
    assert rows[0] == ["visual only (none)", "-", "-", "-", "-"]
    assert rows[1] == ["mt-pkdot", "75.0", "73.2 [61.0, 85.0]", ".31", ".40"]
    assert described(section) == ["mt-pkdot: intervals of 75.0 % cover 73.2 [61.0, 85.0] %."]
    assert "fitted on 3 validation videos or more, which can promise at most 75 %" in text_of(section)


def test_words():
    assert [decimals(value) for value in (0.456, -0.004, -0.016, 1.0, 0.996, -21.4, np.nan)] == [
        ".46", ".00", "−.02", "1.00", "1.00", "−21.40", "-",  # noqa: RUF001
    ]  # fmt: skip
    assert [evenly(count, 4) for count in (0, 1, 3, 10)] == [[], [0], [0, 1, 2], [0, 3, 6, 9]]
    assert [joined(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
