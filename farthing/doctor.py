"""Is everything in order: configuration, sources, lake, warehouse, clock, versions, and how well the data joins."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import duckdb

import collectors
from farthing import __version__, clock, console, objects, price_report, warehouse
from farthing.config import Config, Source
from farthing.console import Sheet
from farthing.errors import ConfigError, FarthingError
from farthing.lake import Lake
from farthing.lake.schemas import CHARGES, LOADS, REQUESTS, Table
from farthing.pools import charges_sql

Status = Literal["ok", "finding", "note"]

_PACKAGES = ("duckdb", "deltalake", "polars", "pyarrow")
_ENOUGH_MATCHED = 0.95
_TOLERATED_UNASSIGNED = 0.01
_FREE_BYTES = 2_000_000_000
#: No bill of use is older than this farthing: a clock before it is wrong.
_EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
_SKEW = timedelta(minutes=5)


_UNASSIGNED = "The largest charges that no rule takes"
_UNMATCHED = "The largest things that no join matched"
_FIRST_ROWS = "The first requests of each source as they land"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; a finding needs somebody to act, and `fix` says how."""

    area: str
    subject: str
    status: Status
    detail: str
    fix: str = ""


@dataclass(frozen=True)
class Health:
    """All checks, first requests as they land, and the largest charges and things that no rule and no join took."""

    checks: list[Check]
    first_rows: Sheet
    unassigned: Sheet
    unmatched: Sheet

    @property
    def findings(self) -> list[Check]:
        """Those that need action."""
        return [check for check in self.checks if check.status == "finding"]

    @property
    def next_step(self) -> str:
        """The verbs that are still to be run; empty once something is published."""
        return next((check.fix for check in self.checks if check.area == "warehouse" and check.status == "note"), "")

    @property
    def sheets(self) -> list[Sheet]:
        """All of it, to be shown."""
        rows = [(check.status, check.area, check.subject, check.detail, check.fix or None) for check in self.checks]
        columns = ["status", "area", "subject", "detail", "fix"]
        checks = Sheet("checks", columns, rows, hidden=frozenset({"fix"}))
        return [checks, self.first_rows, self.unassigned, self.unmatched]


def examine(config: Config, lake: Lake) -> Health:
    """Look at everything that can be looked at; what fails is a finding and keeps nothing else from being looked at."""
    checks = [*_machine(config), *_configuration(config)]
    first_rows: list[tuple[object, ...]] = []
    for name, source in config.sources.items():
        told, rows = _source(name, source, config)
        checks += told
        first_rows += rows
    checks += _lake(lake)
    unassigned = Sheet("unassigned", [], [], title=_UNASSIGNED)
    unmatched = Sheet("unmatched", [], [], title=_UNMATCHED)
    try:
        with warehouse.open_warehouse(config) as con:
            checks += [*_warehouse(con), *_loads(con), *_joins(con), *_money(con), *_apis(con)]
            unassigned, unmatched = _unassigned(con), _unmatched(con)
    except warehouse.WarehouseMissingError:
        checks.append(_unpublished(lake))
    except FarthingError as error:
        checks.append(Check("warehouse", "published", "finding", _first_line(error), str(getattr(error, "fix", ""))))
    columns = ["source", "column", "first", "second", "third"]
    return Health(checks, Sheet("first_rows", columns, first_rows, title=_FIRST_ROWS), unassigned, unmatched)


def _unpublished(lake: Lake) -> Check:
    """Before the first build nothing is wrong with it: the next step is named."""
    try:
        collected = lake.version(LOADS) is not None
    except FarthingError:  # a finding of the lake
        collected = False
    verbs = "farthing build" if collected else "farthing collect, then farthing build"
    return Check("warehouse", "published", "note", f"nothing is built yet; next: {verbs}", verbs)


def _machine(config: Config) -> list[Check]:
    now = clock.now()
    offset = datetime.now().astimezone().utcoffset() or timedelta()
    good = now > _EARLIEST
    zone = f"{now:%Y-%m-%d %H:%M} UTC; this machine shows {'+' if offset >= timedelta() else '-'}{abs(offset)}"
    versions = ", ".join(f"{name} {_version(name) or 'missing'}" for name in _PACKAGES)
    dashboard = _version("streamlit")
    folder = next(parent for parent in (config.root, *config.root.parents) if parent.is_dir())
    free = shutil.disk_usage(folder).free
    return [
        Check("machine", "clock", "ok" if good else "finding", zone, "" if good else "set the clock; use NTP"),
        Check("machine", "farthing", "ok", f"{__version__}, Python {platform.python_version()}, {sys.platform}"),
        Check("machine", "packages", "ok" if "missing" not in versions else "finding", versions),
        Check("machine", "dashboard", "ok" if dashboard else "note", dashboard or "install farthing[dashboard] for it"),
        Check(
            "machine",
            "free space",
            "ok" if free > _FREE_BYTES else "finding",
            console.size(free),
            "" if free > _FREE_BYTES else "make room: lake, build and warehouse need it",
        ),
    ]


