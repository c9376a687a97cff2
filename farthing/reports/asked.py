"""What a report asks: the published warehouse, for one currency and the days of one period."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import duckdb

from farthing import figures
from farthing.config import Config
from farthing.errors import FarthingError
from farthing.reports.document import Row

_DAYS = "select min(day) as first, max(day) as last from cost_ledger"
_HORIZON = "select horizon from build_info"
_CURRENCIES = "select BillingCurrency from totals order by bill_cost desc, BillingCurrency"
_KINDS = """
select replace(column_name, '_cost', '') as kind, comment as meaning
from duckdb_columns()
where table_name = 'user_month' and ends_with(column_name, '_cost')
order by column_index
"""


class NoSuchPeriodError(FarthingError):
    """Yours: the ledger has nothing of the month or week that was asked for."""

    exit_code = 2


@dataclass(frozen=True)
class Period:
    """Days that a report is on, both included; `whole` when all of them are over and in the ledger."""

    name: str
    title: str
    first: date
    last: date
    whole: bool
    before: tuple[date, date] | None  # the period before it, where the ledger has all of that
    noun: str = "month"  # what it is one of

    @property
    def days(self) -> str:
        """The days in words."""
        return figures.period(self.first, self.last)


@dataclass(frozen=True)
class Asked:
    """The connection to what is published, the currency that leads, and the period."""

    con: duckdb.DuckDBPyConnection
    currency: str
    period: Period

    def rows(self, sql: str, **more: object) -> list[Row]:
        """The rows of `sql`, by column; its `$names` are the currency, the days, and `more`."""
        known = {"currency": self.currency, "first": self.period.first, "last": self.period.last, **more}
        return _rows(self.con, sql, {name: value for name, value in known.items() if f"${name}" in sql})

    def one(self, sql: str, **more: object) -> Row:
        """The only row of `sql`."""
        [row] = self.rows(sql, **more)
        return row

    def kinds(self) -> dict[str, str]:
        """What each kind of cost means, in the words of the data dictionary."""
        rows = self.rows(_KINDS)
        return {row["kind"]: row["meaning"] for row in rows if row["kind"] not in {"provisional", "estimated"}}


def currencies(con: duckdb.DuckDBPyConnection, config: Config) -> list[str]:
    """The currencies of the bill: the project's own first, then the one with the largest amount."""
    found = [row["BillingCurrency"] for row in _rows(con, _CURRENCIES)]
    return sorted(found, key=lambda currency: currency != config.project.currency)


def month(con: duckdb.DuckDBPyConnection, first: date | None) -> Period:
    """The month that begins on `first`; by default the last one that is over, else the newest.

    Raises:
        NoSuchPeriodError: the ledger has no cost in it.
    """
    return _chosen(con, first and first.replace(day=1), _MONTH)


def week(con: duckdb.DuckDBPyConnection, day: date | None) -> Period:
    """The week, Monday to Sunday, that `day` is in; by default the last one that is over, else the newest.

    Raises:
        NoSuchPeriodError: the ledger has no cost in it.
    """
    return _chosen(con, day and _WEEK.begin(day), _WEEK)


@dataclass(frozen=True)
class _Calendar:
    """A division of days into months or weeks."""

    noun: str
    begin: Callable[[date], date]  # of the period that a day is in
    name: Callable[[date], str]  # of the period that begins on a day
    title: Callable[[date], str]
    longest: timedelta

    def after(self, first: date) -> date:
        """The first day of the next period."""
        return self.begin(first + self.longest)


_MONTH = _Calendar(
    "month",
    lambda day: day.replace(day=1),
    lambda first: first.isoformat()[:7],
    lambda first: f"{first:%B %Y}",
    timedelta(days=31),
)
_WEEK = _Calendar(
    "week",
    lambda day: day - timedelta(days=day.weekday()),
    lambda first: f"{first:%G-W%V}",
    lambda first: f"week {first:%V of %G}",
    timedelta(days=7),
)


def _chosen(con: duckdb.DuckDBPyConnection, first: date | None, calendar: _Calendar) -> Period:
    [days] = _rows(con, _DAYS)
    if days["first"] is None:
        raise NoSuchPeriodError("the published ledger has no costs yet: no charge of the bill lies before now.")
    [(horizon,)] = [(row["horizon"],) for row in _rows(con, _HORIZON)]
    begins = list(_begins(days["first"], days["last"], calendar))
    over = [one for one in begins if calendar.after(one) <= horizon.date()]
    chosen = first or (over or begins)[-1]
    if chosen not in begins:
        named = calendar.name(begins[0])
        if len(begins) > 1:
            named = f"{named} to {calendar.name(begins[-1])}"
        noun = calendar.noun
        raise NoSuchPeriodError(
            f"the ledger has no cost in {calendar.name(chosen)}. Fix: choose a {noun} that it has: {named}."
        )
    end = calendar.after(chosen) - timedelta(days=1)
    eve = chosen - timedelta(days=1)
    whole = chosen in over and days["first"] <= chosen
    begun = calendar.begin(eve)
    return Period(
        name=calendar.name(chosen),
        title=calendar.title(chosen),
        first=max(chosen, days["first"]),
        last=min(end, days["last"]) if chosen not in over else end,
        whole=whole,
        before=(begun, eve) if whole and days["first"] <= begun else None,
        noun=calendar.noun,
    )


def added(rows: Iterable[Row], column: str = "cost") -> Decimal:
    """The sum of a column; what is null adds nothing."""
    return sum((row[column] for row in rows if row[column] is not None), Decimal(0))


def per(cost: Decimal | None, number: Decimal | float | None, unit: int = 1) -> Decimal | None:
    """Cost per `unit` of `number`; None where either is not known."""
    return cost * unit / Decimal(number) if cost is not None and number else None


def part(of: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """`of` as a part of `whole`, 1 for all of it; None where there is no whole."""
    return of / whole if of is not None and whole else None


def percent(value: Decimal | None) -> str:
    """A part of a whole for people."""
    return figures.share(value, Decimal(1))


def _begins(first: date, last: date, calendar: _Calendar) -> Iterable[date]:
    current = calendar.begin(first)
    while current <= last:
        yield current
        current = calendar.after(current)


def _rows(con: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, object] | None = None) -> list[Row]:
    cursor = con.execute(sql, parameters or None)
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
