"""The image holds what the commands need, is built by the Makefile's own commands, and runs as nobody special."""

import re
import shlex
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """(instruction, what follows) in order, lines that go on joined."""
    lines = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in lines.splitlines() if line.strip()]


def all_of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def copied() -> list[str]:
    return [source for rest in all_of("COPY") for source in rest.split()[:-1]]


def ignored(path: Path) -> bool:
    """Whether .dockerignore keeps a file of the repository out of the build."""
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    parts = path.relative_to(ROOT).parts
    prefixes = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    return any(fnmatch(each, pattern.removeprefix("**/")) for each in (*prefixes, *parts) for pattern in patterns)


def test_everything_that_is_copied_exists():
    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source
        assert not ignored(ROOT / source), source


def test_what_is_run_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    calls = re.findall(r"\bmake ((?:[\w-]+\b(?!=) ?)+)((?:\w+=\S* ?)*)", all_of("RUN")[-1])
    assert calls
    for targets, variables in calls:
        for target in targets.split():
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for variable in shlex.split(variables):
            assert re.search(rf"^{variable.split('=')[0]}\s*\?=", makefile, re.MULTILINE), variable


def test_every_file_that_the_makefile_needs_to_install_is_copied():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    needed = re.findall(r"^\$\(VENV\)/\.installed: (.*)$", makefile, re.MULTILINE)[0].split()
    needed += ["scripts", "apt-packages.txt"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    readme = project["readme"]
    needed.append(readme if isinstance(readme, str) else readme["file"])
    assert set(needed) <= set(copied())


def test_package_data_is_in_the_image():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert {pattern.rstrip("*") for pattern in tool["packages"]["find"]["include"]} <= set(copied())
    for package, patterns in tool["package-data"].items():
        for pattern in patterns:
            files = sorted((ROOT / package).glob(pattern))
            assert files, f"{package}/{pattern}"
            assert not [file for file in files if ignored(file)]


@pytest.mark.parametrize("name", ["BASE", "TORCH_INDEX", "EXTRAS"])
def test_variants_are_build_arguments(name):
    given = [rest.split("=")[0] for rest in all_of("ARG")]
    assert name in given
    assert f"${{{name}}}" in TEXT


def test_arguments_are_declared_where_they_are_used():
    """What is declared before FROM is known to FROM alone."""
    order = [(instruction, rest.split("=")[0]) for instruction, rest in instructions()]
    start = next(place for place, (instruction, _) in enumerate(order) if instruction == "FROM")
    assert order.index(("ARG", "BASE")) < start
    assert min(order.index(("ARG", name)) for name in ("TORCH_INDEX", "EXTRAS")) > start


def test_nothing_runs_as_root_and_data_stay_outside():
    names = [instruction for instruction, _ in instructions()]
    assert all_of("USER") == ["mtpkd"]
    assert names.index("USER") > max(place for place, name in enumerate(names) if name == "RUN")
    assert all_of("VOLUME") == ['["/mtpkd/data", "/mtpkd/runs"]']
    assert all_of("WORKDIR")[-1] == "/mtpkd"
    assert all_of("ENTRYPOINT") == ['["mtpkd"]']


def test_whoever_runs_the_image_has_a_home_and_volumes_to_write_to():
    """librosa compiles functions into a cache, and cannot be imported where there is no place for one."""
    names = [instruction for instruction, _ in instructions()]
    (environment,) = all_of("ENV")
    home = re.search(r"\bHOME=(\S+)", environment)
    assert home is not None
    assert home[1] == "/home/mtpkd"
    writable = re.search(r"chmod 1777 ([^&]*)", all_of("RUN")[-1])
    assert writable is not None
    assert writable[1].split() == [home[1], "/mtpkd/data", "/mtpkd/runs"]
    assert names.index("ENV") > max(place for place, name in enumerate(names) if name == "RUN"), "pip's home is root's"


def test_nothing_is_compiled_at_every_start_and_nobody_is_asked():
    compiled = re.search(r"compileall -q ([^&]*)", all_of("RUN")[-1])
    assert compiled is not None
    assert {"mtpkd_cli", "pipelines"} == set(compiled[1].split()) <= set(copied())
    assert "DEBIAN_FRONTEND=noninteractive" in all_of("ARG")


@pytest.mark.parametrize("number", [0, 1])
def test_what_is_run_is_a_shells_language(number):
    shell = shutil.which("dash") or shutil.which("sh")
    assert shell is not None
    read = subprocess.run([shell, "-n", "-c", all_of("RUN")[number]], capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr


def test_the_documented_builds_name_arguments_that_exist():
    page = (ROOT / "docs" / "how-to" / "cluster.md").read_text(encoding="utf-8")
    named = set(re.findall(r"--build-arg (\w+)=", page + TEXT))
    assert named >= {"TORCH_INDEX", "EXTRAS"}
    assert named <= {rest.split("=")[0] for rest in all_of("ARG")}
