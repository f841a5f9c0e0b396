"""Equations become MathML while the site is built: a browser sets them with no script and no server.

`pymdownx.arithmatex` marks what stands between dollars; latex2mathml translates it. Nothing else in a page is touched.
"""

import html
import re

from latex2mathml.converter import convert

_MARKED = re.compile(r'<(span|div) class="arithmatex">(.*?)</\1>', re.DOTALL)
_DELIMITERS = {"span": ("\\(", "\\)"), "div": ("\\[", "\\]")}


def on_page_content(content: str, **_: object) -> str:
    """mkdocs: the page as HTML, its equations translated."""
    return _MARKED.sub(_translated, content)


def _translated(found: re.Match[str]) -> str:
    tag, marked = found.groups()
    first, last = _DELIMITERS[tag]
    latex = html.unescape(marked).strip().removeprefix(first).removesuffix(last)
    display = "block" if tag == "div" else "inline"
    return f'<{tag} class="math">{convert(latex.strip(), display=display)}</{tag}>'
