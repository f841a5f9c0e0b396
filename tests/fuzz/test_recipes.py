"""Damaged recipes: YAML of any shape, depth and size gives a recipe, or every mistake in it by name."""

import resource

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.errors import SettingsError
from pipelines.recipe import Recipe
from pipelines.recipe.loading import SHIPPED, load_recipe, parse_recipe, plain, render_recipe, shipped_recipes

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
TOKENS = ["", ":", "- ", "\n", "  ", "{", "}", "[", "]", "&a", "*a", "!!python/object:os.system", "|", "\t", "\0", "'",
          '"', "#", "<<: *a", "? ", "---\n", "%YAML 9.9\n", "1e999", ".nan", "2026-01-01", "0x", "\ufeff"]  # fmt: skip


def refusal(load):
    """Why a recipe was refused; where it was not, a text that any test is content with."""
    try:
        assert isinstance(load(), Recipe)
    except SettingsError as error:
        return str(error)
    return "r.yaml --set"


def places(values, place=()):
    """The way to every setting."""
    yield place
    for key, value in values.items() if isinstance(values, dict) else ():
        yield from places(value, (*place, key))


RECIPES = {name: plain(load_recipe(name)) for name in shipped_recipes()}
PLACES = [(name, place) for name, values in RECIPES.items() for place in places(values)]


@given(st.sampled_from(PLACES), VALUES, st.text(max_size=6) | st.none())
@example(("demo", ("corpus", "name")), {}, None)
@example(("demo", ("corpus",)), None, None)
@example(("demo", ("encoders",)), [], None)
def test_any_value_anywhere_is_meant_or_refused(chosen, value, extra):
    name, place = chosen
    values = plain(load_recipe(name))
    inside = values
    for key in place[:-1]:
        inside = inside[key]
    if place:
        inside[place[-1]] = value
        if extra is not None:
            inside[extra] = value
    elif isinstance(value, dict):
        values = value
    assert "r.yaml" in refusal(lambda: parse_recipe(values, source="r.yaml"))


EDIT = st.tuples(st.integers(0, 20_000), st.sampled_from((0, 1, 4, 80)), st.sampled_from(TOKENS) | st.text(max_size=4))


@given(st.sampled_from(shipped_recipes()), st.lists(EDIT, min_size=1, max_size=3))
def test_damaged_yaml(tmp_path_factory, name, edits):
    content = (SHIPPED / f"{name}.yaml").read_text()
    for at, cut, new in edits:
        at %= len(content)
        content = content[:at] + new + content[at + cut :]
    read(tmp_path_factory.getbasetemp() / "r.yaml", content.encode("utf-8", "replace"))


@given(st.binary(max_size=100))
@example(b"\xff\xfea")
@example(b"a: !!python/object/apply:os.system ['true']")
@example(b"? [a]\n: 1")
@example(b"a: 1\na: 2")
@example(b"1: 2")
@example(b"- a")
@example(b"x: 2026-99-99")
@example(b"x: !!binary ===")
@example(b"x: !!int abc")
@example(b"x: !!float abc")
@example(b"x: !!timestamp abc")
@example(b"<<: 1")
@example(b"[" * 20_000)
@example(b"{a: " * 20_000)
@example(b"- " * 20_000)
@example(b"a: " + b"9" * 5000)
@example(b"a: 1:" + b"9:" * 5000)
def test_any_bytes(tmp_path_factory, content):
    read(tmp_path_factory.getbasetemp() / "r.yaml", content)


def read(path, content):
    path.write_bytes(content)
    assert "r.yaml" in refusal(lambda: load_recipe(path))


def test_aliases_of_aliases_take_neither_time_nor_memory(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for tail in ("", "\nseed: *a11", "\ncorpus: *a11", "\ncorpus: {name: *a11}", "\nencoders: {faces: *a11}"):
        (tmp_path / "r.yaml").write_text("\n".join(lines) + tail)
        with pytest.raises(SettingsError, match=r"r\.yaml"):
            load_recipe(tmp_path / "r.yaml")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@given(st.text(max_size=30))
@example("a.b={" * 500)
@example("corpus.root=[" * 3000)
@example("faces.size=!!python/name:os.system")
@example("faces=&a [*a]")
@example("corpus.root=2026-99-99")
@example(".=1")
@example("corpus.modalities..=1")
def test_any_override(text):
    for override in (text, f"faces.size={text}", f"{text}=1"):
        assert refusal(lambda override=override: load_recipe("demo", (override,)))


def test_what_is_written_reads_back(tmp_path):
    for name in shipped_recipes():
        text = render_recipe(load_recipe(name))
        assert yaml.safe_load(text)
        (tmp_path / "r.yaml").write_text(text)
        assert load_recipe(tmp_path / "r.yaml") == load_recipe(name)
