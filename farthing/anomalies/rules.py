"""What is wrong whatever the level of spend: idle GPUs, money without price or owner, new names, prices, limits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import duckdb

from farthing.anomalies.days import HISTORY_DAYS
from farthing.anomalies.finding import Finding, Level
from farthing.config import Config

#: Rules broken before explain nothing that goes on: what a rule explains may last longer than it.
_RECENT_DAYS = 30
#: A name is new for so long after its first day, if there were so many days without it.
_NEW_DAYS, _DAYS_WITHOUT = 3, 28

_IDLE = """
select
    coalesce(ResourceId, node_id, replica_id), BillingCurrency, day,
    sum(cast(cost as double)) - sum(cast(direct_cost + training_cost as double)), sum(cast(cost as double)),
    list(distinct pool)
from gpu_day
where day > $from and day <= $until
group by all
having sum(covered_seconds) > 0 and sum(busy_seconds) < $busy_share * sum(covered_seconds)
"""

_OF_A_KIND = """
select
    coalesce({key}, pool), BillingCurrency, day,
    sum(cast(cost as double)), sum(cast(cost as double)), list(distinct pool)
from cost_ledger
where kind = '{kind}' and day > $from and day <= $until
group by all
having sum(cost) > 0
"""

_TRUE_UP = """
select
    concat(provider, coalesce(concat(' ', model), '')), BillingCurrency, day,
    sum(abs(cast(billed_cost - priced_cost as double))), sum(cast(billed_cost as double)), list(distinct pool)
from api_trueup
where is_finding and day > $from and day <= $until
group by all
"""

_NEW = """
with firsts as (
    select {key} as name, BillingCurrency, min(day) as first_day
    from cost_ledger
    where {key} is not null
    group by all
),

began as (
    select min(day) as day from cost_ledger
)

select
    firsts.name, firsts.BillingCurrency, ledger.day,
    sum(cast(ledger.cost as double)), sum(cast(ledger.cost as double)), list(distinct ledger.pool)
from firsts
inner join cost_ledger as ledger
    on firsts.name = ledger.{key} and firsts.BillingCurrency = ledger.BillingCurrency
where
    firsts.first_day > $from and ledger.day <= $until
    and date_diff('day', (select day from began), firsts.first_day) >= {without}
    and date_diff('day', firsts.first_day, ledger.day) < {days}
group by all
"""

_NEW_IN_BILL = """
with firsts as (
    select {key} as name, BillingCurrency, min(cast(ChargePeriodStart as date)) as first_day
    from charges
    where {key} is not null
    group by all
),

began as (
    select min(cast(ChargePeriodStart as date)) as day from charges
)

select
    firsts.name, firsts.BillingCurrency, cast(charges.ChargePeriodStart as date) as day,
    sum(cast(charges.x_cost as double)), sum(cast(charges.x_cost as double)), list(distinct charges.pool)
from firsts
inner join charges
    on firsts.name = {of_charges} and firsts.BillingCurrency = charges.BillingCurrency
where
    firsts.first_day > $from and cast(charges.ChargePeriodStart as date) <= $until
    and date_diff('day', (select day from began), firsts.first_day) >= {without}
    and date_diff('day', firsts.first_day, cast(charges.ChargePeriodStart as date)) < {days}
group by all
"""

#: The unit price of a meter on a day against that of the seven days before on which it was used; those agree.
_PRICES = """
with daily as (
    select
        concat_ws(' ', coalesce(ServiceProviderName, ProviderName), coalesce(SkuId, SkuPriceId)) as sku,
        coalesce(SkuMeter, '') as meter,
        coalesce(ConsumedUnit, PricingUnit) as unit,
        BillingCurrency,
        cast(ChargePeriodStart as date) as day,
        list(distinct pool) as pools,
        sum(cast(x_cost as double)) as cost,
        sum(cast(coalesce(ConsumedQuantity, PricingQuantity) as double)) as quantity
    from charges
    where
        ChargeCategory = 'Usage' and coalesce(PricingCategory, '') <> 'Dynamic'
        and coalesce(SkuId, SkuPriceId) is not null
        and ChargePeriodStart > cast($from as date) - interval 10 day and cast(ChargePeriodStart as date) <= $until
    group by all
    having quantity > 0 and cost > 0
),

