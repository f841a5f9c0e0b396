"""The shape of the project: imports run one way, command modules are light, files and functions stay readable."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = [
    {"mtpkd_cli"},
    {"stages"},
    {"corpora", "media", "cache", "models", "objectives", "training", "protocols", "metrics", "reporting", "inference"},
    {"recipe", "workspace", "transport", "weights", "errors"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
SOURCES = sorted([*ROOT.glob("mtpkd_cli/**/*.py"), *ROOT.glob("pipelines/**/*.py")])
HEAVY = {"torch", "numpy", "scipy", "librosa", "h5py", "cv2", "av", "pandas", "neurokit2", "matplotlib", "pydantic"}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that a file imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the arrow"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unit(module: str) -> str | None:
    """`pipelines.cache.faces` -> `cache`, `mtpkd_cli.run` -> `mtpkd_cli`; None for other packages."""
    parts = module.split(".")
    if parts[0] == "mtpkd_cli":
        return "mtpkd_cli"
    return parts[1] if parts[0] == "pipelines" and len(parts) > 1 and parts[1] in LEVEL else None


def arrows() -> set[tuple[str, str]]:
    found = set()
    for path in SOURCES:
        here = unit(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for module in imported(ast.parse(path.read_text())):
            there = unit(module)
            if here and there and here != there:
                found.add((here, there))
    return found


def test_every_package_has_a_layer():
    packages = {path.name for path in (ROOT / "pipelines").iterdir() if (path / "__init__.py").exists()}
    modules = {path.stem for path in (ROOT / "pipelines").glob("*.py")} - {"__init__"}
    assert (packages | modules) <= set(LEVEL)


def test_imports_never_run_upward():
    upward = {(a, b) for a, b in arrows() if LEVEL[a] > LEVEL[b]}
    assert not upward


def test_packages_import_each_other_without_circles():
    below: dict[str, set[str]] = {}
    for a, b in arrows():
        below.setdefault(a, set()).add(b)
    done: set[str] = set()
    while True:
        ready = {name for name in LEVEL if name not in done and below.get(name, set()) <= done}
        if not ready:
            break
        done |= ready
    assert done == set(LEVEL), f"circular: {set(LEVEL) - done}"


def test_the_command_line_has_no_numerics():
    allowed = {"typer", "rich", "tqdm", "pipelines", "mtpkd_cli", *sys.stdlib_module_names}
    for path in ROOT.glob("mtpkd_cli/*.py"):
        foreign = {module.split(".")[0] for module in imported(ast.parse(path.read_text()))} - allowed
        assert not foreign, f"{path.name} imports {foreign}"


def test_pickle_is_known_only_by_the_error_that_refuses_it():
    uses = {f"pickle.{m.group(1)}" for path in SOURCES for m in re.finditer(r"\bpickle\.(\w+)", path.read_text())}
    assert uses == {"pickle.UnpicklingError"}
    loads = [m for path in SOURCES for m in re.findall(r"torch\.load\([^)]*\)", path.read_text())]
    assert all("weights_only=True" in call for call in loads)


@pytest.mark.parametrize("forbidden", ["torchvision", "torchaudio", "torchmetrics"])
def test_nothing_imports_what_may_not_be_imported(forbidden):
    users = [p.name for p in SOURCES if any(m.split(".")[0] == forbidden for m in imported(ast.parse(p.read_text())))]
    assert not users


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom mtpkd_cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print('modules:', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = set(done.stdout.split("modules:")[1].split())
    assert not loaded & HEAVY


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_readable(path):
    text = path.read_text()
    assert text.count("\n") <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno + 1 <= 40, f"{node.name} is too long"
