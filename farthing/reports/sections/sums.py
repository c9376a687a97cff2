"""Sums that several sections speak of: spend by class and kind, revenue, units, and the tie to the bill."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from farthing import questions
from farthing.reports.asked import Asked, added, per
from farthing.reports.document import Row

CLASSES = {"cogs": "cogs (serving)", "rnd": "rnd (training, research)", "opex": "opex (tools, people)"}
NO_CLASS = "(no class)"

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

#: What is written off of training by unit, of the month. The units of `[units]` come first, levels among them last.
_UNITS = """
select unit, quantity, cost, cost_per_unit, training_cost, training_cost_per_unit
from unit_costs
left join units using (unit)
where
    month = date_trunc('month', $first)
    and model is null
    and BillingCurrency = $currency
    and quantity > 0
order by unit in ('request', 'million tokens'), coalesce(measure, '') = 'mean', unit
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
    estimated: Decimal
    difference: Decimal
    requests: int | None
    requests_without_usage: int | None
    tokens: int | None
    units: list[Row]  # unit, quantity, cost, cost_per_unit, and the same of training

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
    def unit(self) -> Row | None:
        """Cost of one of what the company counts its work in, the first of `[units]`; None where none is named."""
        return next((row for row in self.units if row["unit"] not in {"request", "million tokens"}), None)

    def of_class(self, name: str | None) -> Decimal:
        """What a class cost."""
        return added(row for row in self.spend if row["class"] == name)

    def of_kind(self, kind: str) -> Decimal:
        """What a kind cost."""
        return added(row for row in self.spend if row["kind"] == kind)


def sums(asked: Asked) -> Sums:
    """The sums of the period."""
    use = asked.one(questions.REQUESTS)
    spend = asked.rows(questions.CLASSES)
    return Sums(
        spend=spend,
        revenue=asked.one(questions.REVENUE)["revenue"],
        provisional=asked.one(_PROVISIONAL)["cost"],
        estimated=asked.one(_ESTIMATED)["cost"],
        difference=asked.one(_TIE)["difference"],
        requests=use["requests"],
        requests_without_usage=use["requests_without_usage"],
        tokens=use["tokens"],
        units=asked.rows(_UNITS) if asked.period.noun == "month" else _units_of_days(asked, spend, use),
    )


def _units_of_days(asked: Asked, spend: list[Row], use: Row) -> list[Row]:
    """What the days of a shorter period cost by unit; of what a month writes off they have no part."""
    serving = added(row for row in spend if row["class"] == "cogs")
    counted = [(row["unit"], row["quantity"]) for row in asked.rows(questions.UNITS)]
    counted += [("request", use["requests"]), ("million tokens", per(use["tokens"], 1_000_000))]
    return [
        {
            "unit": unit,
            "quantity": quantity,
            "cost": serving,
            "cost_per_unit": per(serving, quantity),
            "training_cost": None,
            "training_cost_per_unit": None,
        }
        for unit, quantity in counted
        if quantity
    ]
