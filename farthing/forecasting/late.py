"""Bills that come late: the last days are completed by how earlier days came to be known, never read as a drop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import numpy as np
from numpy.typing import NDArray

from farthing import clock
from models.completeness import MINIMUM_SHARE, known_shares, suspicious

if TYPE_CHECKING:
    from farthing.forecasting.history import Scope

Floats = NDArray[np.float64]

#: Ages of a day, in days, for which completeness is learned; an older day is as it will stay.
_AGES = 40
#: A day can teach from this age on, and the last so many of them do.
_SETTLED, _TAUGHT_BY = 10, 60
#: Last days of the ledger that may be late although nothing was learned of their age.
_YOUNG = 3
#: What is not known is filled with the mean of the same weekday in so many weeks in which it is.
_WEEKS = 4
_REACH = timedelta(weeks=3 * _WEEKS)
_ONE_DAY = timedelta(days=1)
_COLUMNS = {
    "team": "team_id",
    "customer": "customer_id",
    "team x model": "cast(json_array(team_id, model) as varchar)",
    "class": "(select class from pools where pools.pool = cost_ledger.pool)",
    **{name: name for name in ("pool", "provider", "model", "kind", "feature", "environment")},
}


@dataclass(frozen=True)
class LateDay:
    """A day of a pool that is not all known: `share` of it is, as on days of its age before; None: it is filled in."""

    pool: str
    currency: str
    day: date
    share: float | None


def key_of(dimension: str) -> str:
    """The key that a line of cost_ledger has in `dimension`, as SQL."""
    tag = dimension.replace("'", "''").replace('"', '""')
    return _COLUMNS.get(dimension, f"json_extract_string(dimensions, '$.\"{tag}\"')")


def late_days(con: duckdb.DuckDBPyConnection, last: date) -> list[LateDay]:
    """Which days up to `last` of which pools are not all known.

    How much of a day is known so many days later is learned from `restatements`: what builds said of each day and
    when. What no bill has confirmed and is estimated counts as known. A young day of an age of which nothing could be
    learned is taken for late when it cost less than half of any such weekday of the last four weeks.
    """
    [(newest,)] = con.execute("select max(day) from cost_ledger").fetchall()
    today = clock.now().date()
    stated, first_build = _stated(con)
    found = []
    for (pool, currency), costs in sorted(_costs_of_pools(con, last).items()):
        shares = _learned(stated.get((pool, currency), {}), first_build, today)
        for day in (last - number * _ONE_DAY for number in reversed(range(_AGES))):
            age = (today - day).days
            share = float(shares[age - 1]) if age <= _AGES else float("nan")
            young = (min(today, newest + _ONE_DAY) - day).days <= _YOUNG
            unlearned = bool(np.isnan(share)) and young and day >= min(costs) and _suspicious(costs, day)
            if unlearned or share < MINIMUM_SHARE:
                found.append(LateDay(pool, currency, day, None))
            elif abs(share - 1) > 1e-6:
                found.append(LateDay(pool, currency, day, share))
    return found


def complete(
    con: duckdb.DuckDBPyConnection, late: Sequence[LateDay], scopes: Sequence[Scope], first: date, y: Floats
) -> None:
    """Complete the rows of `y` (n, T), whose days begin with `first`, in place.

    What is still to come of a pool falls on those who usually have more of it than is there: where one account of two
    is late, its team gets it. A part of which too little is known is what such weekdays cost of late.
    """
    of_pool = _by_pool(late)
    for dimension in {scope.dimension for scope in scopes} if late else ():
        rows = {(one.key, one.currency): row for row, one in enumerate(scopes) if one.dimension == dimension}
        parts: dict[tuple[str, str], dict[str | None, dict[date, float]]] = {}
        for key, currency, pool, day, cost in con.execute(
            f"select {key_of(dimension)} as key, BillingCurrency, pool, day, cast(sum(cost) as double)"
            " from cost_ledger where day >= $first and list_contains($pools, pool) group by all",
            {"first": min(one.day for one in late) - _REACH, "pools": sorted({one.pool for one in late})},
        ).fetchall():
            parts.setdefault((pool, currency), {}).setdefault(key, {})[day] = cost
        for (pool, currency), of_keys in parts.items():
            of_days = of_pool.get((pool, currency), {})
            for day, share in of_days.items():
                column = (day - first).days
                for key, missing in _missing(of_keys, of_days, day, share).items():
                    if (key, currency) in rows and 0 <= column < y.shape[1]:
                        y[rows[key, currency], column] += missing


def _missing(
    of_keys: Mapping[str | None, Mapping[date, float]],
    late: Mapping[date, float | None],
    day: date,
    share: float | None,
) -> dict[str | None, float]:
    """What each key's part of a pool is still to get on a day of which `share` is known."""
    known = {key: costs.get(day, 0.0) for key, costs in of_keys.items()}
    usual = {key: _usual(costs, late, day) for key, costs in of_keys.items()}
    if share is None:
        return {key: max(0.0, usual[key] - cost) for key, cost in known.items()}
    whole, wont = sum(known.values()) / share, sum(usual.values())
    room = {key: max(0.0, usual[key] * whole / wont - cost) if wont > 0 else 0.0 for key, cost in known.items()}
    if share < 1 and sum(room.values()) > 0:
        return {key: whole * (1 - share) * one / sum(room.values()) for key, one in room.items()}
    return {key: cost / share - cost for key, cost in known.items()}


