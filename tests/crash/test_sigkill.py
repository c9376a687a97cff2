"""SIGKILL of a collection or a build, anywhere: run again, the ledger is the one of a run that nobody disturbed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from random import Random
from time import monotonic, sleep
from typing import Any

import pytest
from deltalake import DeltaTable

from tests.conftest import ROOT
from tests.crash import worlds
from tests.crash.child import watched

#: How a run ends that died at its point.
KILLED = -9
State = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Course:
    """One delivery, what it leaves when nobody disturbs it, and the points that it comes to."""

    start: Path
    state: State
    points: list[str]


@pytest.fixture(scope="module")
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
        found[name] = Course(home / name, worlds.state(project), points)
        worlds.change(project)
    return found


def child(project: Path, *options: str) -> subprocess.Popen[str]:
    """A process that collects and builds `project`."""
    command = [sys.executable, "-m", "tests.crash.child", str(project), *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def killed_at(point: str, course: Course, project: Path) -> None:
    """Kill a run of `course` at `point`, run again, and compare."""
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(course.start, project)
    with child(project, "--kill", point) as process:
        assert process.wait() == KILLED, f"the run never came to {point}"
    worlds.collect_and_build(project)
    same(project, course, point)


def same(project: Path, course: Course, what: str) -> None:
    worlds.sound(project)
    found = worlds.state(project)
    other = [name for name, rows in course.state.items() if rows != found[name]]
    assert other == [], f"after {what} these tables differ: {other}"


#: Where most can go wrong, in the order of a run.
DANGEROUS = [
    "lake.requests.after:1",  # the rows are replaced, the line that says so is missing
    "lake.cost_ledger.after:1",  # the ledger is of the new bill, all other tables of the old one
    "publish.before:1",  # the warehouse is whole, nobody can see it
]


def test_a_run_that_is_killed_again_and_again_comes_to_the_same(courses: dict[str, Course], tmp_path: Path) -> None:
    course, project = courses["second"], tmp_path / "project"
    shutil.copytree(course.start, project)
    for point in DANGEROUS:
        with child(project, "--kill", point) as process:
            assert process.wait() == KILLED, f"the run never came to {point}"
    worlds.collect_and_build(project)
    same(project, course, "three kills")


@pytest.mark.heavy
@pytest.mark.parametrize("delivery", ["first", "second"])
def test_a_kill_at_any_commit_point_changes_nothing(courses: dict[str, Course], tmp_path: Path, delivery: str) -> None:
    points = courses[delivery].points
    wrong = everywhere(points, tmp_path, lambda point, project: killed_at(point, courses[delivery], project))
    assert wrong == {}, f"{len(wrong)} of {len(points)} points"


@pytest.mark.heavy
@pytest.mark.parametrize("delivery", ["first", "second"])
def test_a_kill_at_a_random_moment_changes_nothing(courses: dict[str, Course], tmp_path: Path, delivery: str) -> None:
    course = courses[delivery]
    shutil.copytree(course.start, tmp_path / "timed")
    with child(tmp_path / "timed") as process:
        ready(process)
        began = monotonic()
        assert process.wait() == 0
        lasts = monotonic() - began
    random = Random(delivery)

    def killed_after(seconds: str, project: Path) -> None:
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(course.start, project)
        with child(project) as process:
            ready(process)
            sleep(float(seconds))
            process.kill()
        worlds.collect_and_build(project)
        same(project, course, f"{seconds} s")

    wrong = everywhere([f"{random.uniform(0, lasts):.3f}" for _ in range(10)], tmp_path, killed_after)
    assert wrong == {}


def test_the_points_are_around_every_commit_of_rows(courses: dict[str, Course]) -> None:
    """No write escapes the sweep: the lake's logs have as many commits of rows as there are points."""
    project = courses["first"].start.parent / "project"
    _, lake = worlds.opened(project)
    for table in worlds.TABLES:
        points = [one for course in courses.values() for one in course.points if f"lake.{table.name}.after" in one]
        made = [] if lake.version(table) is None else DeltaTable(f"{lake.path}/{table.name}").history()
        assert len([commit for commit in made if commit["operation"] == "WRITE"]) == len(points), table.name
    assert [course.points[-2:] for course in courses.values()] == 2 * [["publish.before:1", "publish.after:1"]]


def ready(process: subprocess.Popen[str]) -> None:
    """Wait until everything is imported and the work begins."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def everywhere(cases: list[str], home: Path, attempt: Callable[[str, Path], None]) -> dict[str, str]:
    """What went wrong in which case; two at a time, each in a folder of its own."""
    folders: Queue[Path] = Queue()
    for number in range(2):
        folders.put(home / str(number))

    def one(case: str) -> tuple[str, str]:
        folder = folders.get()
        try:
            attempt(case, folder)
        except Exception as error:  # noqa: BLE001  every case is told
            return case, f"{type(error).__name__}: {error}"
        finally:
            folders.put(folder)
        return case, ""

    with ThreadPoolExecutor(2) as pool:
        found: Iterator[tuple[str, str]] = pool.map(one, cases)
        return {case: problem for case, problem in found if problem}
