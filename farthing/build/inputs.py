"""What each day of a build reads, found from the Delta log, and a fingerprint that changes when any of it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import duckdb

from farthing.build.settings import day_start
from farthing.lake import Lake, LakeFile
from farthing.lake.issued import ISSUED
from farthing.lake.schemas import (
    CHARGES,
    EXCHANGE_RATES,
    GPU_INVENTORY,
    GPU_PRICES,
    GPU_USAGE,
    IDENTITIES,
    INVOICES,
    JOBS,
    LOADS,
    METRICS,
    REJECTS,
    REQUESTS,
    REVENUE,
    SPANS,
    VENDOR_USAGE,
    Table,
)
from farthing.lake.views import quoted

#: In the warehouse as they are in the lake; no day depends on them.
_SHOWN_ONLY = (LOADS, REJECTS, REVENUE, INVOICES, EXCHANGE_RATES, *ISSUED)
INPUTS = (CHARGES, REQUESTS, SPANS, GPU_USAGE, GPU_INVENTORY, GPU_PRICES, JOBS, IDENTITIES, METRICS, VENDOR_USAGE)
#: Statistics in the log are cut to milliseconds.
_STATISTICS_MARGIN = timedelta(milliseconds=1)
#: Small tables, and which of their rows the day `of_day` sees.
_SLOW_TABLES = {
    GPU_INVENTORY: "valid_from < of_day + 1 and coalesce(valid_to, timestamp 'infinity') > of_day",
    IDENTITIES: "coalesce(valid_from, timestamp '-infinity') < of_day + 1"
    " and coalesce(valid_to, timestamp 'infinity') > of_day",
    JOBS: "started_at < of_day + 1 and coalesce(ended_at, timestamp 'infinity') > of_day",
    METRICS: "day = of_day",
    VENDOR_USAGE: "day = of_day",
}


@dataclass(frozen=True)
class Inputs:
    """The pinned version of every table, and the files of those that are read day by day."""

    pins: Mapping[str, int | None]
    requests: dict[date, list[LakeFile]] = field(repr=False)
    spans: dict[date, list[LakeFile]] = field(repr=False)
    gpu_usage: dict[date, list[LakeFile]] = field(repr=False)

    def request_files(self, day: date) -> list[LakeFile]:
        """Files with requests that may have lived on `day`."""
        return _alive(self.requests, day)

    def span_files(self, day: date) -> list[LakeFile]:
        """Files with spans that may have lived on `day`."""
        return _alive(self.spans, day)

    def gpu_usage_files(self, day: date) -> list[LakeFile]:
        """Files with telemetry that may reach into `day`."""
        return _alive(self.gpu_usage, day)

    def logged(self) -> tuple[datetime, datetime] | None:
        """From when to when requests and telemetry speak of what went on: a first day's begin, an hour's end."""
        days = sorted({*self.requests, *self.gpu_usage})
        if not days:
            return None
        newest = [*self.requests.get(days[-1], []), *self.gpu_usage.get(days[-1], [])]
        last = max((_last_moment(file, days[-1]) for file in newest), default=day_start(days[-1]))
        hour = last.replace(minute=0, second=0, microsecond=0)
        return day_start(days[0]), hour if hour == last else hour + timedelta(hours=1)

    def rows(self, day: date) -> int:
        """How many rows of requests and telemetry are read for `day`."""
        return sum(file.rows for file in (*self.request_files(day), *self.gpu_usage_files(day)))


def pinned(lake: Lake, as_of: datetime | None) -> Inputs:
    """The inputs as they are now, or as they were at `as_of`."""
    tables = (*INPUTS, *_SHOWN_ONLY)
    pins = lake.pins(tables) if as_of is None else {table.name: lake.version_at(table, as_of) for table in tables}
    return Inputs(pins, *(_by_day(lake, table, pins) for table in (REQUESTS, SPANS, GPU_USAGE)))


def attach(con: duckdb.DuckDBPyConnection, lake: Lake, inputs: Inputs) -> None:
    """Views `lake.*` on the pinned versions; `open_days` narrows the big ones."""
    for table in INPUTS:
        version = inputs.pins[table.name]
        lake.view(con, table, version=version, files=[] if version is None else None)


def open_days(con: duckdb.DuckDBPyConnection, lake: Lake, inputs: Inputs, days: Sequence[date]) -> None:
    """Narrow `lake.requests`, `lake.spans` and `lake.gpu_usage` to the files that `days` need."""
    lake.view(con, REQUESTS, files=_all_of(inputs.request_files(day) for day in days))
    lake.view(con, SPANS, files=_all_of(inputs.span_files(day) for day in days))
    lake.view(con, GPU_USAGE, files=_all_of(inputs.gpu_usage_files(day) for day in days))


def open_requests_from(con: duckdb.DuckDBPyConnection, lake: Lake, inputs: Inputs, first: date) -> list[date]:
    """Narrow `lake.requests` and `lake.spans` to the files of `first` and the days after it; the days with requests."""
    for table, days in ((REQUESTS, inputs.requests), (SPANS, inputs.spans)):
        lake.view(con, table, files=[file for day, files in days.items() if day >= first for file in files])
    return sorted(day for day in inputs.requests if day >= first)


def hold(con: duckdb.DuckDBPyConnection) -> None:
    """Read the small tables once, for all days: they are `held.*` from now on."""
    con.execute("create schema if not exists held")
    for table in _SLOW_TABLES:
        con.execute(f"create or replace table held.{table.name} as select * from lake.{table.name}")


def attach_beside(con: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Views `lake.*` in a database beside `build`: what is held there; of the others nothing until `open_days`."""
    for table in INPUTS:
        if table in _SLOW_TABLES:
            con.execute(f"create or replace view lake.{table.name} as select * from build.held.{table.name}")
        else:
            lake.view(con, table, files=[])


