"""The documentation builds without a warning, needs no network, and names only what exists."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mtpkd_cli.main import app
from pipelines.recipe import Recipe
from pipelines.recipe.loading import load_recipe, shipped_recipes

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
FETCHED = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "use": "href",
}
"""Elements that make a browser fetch something, and the attribute that says from where."""
needs_mkdocs = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("material", "mkdocstrings_handlers", "latex2mathml")),
    reason="the documentation needs pip install 'mtpkd[docs]'",
)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The built site; a warning ends the build."""
    place = tmp_path_factory.mktemp("site")
    # Not --quiet: it silences the warnings that --strict counts.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return place


class Fetching(HTMLParser):
    """Collects what a page fetches when it is opened, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        values = dict(attrs)
        self.anchors |= {values["id"] or ""} if "id" in values else set()
        if address := values.get(FETCHED.get(tag, "")):
            self.fetched.append(address)

    def handle_data(self, data: str) -> None:
        """See HTMLParser."""
        self.text += data


def read(page: Path) -> Fetching:
    found = Fetching()
    found.feed(page.read_text(encoding="utf-8"))
    return found


def commands(group: Any = None, name: str = "") -> dict[str, Any]:
    """Every command by the words that call it, those inside a group too."""
    found: dict[str, Any] = {}
    top: Any = group or get_command(app)
    for part, command in top.commands.items():
        inside = commands(command, f"{name}{part} ") if hasattr(command, "commands") else {}
        found |= inside or {f"{name}{part}": command}
    return found


def typed(page: Path) -> Iterator[list[str]]:
    """The words of every `$ mtpkd ...` in the page's console blocks."""
    for block in re.findall(r"^```console\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for line in re.sub(r"\\\n\s*>?", " ", block).splitlines():
            if line.startswith("$ "):
                words = shlex.split(line[2:], comments=True)
                start = next((i for i, word in enumerate(words) if "=" not in word), len(words))
                if words[start : start + 1] == ["mtpkd"]:
                    yield words[start + 1 :]


def without_common(words: list[str]) -> list[str]:
    """The words without the options that stand before a command."""
    common = {option for each in get_command(app).params for option in each.opts}
    return words[next((i for i, word in enumerate(words) if word not in common), len(words)) :]


@needs_mkdocs
@pytest.mark.parametrize("name", commands())
def test_every_command_and_option_is_documented(site, name):
    text = read(site / "reference" / "cli.html").text
    assert f"mtpkd {name} " in text
    for parameter in commands()[name].params:
        if parameter.param_type_name == "option":
            assert parameter.opts[0] in text


@needs_mkdocs
def test_every_setting_is_documented(site):
    page = read(site / "reference" / "recipe.html")
    words = set(re.findall(r"[\w.]+", page.text))
    for recipe in map(load_recipe, shipped_recipes()):
        for section in Recipe.model_fields:
            values = getattr(recipe, section)
            if section not in ("prevalent", "privileged", "encoders"):
                for field in type(values).model_fields:
                    assert f"{section}.{field}" in words or field in ("name", "kind")


@needs_mkdocs
def test_no_page_fetches_anything_from_a_server(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        away = [address for address in read(page).fetched if re.match(r"(https?:)?//", address)]
        assert not away, f"{page.name} fetches {away}"
    for sheet in [*site.rglob("*.css")]:
        assert not re.search(r"url\([\"']?(https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet.name


@needs_mkdocs
def test_equations_are_set_without_a_script(site):
    method = (site / "method.html").read_text(encoding="utf-8")
    assert method.count("<math ") > 80
    assert "arithmatex" not in method
    left = re.findall(r"<m[iotn][^>]*>\\\w+", method)
    assert not left, f"not translated: {left}"


@needs_mkdocs
@pytest.mark.parametrize("anchor", ["pipelines.transport.sinkhorn_divergence", "pipelines.metrics.judge_gain"])
def test_public_functions_have_an_anchor(site, anchor):
    package = anchor.split(".")[1]
    assert anchor in read(site / "reference" / f"{package}.html").anchors


@needs_mkdocs
def test_the_search_works_from_disk(site, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api", reason="looking at the site needs playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("looking at the site needs Debian's chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        trouble: list[str] = []
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith("file:") else trouble.append(request.url))
        page.goto((site / "index.html").as_uri())
        page.get_by_role("textbox", name="Search").press_sequentially("calibrate")
        page.locator(".md-search-result__link[href*='how-to/calibrate.html']").first.wait_for()
        page.set_viewport_size({"width": 360, "height": 740})
        for name in ("method.html", "reference/cli.html", "quickstart.html"):
            page.goto((site / name).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, f"{name} is wider than a phone"
        browser.close()
    assert not trouble


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_what_is_typed_exists(page):
    known = commands()
    for words in map(without_common, typed(page)):
        name = next((name for name in known if words[: len(name.split())] == name.split()), None)
        assert name, f"there is no `mtpkd {' '.join(words)}`"
        options = {option for each in known[name].params for option in each.opts} | {"--help", "-h"}
        used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= options, f"mtpkd {name} has no {', '.join(sorted(used - options))}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_settings_that_are_typed_exist(page):
    for words in map(without_common, typed(page)):
        changes = tuple(words[i + 1] for i, word in enumerate(words[:-1]) if word == "--set")
        if changes:
            base = words[1] if words[0] == "run" and words[1] in shipped_recipes() else "biovid"
            load_recipe(base, changes)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_python_that_is_shown_imports_what_exists(page):
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipelines"):
                for alias in node.names:
                    assert hasattr(import_module(str(node.module)), alias.name) or find_spec(
                        f"{node.module}.{alias.name}"
                    )
