import io
from dataclasses import replace

import pytest
from rich.console import Console

from pipelines.metrics import METRICS
from pipelines.recipe import Task
from pipelines.reporting import ResultRow, print_table

TASK = Task(kind="classes", labels=("BL1", "PA4"))
ACCURACY, CCC, RMSE = METRICS["accuracy"], METRICS["ccc"], METRICS["rmse"]
NAN = float("nan")
NONE = ResultRow("none", "student", 200, 20, 0.75, 0.682, 0.815)
MATCHED = ResultRow("none-matched", "student", 200, 20, 0.745, 0.676, 0.811, -0.005, -0.041, 0.03)
NO_GAIN = "no detectable gain over visual only; the interval of the difference includes zero"
MT_PKDOT = ResultRow("mt-pkdot", "student", 200, 20, 0.781, 0.715, 0.848, 0.031, -0.004, 0.062, verdict=NO_GAIN)
EDA = ResultRow("eda", "teacher", 200, 20, 0.91, 0.871, 0.945, 0.16, 0.101, 0.222)
ECG = ResultRow("ecg", "teacher", 200, 20, 0.61, 0.55, 0.668, -0.14, -0.21, -0.07)
ROWS = [NONE, MATCHED, MT_PKDOT, EDA, ECG]


def rendered(rows, metric=ACCURACY, width=80, encoding="utf-8", note="5 folds by subject", task=TASK) -> list[str]:
    """The lines printed to something that is no terminal, so that nothing can hide in colour."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_table(Console(file=stream, width=width), rows, metric=metric, task=task, note=note)
    stream.seek(0)
    return [line.rstrip() for line in stream.read().splitlines()]


def line_of(lines: list[str], method: str) -> str:
    return next(line for line in lines if line.split()[:1] == [method])


def test_the_whole_table():
    assert rendered(ROWS) == [
        "accuracy, BL1 / PA4: 200 clips of 20 groups",
        "method        accuracy %  95 % interval        vs visual only  worse  better",
        "─" * 77,
        "teachers",
        "eda                 91.0   [87.1, 94.5]  +16.0 [+10.1, +22.2]        │     ▸",
        "ecg                 61.0   [55.0, 66.8]   -14.0 [-21.0, -7.0]  ◂     │",
        "─" * 77,
        "students",
        "none                75.0   [68.2, 81.5]              baseline",
        "none-matched        74.5   [67.6, 81.1]     -0.5 [-4.1, +3.0]    ───●┼───",
        "mt-pkdot            78.1   [71.5, 84.8]     +3.1 [-0.4, +6.2]       ─┼──●───",
        "",
        "5 folds by subject",
        "",
        "mt-pkdot: no detectable gain over visual only; the interval of the difference",
        "includes zero",
    ]


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
def test_eighty_columns_lose_no_number(metric):
    wide = replace(EDA, method="faces+eda+ecg+emg", value=1, high=1, difference_low=-0.1234, difference_high=0.9)
    long = replace(MT_PKDOT, method="mt-pkdot-published-with-a-long-name")
    lines = rendered([*ROWS, wide, long], metric, note="a long note " * 20)
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    same = rendered([*ROWS, wide, long], metric, width=200, note="a long note " * 20)
    numbers = [set(" ".join(text).replace(",", " ").split()) for text in (same, lines)]
    assert {word for word in numbers[0] if word[:1] in "+-[0123456789."} <= numbers[1]


def test_correlations_have_three_decimals():
    line = line_of(rendered(ROWS, CCC), "mt-pkdot")
    assert line.split("─")[0].split() == ["mt-pkdot", ".781", "[.715,", ".848]", "+.031", "[-.004,", "+.062]"]


def test_only_a_leading_zero_is_dropped():
    large = replace(MT_PKDOT, value=10.5, low=-0.25, high=20.04)
    assert line_of(rendered([NONE, large], RMSE), "mt-pkdot").split()[1:4] == ["10.500", "[-.250,", "20.040]"]


def test_a_terminal_without_unicode_is_no_crash():
    lines = rendered(ROWS, encoding="ascii")
    assert "-+--o---" in line_of(lines, "mt-pkdot")
    assert line_of(lines, "eda").endswith(">")


def test_an_interval_that_spares_zero_is_drawn_sparing_it():
    above = replace(MT_PKDOT, difference=0.03, difference_low=0.0001)
    assert line_of(rendered([NONE, above]), "mt-pkdot").endswith("│──●───")
    below = replace(MT_PKDOT, difference=-0.03, difference_low=-0.062, difference_high=-0.0001)
    assert line_of(rendered([NONE, below]), "mt-pkdot").endswith("───●──│")


def test_clips_that_a_method_could_not_use_are_named():
    assert rendered([NONE, replace(EDA, clips=190)])[0] == "accuracy, BL1 / PA4: 200 clips of 20 groups (eda on 190)"


def test_clips_that_several_could_not_use_are_told_by_their_number():
    rows = [replace(ECG, clips=180), *(replace(row, clips=190) for row in (EDA, NONE, MATCHED, MT_PKDOT))]
    whole = replace(EDA, method="joint")
    assert rendered([whole, *rows])[:2] == [
        "accuracy, BL1 / PA4: 200 clips of 20 groups",
        "(ecg on 180; eda, all students on 190)",
    ]
    assert rendered([whole, *rows[:-1], MT_PKDOT])[1] == "(ecg on 180; eda, none, none-matched on 190)"


def test_long_names_break_after_hyphens():
    wide = replace(NONE, method="none-hallucinated", difference=-0.112, difference_low=-0.131, difference_high=-0.101)
    lines = rendered([NONE, wide, replace(wide, method="mt-pkdot-published")])
    first = [line.split(" ")[0] for line in lines[lines.index("students") + 1 :]]
    assert first[1:5] == ["none-", "hallucinated", "mt-pkdot-", "published"]
    assert line_of(lines, "none-").split()[1:4] == ["75.0", "[68.2,", "81.5]"]


def test_many_classes_are_counted_instead_of_named():
    classes = Task(kind="classes", labels=tuple(f"a-long-name-{number}" for number in range(11)))
    assert rendered(ROWS, task=classes)[0] == "accuracy, 11 classes: 200 clips of 20 groups"


def test_one_group_shows_no_interval():
    nothing = {"low": NAN, "high": NAN, "difference_low": NAN, "difference_high": NAN, "groups": 1}
    lines = rendered([replace(row, **nothing) for row in ROWS])
    assert line_of(lines, "none").split() == ["none", "75.0", "baseline"]
    assert line_of(lines, "mt-pkdot").split()[:3] == ["mt-pkdot", "78.1", "+3.1"]
    assert "+3.1 [" not in "".join(lines)


def test_nothing_evaluated_is_a_table_too():
    assert rendered([])[0] == "accuracy: nothing was evaluated"


def test_without_a_baseline_nothing_is_compared():
    alone = replace(MT_PKDOT, difference=NAN, difference_low=NAN, difference_high=NAN, verdict="")
    assert rendered([alone])[-1] == "mt-pkdot: not compared, there is no visual only student"


def test_lower_is_better_turns_the_drawing_around():
    assert "better  worse" in rendered(ROWS, RMSE)[1]


GAIN = "gain over visual only and none-matched (p = 0.012)"
AFFECT = Task(kind="continuous", labels=("valence", "arousal"))
COUNTS = {"clips": 16, "groups": 14, "frames": 9412}
FILMS = [
    replace(EDA, method="audio", value=0.512, low=0.4, high=0.632, difference=0.114, **{**COUNTS, "clips": 15}),
    replace(EDA, method="joint", value=0.601, low=0.489, high=0.721, **COUNTS),
    replace(NONE, value=0.402, low=0.29, high=0.522, **COUNTS),
    replace(MATCHED, value=0.399, low=-0.013, high=0.519, **COUNTS),
    replace(MT_PKDOT, value=0.431, low=0.319, high=0.551, difference_low=0.004, verdict=GAIN, **COUNTS),
]


def filmed(rows=FILMS, metric=CCC, width=80) -> list[str]:
    """What is printed of continuous dimensions; valence is .05 below, arousal .05 above the mean."""
    stream = io.StringIO()
    dimensions = {
        label: [replace(row, value=row.value + offset) for row in rows]
        for label, offset in zip(AFFECT.labels, (-0.05, 0.05), strict=True)
    }
    note = "4 folds by video, 1 seed, 2000 resamples of test videos"
    console = Console(file=stream, width=width)
    print_table(console, rows, metric=metric, task=AFFECT, note=note, dimensions=dimensions, unit="videos")
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_the_whole_table_of_continuous_dimensions():
    assert filmed() == [
        "ccc, valence / arousal: 16 trials of 14 videos, 9,412 frames",
        "(audio on 15)",
        "method        valence  arousal     P  95 % interval        vs visual only",
        "─" * 74,
        "teachers",
        "audio            .462     .562  .512   [.400, .632]  +.114 [+.101, +.222]",
        "joint            .551     .651  .601   [.489, .721]  +.160 [+.101, +.222]",
        "─" * 74,
        "students",
        "none             .352     .452  .402   [.290, .522]              baseline",
        "none-matched     .349     .449  .399  [-.013, .519]  -.005 [-.041, +.030]",
        "mt-pkdot         .381     .481  .431   [.319, .551]  +.031 [+.004, +.062]",
        "",
        "4 folds by video, 1 seed, 2000 resamples of test videos",
        "",
        f"mt-pkdot: {GAIN}",
    ]


def test_where_there_is_room_the_differences_are_drawn_too():
    lines = filmed(width=100)
    assert lines[2].endswith("vs visual only  worse  better")
    assert line_of(lines, "mt-pkdot") == (
        "mt-pkdot         .381     .481  .431   [.319, .551]  +.031 [+.004, +.062]        │──●───"
    )
    assert max(map(len, lines)) <= 90


@pytest.mark.parametrize("name", ["rmse", "pearson", "sign-agreement"])
def test_only_the_mean_concordance_is_called_p(name):
    lines = filmed(FILMS[1:], METRICS[name])
    assert lines[0] == f"{name}, valence / arousal: 16 trials of 14 videos, 9,412 frames"
    assert lines[1].split()[:4] == ["method", "valence", "arousal", "mean"]


def test_eighty_columns_lose_no_number_of_a_dimension():
    row = replace(FILMS[-1], method="joint-with-a-very-long-name", value=-0.1, low=-0.123, high=-0.045, difference=-0.2)
    lines = filmed([*FILMS, row])
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    assert "-.100  [-.123, -.045]  -.200 [+.004, +.062]" in "\n".join(lines)


def test_one_video_shows_its_dimensions_without_an_interval():
    nothing = {"low": NAN, "high": NAN, "difference_low": NAN, "difference_high": NAN, "clips": 1, "groups": 1}
    lines = filmed([replace(row, **nothing) for row in FILMS])
    assert line_of(lines, "none").split() == ["none", ".352", ".452", ".402", "baseline"]
    assert line_of(lines, "mt-pkdot").split() == ["mt-pkdot", ".381", ".481", ".431", "+.031"]


def test_a_teacher_without_any_prediction_is_a_row_of_dashes():
    deaf = replace(FILMS[0], value=NAN, low=NAN, high=NAN, difference=NAN, difference_low=NAN, difference_high=NAN)
    assert line_of(filmed([deaf, *FILMS[1:]]), "audio").split() == ["audio", "-", "-", "-", "-"]


def test_methods_are_matched_by_role_and_name():
    twin = replace(FILMS[2], method="joint", value=0.2)
    lines = [line.split() for line in filmed([*FILMS, twin]) if line.startswith("joint")]
    assert [line[1:4] for line in lines] == [[".551", ".651", ".601"], [".150", ".250", ".200"]]
