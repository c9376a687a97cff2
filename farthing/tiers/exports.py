"""Plans of one offer as neutral JSON with evidence, and that as Stripe prices and as OpenMeter plans.

Stripe: docs.stripe.com/api/prices (`tiers`, `up_to` inclusive, `unit_amount_decimal` in the smallest coin with at most
twelve decimals). OpenMeter: plans of API v1 (`phases`, `rateCards`, tiered price, metered entitlement).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import farthing
from farthing.errors import ConfigError
from farthing.tiers.panel import NO_PLAN
from farthing.tiers.study import Card, Study
from models.pricing.plans import Plan
from models.pricing.rating import Cap, Meter, PriceTier, Tariff, cent

FORMAT = "farthing.tiers/1"
_STRIPE_DECIMALS = 12
Json = dict[str, Any]


def neutral(study: Study, card: Card) -> Json:
    """The plans of an offer with what speaks for them; amounts and units are decimal strings.

    `included` units cost nothing and come first; `up_to` of a tier counts the units beyond them.
    """
    month = study.ahead[0]
    valid_from = f"{month}-01" if re.fullmatch(r"\d{4}-\d{2}", month) else None
    plans = [
        _plan(study, plan) | {"version": 1, "valid_from": valid_from, "evidence": _evidence(card.promise.tiers[number])}
        for number, plan in enumerate(card.offer.tiers)
        if plan.name != NO_PLAN and (number < card.offer.menu or not card.offer.menu)
    ]
    keys = [plan["key"] for plan in plans]
    if len(set(keys)) < len(keys):
        raise ConfigError(
            f"two plans have the key '{next(key for key in keys if keys.count(key) > 1)}'.",
            file="the spec",
            key="plans",
            fix="give them names that differ in letters or digits.",
        )
    return {
        "format": FORMAT,
        "currency": study.read.currency,
        "offer": card.id,
        "kind": card.kind,
        "plans": plans,
        "evidence": {
            "run_id": study.run_id,
            "farthing": farthing.__version__,
            "fitted_months": list(study.fitted),
            "promised_months": list(study.ahead),
            "seed": study.spec.run.seed,
            **_evidence(card.promise.whole),
        },
    }


def _evidence(interval: Any) -> Json:
    return {
        f"gm_{name}": None if value is None else f"{value:.6f}"
        for name, value in (
            ("q05", interval.q05), ("q10", interval.q10), ("q50", interval.q50), ("q95", interval.q95),
        )
    }  # fmt: skip


def _plan(study: Study, plan: Plan) -> Json:
    meter, unit = study.spec.meter, study.spec.meter.cost_per_unit
    meters: list[Json] = []
    limited = math.isfinite(plan.allowance)
    if limited or math.isfinite(plan.cap):
        price = exact(plan.overage) * unit if limited else Decimal(0)
        meters.append(
            {
                "key": meter.key,
                "unit": meter.name,
                "included": text(exact(plan.allowance) / unit) if limited else "0",
                "mode": "graduated",
                "tiers": [{"up_to": None, "unit_price": text(price), "flat": "0"}],
                "cap": {"kind": "hard", "limit": text(exact(plan.cap) / unit)} if math.isfinite(plan.cap) else None,
            }
        )
    key = "_".join(re.findall(r"[a-z0-9]+", plan.name.lower())) or "plan"
    return {
        "key": key,
        "name": plan.name,
        "currency": study.read.currency,
        "interval": "month",
        "fee": text(exact(plan.fee)),
        "meters": meters,
        "credits": None,
    }


def exact(amount: float) -> Decimal:
    """The decimal that was read into `amount`: the shortest that makes the same float."""
    return Decimal(repr(amount))


def text(value: Decimal) -> str:
    """A decimal string without zeros at its end."""
    shown = f"{value:f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def tariff(plan: Json) -> Tariff:
    """A plan of neutral JSON as the rater takes it."""
    return Tariff(
        plan["key"],
        plan["name"],
        plan["currency"],
        Decimal(plan["fee"]),
        [_meter(meter) for meter in plan["meters"]],
    )


def _meter(meter: Json) -> Meter:
    cap = meter.get("cap")
    return Meter(
        meter["key"],
        meter["unit"],
        Decimal(meter["included"]),
        [
            PriceTier(
                None if tier["up_to"] is None else Decimal(tier["up_to"]),
                Decimal(tier["unit_price"]),
                Decimal(tier.get("flat") or 0),
            )
            for tier in meter["tiers"]
        ],
        meter["mode"],
        Decimal(meter.get("package_size") or 1),
        None if cap is None else Cap(Decimal(cap["limit"]), hard=cap["kind"] == "hard"),
    )


def stripe(document: Json) -> Json:
    """Products with their prices, and the meters they need.

    Raises:
        ConfigError: a meter that Stripe cannot price so; see `docs/pricing.md`.
    """
    warnings: list[str] = []
    meters: dict[str, Json] = {}
    products = []
    for plan in document["plans"]:
        currency, coin = plan["currency"], cent(plan["currency"])
        common = {"currency": currency.lower(), "recurring": {"interval": plan["interval"]}}
        metadata = _metadata(document, plan)
        fee: Json = common | {
            "nickname": f"{plan['name']}: fee",
            "recurring": common["recurring"] | {"usage_type": "licensed"},
            "billing_scheme": "per_unit",
            **_amount("unit_amount", Decimal(plan["fee"]) / coin),
        }
        prices = [fee]
        for raw in plan["meters"]:
            meter = _meter(raw)
            meters[meter.key] = {
                "display_name": meter.unit,
                "event_name": meter.key,
                "default_aggregation": {"formula": "sum"},
            }
            price = common | {
                "nickname": f"{plan['name']}: {meter.key}",
                "recurring": common["recurring"] | {"usage_type": "metered", "meter": f"<id of meter {meter.key}>"},
                **_stripe_price(plan["key"], meter, coin, warnings),
            }
            prices.append(price)
            if meter.cap is not None:
                warnings.append(
                    f"{plan['key']}: Stripe has no fair-use cap: end the service at {text(meter.cap.limit)}"
                    f" {meter.key} a month yourself, else further ones are billed"
                )
        products.append({"name": plan["name"], "metadata": metadata, "prices": prices})
    if meters:
        warnings.append("create the meters first, and put their ids into recurring.meter")
    return {"target": "stripe", "meters": list(meters.values()), "products": products, "warnings": warnings}


def _stripe_price(plan: str, meter: Meter, coin: Decimal, warnings: list[str]) -> Json:
    if meter.mode == "package":
        _no_included(plan, meter, "Stripe")
        return {
            "billing_scheme": "per_unit",
            "transform_quantity": {"divide_by": _integer(plan, meter.package_size), "round": "up"},
            **_amount("unit_amount", meter.tiers[0].unit_price / coin, decimal=True),
        }
    if meter.mode == "volume":
        _no_included(plan, meter, "Stripe")
    tiers = _with_included(meter)
    if tiers[0].flat:
        warnings.append(f"{plan}: Stripe bills the flat amount of the first tier of {meter.key} at no use, too")
    return {
        "billing_scheme": "tiered",
        "tiers_mode": meter.mode,
        "tiers": [
            {
                "up_to": "inf" if tier.up_to is None else _integer(plan, tier.up_to),
                **_amount("unit_amount", tier.unit_price / coin, decimal=True),
                **(_amount("flat_amount", tier.flat / coin) if tier.flat else {}),
            }
            for tier in tiers
        ],
    }


def _amount(name: str, coins: Decimal, *, decimal: bool = False) -> Json:
    """An amount in the smallest coin: whole where it is, else as a decimal string of at most twelve decimals."""
    if coins == coins.to_integral_value() and not decimal:
        return {name: int(coins)}
    exponent = coins.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > _STRIPE_DECIMALS:
        raise ConfigError(
            f"{text(coins)} of the smallest coin has more decimals than the {_STRIPE_DECIMALS} that Stripe takes.",
            file="the spec",
            key="meter.cost_per_unit",
            fix="choose a larger unit.",
        )
    return {f"{name}_decimal": text(coins)}


def _integer(plan: str, units: Decimal) -> int:
    if units != units.to_integral_value():
        raise ConfigError(
            f"{plan}: Stripe takes whole units only, not {text(units)}.",
            file="the spec",
            key="meter.cost_per_unit",
            fix="choose a unit of which allowances are whole multiples.",
        )
    return int(units)


def _no_included(plan: str, meter: Meter, target: str) -> None:
    if meter.included:
        raise ConfigError(
            f"{plan}: {target} has no price of mode {meter.mode} for the units beyond {text(meter.included)} included.",
            file="the export",
            key=meter.key,
            fix="sell it graduated, or include nothing.",
        )


def _with_included(meter: Meter) -> Sequence[PriceTier]:
    """Tiers counted from the first unit: the included ones are a tier without a price."""
    if not meter.included:
        return meter.tiers
    return [
        PriceTier(meter.included, Decimal(0)),
        *(
            PriceTier(None if tier.up_to is None else tier.up_to + meter.included, tier.unit_price, tier.flat)
            for tier in meter.tiers
        ),
    ]


def openmeter(document: Json) -> Json:
    """Plans of one phase with a fee and usage-based rate cards; a hard cap is a metered entitlement.

    Raises:
        ConfigError: a meter that OpenMeter cannot price so; see `docs/pricing.md`.
    """
    meters: dict[str, Json] = {}
    features: dict[str, Json] = {}
    plans = []
    for plan in document["plans"]:
        cards: list[Json] = [
            {
                "type": "flat_fee",
                "key": "fee",
                "name": f"{plan['name']}: fee",
                "billingCadence": "P1M",
                "price": {"type": "flat", "amount": plan["fee"], "paymentTerm": "in_advance"},
            }
        ]
        for raw in plan["meters"]:
            meter = _meter(raw)
            meters[meter.key] = {
                "slug": meter.key,
                "eventType": meter.key,
                "aggregation": "SUM",
                "valueProperty": "$.units",
            }
            features[meter.key] = {"key": meter.key, "name": meter.unit, "meterSlug": meter.key}
            cards.append(_rate_card(plan["key"], meter))
        plans.append(
            {
                "key": plan["key"],
                "name": plan["name"],
                "currency": plan["currency"],
                "billingCadence": "P1M",
                "metadata": _metadata(document, plan),
                "phases": [{"key": "standard", "name": "standard", "duration": None, "rateCards": cards}],
            }
        )
    return {
        "target": "openmeter",
        "meters": list(meters.values()),
        "features": list(features.values()),
        "plans": plans,
        "warnings": [],
    }


def _rate_card(plan: str, meter: Meter) -> Json:
    if meter.mode != "graduated":
        _no_included(plan, meter, "OpenMeter")
    if meter.mode == "package":
        price: Json = {
            "type": "package",
            "amount": text(meter.tiers[0].unit_price),
            "quantityPerPackage": text(meter.package_size),
        }
    else:
        price = {
            "type": "tiered",
            "mode": meter.mode,
            "tiers": [
                {
                    **({} if tier.up_to is None else {"upToAmount": text(tier.up_to)}),
                    "flatPrice": {"type": "flat", "amount": text(tier.flat)} if tier.flat else None,
                    "unitPrice": {"type": "unit", "amount": text(tier.unit_price)},
                }
                for tier in _with_included(meter)
            ],
        }
    card: Json = {
        "type": "usage_based",
        "key": meter.key,
        "name": meter.unit,
        "featureKey": meter.key,
        "billingCadence": "P1M",
        "price": price,
    }
    if meter.cap is not None:
        card["entitlementTemplate"] = {
            "type": "metered",
            "issueAfterReset": float(meter.cap.limit),
            "isSoftLimit": not meter.cap.hard,
            "usagePeriod": "P1M",
        }
    return card


def _metadata(document: Json, plan: Json) -> dict[str, str]:
    """Where a price comes from, as the targets keep it: text by text."""
    evidence: Mapping[str, Any] = document["evidence"]
    return {
        "farthing_run_id": evidence["run_id"],
        "farthing_version": evidence["farthing"],
        "plan_key": plan["key"],
        "plan_version": str(plan["version"]),
        **{name: plan["evidence"][name] for name in ("gm_q05", "gm_q50", "gm_q95") if plan["evidence"][name]},
    }
