"""How each budget stands: what was spent to date, where it lands, and which thresholds are crossed, since when.

Soft only: nothing here blocks traffic.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Literal, Protocol

import duckdb

from farthing import clock, warehouse
from farthing.budgets import spend
from farthing.budgets.landing import Landing, landings, scope_name, scope_words
from farthing.budgets.limits import Limit, limits, month_after
from farthing.config import Config

_DAY = timedelta(days=1)
_ALWAYS = date(1, 1, 1)
Measure = Literal["actual", "landing", "q80"]
#: Dimension, key and first day; and by currency what each day cost.
_Asked = tuple[str, str, date]
_Spent = Mapping[str, Sequence[spend.Spent]]


class Report(Protocol):
    """Who is told how far an evaluation is."""

    def start(self, total: int, what: str) -> None:
        """`total` budgets are ahead."""

    def advance(self, count: int = 1) -> None:
        """`count` more are done."""


@dataclass(frozen=True)
class Crossing:
    """A threshold that is crossed now, and the first day from which it has been without a break.

    `level` is `percent` of the amount, and `value` is what reached it: spent money, or an estimate of it.
    """

    measure: Measure
    percent: int
    level: Decimal
    value: Decimal | float
    since: date


@dataclass(frozen=True)
class Status:
    """How one budget of one scope stands; money is in the currency of `limit`, and null where nothing is known."""

    limit: Limit
    known_from: date | None  # the first day whose spend counts: that of the period, or where the ledger begins in it
    through: date | None  # the last one; both are null where the ledger has nothing of the period
    elapsed_share: float  # of the period's time, up to what the ledger knows
    actual: Decimal | None
    provisional: Decimal | None  # the part of actual that no bill confirms yet
    landing: Landing | None  # null: no forecast was issued, or the month is over
    crossings: tuple[Crossing, ...]
    elsewhere: Mapping[str, Decimal]  # what the scope cost in other currencies, which count nothing here
    members: int | None = None  # of a budget for each one on his own: how many had cost

    @property
    def dimension(self) -> str:
        """What the key names."""
        return scope_name(self.limit.scope)[0]

    @property
    def key(self) -> str | None:
        """Whose budget it is, a JSON list where the scope has several dimensions; null for the total."""
        return scope_name(self.limit.scope)[1]

    @property
    def scope(self) -> str:
        """Whose budget it is, for people."""
        return scope_words(self.limit.scope)

    @property
    def used_share(self) -> float | None:
        """Actual by amount; null where one is not known or the amount is 0."""
        return None if self.actual is None or not self.limit.amount else float(self.actual / self.limit.amount)


def evaluate(config: Config, report: Report) -> list[Status]:
    """How all budgets stand now, by the published warehouse: of the month that the ledger is in, and its last days.

    Those of the month before come first, as its bills may still change it.

    Raises:
        WarehouseMissingError: nothing is published.
        ConfigError: a budget is in farthing.toml and in a file.
    """
    with warehouse.open_warehouse(config) as con:
        known = spend.ledger_days(con, clock.now().date())
        if known is None:
            return statuses(con, config, None, report)
        before = statuses(con, config, (known[1].replace(day=1) - _DAY).replace(day=1), report)
        kept = [status for status in before if not status.limit.rolling and status.through is not None]
        return [*kept, *statuses(con, config, None, report)]


def statuses(con: duckdb.DuckDBPyConnection, config: Config, month: date | None, report: Report) -> list[Status]:
    """How the budgets of `month` stand, or of the month that the ledger ends in; windows end with it.

    Of a budget for each one on his own there is a status for everybody who crossed a threshold, and for who spent
    most. Where nothing has cost anything in the scope since the ledger began, 0 is known: the ledger is complete.

    Raises:
        ConfigError: a budget is in farthing.toml and in a file.
    """
    today = clock.now().date()
    known = spend.ledger_days(con, today)
    first = month or (known[1] if known else today).replace(day=1)
    last_of_month = month_after(first) - _DAY
    last = min(known[1], last_of_month) if known and known[1] >= first else last_of_month
    found = limits(con, config, first, last)
    report.start(len(found), "looking at budgets")
    spent = _asked_together(con, found, last)
    result: list[Status] = []
    for limit in found:
        result += _of(con, limit, known, last, spent)
        report.advance()
    return result


def _first(limit: Limit) -> date:
    """From when on its spend is asked for: since when a window has been full can be long before it."""
    return _ALWAYS if limit.rolling else limit.begin


def _asked_together(con: duckdb.DuckDBPyConnection, found: Sequence[Limit], last: date) -> dict[_Asked, _Spent]:
    """The spend of all scopes of one dimension, asked once for each dimension: plans have hundreds of lines."""
    keys: dict[tuple[str, date], list[str]] = {}
    for limit in found:
        for dimension, key in limit.scope.items() if len(limit.scope) == 1 else ():
            if key != spend.EACH:
                keys.setdefault((dimension, _first(limit)), []).append(key)
    return {
        (dimension, key, first): spent
        for (dimension, first), only in keys.items()
        for key, spent in spend.daily(con, {dimension: spend.EACH}, first, last, only).items()
    }


def _of(
    con: duckdb.DuckDBPyConnection,
    limit: Limit,
    known: tuple[date, date] | None,
    last: date,
    together: Mapping[_Asked, _Spent],
) -> Iterator[Status]:
    if known is None or known[1] < limit.begin or known[0] > last:
        begun = known is None or known[1] >= limit.begin
        ahead = {} if limit.rolling or begun else landings(con, limit.scope, limit.currency, limit.begin)
        foreseen = ahead.get(scope_name(limit.scope)[1], [])
        landing = foreseen[-1] if foreseen else None
        yield Status(limit, None, None, 0.0, None, None, landing, tuple(_of_forecasts(limit, foreseen)), {})
        return
    days = max(known[0], limit.begin), last
    elapsed = _elapsed(con, limit, last)
    over = known[1] >= limit.end  # then what it came to stands in the ledger
    issued = {} if limit.rolling or over else landings(con, limit.scope, limit.currency, limit.begin)
    first = _first(limit)
    each = next((name for name, key in limit.scope.items() if key == spend.EACH), None)
    if each is None:
        if len(limit.scope) == 1:
            [(dimension, key)] = limit.scope.items()
            spent = together.get((dimension, key, first), {})
        else:
            spent = spend.daily(con, limit.scope, first, last).get("", {})
        yield _status(limit, spent, issued.get(scope_name(limit.scope)[1], []), days, elapsed)
        return
    everybody = spend.members(con, limit.scope, limit.currency, limit.begin, last)
    if not everybody:
        yield Status(limit, *days, elapsed, Decimal(0), Decimal(0), None, (), {}, 0)
        return
    lowest = min(limit.thresholds.actual, default=None)
    asked = [
        name
        for number, (name, cost) in enumerate(everybody.items())
        # below that only a forecast can have crossed anything
        if number == 0 or issued or (lowest is not None and cost > 0 and cost >= _level(limit, lowest))
    ]
    spent_by = spend.daily(con, limit.scope, first, last, asked)
    for name in asked:
        own = replace(limit, scope={**limit.scope, each: name})
        status = _status(own, spent_by[name], issued.get(scope_name(own.scope)[1], []), days, elapsed)
        if name == asked[0] or status.crossings:
            yield replace(status, members=len(everybody))


def _status(
    limit: Limit,
    by_currency: _Spent,
    issued: Sequence[Landing],
    days: tuple[date, date],
    elapsed: float,
) -> Status:
    own = by_currency.get(limit.currency, [])
    inside = [spent for spent in own if spent.day >= limit.begin]
    actual = sum((spent.cost for spent in inside), Decimal(0))
    since = _since_of_window(own, limit, days[1]) if limit.rolling else _since_of_month(inside)
    crossings = [
        Crossing("actual", percent, level, actual, day)
        for percent in sorted(limit.thresholds.actual)
        if actual > 0 and actual >= (level := _level(limit, percent)) and (day := since(level)) is not None
    ]
    return Status(
        limit,
        *days,
        elapsed,
        actual,
        sum((spent.provisional for spent in inside), Decimal(0)),
        issued[-1] if issued else None,
        (*crossings, *_of_forecasts(limit, issued)),
        {
            currency: sum((spent.cost for spent in other if spent.day >= limit.begin), Decimal(0))
            for currency, other in by_currency.items()
            if currency != limit.currency and other[-1].day >= limit.begin
        },
    )


def _level(limit: Limit, percent: int) -> Decimal:
    return limit.amount * percent / 100


def _since_of_month(days: Sequence[spend.Spent]) -> Callable[[Decimal], date | None]:
    """For a level: since when the month's sum to date has been there; a credit may take it below again."""
    sums = list(accumulate(spent.cost for spent in days))

    def since(level: Decimal) -> date | None:
        found = None
        for spent, total in zip(days, sums, strict=True):
            found = None if total < level else found or spent.day
        return found

    return since


