"""What the processes of the concurrency tests do; imports little, because each process imports it anew."""

from __future__ import annotations

from typing import Any

from farthing.lake import Lake
from tests.farthing.lake.worlds import THINGS, row, things


def append(path: str, options: dict[str, str], start: Any, worker: int, loads: int) -> None:
    lake = Lake(path, options)
    start.wait()
    for number in range(loads):
        assert lake.append(
            THINGS, things([row(f"{worker}-{number}", source=str(worker % 2))]), load=f"{worker}-{number}"
        )


def same_load(path: str, options: dict[str, str], start: Any, worker: int, landed: Any) -> None:
    lake = Lake(path, options)
    start.wait()
    for number in range(5):
        if lake.append(THINGS, things([row(f"{number}", load=str(worker))]), load=f"load-{number}"):
            landed.put(number)


def mixed(path: str, options: dict[str, str], start: Any, worker: int, rounds: int) -> None:
    """Everybody upserts the same keys into changing partitions, and replaces a partition of its own."""
    lake = Lake(path, options)
    start.wait()
    for number in range(rounds):
        mine = [row(str(key), day=(worker + number + key) % 5 + 1) for key in range(6)]
        lake.upsert(THINGS, things(mine), load=f"u-{worker}-{number}")
        own = [row(f"own-{worker}-{number}", source=f"w{worker}")]
        lake.replace(THINGS, things(own), where={"x_source": f"w{worker}"}, load=f"r-{worker}-{number}")
