"""The log of runs: how one ended, and since when a step fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from farthing.lake import Lake
from farthing.running import log
from farthing.running.log import Run, Step

_BEGAN = datetime(2026, 11, 2, 7, 5, tzinfo=UTC)


def _run(number: int, **states: str) -> Run:
    steps = [
        Step(name, state, 1.0, f"{name} {state}", 3 if state == "failed" else 0)  # type: ignore[arg-type]
        for name, state in states.items()
    ]
    began = _BEGAN + timedelta(hours=number)
    return Run(f"run-{number}", began, began + timedelta(minutes=1), steps)


@pytest.mark.parametrize(("codes", "worst"), [([0, 0], 0), ([3, 0], 3), ([3, 1], 1), ([2, 3], 2)])
def test_a_run_ends_as_the_step_that_failed_worst(codes: list[int], worst: int) -> None:
    steps = [Step("step", "failed" if code else "ok", 1.0, "", code) for code in codes]
    assert Run("run", _BEGAN, _BEGAN, steps).exit_code == worst


def test_a_step_fails_since_the_first_run_of_its_streak(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    assert log.failing_since(lake) == {}
    log.write(lake, _run(1, collect="failed", build="ok"))
    log.write(lake, _run(2, collect="ok", build="failed"))
    log.write(lake, _run(3, collect="failed", build="failed"))
    log.write(lake, _run(4, collect="skipped", build="failed"))
    assert log.failing_since(lake) == {"collect": "run-3", "build": "run-2"}, "what was left out says nothing"
    log.write(lake, _run(5, collect="ok", build="ok"))
    assert log.failing_since(lake) == {}
