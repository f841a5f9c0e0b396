"""The page as a whole, and in a browser: no request, no error, all of it by keyboard, tables that sort, any width."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.reporting.report import coverage, errors, points, reproduce, results, strata, verdict
from pipelines.reporting.report.page import PARTS, render

MINE = (verdict, results, points, errors, strata, coverage, reproduce)
"""The parts that need no more than results and tables."""


def test_it_is_one_file_with_every_part_in_order(page_of_comparison):
    page = page_of_comparison
    assert re.findall(r'<section id="([^"]+)"', page) == [part.ANCHOR for part in MINE]
    assert not re.findall(r'(?:src|href)="(?!#|data:image/png)[^"]*"', page.replace("xlink:", ""))
    assert "<b>" not in page
    assert page.count("<svg") == page.count("<desc ") == len(re.findall(r"<title id=", page))
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_equal_facts_give_equal_bytes(compared, page_of_comparison):
    assert render(compared, MINE) == page_of_comparison


def test_a_part_with_nothing_to_show_says_what_would_make_it_appear(classes):
    page = render(replace(classes, strata=[]), MINE)
    assert f'<p class="absent">{strata.ABSENT}</p>' in page
    silent = SimpleNamespace(ANCHOR="x", TITLE="A < B", ABSENT="run <it>", section=lambda facts: None)
    page = render(classes, (silent,))
    assert "A &lt; B" in page
    assert "run &lt;it&gt;" in page


def test_parts_have_anchors_of_their_own():
    anchors = [part.ANCHOR for part in PARTS]
    assert len(set(anchors)) == len(anchors)
    assert all(re.fullmatch(r"[a-z][a-z-]*", anchor) for anchor in anchors)
    assert PARTS[0] is verdict
    assert all(part.TITLE and part.ABSENT.endswith(".") for part in PARTS)


@dataclass
class Browser:
    """Opens the page; what it complained about and what it asked for."""

    chromium: Any
    address: str
    complaints: list[str]
    requests: list[str]

    def open(self, **options: Any) -> Any:
        context = self.chromium.new_context(**options)
        context.route("**/*", self._guard)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(self.address)
        return page

    def _guard(self, route: Any) -> None:
        self.requests.append(route.request.url)
        if route.request.url.startswith("file://"):
            route.continue_()
        else:
            route.abort()


@pytest.fixture(scope="module")
def started(chromium) -> Iterator[Any]:
    """One browser for all tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_of_comparison(compared) -> str:
    """The page of a comparison."""
    return render(compared, MINE)


@pytest.fixture
def browser(started, page_of_comparison, tmp_path: Path) -> Browser:
    """The page of a comparison, ready to be opened."""
    path = tmp_path / "report.html"
    path.write_text(page_of_comparison, encoding="utf-8")
    return Browser(started, path.as_uri(), [], [])


def test_it_opens_from_disk_without_a_complaint_or_a_request(browser):
    page = browser.open()
    assert page.title() == "clips - mtpkd report"
    page.close()
    assert browser.complaints == []
    assert browser.requests == [browser.address]


def test_every_section_is_reached_with_the_keyboard(browser):
    page = browser.open()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == MINE[0].ANCHOR
    for number, part in enumerate(MINE, start=1):
        page.goto(browser.address)
        for _ in range(1 + number):
            page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.getAttribute('href')") == f"#{part.ANCHOR}"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == part.ANCHOR
        assert page.locator(f"#{part.ANCHOR} h2").count() == 1
    page.close()


def test_tables_sort_by_click_and_by_enter_numbers_as_numbers(browser):
    page = browser.open()
    table = page.locator("#results table").first
    heading = table.locator("thead th", has_text="vs visual only")

    def column() -> list[float]:
        cells = table.locator("tbody td:last-child")
        texts = [cells.nth(place).get_attribute("data-value") for place in range(cells.count())]
        return [float(text) if text else float("inf") for text in texts]

    assert heading.get_attribute("aria-sort") is None
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert column() == sorted(column())
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    *known, last = column()
    assert last == float("inf"), "what has no value stays last"
    assert known == sorted(known, reverse=True)
    table.locator("thead th").first.locator("button").click()
    assert heading.get_attribute("aria-sort") is None
    names = table.locator("tbody th").all_inner_texts()
    assert names == sorted(names)
    page.close()


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)` (WCAG 2.2)."""
    parts = [int(text) / 255 for text in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(page: Any, selector: str) -> float:
    text = page.locator(selector).first.evaluate("element => getComputedStyle(element).color")
    paper = page.locator("body").evaluate("element => getComputedStyle(element).backgroundColor")
    high, low = sorted((luminance(text), luminance(paper)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_it_is_dark_where_the_reader_wants_it_dark_and_readable_in_both(browser):
    papers = []
    for scheme in ("light", "dark"):
        page = browser.open(color_scheme=scheme)
        papers.append(page.locator("body").evaluate("element => getComputedStyle(element).backgroundColor"))
        for selector in ("main p", "figcaption", "caption", "summary", "nav a", "svg.plot text"):
            assert contrast(page, selector) >= 4.5, (scheme, selector)
        page.close()
    assert luminance(papers[0]) > 0.9
    assert luminance(papers[1]) < 0.05


def test_a_phone_scrolls_tables_and_pictures_but_not_the_page(browser):
    page = browser.open(viewport={"width": 360, "height": 740})
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    boxes = page.evaluate("[...document.querySelectorAll('.scroll')].map(box => box.getBoundingClientRect().right)")
    assert boxes
    assert max(boxes) <= 360
    assert page.locator("#verdict").bounding_box()["y"] < 200, "the result comes before anything is scrolled"
    page.close()


def test_on_paper_everything_is_open_and_nothing_is_to_be_clicked(browser):
    from playwright.sync_api import expect

    page = browser.open()
    folded = page.locator("details:not([open])")
    closed = folded.count()
    assert closed > 3
    page.emulate_media(media="print")
    expect(folded).to_have_count(0)
    assert not page.locator("nav").is_visible()
    page.set_viewport_size({"width": 680, "height": 1000})
    assert page.evaluate("document.documentElement.scrollWidth") <= 680, "A4 within its margins"
    sizes = [
        page.locator(one).first.evaluate("it => parseFloat(getComputedStyle(it).fontSize)")
        for one in ("figcaption", "main p:not([class])")
    ]
    assert sizes[0] < sizes[1]
    page.emulate_media(media="screen")
    expect(folded).to_have_count(closed)
    assert page.locator("nav").is_visible()
    page.close()


def test_every_picture_has_a_name_and_a_description(browser):
    page = browser.open()
    pictures = page.locator("svg")
    assert pictures.count() >= 6
    for place in range(pictures.count()):
        picture = pictures.nth(place)
        assert picture.get_attribute("role") == "img"
        for part in ("title", "desc"):
            assert picture.evaluate(f"element => element.querySelector(':scope > {part}').textContent.length") > 5
    page.close()
