"""Cost Explorer's totals of a month, page by page and per account."""

from __future__ import annotations

import json
import urllib.request
from datetime import date
from decimal import Decimal

import pytest

from collectors.aws_totals import Total, monthly_totals
from farthing.config import Source
from tests.servers import moto_endpoint

__all__ = ["moto_endpoint"]


def period(month: str, after: str, groups: dict[str, tuple[str, str]], *, estimated: bool) -> dict[str, object]:
    """A month as Cost Explorer answers it."""
    return {
        "TimePeriod": {"Start": month, "End": after},
        "Total": {},
        "Groups": [
            {
                "Keys": [account],
                "Metrics": {
                    "UnblendedCost": {"Amount": cash, "Unit": "USD"},
                    "AmortizedCost": {"Amount": spread, "Unit": "USD"},
                },
            }
            for account, (cash, spread) in groups.items()
        ],
        "Estimated": estimated,
    }


def test_all_pages_of_the_asked_months_are_added_up_per_account(
    moto_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "farthing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    pages = [
        {
            "ResultsByTime": [
                period("2026-11-01", "2026-12-01", {"1": ("10.0000000001", "7.5"), "2": ("3", "3")}, estimated=False)
            ],
            "NextPageToken": "more",
        },
        {"ResultsByTime": [period("2026-12-01", "2027-01-01", {"1": ("4", "5")}, estimated=True)]},
    ]
    told = json.dumps({"region": "aws", "account_id": "123456789012", "results": pages}).encode()
    asked = urllib.request.Request(f"{moto_endpoint}/moto-api/static/ce/cost-and-usage-results", told)
    urllib.request.urlopen(asked).close()
    said: list[str] = []
    source = Source(kind="aws", endpoint=moto_endpoint)
    totals = monthly_totals("bill", source, date(2026, 11, 5), date(2026, 12, 24), said.append)
    assert totals == [
        Total(date(2026, 11, 1), "1", "USD", Decimal("10.0000000001"), Decimal("7.5"), estimated=False),
        Total(date(2026, 11, 1), "2", "USD", Decimal(3), Decimal(3), estimated=False),
        Total(date(2026, 12, 1), "1", "USD", Decimal(4), Decimal(5), estimated=True),
    ]
    assert "0.01 USD" in said[0]
