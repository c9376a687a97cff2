"""What Cost Explorer says a month cost, to hold a collected bill against; each request costs 0.01 USD."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from collectors.aws_access import client, reached
from collectors.kind import Report, Total
from farthing.config import Source

#: Cost Explorer is one service for all regions.
_REGION = "us-east-1"
_METRICS = ("UnblendedCost", "AmortizedCost")


def monthly_totals(name: str, source: Source, month: date, report: Report, *, pay: bool = True) -> list[Total]:
    """Totals per linked account of `month`; `report` hears what it costs beforehand, and unless `pay` that is all.

    Raises:
        ConfigError: boto3 is not installed.
        SourceError: Cost Explorer refuses or cannot be reached.
    """
    report.message(
        f"{'asking' if pay else 'would ask'} Cost Explorer for {month:%Y-%m}; AWS charges 0.01 USD for each "
        "page of the answer, which is one for up to some thousand accounts."
    )
    if not pay:
        return []
    begin = month.replace(day=1)
    end = (begin + timedelta(days=31)).replace(day=1)
    asked = {
        "TimePeriod": {"Start": begin.isoformat(), "End": end.isoformat()},
        "Granularity": "MONTHLY",
        "Metrics": list(_METRICS),
        "GroupBy": [{"Type": "DIMENSION", "Key": "LINKED_ACCOUNT"}],
    }
    service = client("ce", name, source, _REGION)
    totals: list[Total] = []
    token = ""
    while True:
        with reached(name, "Cost Explorer"):
            page = service.get_cost_and_usage(**asked, **({"NextPageToken": token} if token else {}))
        for period in page["ResultsByTime"]:
            for group in period["Groups"]:
                cash, spread = (group["Metrics"][metric] for metric in _METRICS)
                totals.append(
                    Total(
                        "SubAccountId",
                        group["Keys"][0],
                        cash["Unit"],
                        Decimal(cash["Amount"]),
                        Decimal(spread["Amount"]),
                        open=bool(period.get("Estimated")),
                    )
                )
        token = page.get("NextPageToken", "")
        if not token:
            return totals
