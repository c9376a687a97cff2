"""SIGKILL of a collection or a build, anywhere: run again, the ledger is the one of a run that nobody disturbed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from random import Random
from time import monotonic, sleep, time

import pytest
from deltalake import DeltaTable

from farthing import clock
from farthing.locks import scratch
from tests.crash import worlds
from tests.crash.child import KILLED, started
from tests.crash.conftest import Course

pytestmark = pytest.mark.slow  # builds of a whole project

#: Where most can go wrong, in the order of a run.
DANGEROUS = [
    "lake.requests.after:1",  # the rows are replaced, the line that says so is missing
    "lake.cost_ledger.after:1",  # the ledger is of the new bill, all other tables of the old one
    "publish.before:1",  # the warehouse is whole, nobody can see it
]


def kill_at(point: str, project: Path, temporary: Path | None = None) -> None:
    with started(project, "--kill", point, scratch=temporary) as process:
        assert process.wait() == KILLED, f"the run never came to {point}"


@pytest.mark.heavy
def test_a_run_that_is_killed_again_and_again_comes_to_the_same_and_leaves_nothing_behind(
    courses: dict[str, Course], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course, project, temporary = courses["second"], tmp_path / "project", tmp_path / "temporary"
    temporary.mkdir()
    shutil.copytree(course.start, project)
    for point in DANGEROUS:
        kill_at(point, project, temporary)
    (project / "warehouse" / ".CURRENT.killed").touch()
    assert len(worlds.leftovers(project)) == 2  # with the warehouse that nobody saw; `check` finds both gone
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with scratch() as living:
        folders = list(temporary.iterdir())
        assert len(folders) > len(DANGEROUS)
        for folder in folders:
            os.utime(folder, (time() - 3600, time() - 3600))
        worlds.collect_and_build(project)
        assert list(temporary.iterdir()) == [living]
    course.check(project)


@pytest.mark.parametrize("before", ["rule", pytest.param("bill", marks=pytest.mark.heavy)])
def test_what_a_killed_build_was_about_may_be_taken_back(
    courses: dict[str, Course], tmp_path: Path, before: str
) -> None:
    """A half-written day does not count as built when rules and input are again those of the build before."""
    project = tmp_path / "project"
    shutil.copytree(courses["first"].end, project)
    if before == "rule":
        worlds.configure(project, driver="users")
    else:
        worlds.bill(project, "0.25")
    kill_at("lake.cost_ledger.after:1", project)
    shutil.copy2(courses["first"].end / "farthing.toml", project)
    shutil.copy2(courses["first"].end / "bill.csv", project)
    worlds.collect_and_build(project)
    courses["first"].check(project)


def test_a_file_that_is_put_back_after_a_kill_is_not_taken_for_unchanged(
    courses: dict[str, Course], tmp_path: Path
) -> None:
    aside, project = courses["first"].end, tmp_path / "project"
    shutil.copytree(aside, project)
    worlds.change(project)
    kill_at("lake.requests.after:1", project)
    shutil.copy2(aside / "requests" / "log.csv", project / "requests")
    shutil.copy2(aside / "bill.csv", project)
    worlds.collect_and_build(project)
    courses["first"].check(project, without="loads")  # who was first with a row that two files have may be another


def test_what_is_published_stays_though_the_clock_went_back(
    courses: dict[str, Course], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FARTHING_WAREHOUSE__KEEP", "1")
    project = tmp_path / "project"
    shutil.copytree(courses["second"].start, project)
    with clock.fixed(clock.now().replace(year=2026, month=10, day=20)):
        worlds.collect_and_build(project)
    courses["second"].check(project)


@pytest.mark.heavy
@pytest.mark.parametrize("delivery", ["first", "second"])
def test_a_kill_at_any_commit_point_changes_nothing(courses: dict[str, Course], tmp_path: Path, delivery: str) -> None:
    course = courses[delivery]

    def killed_at(point: str, project: Path) -> None:
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(course.start, project)
        kill_at(point, project)
        worlds.collect_and_build(project)
        course.check(project)

    assert len(course.points) >= 40
    assert everywhere(course.points, tmp_path, killed_at) == {}


@pytest.mark.heavy
@pytest.mark.parametrize("delivery", ["first", "second"])
def test_a_kill_at_a_random_moment_changes_nothing(courses: dict[str, Course], tmp_path: Path, delivery: str) -> None:
    course = courses[delivery]
    shutil.copytree(course.start, tmp_path / "timed")
    with started(tmp_path / "timed") as process:
        began = monotonic()
        assert process.wait() == 0
        lasts = monotonic() - began
    random = Random(delivery)

    def killed_after(seconds: str, project: Path) -> None:
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(course.start, project)
        with started(project) as process:
            sleep(float(seconds))
            process.kill()
        worlds.collect_and_build(project)
        course.check(project)

    assert everywhere([f"{random.uniform(0, lasts):.3f}" for _ in range(5)], tmp_path, killed_after) == {}


def test_the_points_are_around_every_commit_of_rows(courses: dict[str, Course]) -> None:
    """No write escapes the sweep: the lake's logs have as many commits of rows as there are points."""
    _, lake = worlds.opened(courses["second"].end)
    for table in worlds.TABLES:
        points = [one for course in courses.values() for one in course.points if f"lake.{table.name}.after" in one]
        made = [] if lake.version(table) is None else DeltaTable(f"{lake.path}/{table.name}").history()
        assert len([commit for commit in made if commit["operation"] == "WRITE"]) == len(points), table.name
    assert [course.points[-2:] for course in courses.values()] == 2 * [["publish.before:1", "publish.after:1"]]


def everywhere(cases: list[str], home: Path, attempt: Callable[[str, Path], None]) -> dict[str, str]:
    """What went wrong in which case; two at a time, each in a folder of its own."""
    folders: Queue[Path] = Queue()
    for number in range(2):
        folders.put(home / str(number))

    def one(case: str) -> str:
        folder = folders.get()
        try:
            attempt(case, folder)
        except Exception as error:  # noqa: BLE001  every case is told
            return f"{type(error).__name__}: {error}"
        finally:
            folders.put(folder)
        return ""

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(cases, pool.map(one, cases), strict=True))
    return {case: problem for case, problem in found.items() if problem}
