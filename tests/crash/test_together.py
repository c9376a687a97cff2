"""Two collections or two builds at once: the second waits for the first, says so, and the end is as if nothing was."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from farthing.errors import SourceError
from farthing.locks import alone
from tests.crash import worlds
from tests.crash.child import started, wait_for
from tests.crash.conftest import Course


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("verb", "point"),
    [
        ("collect", "lake.requests.before:2"),  # has read the old log, and is about to write it
        ("build", "lake.cost_ledger.after:1"),  # has read the old bill, and written a part of its ledger
    ],
)
def test_the_second_waits_and_what_it_found_changed_is_what_counts(
    courses: dict[str, Course], tmp_path: Path, verb: str, point: str
) -> None:
    project = tmp_path / "project"
    shutil.copytree(courses["first"].start, project)
    with started(project, "--pause", point) as early:
        wait_for(early, "paused")
        worlds.change(project)
        with started(project) as late:
            wait_for(late, f"waiting for another `farthing {verb}` (process {early.pid})")
            (project / "go").touch()
            assert (early.wait(), late.wait()) == (0, 0)
    courses["second"].check(project)
    assert worlds.collect_and_build(project).days_built == []


def test_who_waits_too_long_is_told_which_process_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farthing.locks._PATIENCE_SECONDS", 0.3)
    done = threading.Event()

    def hold() -> None:
        with alone(tmp_path, "build", lambda _line: None):
            held.set()
            done.wait()

    held = threading.Event()
    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    try:
        late = alone(tmp_path, "build", lambda _line: None)
        with pytest.raises(SourceError, match=f"`farthing build` .process {os.getpid()}. is still at work"), late:
            pass
        with alone(tmp_path, "collect", lambda _line: None):  # the verbs do not hinder each other
            pass
    finally:
        done.set()
        other.join()
    with alone(tmp_path, "build", lambda _line: None):
        pass
