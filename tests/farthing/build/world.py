"""The smallest worlds of a build: rows of the lake's tables by hand, run in memory or written to a lake and built."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from farthing import build as building
from farthing import clock
from farthing.build import model_prices, runner, settings
from farthing.build.days import Plan, run_days
from farthing.build.inputs import Inputs
from farthing.config import Config, from_mapping
from farthing.lake import Lake
from farthing.lake.schemas import (
    BUILT,
    CHARGES,
    GPU_INVENTORY,
    GPU_PRICES,
    GPU_USAGE,
    IDENTITIES,
    JOBS,
    METRICS,
    REQUESTS,
    SPANS,
    TIME,
    VENDOR_USAGE,
    Table,
)
from models.prefill_law import PrefillLaw

#: Every world plays in the first days of this month; DAY is its first.
DAY = date(2026, 10, 1)
#: The clock of a build, by default after everything.
LATER = datetime(2026, 11, 15, tzinfo=UTC)
_TABLES = {
    table.name: table
    for table in [
        *(CHARGES, GPU_USAGE, GPU_INVENTORY, GPU_PRICES, REQUESTS, SPANS, JOBS, IDENTITIES, METRICS, VENDOR_USAGE)
    ]
}
_OUTPUTS = {table.name: table for table in BUILT if table.name != "prefill_laws"}
GPU_POOL = {"name": "gpu", "kind": "gpu", "match": {"ResourceId": "node*"}}

_COUNT = itertools.count(1)
_MICROSECOND = timedelta(microseconds=1)

Row = dict[str, Any]
Money = Decimal | int | str


def at(time: str = "00:00", day: int = 1) -> datetime:
    """`time` ("10:00", "10:00:02.5") on the `day`-th of the month, UTC; "24:00" is the next day's beginning."""
    hours, minutes, seconds = (*time.split(":"), "0")[:3]
    moment = timedelta(hours=int(hours), minutes=int(minutes), microseconds=int(Decimal(seconds) * 1_000_000))
    return datetime(DAY.year, DAY.month, 1, tzinfo=UTC) + timedelta(days=day - 1) + moment


TEN = at("10:00")


class Silence:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def start(self, total: int, what: str) -> None:
        self.messages.append(f"{total} {what}")

    def advance(self, count: int = 1) -> None:
        pass

    def message(self, text: str) -> None:
        self.messages.append(text)


