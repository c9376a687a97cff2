"""Tariffs: what is billed and served, who takes what, and when a user loses money."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pricing import plans
from models.pricing.plans import Plan, Terms

amounts = st.floats(0, 500)
tariffs = st.builds(
    Plan,
    st.just("p"),
    st.floats(0, 200),
    st.one_of(st.just(np.inf), st.floats(0, 200)),
    st.floats(0, 4),
    st.one_of(st.just(np.inf), st.floats(1, 400)),
)


def test_overage_is_billed_beyond_the_allowance_and_nothing_is_served_beyond_the_cap() -> None:
    rated = plans.rate(Plan("p", 20, 10, 1.5, 30), np.array([0.0, 10, 12, 30, 100]))
    assert rated.bill.tolist() == [20, 20, 23, 50, 50]
    assert rated.served.tolist() == [0, 10, 12, 30, 30]
    assert rated.capped.tolist() == [False, False, False, False, True]


def test_an_allowance_without_end_is_never_exceeded() -> None:
    assert plans.rate(Plan("p", 20, overage=3), np.array([1e9])).bill.tolist() == [20]


def test_a_user_takes_the_least_bill_with_overage_felt_more_than_it_costs() -> None:
    low, high = Plan("low", 10, 5, 1.0), Plan("high", 20, 50, 1.0)
    costs = np.array([5.0, 12.0, 14.0])  # low costs 17 and 19 at the last two; felt at 0.5 more: 20.5 and 23.5
    assert plans.take([low, high], costs, Terms(overage_dislike=0)).tier.tolist() == [0, 0, 0]
    assert plans.take([low, high], costs, Terms(overage_dislike=0.5)).tier.tolist() == [0, 1, 1]


def test_of_two_plans_that_feel_alike_the_one_named_first_is_taken() -> None:
    assert plans.take([Plan("a", 20), Plan("b", 20)], np.array([1.0]), Terms()).tier.tolist() == [0]


@given(st.lists(tariffs, min_size=1, max_size=4), st.lists(amounts, min_size=1, max_size=20), st.floats(0, 2))
def test_nobody_is_better_off_with_another_tier(tiers: list[Plan], costs: list[float], dislike: float) -> None:
    taken = plans.take(tiers, np.array(costs), Terms(overage_dislike=dislike))
    felt = taken.bill + dislike * taken.overage
    for plan in tiers:
        other = plans.rate(plan, np.array(costs))
        assert np.all(felt <= other.bill + dislike * other.overage + 1e-9)


@given(tariffs, st.floats(0, 5))
def test_at_the_break_even_a_user_makes_nothing_and_beyond_it_loses(plan: Plan, support: float) -> None:
    terms = Terms(support=support)
    even = plans.break_even(plan, terms)
    if even is None:
        return
    at = np.array([even, even + 1e-3 * (1 + even)])
    rated = plans.rate(plan, at)
    left = rated.bill - rated.spent(terms)
    if even > 0:
        assert left[0] == pytest.approx(0, abs=1e-6)
    assert left[1] < 1e-9 or at[1] > plan.cap


@given(tariffs, st.floats(0, 500))
def test_without_a_break_even_no_use_loses_money(plan: Plan, cost: float) -> None:
    if plans.break_even(plan, Terms()) is None:
        rated = plans.rate(plan, np.array([cost]))
        assert (rated.bill - rated.spent(Terms()))[0] >= -1e-6


def test_a_flat_plan_of_twenty_breaks_even_at_what_is_left_after_payment() -> None:
    assert plans.break_even(Plan("flat", 20), Terms()) == pytest.approx(19.12)


def test_overage_below_cost_puts_the_break_even_off_and_no_further() -> None:
    """Beyond 10 each unit costs 1 and brings 0.5 x 0.971: the 9.12 left over last for 9.12 / 0.5145 units."""
    assert plans.break_even(Plan("p", 20, 10, 0.5), Terms()) == pytest.approx(10 + 9.12 / 0.5145)
    assert plans.break_even(Plan("p", 20, 10, 0.5, cap=25), Terms()) is None


def test_a_change_of_unit_costs_changes_what_is_spent_and_no_bill() -> None:
    rated, terms = plans.rate(Plan("p", 20, 10, 2.0), np.array([15.0])), Terms()
    assert (rated.spent(terms) - rated.spent(terms, 0.5)).tolist() == pytest.approx([7.5])


def test_who_is_kept_stays_on_the_plan_of_today_and_the_others_choose() -> None:
    now = [Plan("pro", 20), Plan("annual", 15)]
    offer = plans.offer([Plan("a", 10), Plan("b", 30)], now, [False, True])
    assert [plan.name for plan in offer.tiers] == ["a", "b", "annual"]
    assert offer.classes == (((0, 1), (0,)), ((2,), (1,)))


def test_without_downgrades_nobody_takes_a_lower_fee_but_where_all_are_lower() -> None:
    now = [Plan("small", 10), Plan("middle", 30), Plan("large", 99)]
    offer = plans.offer([Plan("a", 10), Plan("b", 30)], now, [False] * 3, downgrades=False)
    assert offer.classes == (((0, 1), (0,)), ((1,), (1, 2)))


def test_a_bill_that_rises_by_exactly_the_limit_hits_nobody() -> None:
    assert plans.hit(np.array([20.0, 20, 0]), np.array([22.0, 22.01, 1]), 0.10).tolist() == [False, True, True]
