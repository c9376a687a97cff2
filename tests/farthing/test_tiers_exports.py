"""Exports rate like our rater: the targets' documented rules, written here once more and independently, to the cent.

Stripe: docs.stripe.com/api/prices/object and docs.stripe.com/products-prices/pricing-models (`up_to` is inclusive,
`unit_amount_decimal` is in cents, a graduated tier bills its own units, a volume tier all of them, `transform_quantity`
rounds packages up). OpenMeter: the descriptions of PriceTier, TieredPriceMode and PackagePrice in its API v1.
"""

from __future__ import annotations

import random
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import ceil
from typing import Any

import pytest

from farthing.errors import ConfigError
from farthing.tiers import exports
from models.pricing import rating

Json = dict[str, Any]
EVIDENCE = {"gm_q05": "0.61", "gm_q10": "0.62", "gm_q50": "0.65", "gm_q95": "0.70"}


def _cents(amount: Fraction) -> int:
    """Half a cent is rounded up."""
    return (amount * 2).__floor__() // 2 + (amount * 2).__floor__() % 2


def stripe_bill(product: Json, used: dict[str, int]) -> int:
    """An invoice in cents, by Stripe's rules."""
    total = 0
    for price in product["prices"]:
        recurring = price["recurring"]
        quantity = 1
        if recurring["usage_type"] == "metered":
            quantity = used.get(recurring["meter"].removeprefix("<id of meter ").removesuffix(">"), 0)
        if price["billing_scheme"] == "per_unit":
            if "transform_quantity" in price:
                assert price["transform_quantity"]["round"] == "up"
                quantity = ceil(Fraction(quantity, price["transform_quantity"]["divide_by"]))
            total += _cents(quantity * _of(price, "unit_amount"))
            continue
        assert price["tiers"][-1]["up_to"] == "inf"
        below = 0
        for number, tier in enumerate(price["tiers"]):
            bound = tier["up_to"]
            last = bound == "inf" or quantity <= bound
            if price["tiers_mode"] == "graduated":
                there = quantity - below if last else bound - below
                total += _cents(
                    there * _of(tier, "unit_amount") + (_of(tier, "flat_amount") if there or not number else 0)
                )
                below = bound
            elif last:
                total += _cents(quantity * _of(tier, "unit_amount") + _of(tier, "flat_amount"))
            if last:
                break
    return total


def _of(price: Json, name: str) -> Fraction:
    assert not (name in price and f"{name}_decimal" in price), "Stripe takes one of both"
    if name in price:
        assert isinstance(price[name], int)
        return Fraction(price[name])
    decimal = price.get(f"{name}_decimal", "0")
    assert len(decimal.partition(".")[2]) <= 12
    return Fraction(decimal)


def openmeter_bill(plan: Json, used: dict[str, Decimal]) -> Decimal:
    """An invoice by OpenMeter's rules, each detailed line rounded to a cent; a hard limit ends the use of a feature."""
    total = Decimal(0)
    [phase] = plan["phases"]
    for card in phase["rateCards"]:
        price = card["price"]
        if card["type"] == "flat_fee":
            total += _round(Decimal(price["amount"]))
            continue
        units = used.get(card["featureKey"], Decimal(0))
        template = card.get("entitlementTemplate")
        if template is not None and not template["isSoftLimit"]:
            units = min(units, Decimal(repr(template["issueAfterReset"])))
        if price["type"] == "package":
            packages = ceil(Fraction(units) / Fraction(price["quantityPerPackage"]))
            total += _round(packages * Decimal(price["amount"]))
        elif price["mode"] == "volume":
            total += _volume(price["tiers"], units)
        else:
            total += _graduated(price["tiers"], units)
    return total


def _volume(tiers: list[Json], units: Decimal) -> Decimal:
    for tier in tiers:
        if "upToAmount" not in tier or units <= Decimal(tier["upToAmount"]):
            return _round(units * _part(tier, "unitPrice") + _part(tier, "flatPrice")) if units else Decimal(0)
    raise AssertionError("the last tier is open")


def _graduated(tiers: list[Json], units: Decimal) -> Decimal:
    total, begin = Decimal(0), Decimal(0)
    for tier in tiers:
        end = Decimal(tier["upToAmount"]) if "upToAmount" in tier else units
        if units > begin:
            total += _round((min(units, end) - begin) * _part(tier, "unitPrice") + _part(tier, "flatPrice"))
        begin = end
    return total


def _part(tier: Json, name: str) -> Decimal:
    return Decimal(tier[name]["amount"]) if tier[name] is not None else Decimal(0)


