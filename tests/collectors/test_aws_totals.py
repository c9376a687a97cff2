"""Cost Explorer's totals of a month, page by page and per account."""

from __future__ import annotations

import json
import urllib.request
from datetime import date
from decimal import Decimal

import pytest

from collectors.aws import COLLECTOR
from collectors.kind import Total
from farthing.config import Source
from tests.collectors.conftest import Silence
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


@pytest.mark.slow
def test_all_pages_of_a_month_are_read_and_it_is_open_as_long_as_it_is_an_estimate(
    moto_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "farthing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    month = ("2026-11-01", "2026-12-01")
    pages = [
        {
            "ResultsByTime": [period(*month, {"1": ("10.0000000001", "7.5"), "2": ("3", "3")}, estimated=False)],
            "NextPageToken": "more",
        },
        {"ResultsByTime": [period(*month, {"3": ("4", "5")}, estimated=True)]},
    ]
    told = json.dumps({"region": "aws", "account_id": "123456789012", "results": pages}).encode()
    asked = urllib.request.Request(f"{moto_endpoint}/moto-api/static/ce/cost-and-usage-results", told)
    urllib.request.urlopen(asked).close()
    source = Source(kind="aws", export="s3://bucket/prefix/name", endpoint=moto_endpoint)
    report = Silence()
    totals = COLLECTOR.totals("bill", source, date(2026, 11, 5), report, pay=True)
    assert totals == [
        Total("SubAccountId", "1", "USD", Decimal("10.0000000001"), Decimal("7.5")),
        Total("SubAccountId", "2", "USD", Decimal(3), Decimal(3)),
        Total("SubAccountId", "3", "USD", Decimal(4), Decimal(5), open=True),
    ]
    assert "asking Cost Explorer for 2026-11; AWS charges 0.01 USD" in report.messages[0]


def test_nobody_is_asked_when_only_the_price_is_wanted_or_when_files_lie_here() -> None:
    report = Silence()
    source = Source(kind="aws", export="s3://bucket/prefix/name", endpoint="http://127.0.0.1:1")
    assert COLLECTOR.totals("bill", source, date(2026, 11, 1), report, pay=False) == []
    assert "would ask Cost Explorer for 2026-11; AWS charges 0.01 USD" in report.messages[0]
    assert COLLECTOR.totals("bill", Source(kind="aws", path="*.csv"), date(2026, 11, 1), report, pay=True) is None
