"""The series that are judged, and up to which day: a day that lacks a provider's bill is neither judged nor learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
from numpy.typing import NDArray

from farthing.config import Config

Values = NDArray[np.float64]

#: Days that are looked at: the baseline, and enough before it that an episode can end in it.
HISTORY_DAYS = 120
#: A provider that has sent nothing for so long is not waited for.
_WAITED_DAYS = 10
#: Of so many keys of a dimension that cost most; what is smaller is below every floor.
_LARGEST = 200

_BILLED = """
select coalesce(ServiceProviderName, ProviderName, x_source), max(cast(ChargePeriodStart as date))
from charges
where ChargePeriodEnd - ChargePeriodStart <= interval 1 day and cast(ChargePeriodStart as date) <= ?
group by all
"""

_SERIES = """
with days as (
    select key, BillingCurrency, day, cast(cost as double) as cost
    from scope_days
    where dimension = ? and day > ? and day <= ?
),

largest as (
    select key, BillingCurrency, sum(abs(cost)) as cost
    from days
    group by all
    order by cost desc, key, BillingCurrency
    limit ?
)

select largest.key, largest.BillingCurrency, days.day, days.cost
from days
inner join largest
    on days.key is not distinct from largest.key and days.BillingCurrency = largest.BillingCurrency
order by largest.key, largest.BillingCurrency, days.day
"""


@dataclass(frozen=True)
class Series:
    """The scopes of one dimension on consecutive `days`: `keys` are (key, currency), `y` is (n, T).

    After its first day a scope without a line in the ledger cost nothing; before it, nothing is known.
    """

    dimension: str
    keys: list[tuple[str | None, str]]
    days: list[date]
    y: Values


def newest(con: duckdb.DuckDBPyConnection) -> date | None:
    """The last day of the ledger."""
    [(day,)] = con.execute("select max(day) from scope_days where dimension = 'total'").fetchall()
    return day if isinstance(day, date) else None


def settled(con: duckdb.DuckDBPyConnection, until: date) -> date:
    """The last day, not after `until`, of which every provider that still sends bills has sent one."""
    billed: list[date] = [day for _, day in con.execute(_BILLED, [until]).fetchall()]
    active = [day for day in billed if (until - day).days < _WAITED_DAYS]
    return min([until, *active])


def series(con: duckdb.DuckDBPyConnection, config: Config, dimension: str, until: date) -> Series:
    """What the scopes of `dimension` cost on the days up to `until`."""
    first = until - timedelta(days=HISTORY_DAYS - 1)
    rows = con.execute(_SERIES, [dimension, first - timedelta(days=1), until, _LARGEST]).fetchall()
    days = [first + timedelta(days=number) for number in range(HISTORY_DAYS)]
    keys = list(dict.fromkeys((key, currency) for key, currency, _, _ in rows))
    places = {key: place for place, key in enumerate(keys)}
    y = np.full((len(keys), len(days)), np.nan)
    for key, currency, day, cost in rows:
        y[places[key, currency], (day - first).days] = cost
    begun = np.cumsum(np.isfinite(y), axis=1) > 0
    y[begun & np.isnan(y)] = 0.0
    _forget_before(config, dimension, keys, days, y)
    return Series(dimension, keys, days, y)


def known(config: Config, found: Series) -> NDArray[np.bool_]:
    """The days of holidays and planned events, shape (n, T)."""
    told = np.zeros(found.y.shape, dtype=bool)
    told[:, [day in set(config.anomalies.holidays) for day in found.days]] = True
    for event in config.anomalies.planned:
        inside = [event.until is not None and event.day <= day <= event.until for day in found.days]
        for row in _rows(event.dimension, event.key, found.dimension, found.keys):
            told[row, inside] = True
    return told


def _forget_before(
    config: Config, dimension: str, keys: Sequence[tuple[str | None, str]], days: Sequence[date], y: Values
) -> None:
    """What is planned to stay begins a new history of its scope."""
    for event in config.anomalies.planned:
        if event.until is None:
            for row in _rows(event.dimension, event.key, dimension, keys):
                y[row, [day < event.day <= days[-1] for day in days]] = np.nan


def _rows(
    planned_dimension: str, planned_key: str | None, dimension: str, keys: Sequence[tuple[str | None, str]]
) -> list[int]:
    """The scopes that an event is about: its own, and the total that contains it; all of them where it is the total."""
    if planned_dimension == "total" or dimension == "total":
        return list(range(len(keys)))
    return [row for row, (key, _) in enumerate(keys) if dimension == planned_dimension and key == planned_key]
