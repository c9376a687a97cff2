"""Lake to ledger: computes the days whose inputs, configuration or SQL changed, checks them, and publishes."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import duckdb

from farthing import __version__, clock, price_report
from farthing.build import inputs as inputs_
from farthing.build import model_prices, runner, settings, statements
from farthing.build.days import Day, Plan, computed
from farthing.build.inputs import Inputs
from farthing.build.laws import Laws
from farthing.build.outputs import Outputs
from farthing.build.publish import publish
from farthing.config import Config
from farthing.errors import ConfigError, InvariantError
from farthing.lake import Lake
from farthing.lake.schemas import BUILD_DAYS, PREFILL_LAWS
from farthing.locks import alone, scratch
from models.prefill_law import PrefillLaw

__all__ = ["BuildResult", "Progress", "Total", "bill_preview", "build"]

_BILL_TABLES = ("api_bill_ends", "charge_spans", "pool_days", "bill_totals", "bill_fingerprints")
#: Of what those read, what is of the days that are open: each batch of days makes it for itself.
_OF_OPEN_DAYS = frozenset({"call_parts", "merged_calls", "calls"})


class Progress(Protocol):
    """Who is told how far a build is."""

    def start(self, total: int, what: str) -> None:
        """`total` steps of `what` are ahead."""

    def advance(self, count: int = 1) -> None:
        """`count` more steps are done."""

    def message(self, text: str) -> None:
        """A line for the person who waits."""


@dataclass(frozen=True)
class Total:
    """What one currency comes to: bill = ledger + accrued + difference, and difference is zero."""

    currency: str
    bill: Decimal
    ledger: Decimal
    accrued: Decimal
    difference: Decimal


@dataclass(frozen=True)
class BuildResult:
    """What a build did: the days computed anew, how many were current, and where the warehouse is."""

    days_built: list[date]
    days_current: int
    warehouse: Path
    totals: list[Total]
    seconds: float


def build(
    config: Config,
    lake: Lake,
    *,
    as_of: datetime | None = None,
    first_day: date | None = None,
    progress: Progress,
) -> BuildResult:
    """Compute every day from `first_day` on that is not current, check it, and publish a warehouse.

    With `as_of` (zone-aware) the lake is read as it was then, and ledger and warehouse go to a place of their own
    below the warehouse folder: what is published now stays.

    Raises:
        InvariantError: a check failed; nothing is published, and the day is not counted as built.
        ConfigError: there is nothing to build from, or a rule is wrong.
    """
    began = time.monotonic()
    horizon = (as_of or clock.now()).replace(minute=0, second=0, microsecond=0)
    out, folder = lake, Path(config.warehouse_path)
    if as_of is not None:
        folder = folder / "as-of" / horizon.strftime("%Y-%m-%dT%H")
        out = Lake(str(folder / "lake"))
    found = runner.models("staging", "core", "checks/bill", "checks/day")
    with alone(config.root, "build", progress.message), _engine(config) as con:
        inputs = inputs_.pinned(lake, as_of)
        inputs_.attach(con, lake, inputs)
        settings.prepare(con, config, horizon, inputs.logged())
        progress.message("reading the bill")
        _read_bill(con, config, found, lake, inputs)
        runner.check(con, found, ["every_charge_in_one_pool", "days_add_up_to_the_bill"])
        days = _days(con, inputs, horizon)
        if not days:
            raise ConfigError(
                "the lake has nothing to build from.", file=config.root, fix="run `farthing collect` first."
            )
        plan = Plan(config, lake, inputs, horizon, found, made_for_all_days(found))
        built = _build_days(con, plan, out, days, first_day, progress)
        statements.state(con, out, horizon)
        progress.message("publishing the warehouse")
        rules = _rules(config, found)
        warehouse = publish(con, config, out, lake, inputs, folder, identity=f"{rules}:{horizon.isoformat()}")
        con.execute("use published.main")
        for line in price_report.warnings(con):
            progress.message(line)
        con.execute("use build.main")
        totals = [
            Total(*row)
            for row in con.execute(
                "select BillingCurrency, sum(bill_cost), sum(ledger_cost), sum(accrued_cost), sum(difference)"
                " from published.totals group by all order by all"
            ).fetchall()
        ]
    return BuildResult(built, len(days) - len(built), warehouse, totals, time.monotonic() - began)


def _read_bill(
    con: duckdb.DuckDBPyConnection, config: Config, found: dict[str, runner.Model], lake: Lake, inputs: Inputs
) -> None:
    """Make the tables of the bill; only requests after the end of an API's bill are read for what it may come to."""
    runner.run(con, found, ["api_bill_ends", "bill_charges"])
    ends = [
        until
        for (until,) in con.execute(
            "select coalesce(until_us, logged_from_us) from api_bill_ends, settings.build"
        ).fetchall()
    ]
    open_from = settings.day_of(min(ends)) if ends else date.max
    settings.open_days(con, dict.fromkeys(inputs_.open_requests_from(con, lake, inputs, open_from), 0))
    made = {model.name for model in runner.in_order(found, ["api_bill_ends", "bill_charges"])}
    runner.run(con, found, ["merged_calls"], without=made)
    model_prices.put(con, config)
    runner.run(con, found, _BILL_TABLES, without=made)


