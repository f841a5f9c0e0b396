"""Tables below the comparison and the plots beside it, of made-up findings."""

import io
from dataclasses import replace
from math import nan

import cv2
import numpy as np
import pytest
from rich.console import Console

from pipelines.errors import MtpkdError
from pipelines.metrics import METRICS, EffectSize, Estimate, FoldTest, NegativeTransfer, Verdict
from pipelines.recipe.loading import load_recipe
from pipelines.reporting.comparison import Compared, Comparison
from pipelines.reporting.comparison_details import curve_sentences, curve_table, record_table, strata_table
from pipelines.reporting.comparison_plots import plot_curve, plot_differences, plot_selection
from pipelines.reporting.strata import Stratum
from pipelines.reporting.training_record import Gap, Teaching, TrainingRecord

ACCURACY, RMSE = METRICS["accuracy"], METRICS["rmse"]


def estimate(value, half=0.02, groups=20):
    return Estimate(value, value - half, value + half, groups=groups, resamples=100, undefined=0)


def comparison(method, against):
    return Comparison(
        method=method,
        value=estimate(0.7 + against["none"]),
        against={name: estimate(value) for name, value in against.items()},
        test=FoldTest(0.05, 2.0, 0.04, degrees=4, folds=5, undefined=0),
        p=0.04,
        effect=EffectSize(0.9, 1.1, folds=5, undefined=0),
        negative=NegativeTransfer({}, groups=20, undefined=0),
        verdict=Verdict("gain", "gain over visual only and self-kd (p = 0.040)"),
    )


def compared(gain=0.05):
    items = [
        comparison("none-matched", {"none": 0.001, "self-kd": -0.02}),
        comparison("self-kd", {"none": 0.02, "none-matched": 0.02}),
        comparison("mt-pkdot-published", {"none": gain, "none-matched": gain, "self-kd": gain - 0.02}),
    ]
    strata = [
        Stratum(
            attribute="sex",
            name=name,
            groups=groups,
            clips=10 * groups,
            values={"none": estimate(0.7), "self-kd": estimate(0.72), "mt-pkdot-published": interval(estimate(0.75))},
            differences={"self-kd": estimate(0.02), "mt-pkdot-published": interval(estimate(0.05))},
        )
        for name, groups, interval in (("women", 12, lambda e: e), ("men", 4, lambda e: replace(e, low=nan, high=nan)))
    ]
    return Compared(baseline=estimate(0.7), comparisons=items, noise=0.01, strata=strata)


CHOICE = Teaching(
    cells=[4, 4, 1],
    chosen={"faces": [0.1, 0.2, 0.0], "eda": [0.4, 0.5, 0.5], "joint": [0.5, 0.3, 0.5]},
    last={"faces": 0.15, "eda": 0.5, "joint": 0.35},
    diagonal_mass=[0.01, 0.02, 0.02],
)
RECORD = TrainingRecord(
    teaching={"pkdot": replace(CHOICE, chosen={}, last={}), "mt-pkdot": CHOICE},
    alignment_gap={"eda": Gap(0.99, 0.1), "faces": Gap(1.01, 0.2)},
    hallucination={"eda": 0.07, "ecg": 0.01},
)


def printed(table) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=80).print(table)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    assert "…" not in stream.getvalue()
    return lines


def test_strata_count_their_groups_and_few_have_no_interval():
    lines = printed(strata_table(compared().strata, metric=ACCURACY))
    women = next(i for i, line in enumerate(lines) if line.startswith("women"))
    assert lines[women].split() == ["women", "12", "none", "70.0"]
    assert lines[women + 1].split() == ["mt-pkdot-published", "75.0", "+5.0", "[+3.0,", "+7.0]"]
    assert lines[women + 2].split() == ["men", "4", "none", "70.0"]
    assert lines[women + 3].split() == ["mt-pkdot-published", "75.0", "+5.0"]
    assert lines[-1] == "no interval under 5 groups"


def test_a_row_a_teacher_in_the_order_of_the_recipe():
    lines = printed(record_table(RECORD, load_recipe("demo")))
    assert [line.split() for line in lines[3:7]] == [
        ["faces", "1.01", "->", "0.20", "-", "10", "->", "15", "%"],
        ["eda", "0.99", "->", "0.10", "0.07", "40", "->", "50", "%"],
        ["ecg", "-", "0.01", "-"],
        ["joint", "-", "-", "50", "->", "35", "%"],
    ]
    assert "pkdot" not in lines[1].replace("mt-pkdot", "")