def _by_pool(late: Sequence[LateDay]) -> dict[tuple[str, str], dict[date, float | None]]:
    found: dict[tuple[str, str], dict[date, float | None]] = {}
    for one in late:
        found.setdefault((one.pool, one.currency), {})[one.day] = one.share
    return found


def filled_share(con: duckdb.DuckDBPyConnection, late: Sequence[LateDay], last: date, days: int) -> Floats:
    """Of the last `days` up to `last` the share of their cost that is filled in, (days,), of the worst currency."""
    found = np.zeros(days)
    costs = _costs_of_pools(con, last) if late else {}
    of_pool = _by_pool(late)
    for number in range(days):
        day = last - (days - 1 - number) * _ONE_DAY
        for currency in {currency for _, currency in costs}:
            mine = {pool: of for (pool, its), of in costs.items() if its == currency}
            added = {
                pool: max(0.0, _usual(of, of_pool[pool, currency], day) - of.get(day, 0.0))
                for pool, of in mine.items()
                if of_pool.get((pool, currency), {}).get(day, 1.0) is None
            }
            whole = sum(of.get(day, 0.0) for of in mine.values()) + sum(added.values())
            if whole > 0:
                found[number] = max(found[number], sum(added.values()) / whole)
    return found


def _usual(costs: Mapping[date, float], late: Mapping[date, float | None], day: date) -> float:
    """The mean of the last such weekdays that were not late; 0 where there is none."""
    before = (day - week * timedelta(weeks=1) for week in range(1, 3 * _WEEKS + 1))
    known = [costs.get(one, 0.0) for one in before if one not in late and one >= min(costs)][:_WEEKS]
    return float(np.mean(known)) if known else 0.0


def _costs_of_pools(con: duckdb.DuckDBPyConnection, last: date) -> dict[tuple[str, str], dict[date, float]]:
    found: dict[tuple[str, str], dict[date, float]] = {}
    for pool, currency, day, cost in con.execute(
        "select key, BillingCurrency, day, cast(cost as double) from scope_days where dimension = 'pool' and day <= ?",
        [last],
    ).fetchall():
        found.setdefault((pool, currency), {})[day] = cost
    return found


_Said = list[tuple[datetime, float]]


def _stated(con: duckdb.DuckDBPyConnection) -> tuple[dict[tuple[str, str], dict[date, _Said]], dict[date, datetime]]:
    """By pool and currency what was said of each day and when, in order; and the first build of each date."""
    stated: dict[tuple[str, str], dict[date, _Said]] = {}
    first_build: dict[date, datetime] = {}
    for pool, currency, day, said, cost in con.execute(
        "select pool, BillingCurrency, day, stated_at, cast(cost as double) from restatements order by stated_at"
    ).fetchall():
        stated.setdefault((pool, currency), {}).setdefault(day, []).append((said, cost))
        first_build.setdefault(said.date(), said)
    return stated, first_build


def _learned(stated: Mapping[date, _Said], first_build: Mapping[date, datetime], today: date) -> Floats:
    """The share of a pool's day that the first build of a date knew, by its age in days from 1, (K,).

    The first build of a date is the one that a forecast is issued after. A date without a build tells nothing.
    """
    teaching = sorted(day for day in stated if (today - day).days >= _SETTLED)[-_TAUGHT_BY:]
    said_then = np.full((len(teaching), _AGES), np.nan)
    for row, day in enumerate(teaching):
        for age in range(1, _AGES + 1):
            moment = first_build.get(day + age * _ONE_DAY)
            if moment is not None:
                said_then[row, age - 1] = next((cost for said, cost in reversed(stated[day]) if said <= moment), 0.0)
    return known_shares(said_then, np.array([stated[day][-1][1] for day in teaching]))


def _suspicious(costs: Mapping[date, float], day: date) -> bool:
    before = [
        costs.get(one, 0.0) if one >= min(costs) else float("nan")
        for one in (day - week * timedelta(weeks=1) for week in range(1, _WEEKS + 1))
    ]
    return bool(suspicious(np.array([costs.get(day, 0.0)]), np.array([before]))[0])
