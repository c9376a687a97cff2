"""A report as CSV: each of its tables with exact values, the period and the currency on every row."""

from __future__ import annotations

import io
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal

from farthing import console
from farthing.reports.document import Report, Table

_PLACES = Decimal("0.000000000001")


def csv(report: Report, table: Table) -> str:
    """`table` as CSV; amounts have all their decimals, and quotients twelve."""
    names = [column.name for column in table.columns]
    ahead: dict[str, object] = {"period": report.period}
    if table.currency and "BillingCurrency" not in names:
        ahead["BillingCurrency"] = table.currency
    text = io.StringIO()
    rows = ([*ahead.values(), *(_cell(row[name]) for name in names)] for row in table.rows)
    console.write_csv([*ahead, *names], rows, text)
    return text.getvalue()


def files(report: Report) -> Iterator[tuple[str, str]]:
    """The name of each table's file, and its text."""
    for table in report.tables():
        yield f"{table.name}.csv", csv(report, table)


def _cell(value: object) -> object:
    if isinstance(value, Decimal) and -int(value.as_tuple().exponent) > 24:  # a quotient; what was billed has up to 24
        return value.quantize(_PLACES, ROUND_HALF_EVEN)
    return value
