"""Invoices on paper land with the month that they are for, and one that comes again takes the place of the old one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from farthing.lake.schemas import INVOICES

HEADER = "provider,account,InvoiceId,month,amount,tax,currency\n"


def test_an_invoice_lands_with_its_month_and_an_unknown_currency_is_refused(world: Any) -> None:
    world.write(
        "paper.csv", HEADER + "AWS,1,I-1,2026-10,10.50,1.68,EUR\nAWS,,,2026-10-31,7,,USD\nAWS,,,2026-10,1,,XYZ\n"
    )
    result = world.one("invoices", "paper.csv")
    assert (result.landed, result.rejected) == (2, 1)
    columns = ("provider", "account", "InvoiceId", "month", "amount", "tax", "currency")
    assert [tuple(row[name] for name in columns) for row in world.rows(INVOICES, "amount")] == [
        ("AWS", None, None, date(2026, 10, 1), Decimal(7), None, "USD"),
        ("AWS", "1", "I-1", date(2026, 10, 1), Decimal("10.5"), Decimal("1.68"), "EUR"),
    ]
    assert "XYZ" in world.rejects()[0][1]


def test_an_invoice_that_was_corrected_replaces_the_old_one(world: Any) -> None:
    world.write("paper.csv", HEADER + "AWS,1,I-1,2026-10,10,,EUR\n")
    world.one("invoices", "paper.csv")
    world.write("paper.csv", HEADER + "AWS,1,I-1,2026-10,11,,EUR\n")
    world.one("invoices", "paper.csv")
    assert [row["amount"] for row in world.rows(INVOICES)] == [11]
