"""What Cost Explorer says a month cost, to hold a collected bill against; each request costs 0.01 USD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from collectors.aws import client, reached
from farthing.config import Source

#: Cost Explorer is one service for all regions.
_REGION = "us-east-1"
_METRICS = ("UnblendedCost", "AmortizedCost")


@dataclass(frozen=True)
class Total:
    """A month of an account: cash as billed, and with commitments spread over their use, in `currency`.

    `estimated` months may still change.
    """

    month: date
    account: str
    currency: str
    unblended: Decimal
    amortised: Decimal
    estimated: bool


def monthly_totals(name: str, source: Source, first: date, last: date, tell: Callable[[str], None]) -> list[Total]:
    """Totals per account of the months of `first` to `last`, both included; `tell` hears what it costs beforehand.

    Raises:
        ConfigError: boto3 is not installed.
        SourceError: Cost Explorer refuses or cannot be reached.
    """
    begin, end = first.replace(day=1), _next_month(last)
    tell(
        f"{name}: asking Cost Explorer for {begin:%Y-%m} to {last:%Y-%m}; "
        "AWS charges 0.01 USD for each page of the answer, which is one for up to some thousand accounts and months."
    )
    asked = {
        "TimePeriod": {"Start": begin.isoformat(), "End": end.isoformat()},
        "Granularity": "MONTHLY",
        "Metrics": list(_METRICS),
        "GroupBy": [{"Type": "DIMENSION", "Key": "LINKED_ACCOUNT"}],
    }
    service = client("ce", name, source, _REGION)
    totals, token = [], ""
    while True:
        with reached(name, "Cost Explorer"):
            page = service.get_cost_and_usage(**asked, **({"NextPageToken": token} if token else {}))
        for period in page["ResultsByTime"]:
            month = date.fromisoformat(period["TimePeriod"]["Start"])
            for group in period["Groups"]:
                cash, spread = (group["Metrics"][metric] for metric in _METRICS)
                totals.append(
                    Total(
                        month,
                        group["Keys"][0],
                        cash["Unit"],
                        Decimal(cash["Amount"]),
                        Decimal(spread["Amount"]),
                        bool(period.get("Estimated")),
                    )
                )
        token = page.get("NextPageToken", "")
        if not token:
            return totals


def _next_month(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