def test_what_is_not_known_of_a_teacher_is_a_dash():
    record = TrainingRecord({}, {"eda": Gap(nan, nan)}, {"eda": nan, "ecg": 0.01})
    lines = printed(record_table(record, load_recipe("demo")))
    assert [line.split() for line in lines[3:5]] == [["eda", "-", "-"], ["ecg", "-", "0.01"]]


def test_nothing_inside_is_no_table():
    assert record_table(TrainingRecord({}, {}, {}), load_recipe("demo")) is None


def test_the_curve_has_a_line_a_share_and_a_verdict_each():
    curve = {1.0: compared(0.01), 0.3: compared(0.05)}
    lines = printed(curve_table(curve, metric=ACCURACY, title="accuracy", note="5 folds"))
    none = next(i for i, line in enumerate(lines) if line.startswith("none "))
    assert [line.split() for line in lines[none : none + 2]] == [["none", "30", "%", "70.0"], ["100", "%", "70.0"]]
    last = next(i for i, line in enumerate(lines) if line.startswith("mt-pkdot-published"))
    assert lines[last].split("[")[0].split() == ["mt-pkdot-published", "30", "%", "75.0", "+5.0"]
    assert lines[last].endswith("+3.0 [+1.0, +5.0]")
    assert lines[last + 1].split("[")[0].split() == ["100", "%", "71.0", "+1.0"]
    assert curve_sentences(curve) == [
        f"mt-pkdot-published, {share} % labelled: gain over visual only and self-kd (p = 0.040)" for share in (30, 100)
    ]


def test_without_self_kd_the_curve_has_no_column_for_it():
    items = [comparison("kd", {"none": 0.05})]
    text = "\n".join(
        printed(curve_table({0.3: replace(compared(), comparisons=items)}, metric=ACCURACY, title="", note=""))
    )
    assert "vs visual only" in text
    assert "self-kd" not in text


def ink(path, rgb) -> int:
    """Pixels of exactly that colour."""
    picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return int(np.all(picture == rgb, axis=2).sum())


def test_plots_are_pictures_with_every_colour_they_need(tmp_path):
    plot_differences(compared().comparisons, ACCURACY, tmp_path / "c" / "methods.png")
    plot_selection(RECORD.teaching, tmp_path / "c" / "selection.png")
    plot_curve({0.3: compared(), 1.0: compared(0.01)}, RMSE, tmp_path / "c" / "labelled.png")
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["labelled.png", "methods.png", "selection.png"]
    grey, blue, orange, green = (118, 118, 118), (0, 114, 178), (213, 94, 0), (0, 158, 115)
    assert ink(tmp_path / "c" / "methods.png", grey) > 100
    assert ink(tmp_path / "c" / "methods.png", blue) > 100
    assert all(ink(tmp_path / "c" / "selection.png", colour) > 100 for colour in (blue, orange, green))


def test_the_curve_of_many_methods_takes_more_rows_and_no_more_columns(tmp_path):
    def size(methods: int) -> tuple[int, int]:
        items = [comparison(f"method-{number}", {"none": 0.01 * number}) for number in range(methods)]
        part = replace(compared(), comparisons=items)
        plot_curve({0.1: part, 0.3: part, 1.0: part}, ACCURACY, tmp_path / "labelled.png")
        height, width, _ = cv2.imread(str(tmp_path / "labelled.png")).shape
        return width, height

    sizes = {methods: size(methods) for methods in (1, 3, 10)}
    assert sizes[1][0] < sizes[3][0] == sizes[10][0] < 2000
    assert sizes[1][1] == sizes[3][1] < sizes[10][1] < 2000


def test_a_marker_is_filled_only_where_the_interval_spares_zero(tmp_path):
    amounts = []
    for value in (0.0201, 0.0199):  # intervals are .02 to each side
        plot_differences([comparison("kd", {"none": value})], ACCURACY, tmp_path / "m.png")
        amounts.append(ink(tmp_path / "m.png", (0, 114, 178)))
    assert amounts[0] > amounts[1] + 50


def test_a_plot_of_an_earlier_comparison_does_not_stay(tmp_path):
    plot_selection(RECORD.teaching, tmp_path / "selection.png")
    plot_selection({"pkdot": RECORD.teaching["pkdot"]}, tmp_path / "selection.png")
    plot_selection({}, tmp_path / "selection.png")
    assert not list(tmp_path.iterdir())


def test_a_plot_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MtpkdError, match=r"selection\.png: cannot be written"):
        plot_selection(RECORD.teaching, tmp_path / "file" / "selection.png")
