"""Days that are computed at the same time are the days computed one after the other, and stop as these do."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from farthing import build as building
from farthing import clock
from farthing.build import days, inputs, outputs
from farthing.errors import InvariantError
from farthing.lake import Lake
from farthing.lake.schemas import BUILD_DAYS, BUILT, REQUESTS
from farthing.warehouse import POINTER
from tests.farthing.build.world import GPU_POOL, LATER, Silence, World, at

DAYS = range(1, 8)


def _world(threads: int) -> World:
    """A week: on the first and the fourth day requests teach a law, on the others they are too few."""
    world = World(
        GPU_POOL,
        {"name": "disk", "kind": "shared", "driver": "cost", "match": {"ResourceId": "disk"}},
        attribution={"cell_seconds": 60, "law_minimum_requests": 80, "compare": ["tokens"]},
        engine={"threads": threads, "memory_limit": "3GB"},
    )
    world.gpu()
    world.identity("u", "Ann")
    for day in DAYS:
        world.charge(24, at("00:00", day), at("24:00", day), id=f"node-{day}")
        world.charge(day, at("00:00", day), at("24:00", day), resource="disk", id=f"disk-{day}")
        world.usage(at("00:00", day), at("24:00", day), 0.5, every=600)
        for number in range(80 if day in (1, 4) else 8):
            tokens = (500, 1000, 2000, 4000)[number % 4]
            begun = at("00:00", day) + timedelta(minutes=17 * number)
            seen = begun + timedelta(microseconds=200_000 + 1000 * day * tokens)
            world.request(
                begun,
                seen + timedelta(seconds=5),
                first=seen,
                input_tokens=tokens,
                output_tokens=51,
                id=f"r-{day}-{number}",
                user=("u", "bob", "eve")[number % 3],
            )
    return world


def _tables(folder: Path) -> dict[str, Counter[tuple[Any, ...]]]:
    """Every row that a build left in the lake, without the times of the run."""
    rows = {}
    with duckdb.connect() as con:
        lake = Lake(str(folder / "lake"))
        for table in (*BUILT, BUILD_DAYS):
            lake.view(con, table)
            names = ", ".join(f'"{name}"' for name in table.columns if name != "built_at")
            rows[table.name] = Counter(con.execute(f"select {names} from lake.{table.name}").fetchall())
    return rows


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landed")
    _world(1).land(Lake(str(folder / "lake")))
    return folder


@pytest.fixture(scope="module")
def one_by_one(landed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counter[tuple[Any, ...]]]:
    folder = Path(shutil.copytree(landed, tmp_path_factory.mktemp("serial") / "project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(days, "_SMALL_DAY_ROWS", 0)
        assert len(_world(1).build(folder).days_built) == len(DAYS)
    return _tables(folder)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The days of each set of statements, in the order in which they are handed to the lake."""
    batches: list[list[int]] = []
    take = outputs.Outputs.take

    def watched(self: outputs.Outputs, finished: outputs.Finished) -> None:
        batches.append([day.day for day in finished.stamps])
        take(self, finished)

    monkeypatch.setattr(outputs.Outputs, "take", watched)
    return batches


@pytest.mark.parametrize(
    ("threads", "batches"),
    [(1, [[1, 2, 3, 4, 5, 6, 7]]), (2, [[1, 2, 3, 4], [5, 6, 7]]), (4, [[1, 2], [3, 4], [5, 6], [7]])],
)
def test_any_number_of_threads_makes_the_same_rows_with_the_laws_of_earlier_days(
    landed: Path,
    one_by_one: dict[str, Counter[tuple[Any, ...]]],
    tmp_path: Path,
    taken: list[list[int]],
    threads: int,
    batches: list[list[int]],
) -> None:
    folder = Path(shutil.copytree(landed, tmp_path / "project"))
    result = _world(threads).build(folder)
    assert result.days_built == [date(2026, 10, day) for day in DAYS]
    assert _tables(folder) == one_by_one
    assert taken == batches
    inherited = {row[2] for row in one_by_one["build_days"]}
    assert len(inherited) == 3  # none, the law of the first day, that of the fourth


