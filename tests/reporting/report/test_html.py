"""The shapes that sections are made of: everything that is not Markup is escaped, numbers sort as numbers."""

from math import nan

from markupsafe import Markup

from pipelines.reporting.report.html import Number, code, details, figure, heading, join, paragraph, pre, table

EVIL = '<script>alert("1")</script>'


def test_text_is_escaped_wherever_it_stands():
    pieces = (
        paragraph(EVIL), heading(EVIL), code(EVIL), pre(EVIL), details(EVIL, EVIL), figure(Markup("<svg></svg>"), EVIL),
        table([EVIL], [[EVIL]], caption=EVIL), table(["n"], [[Number(EVIL, 1)]], caption=""), join([EVIL]),
    )  # fmt: skip
    for piece in pieces:
        assert "<script" not in piece
        assert "&lt;script&gt;" in piece


def test_markup_is_kept():
    assert paragraph("a ", code("b"), kind="note") == '<p class="note">a <code>b</code></p>'
    assert "<td><code>x</code></td>" in table(["a", "b"], [["1", code("x")]], caption="")


def test_numbers_carry_their_value_with_every_digit_and_nan_carries_none():
    text = table(["who", "value"], [["a", Number("0.1", 0.1 + 0.2)], ["b", Number("-", nan)]], caption="values")
    assert f'data-value="{0.1 + 0.2!r}">0.1</td>' in text
    assert 'data-value="">-</td>' in text
    assert text.count('<th scope="col"') == 2
    assert '<th scope="row">a</th>' in text
    assert 'role="region" aria-label="values"' in text