def made_for_all_days(found: dict[str, runner.Model]) -> frozenset[str]:
    """The tables of the bill and what they read, as far as it is the same for every day."""
    return frozenset(model.name for model in runner.in_order(found, _BILL_TABLES)) - _OF_OPEN_DAYS


@contextmanager
def bill_preview(config: Config, lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose `bill_charges` and `settings.charges` show which pool takes which charge; nothing is built."""
    with _engine(config) as con:
        inputs_.attach(con, lake, inputs_.pinned(lake, None))
        settings.prepare(con, config, clock.now())
        runner.run(con, runner.models("staging", "core"), ["bill_charges"])
        yield con


def _build_days(
    con: duckdb.DuckDBPyConnection,
    plan: Plan,
    out: Lake,
    bills: dict[date, str],
    first_day: date | None,
    progress: Progress,
) -> list[date]:
    state = _state(con, out)
    outputs = Outputs(out)
    outputs.remove(sorted(set(state) - set(bills)))
    days = _tasks(con, plan, bills, state, _stored_laws(con, out), first_day)
    progress.start(len(days), "days")
    built: list[date] = []
    with closing(computed(con, plan, days)) as finished:
        try:
            for one in finished:
                if one is not None:
                    outputs.take(one)
                    built += one.stamps
                progress.advance(1 if one is None else len(one.stamps))
        except InvariantError:
            outputs.flush()  # the days before it are good, and need not be computed again
            raise
    outputs.flush()
    return built


def _tasks(
    con: duckdb.DuckDBPyConnection,
    plan: Plan,
    bills: dict[date, str],
    state: dict[date, tuple[str, str] | None],
    known: dict[date, Laws],
    first_day: date | None,
) -> list[Day]:
    inputs_.hold(con)
    marks = inputs_.fingerprints(con, plan.inputs, bills, plan.horizon, _rules(plan.config, plan.found))
    [(replicas,)] = con.execute("select count(distinct replica_id) from held.gpu_inventory").fetchall()
    cells = replicas * 86_400 // plan.config.attribution.cell_seconds
    return [
        Day(
            day,
            marks[day],
            state.get(day),
            known.get(day, {}),
            stays=first_day is not None and day < first_day and state.get(day) is not None,
            rows=plan.inputs.rows(day) + cells,
        )
        for day in sorted(bills)
    ]


def _days(con: duckdb.DuckDBPyConnection, inputs: Inputs, horizon: datetime) -> dict[date, str]:
    """Each day to build, with the fingerprint of its bill."""
    bills = dict(con.execute("select day, fingerprint from bill_fingerprints").fetchall())
    logged = (set(inputs.requests) | set(inputs.gpu_usage)) - set(bills)
    return {**bills, **{day: "" for day in logged if settings.day_start(day) < horizon}}


def _state(con: duckdb.DuckDBPyConnection, out: Lake) -> dict[date, tuple[str, str] | None]:
    """Fingerprint and inherited laws of each day that has rows; None where a killed build may have left half."""
    out.view(con, BUILD_DAYS)
    rows = con.execute("select day, fingerprint, inherited_laws from lake.build_days").fetchall()
    return {day: None if fingerprint is None else (fingerprint, laws) for day, fingerprint, laws in rows}


def _stored_laws(con: duckdb.DuckDBPyConnection, out: Lake) -> dict[date, Laws]:
    out.view(con, PREFILL_LAWS)
    stored: dict[date, Laws] = {}
    for day, model, gpu_model, *law in con.execute(
        "select day, model, gpu_model, p0_us, p1_ns, decode_us, requests, fit_error, stall0_us, stall1_ns"
        " from lake.prefill_laws"
    ).fetchall():
        stored.setdefault(day, {})[(model, gpu_model)] = PrefillLaw(*law)
    return stored


def _rules(config: Config, found: dict[str, runner.Model]) -> str:
    """What every day depends on: the attribution's configuration, the SQL, and the versions of code and engine."""
    parts = {
        "pools": [pool.model_dump(mode="json") for pool in config.pools],
        "prices": [price.model_dump(mode="json") for price in config.prices],
        "price_table": model_prices.version(config),
        "identities": config.identities.model_dump(mode="json"),
        "attribution": config.attribution.model_dump(mode="json"),
        "ledger": config.ledger.model_dump(mode="json"),
        "billed_cost": sorted(name for name, source in config.sources.items() if source.cost_column == "BilledCost"),
        "sql": {name: model.sql for name, model in sorted(found.items())},
        "versions": [__version__, duckdb.__version__],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@contextmanager
def _engine(config: Config) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB file of its own, in which what memory cannot hold goes to disk; gone at the end."""
    with scratch() as folder:
        con = duckdb.connect(str(folder / "build.duckdb"))
        try:
            con.execute("set TimeZone = 'UTC'")
            con.execute("set parquet_metadata_cache = true")  # the lake's files stay as they are and are read often
            con.execute("set preserve_insertion_order = false")
            con.execute("set enable_progress_bar = false")
            con.execute(f"set memory_limit = '{config.engine.memory_limit}'")
            con.execute(f"set temp_directory = '{folder}/spill'")
            if config.engine.threads is not None:
                con.execute(f"set threads = {config.engine.threads}")
            yield con
        finally:
            con.close()