def test_a_big_day_among_small_ones_makes_the_same_rows(
    landed: Path,
    one_by_one: dict[str, Counter[tuple[Any, ...]]],
    tmp_path: Path,
    taken: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(shutil.copytree(landed, tmp_path / "project"))
    lake = Lake(str(folder / "lake"))
    sizes = {day: inputs.pinned(lake, None).rows(date(2026, 10, day)) + 86_400 // 60 for day in DAYS}
    assert [day for day in DAYS if sizes[day] > sizes[3]] == [4]
    monkeypatch.setattr(days, "_SMALL_DAY_ROWS", sizes[3])
    _world(2).build(folder)
    assert _tables(folder) == one_by_one
    assert taken == [[1, 2], [3], [4], [5, 6], [7]]


def test_days_together_have_no_more_rows_than_are_allowed(
    landed: Path,
    one_by_one: dict[str, Counter[tuple[Any, ...]]],
    tmp_path: Path,
    taken: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(shutil.copytree(landed, tmp_path / "project"))
    sizes = [inputs.pinned(Lake(str(folder / "lake")), None).rows(date(2026, 10, day)) + 86_400 // 60 for day in DAYS]
    monkeypatch.setattr(days, "_BATCH_ROWS", sum(sizes[:3]))
    _world(1).build(folder)
    assert _tables(folder) == one_by_one
    assert taken == [[1, 2, 3], [4, 5], [6, 7]]


def test_days_that_need_computing_only_for_another_law_are_computed_one_by_one(
    landed: Path, tmp_path: Path, taken: list[list[int]]
) -> None:
    folder = Path(shutil.copytree(landed, tmp_path / "project"))
    _world(2).build(folder)
    lake = Lake(str(folder / "lake"))
    rows = [row for row in _world(1).rows["requests"] if row["day"] == date(2026, 10, 1)]
    for row in rows:
        row["first_token_at"] += timedelta(milliseconds=100)
    world = World(GPU_POOL)
    world.rows["requests"] = rows
    lake.replace(REQUESTS, world.arrow("requests"), where={"day": date(2026, 10, 1)})
    taken.clear()
    _world(2).build(folder)
    assert taken == [[1], [2], [3]]  # the fourth day taught the others


@pytest.mark.parametrize("threads", [1, 4])
def test_a_breach_in_the_middle_ends_the_build_publishes_nothing_and_keeps_the_days_before(
    landed: Path, tmp_path: Path, taken: list[list[int]], threads: int
) -> None:
    folder = Path(shutil.copytree(landed, tmp_path / "project"))
    lake = Lake(str(folder / "lake"))
    again = World(GPU_POOL)
    again.request(at("12:00", 3), at("12:01", 3), id="r-3-0")
    again.land(lake)
    with pytest.raises(InvariantError, match=r"no_request_twice.*1 row(?s:.*)2026-10-03"):
        _world(threads).build(folder)
    assert [day for some in taken for day in some] == [1, 2]
    assert not (folder / "warehouse" / POINTER).exists()
    with duckdb.connect() as con:
        lake.view(con, BUILD_DAYS)
        built = con.execute("select day(day) from lake.build_days where fingerprint is not null order by 1").fetchall()
    assert built == [(1,), (2,)]
    mended = [row for row in _world(4).rows["requests"] if row["day"] == date(2026, 10, 3)]
    world = World(GPU_POOL)
    world.rows["requests"] = mended
    lake.replace(REQUESTS, world.arrow("requests"), where={"day": date(2026, 10, 3)})
    assert [day.day for day in _world(4).build(folder).days_built] == [3, 4, 5, 6, 7]


def test_who_stops_the_build_leaves_no_thread_at_work(landed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(landed, tmp_path / "project"))

    class Impatience(Silence):
        def advance(self, count: int = 1) -> None:  # noqa: ARG002
            raise KeyboardInterrupt

    before = threading.active_count()
    world = _world(4)
    config = world.config(folder)
    with clock.fixed(LATER), pytest.raises(KeyboardInterrupt):
        building.build(config, Lake(config.lake_path), progress=Impatience())
    assert threading.active_count() == before
    assert len(world.build(folder).days_built) == len(DAYS)
