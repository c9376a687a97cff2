from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = ("farthing", "collectors", "models", "dashboard", "sql", "benchmarks", "tests")

#: What each room may import of ours; a longer name is a room inside a shorter one. Itself it may always import.
MAY_IMPORT = {
    "models": ("farthing.errors",),
    "sql": (),
    "collectors": tuple(
        f"farthing.{name}" for name in ("clock", "config", "durable", "errors", "lake", "locks", "objects", "web")
    ),
    "dashboard": (
        *(f"farthing.{name}" for name in ("causes", "charts", "clock", "config", "console", "errors", "figures")),
        *("farthing.questions", "farthing.warehouse"),
        # What people say of anomalies is written to the lake; forecasts are explained where they are made.
        *("farthing.anomalies", "farthing.forecasting", "farthing.issued", "farthing.lake", "farthing.lakes"),
        # Plans and changes are simulated on the page as their commands do, on what is published.
        *("farthing.tiers", "farthing.whatif", "models.whatif"),
    ),
    "farthing.lake": tuple(f"farthing.{name}" for name in ("clock", "commit_points", "errors", "locks", "objects")),
    "farthing.warehouse": ("farthing.config", "farthing.errors"),
    "farthing.budgets": ("farthing", "models"),
    "farthing.anomalies": ("farthing", "models"),
    "farthing.build": ("farthing", "models"),
    "farthing.forecasting": ("farthing", "models"),
    "farthing.margin": ("farthing", "models"),
    "farthing.tiers": ("farthing", "models"),
    "farthing.reports": tuple(
        f"farthing.{name}"
        for name in ("causes", "charts", "config", "console", "errors", "figures", "questions", "warehouse")
    ),
    "farthing.whatif": ("farthing", "models"),
    "farthing": ("farthing",),
    "farthing.agent": ("farthing", "collectors"),
    "farthing.doctor": ("farthing", "collectors"),
    "farthing.starter": ("farthing", "collectors"),
    "farthing.cli": ("farthing", "collectors", "models", "dashboard"),
}
#: Rooms that a room of farthing may not import although it may import farthing.
NEVER = {
    "farthing.budgets": ("farthing.cli", "farthing.build", "farthing.demo"),
    "farthing.build": ("farthing.cli", "farthing.explain", "farthing.demo"),
    "farthing.anomalies": ("farthing.cli", "farthing.build", "farthing.demo", "farthing.explain"),
    "farthing.margin": ("farthing.cli", "farthing.build", "farthing.demo", "farthing.explain", "farthing.lake"),
    "farthing.tiers": ("farthing.cli", "farthing.explain", "farthing.demo", "farthing.build", "farthing.lake"),
    "farthing.explain": ("farthing.cli", "farthing.lake"),
    "farthing.demo": ("farthing.cli", "farthing.lake", "farthing.build", "farthing.warehouse"),
    "farthing.agent": ("farthing.cli", "farthing.build", "farthing.warehouse"),
    "farthing": ("farthing.cli",),
}


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(text: str, module: str) -> Iterator[str]:
    """The modules of ours that `text` imports, inside functions too; `from farthing import clock` is farthing.clock."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively"
            names = [_imported(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] in OURS)


def _imported(package: str, name: str) -> str:
    """`package.name` when that is a module, else `package`: the name is something in it."""
    folder = ROOT.joinpath(*package.split("."))
    return f"{package}.{name}" if (folder / f"{name}.py").is_file() or (folder / name).is_dir() else package


def _within(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def _room(module: str, rooms: dict[str, tuple[str, ...]]) -> str | None:
    return max((room for room in rooms if _within(module, room)), key=len, default=None)


def breaches(module: str, text: str) -> list[str]:
    """What `module` imports and may not."""
    room = _room(module, MAY_IMPORT)
    assert room is not None
    allowed = (*MAY_IMPORT[room], room)
    never_room = _room(module, NEVER)
    forbidden = NEVER[never_room] if never_room and not _within(module, "farthing.cli") else ()
    return [
        name
        for name in imports(text, module)
        # The bare package holds the version and nothing else.
        if (name != "farthing" and not any(_within(name, one) for one in allowed))
        or any(_within(name, one) for one in forbidden)
    ]


MODULES = {
    _module(path): path
    for room in ("farthing", "collectors", "models", "dashboard", "sql")
    for path in sorted((ROOT / room).rglob("*.py"))
}


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    assert not breaches(module, MODULES[module].read_text(encoding="utf-8"))


def test_sql_is_select_files_and_no_code() -> None:
    assert [path.name for path in (ROOT / "sql").rglob("*.py")] == ["__init__.py"]
    assert len(ast.parse((ROOT / "sql" / "__init__.py").read_text(encoding="utf-8")).body) <= 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("collectors.aws", "from farthing.warehouse import open_warehouse"),
        ("collectors.aws", "from farthing import build"),
        ("dashboard.users", "def page():\n    from farthing.build import build"),
        ("dashboard.users", "import collectors.focus"),
        ("models.forecast", "from farthing import clock"),
        ("farthing.build.runner", "import collectors"),
        ("farthing.build.runner", "from farthing.cli import common"),
        ("farthing.budgets.status", "from farthing.build import build"),
        ("farthing.summary", "from dashboard import app"),
        ("farthing.charts", "from dashboard import drawing"),
        ("farthing.reports.sections.gpus", "from farthing.lake import Lake"),
        ("farthing.lake.files", "from farthing.config import Config"),
        ("farthing.agent.ship", "from farthing.warehouse import open_warehouse"),
    ],
)
def test_an_import_against_the_current_is_seen(module: str, text: str) -> None:
    assert breaches(module, text)
