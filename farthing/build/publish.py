"""Ledger to warehouse: one self-contained DuckDB file, built under a new name, checked, published by its pointer."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

import duckdb

from farthing import __version__, clock, meanings
from farthing.build import model_prices, runner
from farthing.build.inputs import Inputs
from farthing.build.settings import BILL_PART_MACRO, CONVERTED_MACRO, DIFFERENCE_MACRO, MONEY_MACRO, RATE_MACRO
from farthing.build.together import together
from farthing.commit_points import reached
from farthing.config import Config
from farthing.durable import replace_file, sync
from farthing.lake import Lake
from farthing.lake.issued import FORECASTS, ISSUED
from farthing.lake.schemas import (
    BUDGETS,
    BUILT,
    COST_LEDGER,
    EXCHANGE_RATES,
    GPU_INVENTORY,
    GPU_PRICES,
    GPU_USAGE,
    IDENTITIES,
    INVOICES,
    JOBS,
    LOADS,
    METRICS,
    PRICE_DAYS,
    REJECTS,
    REQUEST_COSTS,
    REQUESTS,
    REVENUE,
    STATED_DAYS,
    VENDOR_USAGE,
    Table,
)
from farthing.lake.views import quoted, text
from farthing.locks import alone
from farthing.warehouse import POINTER, current

#: Tables that are in the warehouse as they are in the lake.
_WHOLE = (
    *(GPU_INVENTORY, GPU_PRICES, JOBS, IDENTITIES, METRICS, REVENUE, INVOICES, VENDOR_USAGE, EXCHANGE_RATES, LOADS),
    *(REJECTS, BUDGETS),
)

_CHARGES = """
    select
        charges.*,
        coalesce(pools.kind, 'unassigned') as pool_kind,
        coalesce(sources.cost_column, 'EffectiveCost') as x_cost_column,
        case when sources.cost_column = 'BilledCost' then BilledCost else EffectiveCost end as x_cost,
        coalesce(credit is not null or ChargeCategory = 'Credit', false) as is_promotional_credit
    from settings.charges as charges
    left join settings.pools as pools on charges.pool = pools.pool
    left join settings.sources as sources on charges.x_source = sources.x_source
"""
_PROVISIONAL = """
    select
        pool,
        resource_id,
        provider,
        make_timestamp(start_us) as ChargePeriodStart,
        make_timestamp(end_us) as ChargePeriodEnd,
        basis,
        description as ChargeDescription,
        BillingCurrency,
        money(pico) as cost
    from provisional_resources
    union all by name
    select
        pool,
        provider,
        make_timestamp(start_us) as ChargePeriodStart,
        make_timestamp(end_us) as ChargePeriodEnd,
        basis,
        case basis
            when 'configured price' then 'use of models at their configured prices'
            else 'use of models at the prices of the table, and those configured'
        end as ChargeDescription,
        BillingCurrency,
        money(pico) as cost
    from provisional_usage