class World:
    """Rows of the lake and a configuration; every `add` has defaults that keep the smallest world small."""

    def __init__(self, *pools: Mapping[str, Any], **tables: Any) -> None:
        self.pools = [dict(pool) for pool in pools] or [GPU_POOL]
        self.tables = tables
        self.rows: dict[str, list[Row]] = {name: [] for name in _TABLES}

    def config(self, root: Path = Path("/nowhere")) -> Config:
        sources = {"bill": {"kind": "focus", "path": "*"}, **self.tables.get("sources", {})}
        values = {"engine": {"threads": 1}, **self.tables, "sources": sources, "pools": self.pools}
        return from_mapping(values, file=root / "farthing.toml")

    def charge(
        self,
        cost: Money,
        start: datetime = TEN,
        end: datetime | None = None,
        *,
        resource: str | None = "node-1",
        currency: str = "USD",
        invoice: str | None = "I",
        month: date = DAY,
        id: str | None = None,
        **focus: Any,
    ) -> None:
        """A charge, for one hour unless it says another end."""
        amount = Decimal(cost)
        self.rows["charges"].append(
            {
                "x_source": "bill",
                "x_charge_id": id or f"charge-{next(_COUNT)}",
                "billing_month": month,
                "BillingPeriodStart": datetime(month.year, month.month, 1, tzinfo=UTC),
                "BillingPeriodEnd": datetime(month.year, month.month, 28, tzinfo=UTC),
                "ChargePeriodStart": start,
                "ChargePeriodEnd": start + timedelta(hours=1) if end is None else end,
                "BillingCurrency": currency,
                "BilledCost": amount,
                "EffectiveCost": amount,
                "x_BilledCostRounding": Decimal(0),
                "x_EffectiveCostRounding": Decimal(0),
                "ResourceId": resource,
                "InvoiceId": invoice,
                "ProviderName": "AWS",
                **focus,
            }
        )

    def gpu(self, gpu: str = "G", replica: str | None = "r", *, resource: str = "node-1", **inventory: Any) -> None:
        """A GPU of the resource `resource` that serves `replica`, for ever."""
        self.rows["gpu_inventory"].append(
            {
                "gpu_uuid": gpu,
                "node_id": resource,
                "ResourceId": resource,
                "replica_id": replica,
                "gpu_model": "H100",
                "valid_from": at(),
                **inventory,
            }
        )

    def usage(
        self,
        start: datetime,
        end: datetime,
        busy: float,
        *,
        gpu: str = "G",
        every: float | None = None,
        covered: float = 1.0,
    ) -> None:
        """Telemetry from `start` to `end`, in rows of `every` seconds: `busy` and `covered` as parts of the time."""
        step = end - start if every is None else timedelta(seconds=every)
        while start < end:
            until = min(start + step, end)
            seconds = (until - start).total_seconds()
            self.rows["gpu_usage"].append(
                {
                    "day": start.date(),
                    "gpu_uuid": gpu,
                    "started_at": start,
                    "ended_at": until,
                    "covered_seconds": seconds * covered,
                    "busy_seconds": seconds * busy,
                }
            )
            start = until

    def request(
        self,
        start: datetime = TEN,
        end: datetime | None = None,
        *,
        user: str | None = "u",
        first: datetime | None = None,
        replica: str | None = "r",
        id: str | None = None,
        **more: Any,
    ) -> None:
        """A request of `user` to model m on `replica`."""
        self.rows["requests"].append(
            {
                "x_source": "log",
                "day": start.date(),
                "request_id": id or f"request-{next(_COUNT)}",
                "started_at": start,
                "first_token_at": first,
                "ended_at": end,
                "user_id": user,
                "model": "m",
                "provider": "vllm",
                "replica_id": replica,
                "usage_quality": "reported",
                **more,
            }
        )

    def span(
        self, id: str, parent: str | None = None, start: datetime = TEN, end: datetime | None = None, **more: Any
    ) -> None:
        """A span `id` of trace t below `parent`."""
        self.rows["spans"].append(
            {
                "x_source": "log",
                "day": start.date(),
                "trace_id": "t",
                "span_id": id,
                "parent_span_id": parent,
                "started_at": start,
                "ended_at": end or start + timedelta(minutes=1),
                **more,
            }
        )

    def job(self, start: datetime, end: datetime | None, *, id: str | None = None, **more: Any) -> None:
        """A training job from `start` to `end`."""
        self.rows["jobs"].append({"job_id": id or f"job-{next(_COUNT)}", "started_at": start, "ended_at": end, **more})

    def identity(self, id: str, user: str, since: datetime | None = None, **more: Any) -> None:
        """The key or name `id` stands for `user`."""
        self.rows["identities"].append({"id": id, "kind": "key", "user_id": user, "valid_from": since, **more})

    def metric(self, name: str, dimension: str, key: str, quantity: Money, day: date = DAY) -> None:
        """One row of the driver `name`."""
        self.rows["metrics"].append(
            {"day": day, "dimension": dimension, "key": key, "name": name, "quantity": Decimal(quantity)}
        )

    def list_price(
        self, instance: str, per_instance: Money | None, since: date = DAY, *, gpus: int | None = 8, **more: Any
    ) -> None:
        """The on-demand list price of an hour of an AWS instance, in USD and every region unless it says another."""
        self.rows["gpu_prices"].append(
            {
                "provider": "AWS",
                "instance_type": instance,
                "gpus": gpus,
                "pricing_category": "on-demand",
                "covers": "instance",
                "price_per_instance_hour": None if per_instance is None else Decimal(per_instance),
                "currency": "USD",
                "valid_from": since,
                "x_source": "prices",
                "x_load": "prices.csv",
                **more,
            }
        )

    def vendor_usage(self, model: str, day: date = DAY, *, provider: str = "OpenAI", **counts: Any) -> None:
        """What a vendor says of the day's use of a model: tokens by class."""
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        self.rows["vendor_usage"].append(
            {
                "day": day,
                "started_at": begin,
                "ended_at": begin + timedelta(days=1),
                "provider": provider,
                "model": model,
                **counts,
            }
        )

    def arrow(self, table: str) -> pa.Table:
        """The rows of `table` as the lake has them."""
        return pa.Table.from_pylist(self.rows[table], schema=_TABLES[table].schema)

    def run(
        self,
        *,
        horizon: datetime = LATER,
        laws: dict[tuple[str, str], PrefillLaw] | None = None,
        threads: int = 1,
        together: int = 1,
    ) -> Ran:
        """Every day of this world through the SQL and its checks, in memory: seconds less than a build in a lake.

        `laws` are known from earlier days; so many days as `together` says are computed in one set of statements.
        """
        con = self.bill(horizon, threads)
        con.execute("create schema done")
        for table in _OUTPUTS.values():
            _put(con, "done", table, table.schema.empty_table())
        config = self.config()
        found = runner.models("staging", "core", "checks/bill", "checks/day")
        made = building.made_for_all_days(found)
        plan = Plan(config, Lake("/nowhere"), Inputs({}, {}, {}, {}), horizon, found, made)
        carried = dict(laws or {})
        days = [day for (day,) in con.execute("select day from bill_fingerprints").fetchall()]
        logged = [row["day"] for row in (*self.rows["requests"], *self.rows["gpu_usage"])]
        ordered = sorted({*days, *logged})
        for first in range(0, len(ordered), together):
            batch = ordered[first : first + together]
            settings.open_days(con, dict.fromkeys(batch, 0))
            run_days(con, plan, batch, lambda: dict(carried), carried.update)
            for name in sorted(_OUTPUTS):
                con.execute(f"insert into done.{name} by name select * from {name}")
        return Ran(con)

    def bill(self, horizon: datetime = LATER, threads: int = 1) -> duckdb.DuckDBPyConnection:
        """The tables of the bill, checked; no day is computed."""
        con = duckdb.connect(config={"threads": threads})
        con.execute("set TimeZone = 'UTC'")
        con.execute("set preserve_insertion_order = false")
        con.execute("create schema lake")
        for table in _TABLES.values():
            _put(con, "lake", table, self.arrow(table.name))
        settings.prepare(con, self.config(), horizon, self.logged())
        settings.open_days(con, dict.fromkeys(sorted({row["day"] for row in self.rows["requests"]}), 0))
        found = runner.models("staging", "core", "checks/bill", "checks/day")
        runner.run(con, found, ["merged_calls"])
        model_prices.put(con, self.config())
        runner.run(con, found, [*building._BILL_TABLES, "bill_charges"])
        runner.check(con, found, ["every_charge_in_one_pool", "days_add_up_to_the_bill"])
        return con

    def logged(self) -> tuple[datetime, datetime] | None:
        """From when to when requests and telemetry speak."""
        rows = [*self.rows["requests"], *self.rows["gpu_usage"]]
        if not rows:
            return None
        last = max(row.get("ended_at") or row["started_at"] for row in rows)
        first = min(row["started_at"] for row in rows)
        hour = last.replace(minute=0, second=0, microsecond=0)
        return first.replace(hour=0, minute=0, second=0, microsecond=0), hour + timedelta(hours=hour < last)

    def land(self, lake: Lake) -> None:
        """Append all rows to `lake`."""
        for name, rows in self.rows.items():
            if rows:
                lake.append(_TABLES[name], self.arrow(name), load=f"{name}-{next(_COUNT)}")

    def build(self, folder: Path, *, now: datetime = LATER, **options: Any) -> building.BuildResult:
        """The lake in `folder` built and published."""
        with clock.fixed(now):
            config = self.config(folder)
            return building.build(config, Lake(config.lake_path), progress=Silence(), **options)