def _filled(config: Config) -> list[Table]:
    """The lake tables that sources fill; a kind that there is not is told where its source is looked at."""
    filled = []
    for source in config.sources.values():
        with suppress(ConfigError):
            filled.append(collectors.load(source.kind).table)
    return filled


def _configuration(config: Config) -> list[Check]:
    checks = [Check("config", "farthing.toml", "ok", f"{len(config.sources)} sources, {len(config.pools)} pools")]
    filled = _filled(config)
    if CHARGES not in filled:
        fix = 'add a source of kind = "focus", "costs" or of a provider'
        checks.append(Check("config", "bill", "finding", "no source of a bill", fix))
    if REQUESTS not in filled:
        found = "no source of requests: cost reaches pools and teams, no users"
        checks.append(Check("config", "requests", "finding", found, 'add a source of kind = "requests"'))
    if not config.pools:
        checks.append(Check("config", "pools", "finding", "no pool: all cost is unassigned", "add [[pools]]"))
    try:
        charges_sql(config)
    except ConfigError as error:
        checks.append(Check("config", "pools", "finding", error.problem, error.fix))
    for index, pool in enumerate(config.pools[:-1]):
        if not pool.match:
            later = ", ".join(other.name for other in config.pools[index + 1 :])
            checks.append(
                Check(
                    "config", f"pool {pool.name}", "finding", f"takes everything; {later} take nothing", "move it last"
                )
            )
    return checks


def _source(name: str, source: Source, config: Config) -> tuple[list[Check], list[tuple[object, ...]]]:
    """Its files, and whether their first rows can be read as farthing's columns; of requests, these rows."""
    area = f"source {name}"
    try:
        collector = collectors.load(source.kind)
        files = collector.find(name, source, config)
        frame = collector.preview(name, source, config)
    except FarthingError as error:
        return [Check(area, "files", "finding", _first_line(error), str(getattr(error, "fix", "")))], []
    filled = [
        column for column in frame.columns if frame[column].null_count() < len(frame) and not column.startswith("x_")
    ]
    size = console.size(sum(file.size for file in files))
    forms = ", ".join(sorted({file.form for file in files} - {""}))
    told = f"{len(files):,}, {size}" + (f", {forms}" if forms else "")
    found = Check(area, "files", "ok", f"{told}; the first rows land with {len(filled)} columns")
    gaps = [Check(area, "columns", *gap) for gap in collector.gaps(name, source, config)]
    rows: list[tuple[object, ...]] = [
        (name, column, *([*map(_shown, frame[column]), None, None, None][:3]))
        for column in (filled if collector.table == REQUESTS else ())
    ]
    return [found, *gaps, *_remarks(area, collector, name, source)], rows


def _shown(value: object) -> str | None:
    """A value of a row, short enough to stand beside two others."""
    return None if value is None else str(value)[:60]


def _remarks(area: str, collector: collectors.Collector, name: str, source: Source) -> list[Check]:
    """What the provider says beside the bill; the bill lands without it."""
    try:
        return [Check(area, "provider", "ok", remark) for remark in collector.remarks(name, source)]
    except FarthingError as error:
        return [Check(area, "provider", "note", _first_line(error), str(getattr(error, "fix", "")))]


def _lake(lake: Lake) -> list[Check]:
    try:
        version = lake.version(LOADS)
    except FarthingError as error:
        return [Check("lake", lake.path, "finding", _first_line(error), str(getattr(error, "fix", "")))]
    if not objects.is_url(lake.path):
        folder = Path(lake.path)
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not os.access(nearest, os.W_OK):
            return [Check("lake", lake.path, "finding", "cannot be written", "change its rights, or [lake] path")]
    if version is None:
        return [Check("lake", lake.path, "note", "reachable, nothing collected yet: run farthing collect")]
    return [Check("lake", lake.path, "ok", "reachable")]


