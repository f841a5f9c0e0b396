"""Reading recipes from YAML, overriding single settings, and writing them back with a comment on every setting.

A shipped recipe is named by its stem (`demo`), any other by its path. Mistakes become one SettingsError that lists
every offending key with its value, so that a recipe is mended in one go.
"""

import difflib
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from pipelines.errors import SettingsError
from pipelines.recipe import Recipe
from pipelines.recipe.plain_yaml import parse_yaml

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
        values = parse_yaml(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        known = ", ".join(shipped_recipes())
        raise SettingsError(
            f"{name}: no such recipe. Give a YAML file, or one of the shipped recipes: {known}"
        ) from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SettingsError(f"{path}: not a YAML file: {error}") from None
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
                lines += [f"{indent}  {_scalar(key)}:", *_render(item, indent + "    ")]
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
        value = parse_yaml(text)
    except ValueError:
        raise SettingsError(f"--set {_brief(override)}: the value is not YAML: {_brief(text)}") from None
    _set_nested(values, key.strip().split("."), value, f"--set {override}")


def _set_nested(values: dict[str, Any], keys: list[str], value: Any, shown: str) -> None:
    for depth, key in enumerate(keys[:-1]):
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{shown}: {'.'.join(keys[: depth + 1])} is a single value, it has no settings inside")
        values = inner
    values[keys[-1]] = value


def _explain(item: Any, values: dict[str, Any]) -> str:
    place = _Place.of(item["loc"])
    key = ".".join(place.keys) or "recipe"
    message = item["msg"].removeprefix("Value error, ")
    match item["type"]:
        case "extra_forbidden":
            return f"{key}: there is no such setting{_hint(place, values)}"
        case "missing":
            return f"{key}: this setting is required"
        case "union_tag_not_found":
            return f"{key}.{place.discriminator}: this setting is required, one of {', '.join(place.tags)}"
        case "union_tag_invalid":
            return f"{key}.{place.discriminator} = {_brief(item['ctx']['tag'])}: use one of {', '.join(place.tags)}"
        case "value_error":
            # A message names its setting, but no class knows by which name it stands in a mapping.
            return f"{key}: {message}" if place.in_mapping else message
    return f"{key} = {_brief(item['input'])}: {message}"


def _hint(place: "_Place", values: dict[str, Any]) -> str:
    """What may have been meant by an unknown key."""
    *section, name = place.keys
    if name in _names(place.kinds):  # the section has several kinds, and another one of them has it
        for key in section:
            values = values[key]
        return f" with {'.'.join(section)}.{place.discriminator} = {values[place.discriminator]}"
    near = difflib.get_close_matches(name, _names(place.chosen), n=1)
    return f"; did you mean {near[0]}?" if near else ""


class _Place:
    """Where in the recipe pydantic found a mistake.

    Attributes:
        keys: the path as the user writes it: without the tags by which pydantic tells the kinds of a section apart.
        kinds: classes that the innermost section can be of.
        chosen: the one that it is of, as far as that is known.
        in_mapping: whether the path leads through a mapping whose keys the user chose.
    """

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.kinds: list[type[BaseModel]] = [Recipe]
        self.chosen = self.kinds
        self.in_mapping = False

    @classmethod
    def of(cls, location: Sequence[int | str]) -> "_Place":
        """Follow a location from pydantic through the settings classes."""
        place, inside = cls(), Recipe
        for part in location:
            inside = place._enter(str(part), inside)
        return place

    @property
    def discriminator(self) -> str:
        """The setting that tells the kinds of the section apart."""
        return next(name for name in ("kind", "name") if all(name in kind.model_fields for kind in self.kinds))

    @property
    def tags(self) -> list[str]:
        """Its values."""
        return [kind.model_fields[self.discriminator].default for kind in self.kinds]

    def _enter(self, part: str, inside: Any) -> Any:
        """One step; `inside` and the result are annotations."""
        if len(self.chosen) > 1 and part in self.tags:
            self.chosen = [kind for kind in self.chosen if kind.model_fields[self.discriminator].default == part]
            return self.chosen[0]
        self.keys.append(part)
        if typing.get_origin(inside) is dict:
            self.in_mapping = True
            inside = typing.get_args(inside)[1]
        else:
            fields = [kind.model_fields[part] for kind in self.chosen if part in kind.model_fields]
            inside = fields[0].annotation if fields else None
        if models := _models(inside):
            self.kinds = self.chosen = models
        return inside


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The settings classes that a value may be of."""
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    options = typing.get_args(annotation) or (annotation,)
    return [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]


def _names(models: Sequence[type[BaseModel]]) -> list[str]:
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