compared as (
    select
        sku, BillingCurrency, day, pools, cost, quantity,
        cost / quantity as price,
        median(cost / quantity) over before as old_price,
        max(cost / quantity) over before / min(cost / quantity) over before - 1 as wobble,
        count(*) over before as known_days
    from daily
    window before as (
        partition by sku, meter, unit, BillingCurrency order by day rows between 7 preceding and 1 preceding
    )
)

select
    sku, BillingCurrency, day, sum((price - old_price) * quantity), sum(cost), list_distinct(flatten(list(pools)))
from compared
where known_days = 7 and wobble < $rise / 3 and price > old_price * (1 + $rise) and day > $from
group by all
"""

_USERS = """
with plans as (
    select user_id, arg_max(plan, coalesce(valid_from, timestamp '1970-01-01')) filter (where plan is not null) as plan
    from identities
    where user_id is not null
    group by user_id
),

rolling as (
    select
        user_id, BillingCurrency, day,
        sum(cast(cost as double)) over (
            partition by user_id, BillingCurrency order by day
            range between interval {before} day preceding and current row
        ) as cost
    from user_day
    where cost is not null and user_id is not null and day > cast($from as date) - {before} and day <= $until
)

select rolling.user_id, rolling.BillingCurrency, rolling.day, rolling.cost, plans.plan
from rolling
left join plans on rolling.user_id = plans.user_id
where rolling.day > $from
"""


#: Names that may be new; of users and resources there are new ones every day.
_NAMES: tuple[tuple[str, str, str, Level], ...] = (
    ("model", _NEW, "model", "page"),
    ("team", _NEW, "team_id", "page"),
    ("user", _NEW, "user_id", "detail"),
    ("service", _NEW_IN_BILL, "ServiceName", "page"),
    ("resource", _NEW_IN_BILL, "ResourceId", "detail"),
)


@dataclass(frozen=True)
class _Broken:
    """A rule broken by `key` on a day: what it cost beyond what it should, and in all, in which pools."""

    key: str
    currency: str
    day: date
    excess: float
    cost: float
    pools: list[str]


def found(con: duckdb.DuckDBPyConnection, config: Config, until: date) -> list[Finding]:
    """The rules that were broken on the last days up to `until`, one finding for each stretch of days."""
    settings = config.anomalies
    bounds = {"from": until - timedelta(days=HISTORY_DAYS), "until": until}
    floor = float(settings.rule_floor)
    least_days = settings.idle_hours // 24

    def broken(statement: str, **more: object) -> list[_Broken]:
        return [_Broken(*row) for row in con.execute(statement, {**bounds, **more}).fetchall()]

    every = _stretches(
        "idle",
        "resource",
        broken(_IDLE, busy_share=settings.idle_busy_share),
        until,
        floor,
        "{key}: its GPUs did nothing for {days} and cost {excess}",
        least_days=least_days,
    )
    for kind, dimension, title in (
        ("unpriced", "model", "{key} has no price: it cost {excess} in {days}, which the vendor's bill says"),
        ("unassigned", "pool", "{excess} in pool {key} belong to nobody: a tag or a driver is missing"),
    ):
        statement = _OF_A_KIND.format(key="model" if dimension == "model" else "pool", kind=kind)
        every += _stretches(kind, dimension, broken(statement), until, floor, title)
    every += _stretches(
        "true-up",
        "provider",
        broken(_TRUE_UP),
        until,
        floor,
        "{key}: the bill is {excess} from what the price table says, more than a tenth",
    )
    every += _new(broken, until, floor)
    every += _stretches(
        "price",
        "sku",
        broken(_PRICES, rise=settings.price_rise),
        until,
        0.0,
        "{key}: the unit price rose by {rise:.0%}; {excess} more in {days} for the same quantity",
        floor_a_month=float(settings.floor),
    )
    return every + _users(con, config, bounds, until)


def _new(broken: Callable[[str], list[_Broken]], until: date, floor: float) -> list[Finding]:
    """Names that were not there in four weeks or more, and cost something from their first day on."""
    with_days = {"without": _DAYS_WITHOUT, "days": _NEW_DAYS}
    every: list[Finding] = []
    for dimension, statement, column, level in _NAMES:
        rows = broken(statement.format(key=column, of_charges=f"charges.{column}", **with_days))
        title = f"{dimension} {{key}} is new: {{excess}} in its first {{days}}"
        every += _stretches("new key", dimension, rows, until, floor, title, level=level)
    return every


def _users(con: duckdb.DuckDBPyConnection, config: Config, bounds: dict[str, date], until: date) -> list[Finding]:
    """Users whose cost of the last days is above the limit of their plan."""
    settings = config.anomalies
    if not settings.user_limits:
        return []
    limits = {plan: float(limit) for plan, limit in settings.user_limits.items()}
    over: list[_Broken] = []
    rows = con.execute(_USERS.format(before=settings.user_limit_days - 1), bounds).fetchall()
    for user, currency, day, cost, plan in rows:
        limit = limits.get(plan or "", limits.get("*"))
        if limit is not None and cost > limit:
            over.append(_Broken(user, currency, day, cost - limit, cost, []))
    title = f"user {{key}} cost {{cost}} in {settings.user_limit_days} days, {{excess}} above the limit"
    return _stretches("user limit", "user", over, until, 0.0, title, latest=True)


def _stretches(
    rule: str,
    dimension: str,
    broken: Iterable[_Broken],
    until: date,
    floor: float,
    title: str,
    *,
    least_days: int = 1,
    level: Level = "page",
    latest: bool = False,
    floor_a_month: float | None = None,
) -> list[Finding]:
    """A finding for each stretch of consecutive days of a key that is long, recent and expensive enough.

    With `latest`, each day's excess holds for all days before it too: the last one counts, not the sum. What lasts is
    judged by what it will come to in 30 days: `floor_a_month`.
    """
    by_key: dict[tuple[str, str], list[_Broken]] = defaultdict(list)
    for one in broken:
        by_key[one.key, one.currency].append(one)
    found = []
    for (key, currency), rows in sorted(by_key.items()):
        for stretch in _consecutive(sorted(rows, key=lambda row: row.day)):
            excess, cost = (
                (stretch[-1].excess, stretch[-1].cost)
                if latest
                else (sum(row.excess for row in stretch), sum(row.cost for row in stretch))
            )
            first, last = stretch[0].day, stretch[-1].day
            enough = excess / len(stretch) * 30 > floor_a_month if floor_a_month is not None else excess > floor
            if not enough or len(stretch) < least_days or (until - last).days > _RECENT_DAYS:
                continue
            told = title.format(
                key=key,
                days="1 day" if len(stretch) == 1 else f"{len(stretch)} days",
                excess=f"{excess:,.2f} {currency}",
                cost=f"{cost:,.2f} {currency}",
                rise=excess / (cost - excess) if cost > excess else 0.0,
            )
            found.append(
                Finding(
                    rule=rule,
                    dimension=dimension,
                    key=key,
                    currency=currency,
                    first=first,
                    last=last,
                    found=first,
                    open=last == until,
                    expected=cost - excess,
                    actual=cost,
                    title=told,
                    level=level,
                    pools=frozenset(pool for row in stretch for pool in row.pools if pool),
                )
            )
    return found


def _consecutive(rows: list[_Broken]) -> list[list[_Broken]]:
    stretches = [[rows[0]]]
    for before, row in pairwise(rows):
        if (row.day - before.day).days == 1:
            stretches[-1].append(row)
        else:
            stretches.append([row])
    return stretches
