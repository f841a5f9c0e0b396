import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import MtpkdError
from pipelines.reporting import (
    FoldResult,
    GroupResult,
    write_results_by_group_csv,
    write_results_csv,
    write_results_json,
)


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