def _warehouse(con: duckdb.DuckDBPyConnection) -> list[Check]:
    began = time.monotonic()
    [(version, built_at, newest)] = con.execute(
        "select version, built_at, (select max(day) from cost_ledger) from build_info"
    ).fetchall()
    took = time.monotonic() - began
    ahead = built_at.replace(tzinfo=UTC) > clock.now() + _SKEW
    return [
        Check(
            "warehouse",
            "published",
            "finding" if ahead else "ok",
            f"built {built_at:%Y-%m-%d %H:%M} UTC by {version}, costs up to {newest}, opened in {1000 * took:.0f} ms",
            "it was built in the future: check the clock" if ahead else "",
        )
    ]


def _loads(con: duckdb.DuckDBPyConnection) -> list[Check]:
    checks = []
    for source, rejected, failed in con.execute(
        "select x_source, rows_rejected, failed_files from freshness"
        " where rows_rejected > 0 or failed_files > 0 order by 1"
    ).fetchall():
        if failed:
            checks.append(
                Check(
                    f"source {source}", "failed files", "finding", f"{failed:,}", "farthing query 'from loads' has why"
                )
            )
        if rejected:
            fix = "farthing query 'select file, line, reason from rejects'"
            checks.append(Check(f"source {source}", "rejected rows", "finding", f"{rejected:,}", fix))
    return checks


_JOIN_FIXES = {
    "with a user": "map user_id in the source's columns",
    "with a user in identities": "add the missing ids to a source of kind identities",
    "with token usage": "log usage, also of cancelled and streamed requests",
    "counted by vLLM and in the request log": "log all requests of these servers, also those past the gateway",
    "with an end": "map ended_at in the source's columns; without it the end is estimated",
    "with a replica in the inventory": "add the replica to a source of kind gpu_inventory",
    "started while telemetry watched the replica": "collect telemetry of these replicas",
    "billed and observed by telemetry": "collect telemetry of these GPUs",
    "observed and in the inventory of a bill": "add these GPUs to the inventory, with their ResourceId",
    "of replicas with a request in flight": "log the requests or jobs that kept these GPUs busy",
    "of GPUs with an inventory": "add the missing ResourceIds to the inventory",
    "of model APIs, within a tenth of price and usage": "farthing doctor --prices shows which are off",
    "taken by a pool": "farthing pools test shows the charges; add a rule",
}


def _joins(con: duckdb.DuckDBPyConnection) -> list[Check]:
    """The matched share of every join over all days."""
    checks = []
    for subject, measure, unit, matched, total in con.execute(
        "select subject, measure, unit, sum(matched), sum(total) from data_quality"
        " group by subject, measure, unit having sum(total) > 0 order by subject = 'cost', subject desc, measure, unit"
    ).fetchall():
        share = float(matched / total)
        detail = f"{console.percent(share)} of {_quantity(total, unit)}"
        named = f"{subject} {measure}" + (f" ({unit})" if subject in ("cost", "revenue") else "")
        # idle time is a cost and no fault, and a list need not have every price: gpu_list_price says which it lacks
        informs = measure == "placed on users, teams or jobs" or measure.startswith("billed, with a list price")
        good = share >= _ENOUGH_MATCHED or informs
        fix = "" if good else _JOIN_FIXES.get(measure, "")
        checks.append(Check("joins", named, "note" if informs else "ok" if good else "finding", detail, fix))
    [(logged, identified)] = con.execute("select exists (from requests), exists (from identities)").fetchall()
    if logged and not identified:
        detail = "none were collected: users are the ids of the request log, without customer, team or plan"
        checks.append(Check("joins", "identities", "note", detail))
    [(unpaid, requests)] = con.execute(
        "select count(*) filter (where not exists (select 1 from request_costs as costs"
        " where costs.x_source = requests.x_source and costs.request_id = requests.request_id)), count(*) from requests"
    ).fetchall()
    [(kept,)] = con.execute("select exists (from request_costs)").fetchall()
    if kept and unpaid:
        checks.append(
            Check(
                "joins",
                "requests that no pool pays for",
                "finding" if unpaid > (1 - _ENOUGH_MATCHED) * requests else "note",
                f"{unpaid:,} of {requests:,}",
                "give them a replica_id of the inventory, or a pool of kind api with their provider",
            )
        )
    return checks


