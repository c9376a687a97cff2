"""The log-mean waterfall: effects add up to the difference, in no order, with zeros and newcomers in their place."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.lmdi import MIX, VOLUME, added, waterfall, waterfall_of_groups

NAMES = ("users", "requests", "tokens", "price")
FACTOR = st.one_of(st.just(0.0), st.floats(1e-6, 1e6))
PRODUCT = st.fixed_dictionaries(dict.fromkeys(NAMES, FACTOR))
GROUP = st.fixed_dictionaries({"tokens": FACTOR, "rate": FACTOR})
GROUPS = st.dictionaries(st.sampled_from("abcd"), GROUP, max_size=4)


def cost(groups: dict[str, dict[str, float]]) -> float:
    return math.fsum(math.prod(group.values()) for group in groups.values())


@given(before=PRODUCT, after=PRODUCT)
def test_effects_add_up_to_the_difference(before: dict[str, float], after: dict[str, float]) -> None:
    products = math.prod(before.values()), math.prod(after.values())
    assert math.fsum(waterfall(before, after).values()) == pytest.approx(
        products[1] - products[0], rel=1e-12, abs=1e-12 * max(products)
    )


@given(before=PRODUCT, after=PRODUCT, order=st.permutations(NAMES))
def test_the_order_of_factors_does_not_matter(
    before: dict[str, float], after: dict[str, float], order: list[str]
) -> None:
    straight = waterfall(before, after)
    turned = waterfall({name: before[name] for name in order}, {name: after[name] for name in order})
    assert turned == pytest.approx(straight, rel=1e-12)


@given(before=PRODUCT, after=PRODUCT)
def test_the_way_back_is_the_way_there_with_the_other_sign(before: dict[str, float], after: dict[str, float]) -> None:
    back = {name: -effect for name, effect in waterfall(after, before).items()}
    assert back == pytest.approx(waterfall(before, after), rel=1e-12)


def test_a_factor_that_stayed_has_no_effect_and_equal_growth_has_equal_effects() -> None:
    found = waterfall({"users": 10, "price": 2, "tokens": 7}, {"users": 20, "price": 4, "tokens": 7})
    assert found == pytest.approx({"users": 210, "price": 210, "tokens": 0})


def test_factors_that_cancel_out_have_effects_of_the_size_of_the_cost() -> None:
    found = waterfall({"users": 0.1, "price": 0.3}, {"users": 0.1 * 3, "price": 0.3 / 3})
    assert found == pytest.approx({"users": 0.03 * math.log(3), "price": -0.03 * math.log(3)}, rel=1e-9)


def test_a_factor_that_appears_takes_the_whole_difference_as_its_limit() -> None:
    before = {"users": 0.0, "price": 5.0}
    after = {"users": 3.0, "price": 7.0}
    assert waterfall(before, after) == {"users": 21.0, "price": 0.0}
    assert waterfall(after, before) == {"users": -21.0, "price": 0.0}
    # Very slowly, by 1 / ln: the limit of small beginnings is what the zero is given.
    shares = [waterfall({**before, "users": 10.0**-power}, after)["users"] / 21 for power in (10, 100, 300)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1, abs=1e-3)


def test_two_factors_that_appear_share_the_difference_and_nothing_stays_nothing() -> None:
    assert waterfall({"a": 0.0, "b": 0.0, "c": 2.0}, {"a": 3.0, "b": 4.0, "c": 5.0}) == {"a": 30, "b": 30, "c": 0}
    assert waterfall({"a": 0.0, "b": 9.0}, {"a": 2.0, "b": 0.0}) == {"a": 0, "b": 0}


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf], ids=["negative", "unknown", "infinite"])
def test_a_factor_without_a_logarithm_is_refused_by_name(value: float) -> None:
    with pytest.raises(ValueError, match="price"):
        waterfall({"price": 1.0}, {"price": value})


def test_a_factor_of_one_period_only_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="cache"):
        waterfall({"price": 1.0}, {"price": 1.0, "cache": 0.5})


@given(before=GROUPS, after=GROUPS)
def test_effects_of_groups_add_up_to_the_difference_of_sums(
    before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]
) -> None:
    effects = waterfall_of_groups(before, after, quantity="tokens")
    larger = max(cost(before), cost(after))
    total = math.fsum(added(effects).values())
    assert total == pytest.approx(cost(after) - cost(before), rel=1e-9, abs=1e-9 * larger)


def test_the_same_growth_everywhere_is_volume_and_moving_between_prices_is_mix() -> None:
    before = {"cheap": {"tokens": 80.0, "rate": 1.0}, "dear": {"tokens": 20.0, "rate": 10.0}}
    grown = {name: {**group, "tokens": 2 * group["tokens"]} for name, group in before.items()}
    assert added(waterfall_of_groups(before, grown, quantity="tokens")) == pytest.approx(
        {VOLUME: 280, MIX: 0, "rate": 0}
    )
    moved = {"cheap": {"tokens": 20.0, "rate": 1.0}, "dear": {"tokens": 80.0, "rate": 10.0}}
    assert added(waterfall_of_groups(before, moved, quantity="tokens")) == pytest.approx(
        {VOLUME: 0, MIX: 540, "rate": 0}
    )
    dearer = {name: {**group, "rate": 3 * group["rate"]} for name, group in before.items()}
    assert added(waterfall_of_groups(before, dearer, quantity="tokens")) == pytest.approx(
        {VOLUME: 0, MIX: 0, "rate": 560}
    )


def test_a_new_provider_is_mix_and_a_first_month_is_volume() -> None:
    plan = {"own": {"gpu_hours": 100.0, "rate": 2.0}}
    came = {"own": {"gpu_hours": 50.0, "rate": 2.0}, "cloud": {"gpu_hours": 50.0, "rate": 8.0}}
    effects = waterfall_of_groups(plan, came, quantity="gpu_hours")
    assert effects["cloud"] == pytest.approx({VOLUME: 0, MIX: 400, "rate": 0})
    assert effects["own"] == pytest.approx({VOLUME: 0, MIX: -100, "rate": 0})
    assert added(waterfall_of_groups({}, came, quantity="gpu_hours")) == pytest.approx({VOLUME: 500, MIX: 0, "rate": 0})
    assert added(waterfall_of_groups({}, {}, quantity="gpu_hours")) == {}


def test_the_total_quantity_may_be_a_product_itself() -> None:
    before = {"a": {"requests": 60.0, "price": 1.0}, "b": {"requests": 40.0, "price": 2.0}}
    after = {"a": {"requests": 120.0, "price": 1.0}, "b": {"requests": 80.0, "price": 2.0}}
    volume = {"users": 10.0, "per user": 10.0}, {"users": 10.0, "per user": 20.0}
    effects = added(waterfall_of_groups(before, after, quantity="requests", volume=volume))
    assert effects == pytest.approx({"users": 0, "per user": 140, MIX: 0, "price": 0})
