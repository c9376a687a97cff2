"""What is known to come: the events file, the ends of commitments and of credits, and how they reach each series."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np

from farthing.config import Config
from farthing.errors import ConfigError, DataError
from farthing.forecasting.history import Scope
from farthing.forecasting.late import key_of
from models.edits import Edit, Reach

COLUMNS = ("day", "until", "dimension", "key", "factor", "amount", "currency", "certainty", "what")
_REQUIRED = ("day", "what")
#: How a series is made up is read from so many last days.
_MADE_UP_DAYS = 28


@dataclass(frozen=True)
class Event:
    """Something that changes the cost of a scope from a day on; `source` says who knows of it."""

    what: str
    source: str
    dimension: str
    key: str | None
    edit: Edit
    currency: str | None = None


def known_events(con: duckdb.DuckDBPyConnection, config: Config, last: date) -> list[Event]:
    """All events of the project: of `[forecast] events`, and what bills and `[credits]` say of ends after `last`.

    Raises:
        ConfigError: the file of events is missing or lacks a column.
        DataError: a row of it is wrong.
    """
    file = config.forecast.events
    read = read_events(Path(config.location(file)), config.project.currency) if file is not None else []
    return [*read, *_credits(con, last), *_commitments(con, last)]


def read_events(path: Path, currency: str) -> list[Event]:
    """The events of a CSV file; amounts are in `currency` where a row does not name another.

    Raises:
        ConfigError: there is no such file, or it lacks a column.
        DataError: a row has no day, no number, a certainty outside 0 to 1, or neither factor nor amount.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            names = reader.fieldnames or []
            for name in (*_REQUIRED, *(one for one in names if one not in COLUMNS)):
                if name not in names or name not in COLUMNS:
                    problem = f"has no column {name}." if name not in names else f"has an unknown column {name}."
                    raise ConfigError(problem, file=path, key="forecast.events", fix=f"columns: {', '.join(COLUMNS)}.")
            return [_event(path, reader.line_num, row, currency) for row in reader]
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror or error}.", file=path, key="forecast.events", fix="name another file."
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"is no CSV: {error}.", file=path, key="forecast.events", fix="UTF-8, commas.") from None


def _event(path: Path, line: int, row: dict[str, str | None], currency: str) -> Event:
    def wrong(problem: str) -> DataError:
        return DataError(problem, file=str(path), line=line)

    def day(name: str) -> date | None:
        value = (row.get(name) or "").strip()
        try:
            return date.fromisoformat(value) if value else None
        except ValueError:
            raise wrong(f"{name} is no day: '{value}'; write it like 2026-10-05") from None

    def number(name: str) -> float | None:
        value = (row.get(name) or "").strip()
        try:
            found = float(value) if value else None
        except ValueError:
            raise wrong(f"{name} is no number: '{value}'") from None
        if found is not None and not math.isfinite(found):
            raise wrong(f"{name} is not finite: '{value}'")
        return found

    first, last = day("day"), day("until")
    factor, amount, certainty = number("factor"), number("amount"), number("certainty")
    what = (row.get("what") or "").strip()
    dimension = (row.get("dimension") or "").strip() or "total"
    if first is None or not what:
        raise wrong("day and what must not be empty")
    if last is not None and last < first:
        raise wrong(f"until {last} is before day {first}")
    if factor is None and amount is None:
        raise wrong("neither factor nor amount is given")
    if factor is not None and factor < 0:
        raise wrong(f"factor is negative: {factor:g}")
    if certainty is not None and not 0 <= certainty <= 1:
        raise wrong(f"certainty is not between 0 and 1: {certainty:g}")
    edit = Edit(
        first,
        last,
        factor=1.0 if factor is None else factor,
        amount=amount or 0.0,
        certainty=1.0 if certainty is None else certainty,
    )
    key = (row.get("key") or "").strip() or None
    given = (row.get("currency") or "").strip() or currency
    return Event(what, path.name, dimension, key, edit, given if amount is not None else None)