def _money(con: duckdb.DuckDBPyConnection) -> list[Check]:
    checks = []
    for pool, currency, cost, days in con.execute(
        "select pool, BillingCurrency, sum(cost), count(distinct day) from cost_ledger"
        " where kind = 'unexplained' and cost < 0 group by all order by all"
    ).fetchall():
        checks.append(
            Check(
                "cost",
                f"pool {pool}: negative unexplained",
                "finding",
                f"{console.money(cost)} {currency} on {days} days",
                "more was asked for than was measured or billed: missing telemetry, or a credit",
            )
        )
    for currency, unassigned, cost in con.execute(
        "select BillingCurrency, coalesce(sum(cost) filter (where kind = 'unassigned'), 0), sum(cost) from cost_ledger"
        " group by all order by all"
    ).fetchall():
        share = float(unassigned / cost) if cost else 0.0
        good = abs(share) <= _TOLERATED_UNASSIGNED
        checks.append(
            Check(
                "cost",
                f"unassigned ({currency})",
                "ok" if good else "finding",
                f"{console.percent(share)} of {console.money(cost)}: {console.money(unassigned)}",
                "" if good else "farthing pools test shows what no rule takes",
            )
        )
    for currency, difference in con.execute("select BillingCurrency, difference from totals order by 1").fetchall():
        status: Status = "finding" if difference else "ok"
        checks.append(Check("cost", f"bill less ledger ({currency})", status, f"{difference:f}"))
    return [*checks, *_unconverted(con)]


def _apis(con: duckdb.DuckDBPyConnection) -> list[Check]:
    """Models whose bill is far from what was used at its price."""
    return [
        Check(
            "cost",
            "model APIs",
            "finding",
            line,
            "farthing doctor --prices; collect the vendor's usage, or add [[prices]]",
        )
        for line in price_report.warnings(con)
    ]


def _unconverted(con: duckdb.DuckDBPyConnection) -> list[Check]:
    """What has no rate to the reporting currency, by currency and with its days; nothing where none is asked for."""
    asked = con.execute("select reporting_currency from reporting").fetchall()
    rows = con.execute(
        "select what, currency, sum(amount), count(distinct day), min(day), max(day) from ("
        "  select 'cost' as what, BillingCurrency as currency, cost as amount, day from reporting_day"
        "  where rate is null"
        "  union all"
        "  select 'revenue', revenue.currency, amount, period from revenue"
        "  join reporting_rates as rates on revenue.period = rates.day and revenue.currency = rates.currency"
        "  where rates.rate is null"
        ") group by all order by all"
    ).fetchall()
    checks = [
        Check(
            "cost",
            f"{what} without a rate ({currency})",
            "finding",
            f"{console.money(amount)} {currency} are in no amount in {asked[0][0]}: {days:,} days, {first} to {last}",
            f"collect exchange rates (kind exchange_rates) of {currency} for these days",
        )
        for what, currency, amount, days, first, last in rows
    ]
    for (reporting,) in asked if not checks else []:
        [(newest,)] = con.execute("select max(rate_day) from reporting_rates where derivation <> 'same'").fetchall()
        said = f"every amount has a rate, the newest of {newest}" if newest else "no amount is in another currency"
        checks.append(Check("cost", f"in {reporting}", "ok", said))
    return checks


def _unassigned(con: duckdb.DuckDBPyConnection, number: int = 10) -> Sheet:
    rows = con.execute(
        "select x_charge_id, coalesce(ServiceName, ServiceCategory),"
        " left(coalesce(ResourceId, ChargeDescription), 40), x_cost, BillingCurrency"
        " from charges where pool = 'unassigned' order by abs(x_cost) desc, x_charge_id limit ?",
        [number],
    ).fetchall()
    columns = ["x_charge_id", "service", "resource", "cost", "BillingCurrency"]
    return Sheet("unassigned", columns, rows, title=_UNASSIGNED)


def _unmatched(con: duckdb.DuckDBPyConnection, number: int = 10) -> Sheet:
    columns = ["subject", "key", "requests", "gpu_seconds", "cost", "BillingCurrency", "first_day", "last_day"]
    rows = con.execute(
        f"select {', '.join(columns)} from unmatched"
        " order by abs(cost) desc nulls last, requests desc nulls last, gpu_seconds desc nulls last, subject, key"
        " limit ?",
        [number],
    ).fetchall()
    return Sheet("unmatched", columns, rows, title=_UNMATCHED)


def _quantity(total: Any, unit: str) -> str:
    return f"{total:,.0f}" if unit == "count" else f"{total:,.0f} s" if unit == "seconds" else f"{total:,.2f} {unit}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:300]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
