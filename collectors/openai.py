"""What OpenAI charges an organisation, by day, project and line item, from its costs report or saved files of it."""

from __future__ import annotations

from datetime import datetime

from collectors import focus
from collectors.pages import Row, charge, renamed, unix_time
from collectors.providers import OPENAI
from collectors.reports import Feed, Form, Reports, Vendor

_BUCKET = frozenset({"start_time", "end_time", "start_time_iso", "end_time_iso"})
_COLUMNS = {
    "line_item": "SkuPriceId",
    "quantity": "ConsumedQuantity",
    "quantity_unit": "ConsumedUnit",
    "project_id": "SubAccountId",
    "project_name": "SubAccountName",
    "organization_id": "BillingAccountId",
    "organization_name": "BillingAccountName",
}


def _period(begin: datetime, end: datetime) -> list[tuple[str, str]]:
    width = [("bucket_width", "1d"), ("limit", "31")]
    return [("start_time", str(int(begin.timestamp()))), ("end_time", str(int(end.timestamp()))), *width]


VENDOR = Vendor(
    OPENAI,
    "https://api.openai.com",
    "OPENAI_ADMIN_KEY",
    headers=lambda key: {"Authorization": f"Bearer {key}"},
    period=_period,
    fix="make an admin key (Settings, Organization, Admin keys) that may read usage, and put it into the environment.",
)


def bucket(row: Row) -> tuple[datetime, datetime] | None:
    """Begin and end of the row's bucket, taken out of it; None when nothing happened in it.

    Raises:
        ValueError: one of them is no time.
    """
    if row.keys() <= _BUCKET:
        return None
    begin, end = unix_time(row, "start_time"), unix_time(row, "end_time")
    row.pop("start_time_iso", None)
    row.pop("end_time_iso", None)
    return begin, end


def _cost(row: Row) -> Row | None:
    if (times := bucket(row)) is None:
        return None
    row.pop("object", None)
    made = charge(OPENAI, "OpenAI API", *times, row.pop("amount_value", None))
    made |= renamed(row, _COLUMNS)
    if currency := row.pop("amount_currency", None):
        made["BillingCurrency"] = currency.upper()
    if item := made.get("SkuPriceId"):  # "gpt-5.6-terra, cached input"
        model, comma, meter = item.rpartition(", ")
        made |= {"ChargeDescription": item, "SkuId": model if comma else item}
        made |= {"SkuMeter": meter} if comma else {}
    if "SubAccountId" in made:
        made["SubAccountType"] = "Project"
    return {**made, **row}


COSTS = Form("OpenAI costs", frozenset({"start_time", "amount_value"}), _cost)
#: The export of the usage page has the same names; buckets in which nothing happened are lines of it.
EXPORTED = Form("OpenAI cost export", frozenset({"start_time_iso", "amount_value"}), _cost)

COLLECTOR = Reports(
    focus.KIND,
    VENDOR,
    [Feed("openai", "/v1/organization/costs", [("group_by", "project_id"), ("group_by", "line_item")], COSTS)],
    [EXPORTED, COSTS],
)
