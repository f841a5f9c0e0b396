"""Numbers and marks that the sections on the inside of a training share."""

from collections.abc import Sequence
from math import isnan

import numpy as np

from pipelines.reporting.report.facts import Facts


def decimals(value: float) -> str:
    """A correlation or R^2 with two decimals: `.45`, `−.02`, `1.00`, `-` for none."""
    if isnan(value):
        return "-"
    rounded = round(value, 2) + 0.0
    text = f"{rounded:.2f}".replace("-", "\N{MINUS SIGN}")
    return text.replace("0.", ".", 1) if abs(rounded) < 1 else text


def share(value: float) -> str:
    """A share as percent with one decimal, `-` for none."""
    return "-" if isnan(value) else f"{100 * value:.1f}"


def seen_at_once(facts: Facts) -> str:
    """What a student sees at once, in the plural: clips, or windows of them."""
    return "windows" if facts.recipe.windows.kind == "sliding" else "clips"


def evenly(count: int, most: int) -> list[int]:
    """At most so many of `count` places, evenly spread, the first and the last among them."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(count, most)).round()}) if count else []


def joined(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
