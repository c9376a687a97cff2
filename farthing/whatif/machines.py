"""The GPUs of a month hour by hour: what they did, what they cost, how they are paid, and what others ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from statistics import mode
from typing import Any

import duckdb
import numpy as np

from models.whatif.card import Used, measured
from models.whatif.fleet import Fleet
from models.whatif.inputs import Floats

_HOURS = """
select
    pool,
    coalesce(gpu_model, 'unknown') as gpu_model,
    date_diff('day', $first, day) * 24 + hour as hour,
    sum(billed_seconds) / 3600 as billed,
    sum(covered_seconds) / 3600 as covered,
    sum(busy_seconds) / 3600 as busy,
    cast(sum(cost) as double) as cost
from gpu_hours
where BillingCurrency = $currency and day between $first and $last
group by all
order by all
"""
_NODES = """
select coalesce(gpu_model, 'unknown') as gpu_model, lower(ResourceId) as resource, count(distinct gpu_uuid) as gpus
from gpu_inventory
where valid_from < $until and coalesce(valid_to, timestamp '9999-12-31') > $first
group by all
"""
_HOW_PAID = """
with periods as (
    select distinct
        pool,
        lower(ResourceId) as resource,
        case when CommitmentDiscountId is not null then 'Committed' else PricingCategory end as category,
        ChargePeriodStart,
        ChargePeriodEnd
    from charges
    where BillingCurrency = $currency and ChargeCategory = 'Usage' and x_cost > 0 and ResourceId is not null
        and ChargePeriodStart >= $first and ChargePeriodStart < $until
),
hours as (
    select pool, resource, category, sum(epoch(ChargePeriodEnd) - epoch(ChargePeriodStart)) / 3600 as hours
    from periods
    group by all
),
costs as (
    select
        pool,
        lower(ResourceId) as resource,
        case when CommitmentDiscountId is not null then 'Committed' else PricingCategory end as category,
        cast(sum(x_cost) as double) as cost
    from charges
    where BillingCurrency = $currency and ChargeCategory = 'Usage' and x_cost > 0 and ResourceId is not null
        and ChargePeriodStart >= $first and ChargePeriodStart < $until
    group by all
)
select hours.pool, hours.resource, coalesce(hours.category, 'Other') as category, hours.hours, costs.cost
from hours
inner join costs
    on hours.pool = costs.pool and hours.resource = costs.resource
    and hours.category is not distinct from costs.category
"""
_LISTED = """
select min(list_rate) as rate from gpu_list_price as l
inner join gpu_inventory as i on lower(i.ResourceId) = l.ResourceId
where l.BillingCurrency = $currency and l.day between $first and $last and i.gpu_model = $gpu_model
    and l.list_rate is not null
"""
_OFFERED = """
select
    cast(coalesce(price_per_instance_hour / gpus, price_per_gpu_hour) as double) as price,
    coalesce(instance_type, sku) as name,
    region,
    gpu_model,
    valid_from,
    origin
from gpu_prices
where lower(provider) = lower($provider)
    and pricing_category = 'on-demand'
    and currency = $currency
    and lower(gpu_model) glob lower($gpu_model)
    and ($region is null or lower(region) = lower($region))
    and valid_from <= $last
    and (valid_to is null or valid_to > $last)
    and coalesce(price_per_instance_hour / gpus, price_per_gpu_hour) > 0
order by price, name, region, valid_from desc
limit 1
"""


def fleets(con: duckdb.DuckDBPyConnection, known: dict[str, Any]) -> list[Fleet]:
    """The GPUs of each pool and model in the days from `first` to `last` of `known`, in its `currency`."""
    first, last = known["first"], known["last"]
    until = last + timedelta(days=1)
    nodes = con.execute(_NODES, {"first": first, "until": until}).fetchall()
    paid = _how_paid(con, {"currency": known["currency"], "first": first, "until": until}, nodes)
    hours = ((last - first).days + 1) * 24
    found: dict[tuple[str, str], Floats] = {}
    for pool, gpu_model, hour, *values in con.execute(_HOURS, known).fetchall():
        found.setdefault((pool, gpu_model), np.zeros((4, hours)))[:, hour] = values
    nothing = _Paid({}, [number for _, _, number in nodes])
    return [_fleet(key, values, paid.get(key, nothing), _listed(con, known, key[1])) for key, values in found.items()]


@dataclass(frozen=True)
class _Paid:
    """GPU-hours and cost by pricing category, and the GPUs of each node."""

    by_category: dict[str, tuple[float, float]]
    sizes: list[int]


def _how_paid(
    con: duckdb.DuckDBPyConnection, known: dict[str, Any], nodes: list[tuple[Any, ...]]
) -> dict[tuple[str, str], _Paid]:
    """How the machines of each pool and GPU model are paid, as the bill has it."""
    gpus = {resource: (gpu_model, number) for gpu_model, resource, number in nodes}
    paid: dict[tuple[str, str], _Paid] = {}
    for pool, resource, category, hours, cost in con.execute(_HOW_PAID, known).fetchall():
        gpu_model, number = gpus.get(resource, ("unknown", 1))
        found = paid.setdefault((pool, gpu_model), _Paid({}, []))
        before = found.by_category.get(category, (0.0, 0.0))
        found.by_category[category] = (before[0] + hours * number, before[1] + cost)
        found.sizes.append(number)
    return paid


def _fleet(key: tuple[str, str], values: Floats, paid: _Paid, listed: float | None) -> Fleet:
    all_hours = sum(hours for hours, _ in paid.by_category.values())
    parts = {category: hours / all_hours for category, (hours, _) in paid.by_category.items() if all_hours}
    standard_hours, standard_cost = paid.by_category.get("Standard", (0.0, 0.0))
    billed, covered, busy, cost = values
    return Fleet(
        pool=key[0],
        gpu_model=key[1],
        billed=billed,
        busy=busy,
        covered=covered,
        cost=cost,
        gpus_per_node=max(1, mode(paid.sizes)) if paid.sizes else 1,
        committed=parts.get("Committed", 0.0),
        spot=parts.get("Dynamic", 0.0),
        on_demand=standard_cost / standard_hours if standard_hours else listed,
    )


def _listed(con: duckdb.DuckDBPyConnection, known: dict[str, Any], gpu_model: str) -> float | None:
    """The lowest on-demand list price of an hour of the GPUs that are there; None: none is known."""
    [(rate,)] = con.execute(_LISTED, {**known, "gpu_model": gpu_model}).fetchall()
    return None if rate is None else float(rate)


def offered(
    con: duckdb.DuckDBPyConnection, provider: str, gpu_model: str, region: str | None, currency: str, last: date
) -> Used | None:
    """What `provider` asks for an hour of such a GPU on the day `last`: the lowest price of the dated table."""
    asked = {"provider": provider, "gpu_model": gpu_model, "region": region, "currency": currency, "last": last}
    rows = con.execute(_OFFERED, asked).fetchall()
    if not rows:
        return None
    price, name, where, model, since, origin = rows[0]
    return measured(
        float(price),
        f"list price of {provider} {name}, {model}, {where or 'all regions'}, since {since}, {origin or 'gpu_prices'}",
    )
