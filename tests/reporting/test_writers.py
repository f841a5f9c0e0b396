import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import MtpkdError
from pipelines.metrics import EffectSize, Estimate, FoldTest, NegativeTransfer, Verdict
from pipelines.reporting import (
    FoldResult,
    GroupResult,
    write_comparison_csv,
    write_results_by_group_csv,
    write_results_csv,
    write_results_json,
)
from pipelines.reporting.comparison import Compared, Comparison


def test_results_csv(tmp_path):
    path = tmp_path / "results.csv"
    write_results_csv(path, [FoldResult("mt-pkdot", 0, 1, "accuracy", 1 / 3), FoldResult("none", 2, 0, "auc", np.nan)])
    assert path.read_text() == (
        "method,fold,seed,metric,value\nmt-pkdot,0,1,accuracy,0.3333333333333333\nnone,2,0,auc,nan\n"
    )


def test_numpy_numbers_are_written_as_numbers(tmp_path):
    write_results_csv(tmp_path / "r.csv", [FoldResult("none", 0, 0, "ccc", np.float64(0.1))])
    assert (tmp_path / "r.csv").read_text().splitlines()[1] == "none,0,0,ccc,0.1"


def test_results_by_group(tmp_path):
    path = tmp_path / "results_by_group.csv"
    rows = [
        GroupResult("none", "071309_w_21", 10, {"accuracy": 0.5, "auc": 0.75}),
        GroupResult("none", 'odd, "name"', 9, {"accuracy": 1.0}),
    ]
    write_results_by_group_csv(path, rows)
    with path.open(newline="") as stream:
        first, second = csv.DictReader(stream)
    assert list(first) == ["method", "group", "clips", "accuracy", "auc"]
    assert first == {"method": "none", "group": "071309_w_21", "clips": "10", "accuracy": "0.5", "auc": "0.75"}
    assert (second["group"], second["auc"]) == ('odd, "name"', "nan")


def test_json_is_strict_and_keeps_order_and_values(tmp_path):
    path = tmp_path / "results.json"
    content = {
        "recipe": {"corpus": {"root": Path("data/biovid")}, "seeds": (0, 1)},
        "methods": {"none": {"interval": [np.float64(0.1), float("nan")], "confusion": np.array([[3, 1], [0, 4]])}},
        "groups": np.int64(20),
    }
    write_results_json(path, content)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    read = json.loads(path.read_text(), parse_constant=refuse)
    assert list(read) == ["recipe", "methods", "groups"]
    assert read["methods"]["none"] == {"interval": [0.1, None], "confusion": [[3, 1], [0, 4]]}
    assert read["recipe"] == {"corpus": {"root": "data/biovid"}, "seeds": [0, 1]}
    assert read["groups"] == 20


def test_comparison_csv_has_a_row_a_method_and_reference(tmp_path):
    def estimate(value):
        return Estimate(value, value - 0.1, value + 0.1, groups=20, resamples=100, undefined=0)

    kd = Comparison(
        method="kd",
        value=estimate(0.75),
        against={"none": estimate(0.05), "self-kd": estimate(0.01)},
        test=FoldTest(0.05, 2.0, 0.04, degrees=4, folds=5, undefined=0),
        p=0.08,
        effect=EffectSize(0.9, 1.1, folds=5, undefined=0),
        negative=NegativeTransfer({"s3": 0.2}, groups=20, undefined=0),
        verdict=Verdict("no detectable gain", "..."),
    )
    compared = Compared(baseline=estimate(0.7), comparisons=[kd], noise=0.01, strata=[])
    write_comparison_csv(tmp_path / "c.csv", {0.3: {"accuracy": compared}, 1.0: {"accuracy": compared}})
    with (tmp_path / "c.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["labelled"], row["method"], row["reference"]) for row in rows] == [
        (share, *rest) for share in ("0.3", "1.0") for rest in (("none", ""), ("kd", "none"), ("kd", "self-kd"))
    ]
    none, first, second = rows[:3]
    assert (none["value"], none["difference"]) == ("0.7", "")
    assert {key: first[key] for key in ("p", "effect_size", "groups", "groups_worse", "verdict")} == {
        "p": "0.08", "effect_size": "0.9", "groups": "20", "groups_worse": "1", "verdict": "no detectable gain",
    }  # fmt: skip
    assert (second["difference"], second["p"], second["verdict"]) == ("0.01", "", "")


def test_what_is_no_json_is_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "results.json"
    write_results_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_results_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MtpkdError, match=r"results\.csv: cannot be written"):
        write_results_csv(tmp_path / "file" / "results.csv", [])