def _credits(con: duckdb.DuckDBPyConnection, last: date) -> list[Event]:
    """From the day on which a credit runs out or expires, each pool pays what the credit took from it of late."""
    rows = con.execute(
        "with taken as ("
        "  select credit, pool, BillingCurrency, -sum(cast(x_cost as double)) as taken"
        "  from charges where credit is not null and cast(ChargePeriodStart as date) > $last - $days::integer"
        "  group by all"
        ")"
        " select credits.credit, credits.runs_out_on, taken.pool, credits.BillingCurrency, taken.taken / $days"
        " from credits inner join taken"
        "   on credits.credit = taken.credit and credits.BillingCurrency = taken.BillingCurrency"
        " where credits.runs_out_on > $last and taken.taken > 0 order by all",
        {"last": last, "days": _MADE_UP_DAYS},
    ).fetchall()
    return [
        Event(f"credit {credit} ends", f"[credits.{credit}]", "pool", pool, Edit(day, amount=amount), currency)
        for credit, day, pool, currency, amount in rows
    ]


def _commitments(con: duckdb.DuckDBPyConnection, last: date) -> list[Event]:
    """After its last day, what used a commitment costs its list price, and what lay idle costs nothing.

    Bills that do not say when a commitment ends, or what its use would cost without it, tell of no event.
    """
    rows = con.execute(
        "with ending as ("
        "  select commitment, max(name) as name, max(ends_on) as ends_on from commitments group by all"
        "  having max(ends_on) >= $last"
        ")"
        " select coalesce(ending.name, ending.commitment), ending.ends_on, charges.pool, charges.BillingCurrency,"
        "   sum(cast(case when CommitmentDiscountStatus = 'Used' then ListCost else 0 end as double)"
        "     - cast(x_cost as double)) / $days"
        " from charges inner join ending on lower(charges.CommitmentDiscountId) = ending.commitment"
        " where CommitmentDiscountStatus is not null and ListCost is not null and ChargeCategory <> 'Purchase'"
        "   and cast(ChargePeriodStart as date) > $last - $days::integer"
        " group by all order by all",
        {"last": last, "days": _MADE_UP_DAYS},
    ).fetchall()
    return [
        Event(f"commitment {name} ends", "bills", "pool", pool, Edit(ends + timedelta(days=1), amount=amount), currency)
        for name, ends, pool, currency, amount in rows
    ]


def reaches(
    con: duckdb.DuckDBPyConnection, events: Sequence[Event], scopes: Sequence[Scope], last: date
) -> list[tuple[Edit, Reach]]:
    """How much of each event each scope feels, by how its cost of the 28 days up to `last` was made up.

    So an event of a pool moves the teams that pay for the pool, and all dimensions stay in step. The amount of an event
    whose key has cost nothing so far falls on all scopes by their size, as nobody can know whose it will be.

    Raises:
        ConfigError: an event names a dimension that the ledger does not have.
    """
    known = [name for (name,) in con.execute("select distinct dimension from scope_days order by 1").fetchall()]
    found = []
    for event in events:
        if event.dimension not in known:
            raise ConfigError(
                f"'{event.what}': the ledger has no dimension '{event.dimension}'.",
                file=event.source,
                key="dimension",
                fix=f"one of {', '.join(known)}.",
            )
        share, part = np.zeros(len(scopes)), np.zeros(len(scopes))
        for dimension in dict.fromkeys(scope.dimension for scope in scopes):
            rows = {(one.key, one.currency): row for row, one in enumerate(scopes) if one.dimension == dimension}
            theirs = con.execute(
                f"select {_key(dimension)} as key, BillingCurrency, cast(sum(cost) as double),"
                f" coalesce(cast(sum(cost) filter ({_key(event.dimension)} is not distinct from $key) as double), 0)"
                " from cost_ledger where day > $last - $days::integer and day <= $last group by all",
                {"key": event.key, "last": last, "days": _MADE_UP_DAYS},
            ).fetchall()
            of_event = {currency: sum(row[3] for row in theirs if row[1] == currency) for _, currency, *_ in theirs}
            of_all = {currency: sum(row[2] for row in theirs if row[1] == currency) for _, currency, *_ in theirs}
            for key, currency, whole, mine in theirs:
                row = rows.get((key, currency))
                if row is None:
                    continue
                share[row] = mine / whole if whole else 0.0
                if event.currency == currency:
                    base, of = (mine, of_event) if of_event[currency] else (whole, of_all)
                    part[row] = base / of[currency] if of[currency] else 0.0
        found.append((event.edit, Reach(share, part)))
    return found


def _key(dimension: str) -> str:
    return "cast(null as varchar)" if dimension == "total" else key_of(dimension)