def _since_of_window(days: Sequence[spend.Spent], limit: Limit, last: date) -> Callable[[Decimal], date | None]:
    """For a level: since when the sum of the window that ends on each day has been there, on every day."""
    dates = [spent.day for spent in days]
    sums = [Decimal(0), *accumulate(spent.cost for spent in days)]

    def window(day: date) -> Decimal:
        return sums[bisect_right(dates, day)] - sums[bisect_right(dates, day - timedelta(days=limit.days))]

    def since(level: Decimal) -> date | None:
        found, day = None, last
        while dates and day >= max(dates[0], limit.since or _ALWAYS) and window(day) >= level:
            found, day = day, day - _DAY
        return found

    return since


def _of_forecasts(limit: Limit, issued: Sequence[Landing]) -> Iterator[Crossing]:
    measures: tuple[tuple[Measure, list[int], Callable[[Landing], float]], ...] = (
        ("landing", limit.thresholds.landing, lambda landing: landing.forecast),
        ("q80", limit.thresholds.q80, lambda landing: landing.q80),
    )
    for measure, percents, value in measures:
        for percent in sorted(percents):
            level, since = _level(limit, percent), None
            for landing in issued:
                since = None if value(landing) < level else since or landing.as_of
            if since is not None and value(issued[-1]) > 0:
                yield Crossing(measure, percent, level, value(issued[-1]), since)


def _elapsed(con: duckdb.DuckDBPyConnection, limit: Limit, last: date) -> float:
    """The share of the period's time that the ledger covers; of the day that is open still, up to the build's hour."""
    [(horizon,)] = con.execute("select horizon from build_info").fetchall()
    begin, end, until = (datetime.combine(day, time()) for day in (limit.begin, limit.end, last + _DAY))
    passed: timedelta = min(until, horizon) - begin
    return max(0.0, passed / (end - begin))
