"""Why a scope cost more: the slices of the bill (what) and of the ledger (who) that explain it, and single tasks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import duckdb
import numpy as np

from models.anomaly import Change, find_causes

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
#: A task that cost less of the impact is no cause of it.
_TASK_SHARE = 0.2

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
select trace_id, customer_id, user_id, llm_calls, cast(cost as double)
from trace_costs
where
    BillingCurrency = ? and cast(started_at as date) between ? and ? and customer_id = ?
order by cost desc, trace_id
limit 1
"""


def causes(
    con: duckdb.DuckDBPyConnection, dimension: str, key: str | None, currency: str, first: date, last: date
) -> list[dict[str, object]]:
    """What explains that the scope cost more from `first` to `last` than on the same weekdays of four weeks before.

    Slices with the part of the change that they explain, and, of the bill, its split into price and volume.
    """
    after = [first + timedelta(days=number) for number in range(min((last - first).days + 1, _MOST_DAYS))]
    before = [day - timedelta(weeks=week) for day in after for week in range(1, _COMPARED_WEEKS + 1)]
    asked = {"currency": currency, "before": before, "after": after}
    found: list[dict[str, object]] = []
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
    return found + _task(con, found, currency, after)


def _slices(
    con: duckdb.DuckDBPyConnection,
    statement: str,
    asked: dict[str, Any],
    side: str,
    names: Sequence[str],
    key: str | None,
) -> list[dict[str, object]]:
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


def _quantity(quantity: np.ndarray[Any, np.dtype[np.float64]], amount: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    """A line that cost nothing was not used; one that cost something without a quantity was not counted."""
    return np.where(np.isnan(quantity) & (amount == 0), 0.0, quantity)


def _task(
    con: duckdb.DuckDBPyConnection, slices: Sequence[dict[str, Any]], currency: str, after: Sequence[date]
) -> list[dict[str, object]]:
    """The most expensive task of the customer that the slices name, when it explains a good part of what they came to."""
    if not slices:
        return []
    impact = max(cause["after"] - cause["before"] for cause in slices)
    who = next((cause["slice"]["customer"] for cause in slices if cause["slice"].get("customer")), None)
    rows = con.execute(_TASKS, [currency, after[0], after[-1], who]).fetchall()
    return [
        {"of": "task", "slice": {"task": task, "customer": customer, "user": user}, "calls": calls, "after": cost}
        for task, customer, user, calls, cost in rows
        if cost >= _TASK_SHARE * impact
    ]
