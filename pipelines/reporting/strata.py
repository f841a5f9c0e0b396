"""Results by sex and age, where the corpus knows them.

Decisions. A stratum is a set of clips, and a clip belongs where its own attributes say: groups are resampled among
themselves, as if the others had not been there, and an interval over fewer than `LEAST_GROUPS` groups is not given,
because the bootstrap of so few is far too narrow. Age bands are BioVid's own (20-35, 36-50, 51-65), with an open one on
either side; an age that is no number is a band of its own. How a corpus spells an attribute is its own business: the
names and values below are read in any case. A clip of which nothing is known is in no stratum.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor, isfinite, nan
from typing import Any, Literal

from pipelines.metrics import Estimate, Metric
from pipelines.reporting.paired import Methods
from pipelines.reporting.table import BASELINE

LEAST_GROUPS = 5
"""Groups below which a stratum has values and no interval."""
_ATTRIBUTES: dict[str, Literal["sex", "age"]] = {"sex": "sex", "gender": "sex", "age": "age"}
_SEXES = {
    **dict.fromkeys(("w", "f", "female", "woman", "women"), "women"),
    **dict.fromkeys(("m", "male", "man", "men"), "men"),
}
_BANDS = ((20, 35), (36, 50), (51, 65))
_UNKNOWN = ("", "?", "-", "na", "n/a", "nan", "none", "unknown")


@dataclass(frozen=True)
class Stratum:
    """Some of the test clips, and how every method does on them.

    Attributes:
        attribute: what they have in common, `sex` or `age`.
        name: e.g. `women`, `36-50`.
        groups: that the clips come from.
        clips: how many.
        values: method -> its value; None where it predicted none of the clips.
        differences: method -> its paired difference to visual only, on the clips that both predict.
    """

    attribute: str
    name: str
    groups: int
    clips: int
    values: Mapping[str, Estimate | None]
    differences: Mapping[str, Estimate | None]


def clips_by_stratum(attributes: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], frozenset[str]]:
    """(attribute, stratum) -> clips, women and men before others, ages in their order.

    Args:
        attributes: clip -> what is known about it, e.g. {"sex": "w", "age": "21"}.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for clip, known in attributes.items():
        for place in _places(known):
            found.setdefault(place, set()).add(clip)
    return {place: frozenset(found[place]) for place in sorted(found, key=_order)}


def stratify(known: Methods, attributes: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], Methods]:
    """(attribute, stratum) -> the predictions of its clips, for every stratum that any test clip is in.

    Args:
        known: predictions of `none` and other methods.
        attributes: of `clips_by_stratum`.
    """
    parts = {place: known.only(clips) for place, clips in clips_by_stratum(attributes).items()}
    return {place: part for place, part in parts.items() if part.sampler.groups}


def compare_strata(strata: Mapping[tuple[str, str], Methods], metric: Metric[Any]) -> list[Stratum]:
    """Values and differences to visual only in every stratum.

    Args:
        strata: of `stratify`.
        metric: by which; of continuous dimensions their mean.
    """
    return [
        Stratum(
            attribute=attribute,
            name=name,
            groups=len(part.sampler.groups),
            clips=len({clip for parts in part.seeds.values() for clip in parts[0].group_of}),
            values={method: _cautious(part.value(metric, method)) for method in part.seeds},
            differences={
                method: _cautious(part.difference(metric, method, BASELINE))
                for method in part.seeds
                if method != BASELINE
            },
        )
        for (attribute, name), part in strata.items()
    ]


def _cautious(estimate: Estimate | None) -> Estimate | None:
    """Without its interval where that is over too few groups."""
    if estimate is None or estimate.groups >= LEAST_GROUPS:
        return estimate
    return replace(estimate, low=nan, high=nan)


def _places(known: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for key, value in known.items():
        attribute, text = _ATTRIBUTES.get(key.strip().lower()), value.strip()
        if attribute is not None and text.lower() not in _UNKNOWN:
            yield attribute, _SEXES.get(text.lower(), text) if attribute == "sex" else _band(text)


def _band(text: str) -> str:
    try:
        age = float(text)
    except ValueError:
        return text
    if not isfinite(age):
        return text
    for low, high in _BANDS:
        if low <= floor(age) <= high:
            return f"{low}-{high}"
    return f"under {_BANDS[0][0]}" if age < _BANDS[0][0] else f"over {_BANDS[-1][1]}"


def _order(place: tuple[str, str]) -> tuple[int, int, str]:
    attribute, name = place
    youngest, oldest = f"under {_BANDS[0][0]}", f"over {_BANDS[-1][1]}"
    known: Sequence[str] = ("women", "men", youngest, *(f"{low}-{high}" for low, high in _BANDS), oldest)
    return (("sex", "age").index(attribute), known.index(name) if name in known else len(known), name)
