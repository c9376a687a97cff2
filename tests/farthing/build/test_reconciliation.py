"""The walk from invoice to ledger: each cause planted and worked out by hand, and sums that hold for any bill."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.build import publish, runner, settings
from farthing.lake import Lake
from farthing.lake.schemas import INVOICES, REJECTS
from tests.farthing.build.world import DAY, LATER, World, at

ALL = {"name": "all", "kind": "shared"}
NOVEMBER, SEPTEMBER = date(2026, 11, 1), date(2026, 9, 1)
USED = {"BilledCost": Decimal(0), "CommitmentDiscountStatus": "Used", "CommitmentDiscountId": "plan"}
PACIFIC = {
    "x_source": "google",
    "ProviderName": "Google Cloud",
    "InvoiceIssuerName": "Google Cloud",
    "InvoiceId": "202610",
    "BillingAccountId": "01AAAA",
    "BillingPeriodStart": datetime(2026, 10, 1, 7, tzinfo=UTC),
    "BillingPeriodEnd": datetime(2026, 11, 1, 7, tzinfo=UTC),
}


def every_cause() -> World:
    """October of AWS and Google Cloud; what differs between invoice and ledger is one of each kind."""
    world = World(ALL, sources={"google": {"kind": "focus", "path": "*"}})
    aws: dict[str, Any] = {"BillingAccountId": "payer", "SubAccountId": "a", "InvoiceIssuerName": "AWS"}
    world.charge(10, **aws)
    world.charge(4, **aws, BilledCost=Decimal(5))
    world.charge(0, **aws, BilledCost=Decimal(90), ChargeCategory="Purchase")
    world.charge(60, **aws, **USED)
    world.charge(30, **aws, **USED | {"CommitmentDiscountStatus": "Unused"})
    world.charge(18, **aws, BilledCost=Decimal(19), ChargeCategory="Tax")
    world.charge(-7, **aws, ChargeCategory="Credit")
    world.charge(3, **aws | {"InvoiceIssuerName": "A Seller"}, BilledCost=Decimal(0))
    world.charge(2, **aws, PricingCurrency="EUR")
    world.charge(1, **aws, x_BilledCostRounding=Decimal("0.0000000000004"))
    world.charge(4, at(day=45), at(day=47), **aws)  # support from 14 to 16 November; the clock says 15
    world.charge(6, at("12:00", day=0), at("18:00", day=0), **aws)  # used on 30 September
    world.charge(8, at(day=32), at("04:00", day=32), **PACIFIC)  # 31 October in California
    world.charge(9, at(day=32), at("10:00", day=32), **PACIFIC)  # three of its ten hours are November there too
    return world


REJECTED = {
    "billing_month": "2026-10-01",
    "BillingCurrency": "USD",
    "BilledCost": "1.500000000000",
    "x_BilledCostRounding": "0.000000000000000000000001",
    "BillingAccountId": "payer",
    "SubAccountId": "a",
    "InvoiceId": "I",
    "ProviderName": "AWS",
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world of every cause, built and published."""
    folder = tmp_path_factory.mktemp("causes")
    lake = Lake(str(folder / "lake"))
    world = every_cause()
    world.land(lake)
    said = pa.scalar(REJECTED)
    rows = [{"table": "charges", "reason": "no such category", "x_source": "bill", "said": _json(said)}]
    rows.append({"table": "charges", "reason": "no JSON", "x_source": "bill", "said": None})
    lake.append(REJECTS, pa.Table.from_pylist(rows, schema=REJECTS.schema), load="rejects")
    lake.append(INVOICES, pa.Table.from_pylist(list(papers()), schema=INVOICES.schema), load="papers")
    return Path(world.build(folder).warehouse)


def _json(value: pa.Scalar) -> str:
    with duckdb.connect() as con:
        [(text,)] = con.execute("select to_json(?)::varchar", [value.as_py()]).fetchall()
        return str(text)


def papers() -> Iterator[dict[str, Any]]:
    """Invoices as finance has them; those of AWS are for other months, where the bill is empty, but for one."""
    november = {"provider": "aws", "month": DAY, "currency": "USD", "x_source": "paper"}
    bill = Decimal("130.50")  # 10 + 5 + 90 + 19 - 7 + 2 + 1 + 4 + 6, and 1.5 rejected; fractions are below a cent
    assert bill == 10 + 5 + 90 + 19 - 7 + 2 + 1 + 4 + 6 + Decimal("0.50")
    del november, bill
    yield {"provider": "AWS", "account": "payer", "month": DAY, "currency": "USD", "amount": Decimal("131.50"),
           "x_source": "paper"}  # fmt: skip


def walk(con: duckdb.DuckDBPyConnection, source: str, month: date, billed: date | None = DAY) -> dict[str, Decimal]:
    """Cause -> amount of one source, month and invoice month."""
    rows = con.execute(
        "select cause, amount from reconciliation_causes where x_source = ? and month = ? and billing_month = ?"
        " order by position",
        [source, month, billed],
    ).fetchall()
    return {cause: amount for cause, amount in rows}
