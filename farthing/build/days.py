"""Computes the days of a build: small ones side by side, each thread in a database of its own; big ones one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby, islice
from queue import SimpleQueue

import duckdb
import pyarrow as pa

from farthing.build import inputs as inputs_
from farthing.build import laws as laws_
from farthing.build import runner, settings
from farthing.build.inputs import Inputs
from farthing.build.laws import Laws
from farthing.build.outputs import ROWS_IN_A_PIECE, Finished
from farthing.config import Config
from farthing.lake import Lake
from farthing.lake.schemas import BUILT, PREFILL_LAWS, REQUEST_COSTS

#: What a day leaves behind for the lake; request_costs only where it is wanted.
_DAY_TABLES = tuple(table.name for table in BUILT if table not in (PREFILL_LAWS, REQUEST_COSTS))
#: Views that many statements of a small day read: as tables they are computed once.
_READ_OFTEN = frozenset({"day_requests", "flights", "gpu_samples", "request_money", "weighed_requests"})
#: A day of more rows (requests, telemetry, cells of its replicas) is computed alone, by all threads.
_SMALL_DAY_ROWS = 2_000_000
#: What a thread that computes a small day wants of the memory, in bytes.
_WORKER_BYTES = 500_000_000


@dataclass(frozen=True)
class Plan:
    """What all days are computed by: the inputs, the SQL, and the names of what was made before the days."""

    config: Config
    lake: Lake
    inputs: Inputs
    horizon: datetime
    found: dict[str, runner.Model]
    made: frozenset[str]


@dataclass(frozen=True)
class Day:
    """A day that may have to be computed.

    `mark` is its fingerprint; `kept` are fingerprint and inherited laws of what the ledger has, None when that is
    nothing or half; `taught` are the laws learned from it then. A day that `stays` is left as it is.
    """

    day: date
    mark: str
    kept: tuple[str, str] | None
    taught: Laws
    stays: bool
    rows: int
    laws: Future[Laws] = field(default_factory=Future)  # what later days may inherit: those carried on, and its own

    @property
    def is_big(self) -> bool:
        """Whether it has the machine for itself."""
        return self.rows > _SMALL_DAY_ROWS

    @property
    def is_changed(self) -> bool:
        """Whether it is computed whatever the laws of earlier days are."""
        return not self.stays and (self.kept is None or self.kept[0] != self.mark)

    def is_current(self, earlier: Laws) -> bool:
        """Whether the ledger has what would be computed with the laws of `earlier` days."""
        if self.stays or self.kept is None or self.is_changed:
            return self.stays
        wanted = laws_.keys_of(self.kept[1])
        return laws_.as_json({key: earlier[key] for key in wanted if key in earlier}) == self.kept[1]


def run_day(
    con: duckdb.DuckDBPyConnection,
    plan: Plan,
    earlier: Callable[[], Laws],
    hand_on: Callable[[Laws], object],
    *,
    as_tables: frozenset[str] = frozenset(),
) -> tuple[Laws, Laws]:
    """Compute and check the open day; the laws learned from it, and those that it took from earlier days.

    `earlier` gives the laws of earlier days, and may wait for them; `hand_on` is told those of this day as soon as they
    are known. Of the views, those in `as_tables` are made tables.

    Raises:
        InvariantError: a check failed, or the engine refused a statement.
    """
    made = set(plan.made)

    def make(*targets: str) -> None:
        runner.run(con, plan.found, targets, without=made, as_tables=as_tables)
        made.update(model.name for model in runner.in_order(plan.found, targets))

    attribution = plan.config.attribution
    make("law_samples")
    today = laws_.learned_today(con, attribution.law_minimum_requests)
    used = laws_.inherited(con, today, earlier())
    settings.put_laws(con, {**used, **today})
    make("law_delays")
    today = laws_.with_stalls(con, today)
    hand_on(today)
    settings.put_laws(con, {**used, **today})
    make("cost_ledger")
    make(*_DAY_TABLES, *(["request_costs"] if attribution.request_costs else []))
    checks = sorted(name for name, model in plan.found.items() if model.file.startswith("sql/checks/day/"))
    runner.check(con, plan.found, checks)
    return today, used


def computed(con: duckdb.DuckDBPyConnection, plan: Plan, days: Sequence[Day]) -> Generator[Finished | None]:
    """Each of `days` in their order, computed; None for one that is current.

    What is given of a big day must be taken before the next is asked for. `con` holds the tables of the bill. An error
    is raised in the place of its day; whoever stops before the end must close the iterator.
    """
    before: Future[Laws] = Future()
    before.set_result({})
    chain = list(zip([before, *(day.laws for day in days)], days, strict=False))
    for is_big, stretch in groupby(chain, key=lambda link: link[1].is_big):
        links = list(stretch)
        if is_big:
            yield from (_compute(con, plan, day, earlier) for earlier, day in links)
        else:
            yield from _side_by_side(con, plan, links)


def _side_by_side(
    con: duckdb.DuckDBPyConnection, plan: Plan, links: Sequence[tuple[Future[Laws], Day]]
) -> Generator[Finished | None]:
    changed = sum(day.is_changed for _, day in links)
    with _workers(con, plan, changed) as (free, cursors), ThreadPoolExecutor(len(cursors)) as pool:

        def compute(earlier: Future[Laws], day: Day) -> Finished | None:
            cursor = free.get()
            try:
                return _compute(cursor, plan, day, earlier, as_tables=_READ_OFTEN)
            finally:
                free.put(cursor)

        # A day waits for the laws of the one before it: in a pool that starts them in order, that one is at work.
        waiting = iter(links)
        running = deque(pool.submit(compute, *link) for link in islice(waiting, 2 * len(cursors)))
        try:
            while running:
                yield running[0].result()
                running.popleft()
                running.extend(pool.submit(compute, *link) for link in islice(waiting, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in running):  # after an error: what still runs is of no use
                for cursor in cursors:
                    cursor.interrupt()
                wait(running, timeout=0.1)


@contextmanager
def _workers(
    con: duckdb.DuckDBPyConnection, plan: Plan, days: int
) -> Iterator[tuple[SimpleQueue[duckdb.DuckDBPyConnection], list[duckdb.DuckDBPyConnection]]]:
    """Connections for at most `days` days at a time: each uses an in-memory database of its own in the engine of `con`.

    They share the engine's memory, and threads that are not theirs help all.
    """
    [(threads, memory)] = con.execute(
        "select current_setting('threads')::bigint, parse_formatted_bytes(current_setting('memory_limit'))"
    ).fetchall()
    count = max(1, min(threads, days, memory // _WORKER_BYTES))
    free: SimpleQueue[duckdb.DuckDBPyConnection] = SimpleQueue()
    cursors = []
    con.execute(f"set threads = {threads - count + 1}")
    try:
        for number in range(count):
            cursor = con.cursor()
            cursors.append(cursor)
            cursor.execute(f"attach ':memory:' as worker_{number}")
            cursor.execute(f"use worker_{number}")
            _share(cursor, plan)
            free.put(cursor)
        yield free, cursors
    finally:
        for number, cursor in enumerate(cursors):
            cursor.close()
            con.execute(f"detach database if exists worker_{number}")
        con.execute(f"set threads = {threads}")


def _share(cursor: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Show in a worker's database what was made before the days; what changes from day to day it gets for itself."""
    inputs_.attach(cursor, plan.lake, plan.inputs)
    inputs_.see_held(cursor)
    settings.prepare(cursor, plan.config, plan.horizon, plan.inputs.logged())
    for name in sorted(plan.made):
        cursor.execute(f"create view {name} as select * from build.main.{name}")


