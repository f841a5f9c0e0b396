"""Reading recipes from YAML, overriding single settings, and writing them back with a comment on every setting.

A shipped recipe is named by its stem (`demo`), any other by its path. Mistakes become one SettingsError that lists
every offending key with its value, so that a recipe is mended in one go.
"""

import difflib
import typing
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pipelines.errors import SettingsError
from pipelines.recipe import Recipe

_UNIONS = {
    "corpus": ("name", ("biovid", "synthetic", "affwild2", "synthetic-affwild2", "manifest")),
    "windows": ("kind", ("clip", "sliding")),
}
"""Sections with a class for each value of a key: that key, and the values."""

SHIPPED = Path(__file__).resolve().parent.parent / "recipes"


def shipped_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def load_recipe(name: str | Path, overrides: tuple[str, ...] = ()) -> Recipe:
    """Read a shipped recipe by name, or a YAML file by path, and apply `key.sub=value` overrides.

    Raises:
        SettingsError: no such recipe, not YAML, or settings that cannot be meant.
    """
    path = SHIPPED / f"{name}.yaml" if str(name) in shipped_recipes() else Path(name)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        known = ", ".join(shipped_recipes())
        raise SettingsError(
            f"{name}: no such recipe. Give a YAML file, or one of the shipped recipes: {known}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: a recipe is a YAML mapping of settings, this is {_brief(values)}")
    for override in overrides:
        _apply_override(values, override)
    return parse_recipe(values, source=str(path))


def parse_recipe(values: dict[str, Any], *, source: str) -> Recipe:
    """Validate nested plain values. Raises SettingsError naming `source`, each key, its value and what is wrong."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        lines = [_explain(item, values) for item in error.errors()]
        raise SettingsError(f"{source}: {len(lines)} setting(s) cannot be used:\n  " + "\n  ".join(lines)) from None


def override_recipe(recipe: Recipe, **changes: Any) -> Recipe:
    """A validated copy with dotted keys replaced, e.g. `override_recipe(r, **{"faces.size": 96})`."""
    values = plain(recipe)
    for key, value in changes.items():
        _set_nested(values, key.split("."), value, key)
    return parse_recipe(values, source="settings")


def plain(settings: BaseModel) -> dict[str, Any]:
    """Settings as nested dicts of YAML- and JSON-ready values."""
    return settings.model_dump(mode="json")


def render_recipe(recipe: Recipe) -> str:
    """The recipe as YAML with a comment over every setting, taken from the settings classes themselves."""
    header = [f"# {line}" if line else "#" for line in (Recipe.__doc__ or "").strip().splitlines()]
    return "\n".join([*header, *_render(recipe, indent="", without=recipe.unused)]) + "\n"


def _render(settings: BaseModel, indent: str, without: tuple[str, ...] = ()) -> list[str]:
    lines: list[str] = []
    for name, field in type(settings).model_fields.items():
        if name in without:
            continue
        value = getattr(settings, name)
        comment = field.description or (type(value).__doc__ if isinstance(value, BaseModel) else "") or ""
        if not indent:
            lines.append("")
        lines += [f"{indent}# {' '.join(comment.split())}"]
        if isinstance(value, BaseModel):
            lines += [f"{indent}{name}:", *_render(value, indent + "  ")]
        elif isinstance(value, dict):
            lines.append(f"{indent}{name}:")
            for key, item in value.items():
                lines += [f"{indent}  {key}:", *_render(item, indent + "    ")]
        else:
            lines.append(f"{indent}{name}: {_scalar(plain(settings)[name])}")
    return lines


def _scalar(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000).strip()
    return text.removesuffix("...").strip()


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise SettingsError(f"--set {override}: write it as key.sub=value, e.g. --set protocol.folds=3")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise SettingsError(f"--set {override}: the value {text!r} is not YAML") from None
    _set_nested(values, key.strip().split("."), value, f"--set {override}")


def _set_nested(values: dict[str, Any], keys: list[str], value: Any, shown: str) -> None:
    for depth, key in enumerate(keys[:-1]):
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{shown}: {'.'.join(keys[: depth + 1])} is a single value, it has no settings inside")
        values = inner
    values[keys[-1]] = value


def _explain(item: Any, values: dict[str, Any]) -> str:
    location = [str(part) for part in item["loc"] if not _is_union_tag(part, item["loc"])]
    key = ".".join(location) or "recipe"
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(location[-1], _known_keys(location[:-1]), n=1)
        if near == [location[-1]]:  # the section has several kinds, and another one of them has it
            return f"{key}: there is no such setting with {_kind_of(location[0], values)}"
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{key}: there is no such setting{hint}"
    if item["type"] == "missing":
        return f"{key}: this setting is required"
    message = item["msg"].removeprefix("Value error, ")
    return message if item["type"] == "value_error" else f"{key} = {_brief(item['input'])}: {message}"


def _is_union_tag(part: Any, location: tuple[Any, ...]) -> bool:
    # pydantic puts the discriminator's value into the path: corpus.biovid.root is written corpus.root by the user.
    return len(location) > 1 and part is location[1] and part in _UNIONS.get(location[0], ("", ()))[1]


def _kind_of(section: str, values: dict[str, Any]) -> str:
    key = _UNIONS[section][0]
    return f"{section}.{key} = {values[section][key]}"


def _known_keys(path: list[str]) -> list[str]:
    """Names of the settings in a section; of all its kinds where it has several."""
    models: list[type[BaseModel]] = [Recipe]
    for key in path:
        annotations = [model.model_fields[key].annotation for model in models if key in model.model_fields]
        options = [option for each in annotations for option in typing.get_args(each) or (each,)]
        models = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