def fingerprints(
    con: duckdb.DuckDBPyConnection, inputs: Inputs, bills: Mapping[date, str], horizon: datetime, rules: str
) -> dict[date, str]:
    """For each day of `bills` a text that is equal for two builds of the day exactly when they read the same.

    `bills` are the rows of bill_fingerprints, `rules` is what every day depends on: configuration, SQL, versions.
    Bills go in by content, as a month replaced by equal rows has new files; requests and telemetry by their files. The
    small tables must be held.
    """
    contents = {table.name: _contents(con, table, seen, bills) for table, seen in _SLOW_TABLES.items()}
    marks = {}
    for day, bill in bills.items():
        parts = {
            "rules": rules,
            "until": min(horizon, day_start(day + timedelta(days=1))).isoformat(),
            "bill": bill,
            "requests": _names(inputs.request_files(day)),
            "spans": _names(inputs.span_files(day)),
            "gpu_usage": _names(inputs.gpu_usage_files(day)),
            **{name: str(content.get(day, 0)) for name, content in contents.items()},
        }
        marks[day] = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return marks


def _names(files: list[LakeFile]) -> list[str]:
    """The names of data files, each given once and for ever; where the lake lies is nothing that a day depends on."""
    return sorted(file.path.rpartition("/")[2] for file in files)


def _contents(con: duckdb.DuckDBPyConnection, table: Table, seen: str, days: Iterable[date]) -> dict[date, int]:
    """The sum of the hashes of the rows that each of `days` sees; none for a day that sees none."""
    columns = ", ".join(quoted(name) for name in table.columns if name not in ("x_source", "x_load"))
    query = f"""
        with days as (
            select unnest(?::date[]) as of_day
        ),
        hashed as (
            select *, hash({columns}) as content from held.{table.name}
        )
        select of_day, sum(content) from days inner join hashed on {seen} group by all
    """
    return dict(con.execute(query, [list(days)]).fetchall())


def _by_day(lake: Lake, table: Table, pins: Mapping[str, int | None]) -> dict[date, list[LakeFile]]:
    version = pins[table.name]
    days: dict[date, list[LakeFile]] = {}
    for file in [] if version is None else lake.files(table, version=version):
        day = file.partition["day"]
        assert isinstance(day, date)
        days.setdefault(day, []).append(file)
    return days


def _alive(days: dict[date, list[LakeFile]], day: date) -> list[LakeFile]:
    start = day_start(day)
    earlier = [file for other, files in sorted(days.items()) if other < day for file in files if _reaches(file, start)]
    return earlier + days.get(day, [])


def _all_of(lists: Iterable[list[LakeFile]]) -> list[LakeFile]:
    """The files of several days, each once, in the order of their days."""
    return list({file.path: file for files in lists for file in files}.values())


def _reaches(file: LakeFile, start: datetime) -> bool:
    """Whether some row of an earlier day's file may end at or after `start`; one without an end may on the eve only."""
    last = _maximum(file, "ended_at")
    if file.partition["day"] == (start - timedelta(days=1)).date() and (last is None or file.nulls.get("ended_at")):
        return True
    return last is not None and last + _STATISTICS_MARGIN >= start


def _last_moment(file: LakeFile, day: date) -> datetime:
    """The last end, else the last start, that a file of `day` speaks of; inside the day."""
    last = _maximum(file, "ended_at") or _maximum(file, "started_at") or day_start(day)
    return min(last, day_start(day + timedelta(days=1)))


def _maximum(file: LakeFile, column: str) -> datetime | None:
    last = file.maximum.get(column)
    if not isinstance(last, datetime):
        return None
    return last if last.tzinfo else last.replace(tzinfo=UTC)
