"""Bills in FOCUS 1.0 to 1.4 (Cost and Usage), as the clouds and vendors export them, become charges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from collectors.checks import before, one_of, plausible_charge_period, unknown_currency
from collectors.kind import Check, Kind, Row
from collectors.landing import Files
from collectors.mapping import Dialect
from collectors.values import literal, quoted
from farthing.lake.schemas import CHARGES, COST_COLUMNS, FOCUS_TIMES

CHARGE_CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
_JSON_COLUMNS = ("Tags", "SkuPriceDetails", "AllocatedTags", "AllocatedMethodDetails", "ContractApplied")
#: What a rejected charge tells of the invoice that it is on, as far as it can be read.
SAID = (
    *("billing_month", "BillingCurrency", "BilledCost", "x_BilledCostRounding", "BillingAccountId", "SubAccountId"),
    *("InvoiceId", "ProviderName", "ServiceProviderName"),
)
_NEEDED = ("BillingCurrency", "ChargeCategory", *FOCUS_TIMES, *COST_COLUMNS)


def _derived(row: Row) -> Mapping[str, str]:
    made = {
        "billing_month": "date_trunc('month', \"BillingPeriodStart\")::date",
        "x_charge_id": f"{literal(row.x_load + ':')} || abs(_line) || if(_line < 0, ':2', '')",
        # 1.4 dropped ProviderName; the provider of the service is whom the pool rules ask for.
        "ProviderName": 'coalesce("ProviderName", "ServiceProviderName")',
    }
    for name in COST_COLUMNS:
        made[f"x_{name}Rounding"] = f"{row.map.exact(name)} - {quoted(name)}"
    for name in row.map.mapped.intersection(
        _JSON_COLUMNS
    ):  # text that is no JSON is kept as such: a tag must not cost a line of the bill
        text = quoted(name)
        made[name] = (
            f"case when {text} is null or json_valid({text}) then {text} "
            f"else json_object('x_unreadable', {text})::varchar end"
        )
    return made


def _checks(_row: Row) -> Sequence[Check]:
    return [
        before("ChargePeriodEnd", "ChargePeriodStart"),
        before("BillingPeriodEnd", "BillingPeriodStart"),
        *plausible_charge_period(),
        one_of("ChargeCategory", CHARGE_CATEGORIES),
        unknown_currency("BillingCurrency"),
    ]


KIND = Kind(
    Dialect(CHARGES, null_text=("NULL",), any_case=True, rest="x_extra", timezone="UTC"),
    needed=lambda _: _NEEDED,
    derived=_derived,
    checks=_checks,
    said=SAID,
    rounding=lambda source: ('"BillingCurrency"', quoted(f"x_{source.cost_column}Rounding")),
    spec="FOCUS",
)

COLLECTOR = Files(KIND)
