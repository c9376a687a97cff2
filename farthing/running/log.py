"""The log of runs: what each step did, how long it took, and since when one of them fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

import duckdb

from farthing import __version__, issued
from farthing.lake import Lake
from farthing.lake.issued import RUNS

StepState = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class Step:
    """One step of a run: what it did or why it failed, in words, and the exit code that this is."""

    name: str
    state: StepState
    seconds: float
    said: str
    exit_code: int = 0


@dataclass(frozen=True)
class Run:
    """A run that ended."""

    run_id: str
    started_at: datetime
    ended_at: datetime
    steps: Sequence[Step]

    @property
    def exit_code(self) -> int:
        """That of the step that failed worst: a failed check, then wrong configuration, then what cannot be reached."""
        return next((code for code in (1, 2, 3) if any(step.exit_code == code for step in self.steps)), 0)

    @property
    def failed(self) -> list[Step]:
        """The steps that failed."""
        return [step for step in self.steps if step.state == "failed"]


def write(lake: Lake, run: Run) -> None:
    """Keep `run` in the lake."""
    row = {
        "run_id": run.run_id,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "state": "failed" if run.failed else "ok",
        "exit_code": run.exit_code,
        "steps": json.dumps([asdict(step) for step in run.steps]),
        "error": run.failed[0].said if run.failed else None,
        "version": __version__,
    }
    issued.put(lake, RUNS, [row])


def failing_since(lake: Lake) -> dict[str, str]:
    """Each step that failed in the newest run in which it was not skipped, and the run since which it fails."""
    with duckdb.connect() as con:
        rows = con.execute(f"select run_id, steps from ({lake.select(RUNS)}) order by started_at, run_id").fetchall()
    since: dict[str, str] = {}
    for run_id, steps in rows:
        for step in json.loads(steps):
            if step["state"] == "failed":
                since.setdefault(step["name"], run_id)
            elif step["state"] == "ok":
                since.pop(step["name"], None)
    return since