class Ran:
    """What the days of a world came to."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a query on `done.*` (all days) or the bill's tables."""
        return self.con.execute(query, list(values)).fetchall()

    def ledger(self, *columns: str, where: str = "true") -> dict[Any, Decimal]:
        """Cost by `columns` of the ledger (one: bare values)."""
        names = ", ".join(columns)
        rows = self.ask(f"select {names}, sum(cost) from done.cost_ledger where {where} group by all")
        return {row[0] if len(columns) == 1 else row[:-1]: row[-1] for row in rows}

    def sums(self, query: str) -> dict[tuple[Any, ...], Any]:
        """Rows of `query` by all columns but the last; rows whose last column is 0 are left out."""
        return {row[:-1]: row[-1] for row in self.ask(query) if row[-1]}

    def kinds(self, where: str = "true") -> dict[str, Decimal]:
        """Cost by kind."""
        return self.ledger("kind", where=where)

    def users(self, where: str = "kind = 'direct'") -> dict[Any, Decimal]:
        """Direct cost by user."""
        return self.ledger("user_id", where=where)

    def requests(self, method: str = "phase_time") -> dict[str, Decimal]:
        """Cost of each request under `method`, over all days."""
        rows = self.ask("select request_id, sum(cost) from done.request_costs where method = ? group by 1", method)
        return dict(rows)

    def total(self) -> Decimal:
        """The whole ledger."""
        [(cost,)] = self.ask("select coalesce(sum(cost), 0) from done.cost_ledger")
        return Decimal(cost)

    def quality(self, subject: str, measure: str) -> Any:
        """Matched and total over all days."""
        [(matched, total)] = self.ask(
            "select sum(matched), sum(total) from done.quality_days where subject = ? and measure = ?", subject, measure
        )
        return matched, total


def _put(con: duckdb.DuckDBPyConnection, schema: str, table: Table, rows: pa.Table) -> None:
    naive = ", ".join(
        f'"{field.name}"::timestamp as "{field.name}"' if field.type == TIME else f'"{field.name}"'
        for field in table.schema
    )
    con.register("rows", rows)
    con.execute(f"create table {schema}.{table.name} as select {naive} from rows")
    con.unregister("rows")


def spread(world: World, horizon: datetime = LATER) -> dict[tuple[date, str, str], Fraction]:
    """(day, resource, currency) -> the world's charges, spread evenly over their periods without any rounding."""
    days: dict[tuple[date, str, str], Fraction] = defaultdict(Fraction)
    for row in world.rows["charges"]:
        start, end = row["ChargePeriodStart"], row["ChargePeriodEnd"]
        end = max(end, start + _MICROSECOND)
        for first, until in _days_of(start, min(end, horizon)):
            part = Fraction((until - first) // _MICROSECOND, (end - start) // _MICROSECOND)
            days[first.date(), row["ResourceId"], row["BillingCurrency"]] += Fraction(row["EffectiveCost"]) * part
    return days


def _days_of(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        until = min(end, datetime.combine(start.date() + timedelta(days=1), datetime.min.time(), UTC))
        yield start, until
        start = until


@contextmanager
def published(result: building.BuildResult) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse that a build published, read-only."""
    con = duckdb.connect(str(result.warehouse), read_only=True)
    try:
        yield con
    finally:
        con.close()
