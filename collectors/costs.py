"""Costs that no vendor bills in FOCUS, kept in a small file: labour, labelling, an invoice on paper, become charges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.checks import plausible_charge_period, unknown_currency
from collectors.focus import SAID
from collectors.kind import Check, Kind, Row
from collectors.landing import Files
from collectors.mapping import Dialect
from collectors.values import literal, quoted
from farthing.lake.schemas import CHARGES, COST_COLUMNS, DAY, MONEY, TEXT

_COLUMNS = {
    "date": DAY,
    "start": DAY,
    "end": DAY,
    "service": TEXT,
    "amount": MONEY,
    "currency": TEXT,
    "team": TEXT,
    "driver": TEXT,
    "description": TEXT,
    "invoice": TEXT,
}
_FIRST_DAY = 'coalesce("date", "start")::timestamp'
#: Tags that pools find a charge by; one that is empty is not there.
_TAGS = "nullif(json_merge_patch('{}', json_object('team', \"team\", 'driver', \"driver\"))::varchar, '{}')"


def _end_of(column: str, row: Row) -> str:
    """The moment after the day, or after the month, that `column` names."""
    if column not in row.map.mapped:
        return "null::timestamp"
    text, day = f"{quoted(column + '~in')}::varchar", quoted(column)
    return (
        f"case when regexp_full_match({text}, '\\d{{4}}-\\d\\d') "
        f"then {day} + interval 1 month else {day} + interval 1 day end"
    )


def _derived(row: Row) -> Mapping[str, str]:
    rounding = f'{row.map.exact("amount")} - "amount"'
    return {
        "x_charge_id": f"{literal(row.x_load + ':')} || _line",
        "billing_month": f"date_trunc('month', {_FIRST_DAY})::date",
        "BillingPeriodStart": f"date_trunc('month', {_FIRST_DAY})",
        "BillingPeriodEnd": f"date_trunc('month', {_FIRST_DAY}) + interval 1 month",
        "ChargePeriodStart": _FIRST_DAY,
        "ChargePeriodEnd": f"coalesce({_end_of('date', row)}, {_end_of('end', row)})",
        "BillingCurrency": '"currency"',
        **dict.fromkeys(COST_COLUMNS, '"amount"'),
        **{f"x_{name}Rounding": rounding for name in COST_COLUMNS},
        "ChargeCategory": literal("Usage"),
        "ServiceCategory": literal("Other"),
        "ServiceName": '"service"',
        "ChargeDescription": '"description"',
        "InvoiceId": '"invoice"',
        "Tags": _TAGS,
    }


def _checks(row: Row) -> Sequence[Check]:
    undated = "date is missing" if "date" in row.mapped else "start is missing"
    return [
        (
            '"date" is not null and ("start" is not null or "end" is not null)',
            literal("date stands beside start or end; keep one of them"),
        ),
        ('"date" is null and "start" is null', literal(undated)),
        ('"start" is not null and "end" is null', literal("end is missing")),
        (
            '"ChargePeriodEnd" <= "ChargePeriodStart"',
            "'end ' || \"end\" || ' is before start ' || \"start\"",
        ),
        *plausible_charge_period(),
        unknown_currency("currency"),
    ]


def _demand_dates(_name: str, row: Row) -> None:
    """A cost without a date belongs to no day."""
    if "date" not in row.mapped:
        row.map.require(("start", "end") if row.mapped & {"start", "end"} else ("date",))


KIND = Kind(
    Dialect(CHARGES, extra=_COLUMNS, takes=(), any_case=True, rest="x_extra"),
    needed=lambda _: ("service", "amount", "currency"),
    derived=_derived,
    checks=_checks,
    said=SAID,
    rounding=lambda source: ("currency", quoted(f"x_{source.cost_column}Rounding")),
    demand=_demand_dates,
)

COLLECTOR = Files(KIND)