def _round(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def plan(key: str, fee: str, meters: list[Json]) -> Json:
    return {
        "key": key,
        "name": key,
        "currency": "USD",
        "interval": "month",
        "fee": fee,
        "meters": meters,
        "credits": None,
        "version": 1,
        "valid_from": "2026-10-01",
        "evidence": EVIDENCE,
    }


def document(*plans: Json) -> Json:
    return {
        "format": exports.FORMAT,
        "currency": "USD",
        "plans": list(plans),
        "evidence": {"run_id": "0123456789abcdef", "farthing": "0", **EVIDENCE},
    }


def made(dice: random.Random, number: int) -> Json:
    """A plan of any mode, with prices down to a millionth and one to four tiers."""
    mode = dice.choice(["graduated", "graduated", "volume", "package"])
    bounds = sorted(dice.sample(range(1, 5000), dice.randint(0, 3)))
    tiers: list[Json] = [
        {
            "up_to": None if bound is None else str(bound),
            "unit_price": f"{dice.randint(0, 10**6) / 10**6:.6f}",
            "flat": f"{dice.choice([0, 0, 5, 12.5]):g}" if place and mode != "package" else "0",
        }
        for place, bound in enumerate([*bounds, None] if mode != "package" else [None])
    ]
    cap = str(dice.randint(1, 9000)) if dice.random() < 0.4 else None
    meter = {
        "key": "credits",
        "unit": "credit",
        "included": str(dice.choice([0, 1, 500])) if mode == "graduated" else "0",
        "mode": mode,
        "tiers": tiers,
        "package_size": str(dice.randint(1, 300)),
        "cap": {"kind": "hard", "limit": cap} if cap else None,
    }
    return plan(f"plan_{number}", f"{dice.randint(0, 20_000) / 100}", [meter])


@pytest.mark.slow
def test_ten_thousand_random_uses_are_rated_alike_to_the_cent_by_us_stripe_and_openmeter() -> None:
    dice = random.Random(8)
    rated = 0
    for number in range(250):
        sold = made(dice, number)
        tariff = exports.tariff(sold)
        [product] = exports.stripe(document(sold))["products"]
        [openmeter] = exports.openmeter(document(sold))["plans"]
        [meter] = tariff.meters
        edges = [int(tier.up_to + meter.included) for tier in meter.tiers if tier.up_to is not None]
        uses = [0, *edges, *(edge + 1 for edge in edges)] + [dice.randint(0, 12_000) for _ in range(40)]
        for used in uses[:40]:
            ours = sum(rating.bill(tariff, {"credits": Decimal(used)}), Decimal(0))
            served = int(meter.served(Decimal(used)))  # Stripe has no cap: the product ends the service
            assert ours * 100 == stripe_bill(product, {"credits": served}), (sold, used)
            assert ours == openmeter_bill(openmeter, {"credits": Decimal(used)}), (sold, used)
            rated += 1
    assert rated == 10_000


def graduated(**more: Any) -> Json:
    return {
        "key": "credits", "unit": "credit", "included": "1400", "mode": "graduated",
        "tiers": [{"up_to": None, "unit_price": "0.0125", "flat": "0"}], "cap": None, **more,
    }  # fmt: skip


def test_a_fair_use_cap_is_an_entitlement_in_openmeter_and_a_warning_for_stripe() -> None:
    sold = document(plan("pro", "20", [graduated(cap={"kind": "hard", "limit": "6000"})]))
    [_, card] = exports.openmeter(sold)["plans"][0]["phases"][0]["rateCards"]
    assert card["entitlementTemplate"] == {
        "type": "metered", "issueAfterReset": 6000.0, "isSoftLimit": False, "usagePeriod": "P1M",
    }  # fmt: skip
    assert any("6000 credits" in warning for warning in exports.stripe(sold)["warnings"])
    assert not any(
        "cap" in warning for warning in exports.stripe(document(plan("pro", "20", [graduated()])))["warnings"]
    )


def test_stripe_gets_included_units_as_a_free_tier_with_an_inclusive_bound() -> None:
    [product] = exports.stripe(document(plan("pro", "20", [graduated()])))["products"]
    [fee, metered] = product["prices"]
    assert fee["unit_amount"] == 2000
    assert fee["recurring"] == {"interval": "month", "usage_type": "licensed"}
    assert metered["tiers"] == [
        {"up_to": 1400, "unit_amount_decimal": "0"},
        {"up_to": "inf", "unit_amount_decimal": "1.25"},
    ]
    assert product["metadata"]["farthing_run_id"] == "0123456789abcdef"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"mode": "volume"}, "included"),
        ({"mode": "package", "package_size": "10"}, "included"),
        ({"included": "0.5"}, "whole units"),
        ({"tiers": [{"up_to": None, "unit_price": "0.000000000000001"}]}, "decimals"),
    ],
)
def test_what_stripe_cannot_price_is_refused_and_not_changed(change: Json, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        exports.stripe(document(plan("pro", "20", [graduated(**change)])))


def test_openmeter_refuses_included_units_where_all_are_priced_alike() -> None:
    with pytest.raises(ConfigError, match="included"):
        exports.openmeter(document(plan("pro", "20", [graduated(mode="volume")])))


def test_the_flat_amount_of_a_first_tier_is_a_warning_as_stripe_bills_it_at_no_use() -> None:
    tiers = [{"up_to": None, "unit_price": "0.01", "flat": "5"}]
    sold = document(plan("pro", "20", [graduated(included="0", tiers=tiers)]))
    assert any("at no use" in warning for warning in exports.stripe(sold)["warnings"])
