"""A process that collects and builds a project, and dies by SIGKILL at the commit point that it is told."""

from __future__ import annotations

import argparse
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from farthing import commit_points
from tests.crash import worlds

#: Every moment that a run may come to.
NAMES = [
    *(f"lake.{table.name}.{side}" for table in worlds.TABLES for side in ("before", "after")),
    "publish.before",
    "publish.after",
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("project", type=Path)
    parser.add_argument(
        "--kill", metavar="POINT:N", help="die when POINT is reached for the N-th time; else run to the end"
    )
    asked = parser.parse_args()
    with watched(lambda point: point == asked.kill and os.kill(os.getpid(), signal.SIGKILL)):
        print("ready", flush=True)
        worlds.collect_and_build(asked.project)


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


if __name__ == "__main__":
    main()
