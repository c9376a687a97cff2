"""Why a scope cost more: the slices of the bill (what) and of the ledger (who) that explain it, and single tasks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Literal

import duckdb
import numpy as np
from numpy.typing import NDArray

from farthing.anomalies.finding import Slice
from models.anomaly import Change, find_causes

Values = NDArray[np.float64]

_BILL = {
    "provider": "coalesce(ServiceProviderName, ProviderName)",
    "service": "ServiceName",
    "resource": "ResourceId",
    "sku": "coalesce(SkuId, SkuPriceId)",
    "region": "RegionId",
    "account": "coalesce(SubAccountId, BillingAccountId)",
    "charge": "ChargeCategory",
}
_LEDGER = {
    "pool": "pool",
    "kind": "kind",
    "model": "model",
    "team": "team_id",
    "customer": "customer_id",
    "feature": "feature",
    "environment": "environment",
}
#: How a scope of scope_days is found in the bill and in the ledger.
_IN_BILL = {"total": "true", "pool": "pool = $key", "provider": f"{_BILL['provider']} ilike $key"}
_IN_LEDGER = {
    "total": "true",
    "provider": "provider = $key",
    **{dimension: f"{_LEDGER[dimension]} = $key" for dimension in ("pool", "team", "model", "customer")},
}
_COMPARED_WEEKS, _MOST_DAYS = 4, 7
#: One task is named if it comes to so much of the change, and cost so many times the dearest of the four weeks before.
_TASK_SHARE = 0.5
_TASK_TIMES = 2

#: A charge longer than a day is spread over its days; each day belongs to the episode or to one of the weeks before.
_CHARGES = """
with spread as (
    select
        unnest(generate_series(
            cast(ChargePeriodStart as date),
            cast(greatest(ChargePeriodEnd - interval 1 microsecond, ChargePeriodStart) as date),
            interval 1 day
        )) as moment,
        date_diff('day', cast(ChargePeriodStart as date),
            cast(greatest(ChargePeriodEnd - interval 1 microsecond, ChargePeriodStart) as date)) + 1 as days,
        {dimensions},
        cast(x_cost as double) as cost,
        cast(coalesce(ConsumedQuantity, PricingQuantity) as double) as quantity
    from charges
    where {scope} and BillingCurrency = $currency and ChargePeriodStart <= $last and ChargePeriodEnd > $earliest
)

select
    {names},
    sum(cost / days) filter (where list_contains($before, cast(moment as date))) / {weeks},
    sum(cost / days) filter (where list_contains($after, cast(moment as date))),
    sum(quantity / days) filter (where list_contains($before, cast(moment as date))) / {weeks},
    sum(quantity / days) filter (where list_contains($after, cast(moment as date)))
from spread
where list_contains($before, cast(moment as date)) or list_contains($after, cast(moment as date))
group by all
"""

_LINES = """
select
    {dimensions},
    sum(cast(cost as double)) filter (where list_contains($before, day)) / {weeks},
    sum(cast(cost as double)) filter (where list_contains($after, day)),
    null,
    null
from cost_ledger
where
    {scope} and BillingCurrency = $currency
    and (list_contains($before, day) or list_contains($after, day))
group by all
"""

_TASKS = """
with tasks as (
    select trace_id, customer_id, user_id, cast(cost as double) as cost, cast(started_at as date) as day
    from trace_costs
    where BillingCurrency = $currency and cost is not null
)

select trace_id, customer_id, user_id, cost
from tasks
where
    day between $first and $last
    and cost >= {times} * coalesce(
        (select max(cost) from tasks where day < $first and day >= cast($first as date) - interval 28 day), 0
    )
order by cost desc, trace_id
limit 1
"""


def causes(
    con: duckdb.DuckDBPyConnection, dimension: str, key: str | None, currency: str, first: date, last: date
) -> list[Slice]:
    """What explains that the scope cost more from `first` to `last` than on the same weekdays of four weeks before.

    Slices with the part of the change that they explain, and, of the bill, its split into price and volume.
    """
    after = [first + timedelta(days=number) for number in range(min((last - first).days + 1, _MOST_DAYS))]
    before = [day - timedelta(weeks=week) for day in after for week in range(1, _COMPARED_WEEKS + 1)]
    asked = {"currency": currency, "before": before, "after": after}
    found: list[Slice] = []
    if dimension in _IN_BILL:
        dimensions = ", ".join(f"{column} as {name}" for name, column in _BILL.items())
        statement = _CHARGES.format(
            dimensions=dimensions, names=", ".join(_BILL), scope=_IN_BILL[dimension], weeks=_COMPARED_WEEKS
        )
        bounds = {"last": after[-1] + timedelta(days=1), "earliest": min(before)}
        found += _slices(con, statement, {**asked, **bounds}, "bill", list(_BILL), key)
    if dimension in _IN_LEDGER:
        statement = _LINES.format(
            dimensions=", ".join(_LEDGER.values()), scope=_IN_LEDGER[dimension], weeks=_COMPARED_WEEKS
        )
        found += _slices(con, statement, asked, "ledger", list(_LEDGER), key)
    return found + _task(con, found, currency, after[0], last)


def _slices(
    con: duckdb.DuckDBPyConnection,
    statement: str,
    asked: dict[str, Any],
    side: Literal["bill", "ledger"],
    names: Sequence[str],
    key: str | None,
) -> list[Slice]:
    parameters = {**asked, **({"key": key} if "$key" in statement else {})}
    rows = con.execute(statement, parameters).fetchall()
    if not rows:
        return []
    keys = {name: ["" if row[place] is None else str(row[place]) for row in rows] for place, name in enumerate(names)}
    numbers = np.array([row[len(names) :] for row in rows], dtype=np.float64)
    before, after = np.nan_to_num(numbers[:, 0]), np.nan_to_num(numbers[:, 1])
    old, new = (_quantity(numbers[:, place], amount) for place, amount in ((2, before), (3, after)))
    varied = {name: values for name, values in keys.items() if len(set(values)) > 1}
    change = Change(varied or {names[0]: keys[names[0]]}, before, after, old, new)
    return [
        {
            "of": side,
            "slice": {name: value or None for name, value in cause.slice.items()},
            "before": cause.before,
            "after": cause.after,
            "share": cause.share,
            "price_effect": cause.price_effect,
            "volume_effect": cause.volume_effect,
        }
        for cause in find_causes(change)
    ]


def _quantity(quantity: Values, amount: Values) -> Values:
    """A line that cost nothing was not used; one that cost something without a quantity was not counted."""
    return np.where(np.isnan(quantity) & (amount == 0), 0.0, quantity)


def _task(
    con: duckdb.DuckDBPyConnection, slices: Sequence[Slice], currency: str, first: date, last: date
) -> list[Slice]:
    """The task that cost far more than any before, when it comes to most of the change."""
    if not slices:
        return []
    change = max(cause["after"] - cause["before"] for cause in slices)
    asked = {"currency": currency, "first": first, "last": last}
    rows = con.execute(_TASKS.format(times=_TASK_TIMES), asked).fetchall()
    return [
        {
            "of": "task",
            "slice": {"task": task, "customer": customer, "user": user},
            "before": 0.0,
            "after": cost,
            "share": cost / change,
            "price_effect": None,
            "volume_effect": None,
        }
        for task, customer, user, cost in rows
        if cost >= _TASK_SHARE * change
    ]
