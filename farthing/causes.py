"""The causes between an invoice and the ledger, as command line, dashboard and report show them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from farthing import figures

#: Cause -> what its line says. Those of `reconciliation_causes`, and what landed after the warehouse was made.
TITLES = {
    "bill": "BilledCost in the bills of the month",
    "late rows": "rows that landed after the ledger was built",
    "rejects": "rows that could not be taken",
    "rounding": "rounding to 12 decimals",
    "cost column": "EffectiveCost is attributed, and it is not BilledCost",
    "prepayment": "purchases that are paid now and used over time",
    "commitment used": "use that commitments have paid for",
    "commitment unused": "commitments that nobody used",
    "tax": "tax",
    "credit": "credits",
    "marketplace issuer": "charges that another company invoices",
    "pricing currency": "charges with prices in another currency",
    "accrued": "hours still to come",
    "time zone": "hours of another month in UTC, not in the provider's time zone",
    "invoice month": "charges for another month than the invoice's",
    "spreading": "cutting charges into days, which may take 0.000000000001 each",
    "provisional": "what no bill has confirmed yet",
    "residual": "a difference without a cause",
    "ledger": "cost of the calendar month in the ledger",
}


def step(cause: str, *, of_others: bool | None) -> str:
    """What a line of the walk says; of charges in other months it says whose invoices they are on."""
    return TITLES[cause] + {None: "", False: ", of these invoices", True: ", of other invoices"}[of_others]


def steps_in_words(steps: Sequence[dict[str, Any]]) -> str | None:
    """The causes of a row of `ACCOUNTS` with their amounts; None where nothing lies between bill and ledger."""
    return ", ".join(f"{one['cause']} {figures.money(one['amount'])}" for one in steps) or None


def drawn(walk: Sequence[dict[str, Any]]) -> list[tuple[str, Decimal, bool]]:
    """The rows of `STEPS` that change something, for a chart: name, amount, and whether it is where the walk stands."""
    names = {None: "", False: " (out)", True: " (in)"}
    return [
        (row["cause"] + names[row["of_others"]], row["amount"], row["cause"] in ("bill", "ledger"))
        for row in walk
        if row["amount"] or row["cause"] in ("bill", "ledger")
    ]


#: The walk of `$month` by currency and source; what leaves the month with its own invoices and what comes with those of
#: other months (`of_others`) are two lines.
WALK = """
select
    BillingCurrency,
    x_source,
    cause,
    case when cause in ('time zone', 'invoice month') then billing_month <> month end as of_others,
    sum(amount) as amount,
    sum(attributed_cost) as attributed_cost
from reconciliation_causes
where month = $month
group by all
order by BillingCurrency, x_source nulls last, min(position), of_others
"""

#: The same of all sources together, in `$currency`.
STEPS = """
select
    cause,
    case when cause in ('time zone', 'invoice month') then billing_month <> month end as of_others,
    sum(amount) as amount,
    sum(attributed_cost) as attributed_cost
from reconciliation_causes
where month = $month and BillingCurrency = $currency
group by all
order by min(position), of_others
"""

#: Bill, lake and ledger of each account and invoice of `$month`; the steps between are a list of cause and amount.
ACCOUNTS = """
select
    BillingCurrency,
    x_source,
    provider,
    BillingAccountId,
    SubAccountId,
    InvoiceId,
    coalesce(sum(amount) filter (where cause = 'bill'), 0) as bill_cost,
    coalesce(sum(amount) filter (where cause in ('bill', 'rejects', 'rounding')), 0) as landed_cost,
    coalesce(sum(amount) filter (where cause = 'ledger'), 0) as ledger_cost,
    coalesce(
        list(struct_pack(cause := cause, amount := amount) order by position)
        filter (where kind = 'step' and amount <> 0),
        []
    ) as causes
from reconciliation_causes
where month = $month and x_source is not null
group by all
order by BillingCurrency, abs(ledger_cost) desc, x_source, provider, BillingAccountId, SubAccountId, InvoiceId
"""