"""
_MODEL_PRICES = f"""
    select
        provider,
        model,
        asked_model,
        tier as service_tier,
        how,
        price_provider,
        price_model,
        nullif(valid_from, date '0001-01-01') as valid_from,
        nullif(valid_to, date '9999-12-31') as valid_to,
        minute_from,
        minute_to,
        nullif(tokens_over, -1) as tokens_over,
        nullif(tokens_upto, {model_prices.NO_LIMIT}) as tokens_upto,
        currency,
        {", ".join(f"per_million({name}_yocto) as {name}" for name in model_prices.CLASSES)},
        per_million(request_yocto // 1000000) as request
    from settings.request_prices
"""
_TOTALS = """
    with bill as (
        select BillingCurrency, sum(pico) as pico, sum(accrued_pico) as accrued_pico from bill_totals group by all
    ),
    ledger as (
        select
            BillingCurrency,
            coalesce(sum(cost) filter (where not provisional), 0) as cost,
            coalesce(sum(cost) filter (where provisional), 0) as provisional_cost
        from published.cost_ledger group by all
    )
    select
        coalesce(bill.BillingCurrency, ledger.BillingCurrency) as BillingCurrency,
        money(coalesce(bill.pico, 0)) as bill_cost,
        coalesce(ledger.cost, 0) as ledger_cost,
        money(coalesce(bill.accrued_pico, 0)) as accrued_cost,
        coalesce(ledger.provisional_cost, 0) as provisional_cost,
        money(coalesce(bill.pico, 0)) - coalesce(ledger.cost, 0) - money(coalesce(bill.accrued_pico, 0)) as difference
    from bill
    full join ledger on bill.BillingCurrency = ledger.BillingCurrency
"""


def publish(
    con: duckdb.DuckDBPyConnection,
    config: Config,
    out: Lake,
    lake: Lake,
    inputs: Inputs,
    folder: Path,
    *,
    identity: str,
) -> Path:
    """Build the warehouse file, run its checks, and let the pointer in `folder` name it.

    It is attached to `con` as `published` on return; the file published before stays until `[warehouse] keep` newer
    ones are there.

    A warehouse that would hold the same as the published one is not built again. `con` holds the bill's tables.

    Raises:
        InvariantError: a check of the warehouse failed; the published one stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in [*folder.glob("farthing-*.making*"), *folder.glob(f".{POINTER}.*")]:
        left.unlink(missing_ok=True)  # of a build that was killed: this one is alone
    pins = {**inputs.pins, **out.pins((*BUILT, STATED_DAYS))}
    issued = {table.name: pins.pop(table.name) for table in ISSUED}
    made_from = {
        "pins": pins,
        "rules": identity,
        "window": config.warehouse.model_dump(),
        "reporting": config.project.model_dump(include={"reporting_currency", "maximum_rate_age_days"}),
        "teams": {name: team.model_dump(mode="json") for name, team in config.teams.items()},
        "credits": {name: grant.model_dump(mode="json") for name, grant in config.credits.items()},
        "units": {name: unit.model_dump(mode="json") for name, unit in config.units.items()},
        "trained_models": {name: model.model_dump(mode="json") for name, model in config.models.items()},
        "sql": hashlib.sha256(json.dumps(runner.texts("marts", "checks/warehouse")).encode()).hexdigest(),
    }
    build = json.dumps(made_from, sort_keys=True)
    published = current(folder)
    if published is not None and _identity_of(con, published) == build:
        published = _with_issued(con, config, lake, folder, published, issued)
        con.execute(f"attach {text(published)} as published (read_only)")
        return published
    path, making = _new_name(folder)
    con.execute(f"attach {text(making)} as published")
    try:
        _fill(con, config, out, lake, inputs, {**pins, **issued})
        con.execute(
            "create table published.build_info as select ? as identity, ? as version, ?::timestamp as built_at,"
            " make_timestamp(horizon_us) as horizon, ? as issued from settings.build",
            [build, __version__, clock.now().replace(tzinfo=None), json.dumps(issued)],
        )
        found = runner.models("marts", "checks/warehouse", known=_tables(con))
        marts = [model for model in found.values() if model.file.startswith("sql/marts/")]
        con.execute("use published.main")
        for macro in (MONEY_MACRO, BILL_PART_MACRO, DIFFERENCE_MACRO, RATE_MACRO, CONVERTED_MACRO):
            con.execute(macro)
        runner.run_together(con, found, [model.name for model in marts], use="published.main")
        con.begin()  # hundreds of comments, one commit
        for model in marts:
            _comment(con, model)
        _comment_others(con, "published")
        con.commit()
        runner.check(con, found, sorted(set(found) - {model.name for model in marts}))
        con.execute("checkpoint published")
    except BaseException:
        con.execute("use build.main")
        con.execute("detach published")
        making.unlink(missing_ok=True)
        raise
    con.execute("use build.main")
    con.execute("detach published")
    _point_to(folder, making, path, config.warehouse.keep)
    con.execute(f"attach {text(path)} as published (read_only)")
    return path


def publish_issued(config: Config, lake: Lake, tell: Callable[[str], None]) -> Path | None:
    """Bring what was issued since the last publish (forecasts, anomalies, alerts, ...) into the published warehouse.

    Nothing of the ledger is computed: the published file is copied, and in the copy the issued tables, and the marts
    that read them, are made anew. None before the first publish.
    """
    folder = Path(config.warehouse_path)
    with alone(config.root, "build", tell), duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'; set enable_progress_bar = false")
        published = current(folder)
        return published and _with_issued(con, config, lake, folder, published, lake.pins(ISSUED))


def _with_issued(
    con: duckdb.DuckDBPyConnection,
    config: Config,
    lake: Lake,
    folder: Path,
    published: Path,
    pins: Mapping[str, int | None],
) -> Path:
    """`published` when it has the issued tables at `pins`, else a new file that has, named by the pointer."""
    con.execute(f"attach {text(published)} as published (read_only)")
    [(held,)] = con.execute("select issued from published.build_info").fetchall()
    con.execute("detach published")
    if json.loads(held) == pins:
        return published
    path, making = _new_name(folder)
    try:
        shutil.copyfile(published, making)
        con.execute(f"attach {text(making)} as copied")
        [(before,)] = con.execute("select current_schema()").fetchall()
        [(database,)] = con.execute("select current_database()").fetchall()
        con.execute("use copied.main")
        con.begin()
        for table in ISSUED:
            con.execute(f"create or replace table {table.name} as {_issued(lake, table, pins[table.name])}")
        found = runner.models(
            "marts",
            known=_tables(con, "copied")
            - {name.removeprefix("marts/").removesuffix(".sql") for name in runner.texts("marts")},
        )
        for model in _readers(found, {table.name for table in ISSUED}):
            runner.run(con, found, [model.name], without=found.keys() - {model.name})
            _comment(con, model)
        _comment_others(con, "copied")
        con.execute("update build_info set issued = ?", [json.dumps(pins)])
        con.commit()
        con.execute("checkpoint copied")
        con.execute(f"use {quoted(database)}.{quoted(before)}")
        con.execute("detach copied")
    except BaseException:
        making.unlink(missing_ok=True)
        raise
    _point_to(folder, making, path, config.warehouse.keep)
    return path


def _at(of: Lake, table: Table, version: int | None) -> str:
    return of.select(table, version=version, files=[] if version is None else None)


def _issued(lake: Lake, table: Table, version: int | None) -> str:
    """What the warehouse has of an issued table: of forecasts the sample paths of the newest alone, else everything.

    Paths are nine tenths of a forecast, and each publish would copy those of all days.
    """
    query = _at(lake, table, version)
    if table is not FORECASTS:
        return query
    newest = f"(select max(issued_at) from ({query}))"
    return (
        f"select * from ({query}) where issued_at is not distinct from {newest}"
        f" union all by name select * exclude (paths) from ({query}) where issued_at is distinct from {newest}"
    )


def _readers(found: Mapping[str, runner.Model], tables: Collection[str]) -> list[runner.Model]:
    """The marts that read one of `tables`, also through other marts, in the order in which they are made."""
    touched: set[str] = set(tables)
    readers = []
    for model in runner.in_order(dict(found)):
        if touched & runner.parse(model.sql, name=model.name, file=model.file).reads:  # those known before too
            touched.add(model.name)
            readers.append(model)
    return readers


def _new_name(folder: Path) -> tuple[Path, Path]:
    """A name for a warehouse file, and the name that it has until it is whole."""
    path = folder / f"farthing-{clock.now():%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}.duckdb"
    return path, path.with_suffix(".making")


def _point_to(folder: Path, making: Path, path: Path, keep: int) -> None:
    """Let the pointer name `making` under its name for good, `path`."""
    reached("publish.before")
    sync(making)
    making.rename(path)
    pointer = folder / f".{POINTER}.{uuid.uuid4().hex}"
    replace_file(folder / POINTER, f"{path.name}\n".encode(), pointer)
    reached("publish.after")
    _prune(folder, path, keep)


def _fill(
    con: duckdb.DuckDBPyConnection,
    config: Config,
    out: Lake,
    lake: Lake,
    inputs: Inputs,
    pins: Mapping[str, int | None],
) -> None:
    newest = max([*inputs.requests, *inputs.gpu_usage], default=None)

    def rows(of: Lake, table: Table, last_days: int | None = None) -> str:
        query = _at(of, table, pins[table.name])
        if last_days is None or newest is None:
            return query
        return f"select * from ({query}) where day > {text(newest - timedelta(days=last_days))}"

    promoted = "".join(
        f", json_extract_string(dimensions, {text('$.' + json.dumps(name))}) as {quoted(name)}"
        for name in config.ledger.dimensions
    )
    names = f"select distinct provider, model, asked_model from ({rows(out, PRICE_DAYS)})"
    model_prices.fill(con, config, con.execute(names).fetchall())
    window = config.warehouse
    tables = {
        "gpu_usage": rows(lake, GPU_USAGE, window.gpu_usage_days),  # the biggest first
        "requests": rows(lake, REQUESTS, window.request_days),
        "charges": _CHARGES,
        "cost_ledger": f"select *{promoted} from ({rows(out, COST_LEDGER)})",
        "request_costs": rows(out, REQUEST_COSTS, window.request_days),
        **{
            table.name: rows(out, table) for table in (*BUILT, STATED_DAYS) if table not in (COST_LEDGER, REQUEST_COSTS)
        },
        **{table.name: rows(lake, table) for table in _WHOLE},
        **{table.name: _issued(lake, table, pins[table.name]) for table in ISSUED},
        "pools": "select * from settings.pools",
        **{
            name: f"select * from settings.{name}"
            for name in ("teams", "trained_models", "units", "grants", "reporting")
        },
        "pool_days": "select * exclude (pico), money(pico) as cost from pool_days",
        "list_prices": "select * exclude (hour_pico), money(hour_pico) as price_per_gpu_hour from list_prices",
        "provisional_charges": _PROVISIONAL,
        "bill_totals": "select * exclude (pico, accrued_pico), money(pico) as cost, money(accrued_pico) as accrued_cost"
        " from bill_totals",
        "model_prices": _MODEL_PRICES,
        "totals": _TOTALS,
    }
    steps = {name: partial(_make, name=name, query=query) for name, query in tables.items()}
    together(con, steps, {"totals": frozenset({"cost_ledger"})}, use="build.main")


def _make(con: duckdb.DuckDBPyConnection, *, name: str, query: str) -> None:
    con.execute(f"create table published.{name} as {query}")


def _tables(con: duckdb.DuckDBPyConnection, database: str = "published") -> frozenset[str]:
    rows = con.execute("select table_name from duckdb_tables() where database_name = ?", [database]).fetchall()
    return frozenset(name for (name,) in rows)


def _comment(con: duckdb.DuckDBPyConnection, model: runner.Model) -> None:
    """Keep the header of a mart's file in the database, so that the data dictionary is the warehouse's own."""
    what, *lines = model.comment.splitlines()
    con.execute(f"comment on table {model.name} is {text(what.partition(': ')[2])}")
    for line in lines:
        match = re.fullmatch(r"column (\w+): (.*)", line)
        if match:
            con.execute(f"comment on column {model.name}.{quoted(match[1])} is {text(match[2])}")


def _comment_others(con: duckdb.DuckDBPyConnection, database: str) -> None:
    """Keep the meanings of the tables that are no marts in the database too."""
    query = "select table_name, column_name from duckdb_columns() where database_name = ? and comment is null"
    for table, column in con.execute(query, [database]).fetchall():
        con.execute(f"comment on column {table}.{quoted(column)} is {text(meanings.of_column(table, column))}")
    for table in _tables(con, database) & meanings.TABLES.keys():
        con.execute(f"comment on table {table} is {text(meanings.TABLES[table])}")


def _identity_of(con: duckdb.DuckDBPyConnection, path: Path) -> str | None:
    try:
        con.execute(f"attach {text(path)} as published (read_only)")
        [(identity,)] = con.execute("select identity from published.build_info").fetchall()
    except duckdb.Error:
        return None  # made by another version of farthing: build it again
    finally:
        con.execute("detach database if exists published")
    return str(identity)


def _prune(folder: Path, published: Path, keep: int) -> None:
    # Not by name alone: of two files of one second, or after a clock went back, the published one may sort first.
    others = sorted(path for path in folder.glob("farthing-*.duckdb") if path != published)
    for old in others[: max(0, len(others) - keep + 1)]:
        old.unlink(missing_ok=True)
