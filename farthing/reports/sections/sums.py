"""Sums that several sections speak of: spend by class and kind, revenue, units, and the tie to the bill."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from farthing.reports.asked import Asked, added
from farthing.reports.document import Row

CLASSES = {"cogs": "cogs (serving)", "rnd": "rnd (training, research)", "opex": "opex (tools, people)"}
NO_CLASS = "(no class)"

_SPEND = """
select pools.class, cost_ledger.kind, sum(cost_ledger.cost) as cost
from cost_ledger
left join pools using (pool)
where BillingCurrency = $currency and day between $first and $last
group by all
order by cost desc, class, kind
"""

_PROVISIONAL = """
select coalesce(sum(cost) filter (where provisional), 0) as cost
from cost_ledger
where BillingCurrency = $currency and day between $first and $last
"""

_ESTIMATED = """
select coalesce(sum(cost) filter (where estimated), 0) as cost
from cost_ledger
where BillingCurrency = $currency and day between $first and $last
"""

#: What customers pay for the days of the period: what is paid for a month is spread evenly over its days.
REVENUE = """
with paid as (
    select customer_id, plan, amount, date_trunc('month', period) as month_begin, last_day(period) as month_end
    from revenue
    where currency = $currency
),
earned as (
    select
        customer_id,
        plan,
        cast(
            cast(amount * 1000000000000 as hugeint)
            * (date_diff('day', greatest(month_begin, $first), least(month_end, $last)) + 1)
            // (date_diff('day', month_begin, month_end) + 1)
            as decimal(38, 0)
        ) * 0.000000000001 as amount
    from paid
    where month_begin <= $last and month_end >= $first
)
"""

_REVENUE = REVENUE + "select sum(amount) as amount from earned"

#: Metrics, the likeliest to count what the company makes first: no pool is spread by it, and it is not a level. What
#: `[units]` says decides that, else whether it is said of every key on every day, as what is stored is. Where several
#: dimensions are told, the one that knows most counts.
_UNITS = """
with days as (
    select name, dimension, day, sum(quantity) as quantity, count(*) as keys
    from metrics
    where day between $first and $last
    group by all
),
as_units as (
    select metric, min(measure) = 'mean' as is_level from units group by all
),
sums as (
    select
        name,
        dimension,
        sum(quantity) as total,
        cast(avg(quantity) as decimal(38, 6)) as mean,
        coalesce(
            any_value(as_units.is_level),
            count(*) = date_diff('day', $first, $last) + 1 and min(keys) = max(keys)
        ) as every_day
    from days
    left join as_units on days.name = as_units.metric
    group by all
),
metrics_known as (
    select * from sums qualify row_number() over (partition by name order by total desc, dimension) = 1
)
select
    name,
    total,
    mean,
    every_day,
    name in (select metric from pools where metric is not null) as is_driver
from metrics_known
order by is_driver, every_day, name
"""

_REQUESTS = """
select
    cast(sum(requests) as bigint) as requests,
    cast(sum(requests_without_usage) as bigint) as requests_without_usage,
    cast(sum(input_tokens) + sum(output_tokens) as bigint) as tokens
from usage_days
where day between $first and $last
"""

#: Charges spread over their days, with what stands in for charges to come, against what the ledger hands out.
_TIE = """
with bill as (
    select coalesce(sum(cost), 0) as cost from pool_days
    where BillingCurrency = $currency and day between $first and $last
),
ledger as (
    select coalesce(sum(cost), 0) as cost from cost_ledger
    where BillingCurrency = $currency and day between $first and $last
)
select bill.cost - ledger.cost as difference from bill cross join ledger
"""


@dataclass(frozen=True)
class Sums:
    """The amounts of the period in its currency; None where no source says."""

    spend: list[Row]  # class, kind, cost
    revenue: Decimal | None
    provisional: Decimal
    estimated: Decimal | None
    difference: Decimal
    requests: int | None
    requests_without_usage: int | None
    tokens: int | None
    metrics: list[Row]  # name, total of the days, mean of a day, every_day, is_driver

    @property
    def cost(self) -> Decimal:
        """All of it."""
        return added(self.spend)

    @property
    def serving(self) -> Decimal:
        """What serving customers cost: class cogs."""
        return self.of_class("cogs")

    @property
    def gross_margin(self) -> Decimal | None:
        """Revenue less cost of serving."""
        return None if self.revenue is None else self.revenue - self.serving

    @property
    def unit(self) -> tuple[str, Decimal] | None:
        """What the company makes, by its name for people, and how much of it; None where no metric counts that."""
        for row in self.metrics:
            if not (row["is_driver"] and row["every_day"]):
                return row["name"].replace("_", " "), row["total"]
        return None

    def of_class(self, name: str | None) -> Decimal:
        """What a class cost."""
        return added(row for row in self.spend if row["class"] == name)

    def of_kind(self, kind: str) -> Decimal:
        """What a kind cost."""
        return added(row for row in self.spend if row["kind"] == kind)


def sums(asked: Asked) -> Sums:
    """The sums of the period."""
    use = asked.one(_REQUESTS)
    return Sums(
        spend=asked.rows(_SPEND),
        revenue=asked.one(_REVENUE)["amount"],
        provisional=asked.one(_PROVISIONAL)["cost"],
        estimated=asked.one(_ESTIMATED)["cost"] if asked.has("cost_ledger", "estimated") else None,
        difference=asked.one(_TIE)["difference"],
        requests=use["requests"],
        requests_without_usage=use["requests_without_usage"],
        tokens=use["tokens"],
        metrics=asked.rows(_UNITS),
    )
