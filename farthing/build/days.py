"""Computes the days of a build: small ones several at a time, in threads side by side; big ones one by one."""

from __future__ import annotations

from collections import ChainMap, deque
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
from farthing.build import model_prices, runner, settings
from farthing.build.inputs import Inputs
from farthing.build.laws import Laws
from farthing.build.outputs import ROWS_IN_A_PIECE, Finished
from farthing.config import Config
from farthing.errors import InvariantError
from farthing.lake import Lake
from farthing.lake.schemas import BUILT, PREFILL_LAWS, REQUEST_COSTS

#: What a day leaves behind for the lake; request_costs only where it is wanted.
_DAY_TABLES = tuple(table.name for table in BUILT if table not in (PREFILL_LAWS, REQUEST_COSTS))
#: Views that many statements of a small day read: as tables they are computed once.
_READ_OFTEN = frozenset(
    {"api_requests", "day_requests", "flights", "gpu_samples", "priced_requests", "request_money", "weighed_requests"}
)
#: A day of more rows (requests, telemetry, cells of its replicas) is computed alone, by all threads.
_SMALL_DAY_ROWS = 2_000_000
#: Small days are computed together: so many at most, and of so many rows in all if it is more than one.
_BATCH_DAYS = 12
_BATCH_ROWS = 3_500_000
#: What a thread that computes small days wants of the memory, in bytes.
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


@dataclass(frozen=True)
class Batch:
    """Days that are computed together: one, or several small ones that are computed in any case."""

    days: Sequence[Day]
    laws: Future[Laws] = field(default_factory=Future)  # what later days may inherit: those carried on, and its own


def run_days(
    con: duckdb.DuckDBPyConnection,
    plan: Plan,
    days: Sequence[date],
    earlier: Callable[[], Laws],
    hand_on: Callable[[Laws], object],
    *,
    as_tables: frozenset[str] = frozenset(),
) -> tuple[dict[date, Laws], dict[date, Laws]]:
    """Compute and check the open `days`; the laws learned from each, and those that each took from earlier days.

    `earlier` gives the laws known before the first of them, and may wait for them; `hand_on` is told those known after
    the last as soon as they are. Of the views, those in `as_tables` are made tables.

    Raises:
        InvariantError: a check failed, or the engine refused a statement.
    """
    made = set(plan.made)

    def make(*targets: str) -> None:
        runner.run(con, plan.found, targets, without=made, as_tables=as_tables)
        made.update(model.name for model in runner.in_order(plan.found, targets))

    def put(learned: dict[date, Laws]) -> dict[date, Laws]:
        inherited = laws_.inherited(con, learned, before)
        settings.put_laws(con, {day: {**inherited[day], **laws} for day, laws in learned.items()})
        return inherited

    attribution = plan.config.attribution
    make("merged_calls")
    model_prices.put(con, plan.config)
    model_prices.put_billed(con, plan.config)
    make("law_samples")
    learned = laws_.learned(con, days, attribution.law_minimum_requests)
    before = earlier()
    put(learned)
    make("law_delays")
    learned = laws_.with_stalls(con, learned)
    hand_on(dict(ChainMap(*reversed(learned.values()), before)))
    inherited = put(learned)
    make("cost_ledger")
    make(*_DAY_TABLES, *(["request_costs"] if attribution.request_costs else []))
    checks = sorted(name for name, model in plan.found.items() if model.file.startswith("sql/checks/day/"))
    runner.check(con, plan.found, checks)
    return learned, inherited


