"""What invoices come to on paper, to hold the bills against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.checks import unknown_currency
from collectors.kind import Check, Kind, Row
from collectors.landing import Files
from collectors.mapping import Dialect
from farthing.lake.schemas import EXACT, INVOICES


def _checks(_row: Row) -> Sequence[Check]:
    return [unknown_currency("currency")]


def _derived(row: Row) -> Mapping[str, str]:
    return {"month": "date_trunc('month', \"month\")::date", "amount_rounding": f"{row.map.exact('amount')} - amount"}


KIND = Kind(
    Dialect(INVOICES, made={"amount_rounding": EXACT}),
    needed=lambda _: INVOICES.required,
    derived=_derived,
    checks=_checks,
    rounding=lambda _: ("currency", "amount_rounding"),
)

COLLECTOR = Files(KIND)
