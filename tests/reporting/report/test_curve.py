"""What fewer labels cost: every share and method of the comparisons, and how to run them again."""

import re
from dataclasses import replace
from html import unescape

import pytest

from pipelines.reporting.report import curve, reproduce


@pytest.fixture
def with_curve(classes):
    """Facts of two shares of labels; kd was tried with one of them only."""

    def found(value, *methods):
        known = {"value": value, "low": value - 0.1, "high": value + 0.1}
        items = [{"method": name, "value": known, "against": {"none": {"value": 0.04}}} for name in methods]
        return {"baseline": {"value": value - 0.04, "low": None, "high": None}, "comparisons": items}

    return replace(classes, curve={0.3: found(0.6, "mt-pkdot", "kd"), 1.0: found(0.7, "mt-pkdot")})


def test_every_share_and_method_stands_in_the_table_and_in_words(classes, with_curve):
    assert curve.section(classes) is None
    html = unescape(curve.section(with_curve).html)
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]
    assert rows == [
        ["30 %", "visual only (none)", "56.0", "", "-"],
        ["30 %", "mt-pkdot", "60.0", "[50.0, 70.0]", "+4.0"],
        ["30 %", "kd", "60.0", "[50.0, 70.0]", "+4.0"],
        ["100 %", "visual only (none)", "66.0", "", "-"],
        ["100 %", "mt-pkdot", "70.0", "[60.0, 80.0]", "+4.0"],
    ]
    assert "30 % labelled: visual only (none) 56.0, mt-pkdot 60.0, kd 60.0" in html


def test_it_says_how_the_shares_are_run_again(with_curve):
    assert "--labelled 0.3,1 --workspace runs/clips-again" in unescape(reproduce.section(with_curve).html)
