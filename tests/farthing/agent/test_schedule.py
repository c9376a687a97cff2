"""The schedule: one child at a time, about each quarter of an hour, and never in the way of the sampling."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from farthing.agent.schedule import PERIOD_SECONDS, Schedule


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def until(done: Path) -> None:
    deadline = time.monotonic() + 20
    while not done.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(schedule: Schedule) -> None:
    deadline = time.monotonic() + 20
    while schedule._child is not None and schedule._child.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_children_come_one_after_the_other_about_each_period(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    command = python(f"open({str(tmp_path / 'runs')!r}, 'a').write('x')")
    schedule = Schedule(command, said.append, monotonic=clock)
    for _ in range(3 * 60):  # three hours, looked at each minute
        clock.now += 60
        schedule.tick()
        ended(schedule)
    runs = len((tmp_path / "runs").read_text())
    assert 10 <= runs <= 14
    assert said == []


def test_nodes_that_start_together_do_not_ship_together() -> None:
    first = [Schedule([], print, monotonic=Clock())._next for _ in range(200)]
    assert max(first) - min(first) > 0.8 * PERIOD_SECONDS
    assert 1000 <= min(first) <= max(first) <= 1000 + PERIOD_SECONDS


def test_a_child_that_fails_is_said_and_the_next_one_comes(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    schedule = Schedule(python("raise SystemExit(3)"), said.append, monotonic=clock)
    for _ in range(4):
        clock.now += 1.2 * PERIOD_SECONDS
        schedule.tick()
        ended(schedule)
    assert len(said) == 3
    assert "code 3" in said[0]


def test_a_command_that_is_not_there_is_said_and_stops_nothing() -> None:
    clock, said = Clock(), list[str]()
    schedule = Schedule(["/nowhere/farthing"], said.append, monotonic=clock)
    clock.now += PERIOD_SECONDS
    schedule.tick()
    schedule.stop()
    assert "could not be started" in said[0]


def test_a_tick_does_not_wait_and_a_stop_ends_the_child(tmp_path: Path) -> None:
    clock, said, begun = Clock(), list[str](), tmp_path / "begun"
    schedule = Schedule(python(f"import time; open({str(begun)!r}, 'w'); time.sleep(60)"), said.append, monotonic=clock)
    clock.now += PERIOD_SECONDS
    began = time.monotonic()
    schedule.tick()
    until(begun)
    child = schedule._child
    clock.now += 2 * PERIOD_SECONDS
    schedule.tick()
    assert schedule._child is child  # one at a time
    schedule.stop()
    assert time.monotonic() - began < 15
    assert child is not None
    assert child.returncode == -15
    clock.now += 3601  # one that hangs is ended
    schedule.tick()
    child = schedule._child
    assert child is not None
    clock.now += 3601
    schedule.tick()
    assert child.returncode == -9
    assert "did not end" in said[0]
    schedule.stop()
