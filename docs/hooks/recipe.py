"""`reference/recipe.md`, written at build time from the settings classes: every setting, with its sentence."""

import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pipelines.recipe import Recipe
from pipelines.recipe.loading import plain, shipped_recipes

PAGE = "reference/recipe.md"
_OPENING = """# Recipe

A recipe is a YAML file with every setting of a run. Shipped: {shipped}. A workspace keeps its own in `recipe.yaml`,
with these sentences as comments. Any setting is changed for one run with `--set key.sub=value`. An unknown key, a value
out of range and a contradiction are refused before any work, all of them at once.

Defaults are those of the settings classes (`pipelines.recipe`); a shipped recipe may set others.
"""
_KINDS: dict[Any, str] = {
    int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path", NoneType: "null"
}  # fmt: skip
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "multiple of", "min_length": "; entries ≥"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """mkdocs: the site's files, with this page among them."""
    files.append(File.generated(config, PAGE, content="\n".join(_page())))
    return files


def _page() -> Iterator[str]:
    yield _OPENING.format(shipped=", ".join(f"`{name}`" for name in shipped_recipes()))
    alone = {name: field for name, field in Recipe.model_fields.items() if not _models(field.annotation)}
    yield "\n## What a model is given\n"
    yield from _table(alone.items())
    for name, field in Recipe.model_fields.items():
        if name not in alone:
            yield from _section(name, field, depth=2)


def _section(key: str, field: Any, *, depth: int) -> Iterator[str]:
    """A heading, what it is about, a table of its settings, and the sections inside it; one of each kind it may be."""
    models = _models(field.annotation)
    mapped = typing.get_origin(_bare(field.annotation)) is dict
    shown = f"{key}.NAME" if mapped else key
    if len(models) == 1:
        yield from _settings(shown, field, models[0], title=f"`{shown}`", depth=depth)
        return
    yield f"\n{'#' * depth} `{shown}`\n\n{_sentence(field.description)}\n"
    for model in models:
        tag = next(name for name in ("kind", "name") if name in model.model_fields)
        value = model.model_fields[tag].default
        title = f"`{shown}` with `{tag}: {value}`"
        yield from _settings(shown, None, model, title=title, depth=depth + 1, without=tag)


def _settings(
    key: str, place: Any, model: type[BaseModel], *, title: str, depth: int, without: str = ""
) -> Iterator[str]:
    """A section of one class; `place` is the field that it stands in, which may have defaults of its own."""
    about = (place.description if place else None) or model.__doc__
    yield f"\n{'#' * depth} {title}\n\n{_sentence(about)}\n"
    fields = {name: field for name, field in model.model_fields.items() if name != without}
    inside = {name: field for name, field in fields.items() if _models(field.annotation)}
    own = place.default if place and isinstance(place.default, model) else None
    yield from _table([(f"{key}.{name}", field) for name, field in fields.items() if name not in inside], own=own)
    for name, field in inside.items():
        yield from _section(f"{key}.{name}", field, depth=depth + 1)


def _table(rows: Iterable[tuple[str, Any]], own: BaseModel | None = None) -> Iterator[str]:
    yield "| setting | | default | may be |"
    yield "|---|---|---|---|"
    for key, field in rows:
        section, dot, name = key.rpartition(".")
        shown = f'<span class="section">{section}{dot}</span>{name}'
        default = _default(field.default if own is None else getattr(own, name))
        yield f"| <code>{shown}</code> | {_sentence(field.description)} | {default} | {_allowed(field)} |"
    yield ""


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return f"`{plain(value)}`"
    if isinstance(value, tuple):
        return f"`[{', '.join('null' if item is None else str(item) for item in value)}]`"
    return f"`{'null' if value is None else str(value).lower() if isinstance(value, bool) else value}`"


def _allowed(field: Any) -> str:
    """What may stand there, in words: the annotation, and the bounds that pydantic took out of it."""
    return _cell(
        " ".join(part for part in (_type(field.annotation), _bounds(field.metadata)) if part).replace(" ;", ";")
    )


def _type(annotation: Any) -> str:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        bounds = [bound for item in parts[1:] for bound in getattr(item, "metadata", [item])]
        return " ".join(part for part in (_type(parts[0]), _bounds(bounds)) if part)
    if origin is Literal:
        return " ".join(f"`{part}`" for part in parts)
    if origin in (typing.Union, UnionType):
        return " or ".join(_type(part) for part in parts)
    if origin is tuple and Ellipsis not in parts:
        return "[" + ", ".join(_type(part) for part in parts) + "]"
    if origin is tuple:
        return f"list, each {_type(parts[0])}"
    return _KINDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(metadata: Any) -> str:
    known = ((name, getattr(item, name, None)) for item in metadata for name in _BOUNDS)
    return ", ".join(f"{_BOUNDS[name]} {value:g}" for name, value in known if value is not None)


def _bare(annotation: Any) -> Any:
    """The annotation without what is annotated to it."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The settings classes that a value, or a value of a mapping, may be of."""
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models(part)]


def _sentence(text: str | None) -> str:
    """A docstring as one line of Markdown that a table can hold."""
    return _cell(" ".join((text or "").split()))


def _cell(text: str) -> str:
    return re.sub(r"\|", r"\\|", re.sub(r"(?<!`)<(?!code|span|/)", "&lt;", text))
