"""What a run that nobody disturbs leaves, to hold every other one against."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.crash import worlds
from tests.crash.child import watched


@dataclass(frozen=True)
class Course:
    """One delivery: the project before it, what is there after it, and the commit points in between."""

    start: Path
    end: Path
    state: dict[str, list[tuple[Any, ...]]]
    points: list[str]

    def check(self, project: Path, *, without: str = "") -> None:
        """`project` is as if nothing had happened; the table `without` may tell another story."""
        worlds.sound(project)
        found = worlds.state(project)
        differ = [name for name, rows in self.state.items() if rows != found[name] and name != without]
        assert differ == [], "these tables differ"


@pytest.fixture(scope="session")
def courses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Course]:
    """The first delivery, and a second one that replaces files of it."""
    home = tmp_path_factory.mktemp("courses")
    project = home / "project"
    worlds.write(project)
    found = {}
    for name in ("first", "second"):
        shutil.copytree(project, home / name)
        points: list[str] = []
        with watched(points.append):
            worlds.collect_and_build(project)
        worlds.sound(project)
        end = home / f"{name}-end"
        shutil.copytree(project, end)
        found[name] = Course(home / name, end, worlds.state(project), points)
        worlds.change(project)
    return found
