"""Bills in decimals: each price tier by its rule, rounded once to a coin of the currency."""

from __future__ import annotations

from decimal import Decimal

import pytest

from models.pricing.rating import Cap, Meter, Mode, PriceTier, Tariff, bill, cent

D = Decimal
STEPS = [PriceTier(D(100), D("0.10")), PriceTier(D(200), D("0.05"), D(3)), PriceTier(None, D("0.01"))]


def total(meter: Meter, used: str, currency: str = "USD") -> Decimal:
    return sum(bill(Tariff("p", "P", currency, D(20), [meter]), {"credits": D(used)}), D(0))


def meter(mode: Mode = "graduated", included: str = "0", tiers: list[PriceTier] | None = None, **more: object) -> Meter:
    return Meter("credits", "credit", D(included), tiers or STEPS, mode, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "used", "expected"),
    [
        ("graduated", "0", "20"),
        ("graduated", "100", "30"),
        ("graduated", "101", "33.05"),
        ("graduated", "200", "38"),
        ("graduated", "250", "38.5"),
        ("volume", "100", "30"),
        ("volume", "101", "28.05"),
        ("volume", "250", "22.5"),
    ],
)
def test_each_unit_is_priced_by_its_tier_and_of_a_volume_all_are_by_the_last(
    mode: Mode, used: str, expected: str
) -> None:
    assert total(meter(mode), used) == D(expected)


def test_included_units_come_first_and_tiers_are_counted_beyond_them() -> None:
    assert total(meter(included="50"), "50") == 20
    assert total(meter(included="50"), "150") == 30


def test_a_package_that_is_begun_is_paid() -> None:
    sold = meter("package", tiers=[PriceTier(None, D(5))], package_size=D(20))
    assert [total(sold, used) for used in ("0", "20", "20.1", "98")] == [20, 25, 30, 45]


def test_nothing_is_billed_beyond_a_hard_cap_and_all_beyond_a_soft_one() -> None:
    assert total(meter(cap=Cap(D(100))), "5000") == 30
    assert total(meter(cap=Cap(D(100), hard=False)), "101") == D("33.05")


def test_a_line_is_rounded_half_up_to_a_coin_of_the_currency() -> None:
    half = [PriceTier(None, D("0.005"))]
    assert total(meter(tiers=half), "1") == D("20.01")
    assert total(meter(tiers=half), "1", "JPY") == 20
    assert total(meter(tiers=half), "100", "JPY") == 21
    assert [cent(name) for name in ("USD", "JPY", "KWD")] == [D("0.01"), 1, D("0.001")]


@pytest.mark.parametrize("mode", ["graduated", "volume"])
def test_use_without_a_price_is_an_error_and_no_gift(mode: Mode) -> None:
    with pytest.raises(ValueError, match="no tier has a price for 101"):
        total(meter(mode, tiers=STEPS[:1]), "101")


def test_less_than_nothing_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        total(meter(), "-1")