def _compute(
    con: duckdb.DuckDBPyConnection,
    plan: Plan,
    day: Day,
    before: Future[Laws],
    *,
    as_tables: frozenset[str] = frozenset(),
) -> Finished | None:
    try:
        if not day.is_changed:
            earlier = before.result()
            if day.is_current(earlier):
                day.laws.set_result({**earlier, **day.taught})
                return None
        inputs_.open_day(con, plan.lake, plan.inputs, day.day)
        requests = sum(file.rows for file in plan.inputs.request_files(day.day))
        settings.open_day(con, plan.config, day.day, plan.horizon, requests)
        today, used = run_day(
            con,
            plan,
            before.result,
            lambda today: day.laws.set_result({**before.result(), **today}),
            as_tables=as_tables,
        )
        return _finished(con, plan, day, today, used, whole=bool(as_tables))
    except BaseException as error:
        if not day.laws.done():
            day.laws.set_exception(error)  # whoever waits for this day cannot go on either
        raise


def _finished(
    con: duckdb.DuckDBPyConnection, plan: Plan, day: Day, today: Laws, used: Laws, *, whole: bool
) -> Finished:
    rows = {
        table: con.sql(f"select * from {table.name}").to_arrow_table() for table in BUILT if table.name in _DAY_TABLES
    }
    rows[PREFILL_LAWS] = pa.Table.from_pylist(laws_.rows(day.day, today), schema=PREFILL_LAWS.schema)
    request_costs = None
    if plan.config.attribution.request_costs:
        # Read through a cursor of its own, as the reader stays open while the lake writes what it gave.
        request_costs = (
            (con if whole else con.cursor()).sql("select * from request_costs").to_arrow_reader(ROWS_IN_A_PIECE)
        )
        if whole:
            request_costs = request_costs.read_all().to_reader(ROWS_IN_A_PIECE)
    return Finished(day.day, day.mark, laws_.as_json(used), rows, request_costs)
