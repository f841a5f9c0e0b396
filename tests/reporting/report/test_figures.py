"""Figures as SVG: alternatives in words, ids of their own, the page's colours, and no trace of when they were drawn."""

import re
import xml.etree.ElementTree as ElementTree

from pipelines.reporting.report.figures import PAPER, SERIES, panels, svg


def drawn(title="A <title>", description="a & b", value=3.123456789, colour=SERIES[0]):
    figure, (axes,) = panels(width=3, height=2)
    axes.plot([1, 2], [value, 4], color=colour, marker="o", markerfacecolor=PAPER, label="x < y", clip_on=True)
    axes.axhline(3.5, color="black")
    axes.set_title("0.123456789")
    axes.legend()
    return svg(figure, title=title, description=description)


def test_it_says_in_words_what_it_shows():
    root = ElementTree.fromstring(drawn())
    assert root.get("role") == "img"
    words = {child.tag: child for child in root if child.tag in ("title", "desc")}
    assert words["title"].text == "A <title>"
    assert words["desc"].text == "a & b"
    assert root.get("aria-labelledby") == words["title"].get("id")
    assert root.get("aria-describedby") == words["desc"].get("id")


def test_equal_figures_are_equal_bytes_and_others_share_no_id():
    assert drawn() == drawn()
    first, second = (set(re.findall(r'\bid="([^"]+)"', text)) for text in (drawn(), drawn(value=3.2)))
    assert first
    assert not first & second
    for text in (drawn(), drawn(value=3.2)):
        used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', text))
        assert {name for pair in used for name in pair if name} <= set(re.findall(r'\bid="([^"]+)"', text))


def test_colours_are_the_pages_and_what_is_fixed_stays():
    text = drawn()
    assert "var(--series-1)" in text
    assert "var(--paper)" in text
    assert "currentColor" in text
    assert SERIES[0] not in text
    assert "#000000" not in text
    assert "#123456" in drawn(colour="#123456")


def test_coordinates_are_short_and_text_is_as_it_was_given():
    text = drawn()
    geometry = " ".join(re.findall(r'\bd="([^"]*)"', text))
    assert not re.search(r"\.\d{3}", geometry)
    assert ">0.123456789<" in text
    assert ">x &lt; y<" in text


def test_nothing_in_it_reaches_the_rest_of_the_page_or_the_network():
    text = drawn()
    assert "<style" not in text
    assert "<metadata" not in text
    assert "font-family" not in text
    assert re.findall(r'https?://[^" ]+', text) == ["http://www.w3.org/1999/xlink"]


def test_titles_have_the_pages_size_and_small_ones_stay_small():
    figure, axes = panels(1, 2)
    axes[0].set_title("usual")
    axes[1].set_title("small", fontsize=7)
    svg(figure, title="t", description="d")
    assert [one.title.get_fontsize() for one in axes] == [10, 7]
