"""YAML as a recipe needs it: a few hundred plain values.

YAML lets nine lines stand for a billion values, because an alias stands for what its anchor holds. They cost nothing to
read and everything to print, so a text is measured as if its aliases were written out.
"""

from typing import Any

import yaml

MAX_VALUES = 100_000
"""Most values of a text; a recipe has about two hundred."""
MAX_DEPTH = 40
"""Deepest nesting; that of a recipe is five."""

# PyYAML passes on whatever its constructors raise: KeyError of `!!bool x`, AttributeError of `!!timestamp x`.
_UNREADABLE = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def parse_yaml(text: str) -> Any:
    """Nested plain values.

    Raises:
        ValueError: not YAML, or nested values beyond what can be meant; the message is one line.
    """
    try:
        values = yaml.safe_load(text)
    except _UNREADABLE as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None
    except RecursionError:
        raise ValueError(f"values nested more than {MAX_DEPTH} deep") from None
    if _size(values, {}, 0) > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} values, with aliases written out")
    return values


def _size(value: Any, known: dict[int, int], depth: int) -> int:
    """How many values there are, each alias counted as what it stands for."""
    if not isinstance(value, dict | list | tuple | set):
        return 1
    if depth > MAX_DEPTH:  # an alias to what it lies in as well
        raise ValueError(f"values nested more than {MAX_DEPTH} deep")
    if id(value) not in known:
        items = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(item, known, depth + 1) for item in items)
    return known[id(value)]
