"""What Anthropic charges an organisation, by day, workspace and description, from its cost report or saved files."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from collectors import focus
from collectors.pages import Row, charge, iso_time, renamed
from collectors.providers import ANTHROPIC
from collectors.reports import Feed, Form, Reports, Vendor

_SERVICE = "Claude API"
#: Amounts are in the currency's smallest unit, which has not always two digits.
_MINOR_DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "VND": 0, "BHD": 3, "JOD": 3, "KWD": 3, "OMR": 3, "TND": 3}
_REPORTED = {"workspace_id": "SubAccountId", "description": "ChargeDescription", "token_type": "SkuMeter"}
_EXPORTED = {"workspace": "SubAccountName", "token_type": "SkuMeter", "list_price_usd": "ListCost"}


def _period(begin: datetime, end: datetime) -> list[tuple[str, str]]:
    written = "%Y-%m-%dT%H:%M:%SZ"
    width = [("bucket_width", "1d"), ("limit", "31")]
    return [("starting_at", begin.strftime(written)), ("ending_at", end.strftime(written)), *width]


VENDOR = Vendor(
    ANTHROPIC,
    "https://api.anthropic.com",
    "ANTHROPIC_ADMIN_KEY",
    headers=lambda key: {"x-api-key": key, "anthropic-version": "2023-06-01"},
    period=_period,
    fix="make an admin key (Console, Settings, Admin keys) as an admin of the organisation, and put it into the "
    "environment.",
)


def _cost(row: Row) -> Row:
    begin, end = iso_time(row, "starting_at"), iso_time(row, "ending_at")
    currency = row.pop("currency", "").upper()
    amount = row.pop("amount", None)
    made = charge(ANTHROPIC, _SERVICE, begin, end, None if amount is None else _major(amount, currency))
    if currency:
        made["BillingCurrency"] = currency
    return _described({**made, **renamed(row, _REPORTED)}, row)


def _exported_cost(row: Row) -> Row:
    begin = iso_time(row, "usage_date_utc")
    made = charge(ANTHROPIC, _SERVICE, begin, begin + timedelta(days=1), row.pop("cost_usd", None))
    return _described({**made, "BillingCurrency": "USD", **renamed(row, _EXPORTED)}, row)


def _described(made: Row, row: Row) -> Row:
    """With the model as SKU, else what is charged for; the model goes along where it is not the SKU."""
    sku = row.pop("model", None) or row.get("cost_type") or made.get("ChargeDescription")
    if sku:
        made["SkuId"] = sku
    if made.keys() & {"SubAccountId", "SubAccountName"}:
        made["SubAccountType"] = "Workspace"
    return {**made, **row}


def _major(amount: str, currency: str) -> str:
    try:
        return format(Decimal(amount).scaleb(-_MINOR_DIGITS.get(currency, 2)), "f")
    except ArithmeticError:
        raise ValueError(f"amount: '{amount}' is no decimal number") from None


COSTS = Form("Anthropic cost report", frozenset({"starting_at", "amount"}), _cost)
EXPORTED = Form("Claude Console cost export", frozenset({"usage_date_utc", "cost_usd"}), _exported_cost)

COLLECTOR = Reports(
    focus.KIND,
    VENDOR,
    [
        Feed(
            "anthropic",
            "/v1/organizations/cost_report",
            [("group_by[]", "workspace_id"), ("group_by[]", "description")],
            COSTS,
        )
    ],
    [EXPORTED, COSTS],
)
