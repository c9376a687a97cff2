"""The lake's promises to many processes that write at the same time."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from farthing.lake import Lake
from tests.farthing.lake.worlds import THINGS, ids, read, row, things
from tests.farthing.lake.writers import append, mixed, same_load

SPAWN = multiprocessing.get_context("spawn")  # deltalake does not survive a fork


def _run(target: Any, lake: Lake, workers: int, argument: Any) -> None:
    start = SPAWN.Barrier(workers)
    processes: list[BaseProcess] = [
        SPAWN.Process(target=target, args=(lake.path, lake._options, start, worker, argument))
        for worker in range(workers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * workers


@pytest.mark.heavy
def test_eight_processes_that_make_and_fill_a_table_at_once_lose_nothing(folder: Lake) -> None:
    _run(append, folder, 8, 5)
    assert ids(folder) == sorted(f"{worker}-{number}" for worker in range(8) for number in range(5))


@pytest.mark.slow
def test_processes_that_make_and_fill_a_table_at_once_lose_nothing(lake: Lake) -> None:
    _run(append, lake, 2, 6)
    assert ids(lake) == sorted(f"{worker}-{number}" for worker in range(2) for number in range(6))


@pytest.mark.slow
def test_many_that_make_one_table_in_the_same_moment_all_write_to_it(tmp_path: Path) -> None:
    start = threading.Barrier(8)

    def make(place: tuple[int, int]) -> bool:
        number, worker = place
        lake = Lake(str(tmp_path / str(number)))
        start.wait(timeout=20)
        return lake.append(THINGS, things([row(str(worker))]), load=str(worker))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(make, itertools.product(range(10), range(8))))
    for number in range(10):
        assert ids(Lake(str(tmp_path / str(number)))) == [str(worker) for worker in range(8)]


@pytest.mark.slow
def test_two_processes_with_the_same_loads_land_each_once(lake: Lake) -> None:
    landed = SPAWN.Queue()
    _run(same_load, lake, 2, landed)
    assert sorted(landed.get(timeout=5) for _ in range(5)) == list(range(5))
    assert ids(lake) == [str(number) for number in range(5)]


@pytest.mark.heavy
def test_processes_that_upsert_the_same_keys_at_once_never_make_one_twice(folder: Lake) -> None:
    _run(mixed, folder, 3, 4)
    assert read(folder, "select id from lake.things where x_source = 'a' order by 1") == [(str(k),) for k in range(6)]
    assert read(folder, "select id from lake.things where x_source like 'w%' order by 1") == [
        (f"own-{worker}-3",) for worker in range(3)
    ]
