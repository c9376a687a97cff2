"""The project as it is shipped: locks, version, entry points, package data, and what a stranger reads first."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import entry_points, packages_distributions, version
from pathlib import Path

import pytest

import farthing

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("farthing", "collectors", "models", "dashboard", "sql", "benchmarks")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COLLECTORS: dict[str, str] = PYPROJECT["project"]["entry-points"]["farthing.collectors"]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def _pins(lock: str) -> set[str]:
    """The requirement lines of a lock file, e.g. `duckdb==2.0.0`, with their markers."""
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    return {line.removesuffix("\\").strip() for line in lines if line and not line.startswith(" ")}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_pins_and_hashes_and_nothing_of_an_index_or_a_machine(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    strange = [
        line
        for line in text.splitlines()
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?==[0-9a-z.]+( ; [a-zA-Z0-9_'=<>!.() -]+)? \\", line)
        and not re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)
    ]
    assert not strange
    assert len(_pins(lock)) > 50


def test_the_runtime_lock_is_a_part_of_the_developers_lock() -> None:
    assert {pin.split(" ;")[0] for pin in _pins("requirements.lock")} <= {
        pin.split(" ;")[0] for pin in _pins("requirements-dev.lock")
    }


def test_every_declared_package_of_the_base_and_the_dashboard_is_locked() -> None:
    declared = PYPROJECT["project"]["dependencies"] + PYPROJECT["project"]["optional-dependencies"]["dashboard"]
    names = {re.split(r"[<>=\[]", requirement)[0] for requirement in declared}
    assert names <= {pin.split("==")[0] for pin in _pins("requirements.lock")}


def test_the_installed_version_is_the_one_the_code_states() -> None:
    assert version("farthing") == farthing.__version__


@pytest.mark.parametrize(("kind", "place"), COLLECTORS.items())
def test_every_collector_kind_is_installed_and_loads(kind: str, place: str) -> None:
    installed = {entry.name: entry for entry in entry_points(group="farthing.collectors")}
    assert installed[kind].value == place
    assert callable(installed[kind].load().collect)


def _imports(path: Path) -> Iterator[str]:
    """Top-level names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _normalised(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_imported_package_is_a_declared_dependency() -> None:
    project = PYPROJECT["project"]
    declared = {
        _normalised(re.split(r"[<>=\[]", requirement)[0])
        for requirements in (
            project["dependencies"],
            *project["optional-dependencies"].values(),
            *PYPROJECT["dependency-groups"].values(),
        )
        for requirement in requirements
    }
    distributions = packages_distributions()
    known = {*sys.stdlib_module_names, *PACKAGES, "tests"}
    undeclared = {
        f"{path.relative_to(ROOT)} imports {name}"
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for name in _imports(path)
        if name not in known and not declared & {_normalised(each) for each in distributions.get(name, [name])}
    }
    assert not undeclared


def test_a_wheel_carries_every_module_and_every_sql_file(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob(f"farthing-{farthing.__version__}-*.whl")
    carried = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for suffix in ("*.py", "*.sql")
        for path in (ROOT / package).rglob(suffix)
    }
    assert wanted <= carried
    assert not any(name.startswith("tests/") for name in carried)


def test_the_readme_sends_a_stranger_only_where_a_clone_goes() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", text)
    links = [link for pair in targets for link in pair if link and not re.match(r"[a-z]+:", link)]
    assert not [link for link in links if not (ROOT / link).is_file() and not (ROOT / link).is_dir()]
    assert not re.findall(r"(?:/root|/home|/tmp|/work|/Users)\b\S*|\.\./\S+", text)
