"""A process that collects and builds a project, and dies by SIGKILL, or waits, at the commit point that it is told."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from farthing import clock, commit_points
from tests.conftest import ROOT
from tests.crash import worlds

#: How a process ends that was killed.
KILLED = -signal.SIGKILL
#: A pause ends by itself, so that a failed test ends too.
_PAUSE_SECONDS = 60
#: Every moment that a run may come to.
NAMES = [
    *(f"lake.{table.name}.{side}" for table in worlds.TABLES for side in ("before", "after")),
    "publish.before",
    "publish.after",
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("project", type=Path)
    parser.add_argument("--kill", metavar="POINT:N", help="die when POINT is reached for the N-th time")
    parser.add_argument("--collect", metavar="TIME", help="collect only, as if it were TIME, and do not build")
    parser.add_argument("--pause", metavar="POINT:N", help="wait there until the file PROJECT/go is there")
    asked = parser.parse_args()

    def see(point: str) -> None:
        if point == asked.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if point == asked.pause:
            print("paused", flush=True)
            deadline = time.monotonic() + _PAUSE_SECONDS
            while not (asked.project / "go").exists():
                assert time.monotonic() < deadline, "nobody said go"
                time.sleep(0.05)

    with watched(see):
        print("ready", flush=True)
        say = partial(print, flush=True)
        if asked.collect:
            moment = datetime.fromisoformat(asked.collect)
            clock.now = lambda: moment  # in every thread
            worlds.collect(asked.project, say)
        else:
            worlds.collect_and_build(asked.project, say)


@contextmanager
def watched(see: Callable[[str], object]) -> Iterator[None]:
    """Call `see` with each point that is reached and how many times it was, as in `publish.before:1`."""
    reached: Counter[str] = Counter()

    def come(name: str) -> None:
        reached[name] += 1
        see(f"{name}:{reached[name]}")

    for name in NAMES:
        commit_points.on(name, partial(come, name))
    yield
    for name in NAMES:
        commit_points.on(name, None)


def started(project: Path, *options: str, scratch: Path | None = None) -> subprocess.Popen[str]:
    """A process that collects and builds `project`, with everything imported and the work just begun."""
    command = [sys.executable, "-m", "tests.crash.child", str(project), *options]
    environment = {**os.environ, **({"TMPDIR": str(scratch)} if scratch else {})}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    wait_for(process, "ready")
    return process


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    """Read what `process` says until it says `word`."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return
    raise AssertionError(f"the process ended and never said '{word}'")


if __name__ == "__main__":
    main()