def computed(con: duckdb.DuckDBPyConnection, plan: Plan, days: Sequence[Day]) -> Generator[Finished | None]:
    """All of `days` in their order, computed, several at a time; None for one that is current.

    What is given of a big day must be taken before the next is asked for. `con` holds the tables of the bill. An error
    is raised in the place of its day; whoever stops before the end must close the iterator.
    """
    [(threads, memory)] = con.execute(
        "select current_setting('threads')::bigint, parse_formatted_bytes(current_setting('memory_limit'))"
    ).fetchall()
    workers = max(1, min(threads, memory // _WORKER_BYTES))
    before: Future[Laws] = Future()
    before.set_result({})
    batches = list(_batches(days, workers))
    chain = list(zip([before, *(batch.laws for batch in batches)], batches, strict=False))
    for is_big, stretch in groupby(chain, key=lambda link: link[1].days[0].is_big):
        links = list(stretch)
        if is_big:
            yield from (_compute(con, plan, batch, earlier) for earlier, batch in links)
        else:
            yield from _side_by_side(con, plan, links, workers)


def _batches(days: Sequence[Day], workers: int) -> Iterator[Batch]:
    """`days` in their order: small ones that are computed in any case together, each other one by itself."""
    for is_together, stretch in groupby(days, key=lambda day: day.is_changed and not day.is_big):
        some = list(stretch)
        most = min(_BATCH_DAYS, -(-len(some) // workers)) if is_together else 1
        batch: list[Day] = []
        rows = 0
        for day in some:
            if batch and (len(batch) == most or rows + day.rows > _BATCH_ROWS):
                yield Batch(batch)
                batch, rows = [], 0
            batch.append(day)
            rows += day.rows
        yield Batch(batch)


def _side_by_side(
    con: duckdb.DuckDBPyConnection, plan: Plan, links: Sequence[tuple[Future[Laws], Batch]], workers: int
) -> Generator[Finished | None]:
    changed = sum(batch.days[0].is_changed for _, batch in links)
    with (
        _workers(con, plan, max(1, min(workers, changed))) as (free, cursors),
        ThreadPoolExecutor(len(cursors)) as pool,
    ):

        def compute(earlier: Future[Laws], batch: Batch) -> tuple[list[Finished | None], InvariantError | None]:
            cursor = free.get()
            try:
                return _compute_small(cursor, plan, batch, earlier)
            finally:
                free.put(cursor)

        # A batch waits for the laws of the one before it: in a pool that starts them in order, that one is at work.
        waiting = iter(links)
        running = deque(pool.submit(compute, *link) for link in islice(waiting, 2 * len(cursors)))
        try:
            while running:
                finished, breach = running[0].result()
                yield from finished
                if breach is not None:
                    raise breach
                running.popleft()
                running.extend(pool.submit(compute, *link) for link in islice(waiting, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in running):  # after an error: what still runs is of no use
                for cursor in cursors:
                    cursor.interrupt()
                wait(running, timeout=0.1)


def _compute_small(
    con: duckdb.DuckDBPyConnection, plan: Plan, batch: Batch, before: Future[Laws]
) -> tuple[list[Finished | None], InvariantError | None]:
    """What came of a batch of small days; when a check fails, of its days one by one up to the one that fails."""
    try:
        return [_compute(con, plan, batch, before, as_tables=_READ_OFTEN)], None
    except InvariantError as breach:
        if len(batch.days) == 1:
            return [], breach
        finished: list[Finished | None] = []
        for day in batch.days:
            alone = Batch([day])
            found, its_own = _compute_small(con, plan, alone, before)
            if its_own is not None:
                return finished, its_own
            finished += found
            before = alone.laws
        return [], breach


@contextmanager
def _workers(
    con: duckdb.DuckDBPyConnection, plan: Plan, count: int
) -> Iterator[tuple[SimpleQueue[duckdb.DuckDBPyConnection], list[duckdb.DuckDBPyConnection]]]:
    """`count` connections, each of which uses an in-memory database of its own in the engine of `con`.

    They share the engine's memory, and threads that are not theirs help all.
    """
    [(threads,)] = con.execute("select current_setting('threads')::bigint").fetchall()
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
    """Show in a worker's database what was made before the days; what changes later it gets for itself."""
    inputs_.attach_beside(cursor, plan.lake)
    settings.prepare(cursor, plan.config, plan.horizon, plan.inputs.logged())
    for name in sorted(plan.made):
        cursor.execute(f"create view {name} as select * from build.main.{name}")


def _compute(
    con: duckdb.DuckDBPyConnection,
    plan: Plan,
    batch: Batch,
    before: Future[Laws],
    *,
    as_tables: frozenset[str] = frozenset(),
) -> Finished | None:
    """The days of a batch, computed; None when its only day is current."""
    first = batch.days[0]
    days = [one.day for one in batch.days]
    try:
        if not first.is_changed:
            earlier = before.result()
            if first.is_current(earlier):
                batch.laws.set_result({**earlier, **first.taught})
                return None
        inputs_.open_days(con, plan.lake, plan.inputs, days)
        settings.open_days(con, {day: sum(file.rows for file in plan.inputs.request_files(day)) for day in days})
        learned, inherited = run_days(con, plan, days, before.result, batch.laws.set_result, as_tables=as_tables)
        return _finished(con, plan, batch, learned, inherited, whole=bool(as_tables))
    except BaseException as error:
        if not batch.laws.done():
            batch.laws.set_exception(error)  # whoever waits for these days cannot go on either
        raise


def _finished(
    con: duckdb.DuckDBPyConnection,
    plan: Plan,
    batch: Batch,
    learned: dict[date, Laws],
    inherited: dict[date, Laws],
    *,
    whole: bool,
) -> Finished:
    rows = {
        table: con.sql(f"select * from {table.name}").to_arrow_table() for table in BUILT if table.name in _DAY_TABLES
    }
    rows[PREFILL_LAWS] = pa.Table.from_pylist(laws_.rows(learned), schema=PREFILL_LAWS.schema)
    request_costs = None
    if plan.config.attribution.request_costs:
        # Read through a cursor of its own, as the reader stays open while the lake writes what it gave.
        request_costs = (
            (con if whole else con.cursor()).sql("select * from request_costs").to_arrow_reader(ROWS_IN_A_PIECE)
        )
        if whole:
            request_costs = request_costs.read_all().to_reader(ROWS_IN_A_PIECE)
    stamps = {one.day: (one.mark, laws_.as_json(inherited[one.day])) for one in batch.days}
    return Finished(stamps, rows, request_costs)
