"""Menus on bins: the same as user by user, every limit held, a frontier that nothing beats."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pricing import accounts, level, menus, panel, plans, promise
from models.pricing.menus import Limits
from models.pricing.outcome import outcome
from models.pricing.panel import Panel
from models.pricing.plans import Offer, Plan, Terms

NOW = [Plan("pro", 20.0), Plan("team", 15.0, 10.0, 1.0)]
TIERS = [Plan("a", 10.0, 4.0, 1.5), Plan("b", 25.0, 15.0, 1.5), Plan("c", 60.0, 40.0, 1.5, 90.0)]
TERMS = Terms(support=0.5)


def company(users: int = 4000, months: int = 6, seed: int = 1, groups: int = 2) -> Panel:
    random = np.random.default_rng(seed)
    user, month = np.repeat(np.arange(users), months), np.tile(np.arange(months), users)
    cost = np.exp(np.repeat(random.normal(0.3, 1.6, users), months) + random.normal(0, 0.5, users * months))
    return Panel(user, month, user % groups, cost, users, months, groups)


@pytest.fixture(scope="module")
def world() -> tuple[Panel, panel.Bins, menus.Ground]:
    made = company()
    bins = panel.compress(made)
    return made, bins, menus.ground(bins, NOW, TERMS)


OFFERS: dict[str, Callable[[], Offer]] = {
    "today": lambda: plans.standing(NOW),
    "everybody": lambda: plans.offer(TIERS, NOW, [False, False]),
    "one-kept": lambda: plans.offer(TIERS, NOW, [False, True]),
    "no-downgrades": lambda: plans.offer(TIERS, NOW, [False, False], downgrades=False),
}


@pytest.mark.parametrize("name", OFFERS)
def test_an_offer_on_bins_is_the_same_as_user_by_user(name: str, world: tuple[Panel, panel.Bins, menus.Ground]) -> None:
    made, _, at = world
    offer = OFFERS[name]()
    found = menus.measure(offer, at)
    for number in range(made.months):
        month = accounts.month(offer, NOW, made, number, TERMS)
        users = month.users.sum()
        assert found.revenue[number] == pytest.approx(month.revenue.sum(), rel=2e-3)
        assert found.spent[number] == pytest.approx(month.spent.sum(), rel=1e-2)  # a month's few largest users
        assert found.overage[number] == pytest.approx(month.overage, rel=2e-2, abs=1)
        assert found.hit[number] == pytest.approx(month.hit / users, abs=5e-3)
        assert found.capped[number] == pytest.approx(month.capped / users, abs=5e-3)
    months = [accounts.month(offer, NOW, made, number, TERMS) for number in range(made.months)]
    margin = 1 - sum(one.spent.sum() for one in months) / sum(one.revenue.sum() for one in months)
    assert found.margin == pytest.approx(margin, abs=1e-3)


@pytest.mark.parametrize("name", OFFERS)
def test_the_tiers_of_an_offer_add_up_to_the_whole(name: str, world: tuple[Panel, panel.Bins, menus.Ground]) -> None:
    _, _, at = world
    offer = OFFERS[name]()
    found, whole = outcome(offer, at, [0.0]), menus.measure(offer, at)
    assert sum(tier.revenue for tier in found.tiers) == pytest.approx(whole.revenue.mean())
    assert sum(tier.spent for tier in found.tiers) == pytest.approx(whole.spent.mean())
    assert sum(tier.users for tier in found.tiers) == pytest.approx(4000)
    assert sum(tier.from_groups.sum() for tier in found.tiers) == pytest.approx(4000)
    assert found.profit_now * 6 == pytest.approx(whole.profit_now)


def test_bins_keep_users_and_cost_of_the_whole_also_at_and_below_zero() -> None:
    made = company(users=300)
    made = replace(made, cost=np.where(np.arange(1800) % 50 == 0, 0.0, made.cost))
    made.cost[7] = -3.0
    bins = panel.compress(made)
    counts = bins.counts.sum(axis=(0, 1, 2))
    assert counts.sum() == 1800
    assert float(counts @ bins.costs) == pytest.approx(float(made.cost.sum()))


def test_a_panel_that_costs_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no user-month"):
        panel.compress(replace(company(users=3), cost=np.zeros(18)))


def test_a_menu_passes_a_limit_in_its_worst_month_alone(world: tuple[Panel, panel.Bins, menus.Ground]) -> None:
    _, _, at = world
    found = menus.measure(plans.offer(TIERS, NOW, [False, False]), at)
    value = found.against()
    assert value.users_hit == found.hit.max() > found.hit.mean()
    assert value.tier_share == found.tier_shares.min()
    assert found.passes(value) == []
    for name in ("users_hit", "users_hit_steeply", "users_capped", "overage_share", "profit_fall"):
        limit = getattr(value, name)
        assert found.passes(replace(value, **{name: limit - 1e-6})) == [name]
    assert found.passes(replace(value, tier_share=value.tier_share + 1e-6)) == ["tier_share"]


def test_today_hits_nobody_and_loses_no_profit(world: tuple[Panel, panel.Bins, menus.Ground]) -> None:
    _, _, at = world
    value = menus.measure(plans.standing(NOW), at).against()
    assert (value.users_hit, value.users_hit_steeply) == (0, 0)
    assert value.profit_fall == pytest.approx(0)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-1, 1)), min_size=1, max_size=40))
def test_nothing_beats_a_point_of_the_frontier_and_something_beats_every_other(
    pairs: list[tuple[float, float]],
) -> None:
    kept = menus.frontier(pairs, 50)
    for number, (hit, margin) in enumerate(pairs):
        better = [other for other in kept if pairs[other][0] <= hit and pairs[other][1] >= margin - 1e-9]
        assert better
        if number in kept:
            assert not [one for one in pairs if one[0] < hit and one[1] > margin + 1e-9]


def test_a_long_frontier_is_thinned_to_both_ends_and_evenly_between() -> None:
    pairs = [(place / 100, place / 100) for place in range(100)]
    assert menus.frontier(pairs, 4) == [0, 33, 66, 99]


def test_every_menu_has_rising_fees_allowances_that_are_whole_units_and_one_cap() -> None:
    choices = ([Decimal(9), Decimal(19), Decimal(49)], [Decimal("0.3"), Decimal("0.5")], [Decimal(2)])
    made = list(menus.menus(*choices, [Decimal(0), Decimal("1.5")], [2, 3], Decimal("0.4")))
    assert len(made) == len(set(made)) == menus.count(3, 2, 1, 2, [2, 3])
    for tiers in made:
        assert [plan.fee for plan in tiers] == sorted({plan.fee for plan in tiers})
        assert len({plan.cap for plan in tiers}) == 1
        shares = [plan.allowance / plan.fee for plan in tiers]
        assert all(later >= earlier - 0.4 / 9 for earlier, later in itertools.pairwise(shares))
        assert all((Decimal(repr(plan.allowance)) / Decimal("0.4")) % 1 == 0 for plan in tiers)


def test_when_half_of_the_hit_may_leave_the_gain_is_used_up_exactly_then() -> None:
    """One group pays 10 and costs nothing; half of it, beyond the allowance, will pay 10 more."""
    cost = np.array([1.0, 9.0] * 50)
    made = Panel(np.arange(100), np.zeros(100, np.int64), np.zeros(100, np.int64), cost, 100, 1, 1)
    free = Terms(payment_share=0, payment_fixed=0)
    now, tiers = [Plan("now", 10.0)], [Plan("new", 10.0, 1.0, 1.25)]
    at = menus.ground(panel.compress(made), now, free)
    found = outcome(plans.offer(tiers, now, [False]), at, [0.0, 1.0])
    gain, of_the_hit = 50 * 10.0, 50 * (20.0 - 9.0)
    assert found.churn_break_even == pytest.approx(gain / of_the_hit)
    assert [one.stay for one in found.churn] == pytest.approx([1.0, 0.75])
    assert found.churn[1].profit == pytest.approx(50 * 9 + 25 * 11)


def test_a_promise_counts_the_months_shock_once_and_is_the_same_for_the_same_seed() -> None:
    made = company(groups=1)
    bins = panel.compress(made)
    fitted = level.fit(bins.level, 3)
    offer = plans.standing(NOW[:1])

    def promised(seed: int) -> promise.Promise:
        return promise.promise(offer, bins, promise.draw(bins, fitted, draws=300, seed=seed), TERMS, target=0.5)

    assert promised(4).whole == promised(4).whole
    assert promised(4).whole != promised(5).whole
    whole = promised(4).whole
    assert whole.q05 is not None
    assert whole.q10 is not None
    assert whole.q50 is not None
    assert whole.q95 is not None
    assert whole.q05 < whole.q10 < whole.q50 < whole.q95
    assert whole.cvar05 is not None
    assert whole.cvar05 <= whole.q05


def test_the_tiers_of_a_promise_add_up_in_every_draw() -> None:
    made = company()
    bins = panel.compress(made)
    draws = promise.draw(bins, level.fit(bins.level, 2), draws=100, seed=0)
    offer = plans.offer(TIERS, NOW, [False, True])
    found = promise.promise(offer, bins, draws, TERMS, target=0.5)
    today = promise.promise(plans.standing(NOW), bins, draws, TERMS, target=0.5)
    assert np.all(found.revenue > 0)
    assert len(found.tiers) == 4
    assert found.tiers[3] == today.tiers[1]  # who is kept brings what they bring today


def test_a_planned_unit_cost_lowers_what_is_spent_from_its_month_on() -> None:
    bins = panel.compress(company())
    draws = promise.draw(bins, level.fit(bins.level, 3), draws=200, seed=0)
    offer = plans.standing(NOW)
    plain = promise.promise(offer, bins, draws, TERMS, target=0.5)
    cheaper = promise.promise(offer, bins, draws, TERMS, target=0.5, unit_costs=np.array([1.0, 0.5, 0.5]))
    same = draws.ahead == 0
    assert np.allclose(plain.spent[same], cheaper.spent[same])
    assert np.all(plain.spent[~same] > cheaper.spent[~same])
    assert np.array_equal(plain.revenue, cheaper.revenue)


def test_paths_of_a_forecast_take_the_place_of_the_trend() -> None:
    bins = panel.compress(company())
    fitted = level.fit(bins.level, 2)
    doubled = promise.draw(bins, fitted, draws=2000, seed=0, level_paths=np.full((5, 2), 2.0))
    means = doubled.counts.sum(axis=1, dtype=np.float64) @ bins.costs * doubled.factors
    users = doubled.counts.sum(axis=(1, 2), dtype=np.float64)
    assert float(np.median(means / users)) == pytest.approx(2 * float(bins.level[-1]), rel=0.03)


def test_a_level_that_grows_is_carried_on_and_drawn_towards_none() -> None:
    fitted = level.fit(np.exp(0.04 * np.arange(6)), 2)
    assert 0.035 < fitted.slope < 0.04
    assert fitted.centre[0] == pytest.approx(0.04 * 6, abs=0.02)
    assert fitted.residual == level.FLOOR
    assert fitted.scale[1] > fitted.scale[0] > level.FLOOR


@pytest.mark.parametrize(("means", "why"), [([1.0, 2.0], "cannot tell"), ([1.0, 0.0, 2.0], "costs nothing")])
def test_levels_that_say_nothing_are_refused(means: list[float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        level.fit(np.array(means), 1)


@pytest.mark.parametrize("slope", [0.0, 0.035])
def test_nine_of_ten_months_to_come_lie_in_the_interval_of_their_level(slope: float) -> None:
    """Months of a known trend and shock; 400 companies of six months, three more held out."""
    random = np.random.default_rng(3)
    low, high = np.quantile(np.random.default_rng(0).standard_t(4, 100_000), [0.05, 0.95])
    inside = []
    for _ in range(400):
        y = slope * np.arange(9) + random.normal(0, 0.08, 9)
        fitted = level.fit(np.exp(y[:6]), 3)
        z = (y[6:] - fitted.centre) / fitted.scale
        inside += ((z > low) & (z < high)).tolist()
    assert 0.86 <= float(np.mean(inside)) <= 0.98


def test_a_user_is_of_the_tier_taken_most_often_and_of_the_group_of_the_last_month() -> None:
    cost = np.array([1.0, 1.0, 30.0, 30.0])
    made = Panel(np.array([0, 0, 0, 2]), np.array([0, 1, 2, 2]), np.array([0, 0, 1, 1]), cost, 3, 3, 2)
    found = accounts.accounts(plans.offer(TIERS, NOW, [False, False]), NOW, made, TERMS)
    assert found.tier.tolist() == [0, -1, 1]
    assert found.group.tolist() == [1, -1, 1]
    assert found.old[0] == pytest.approx((20 + 20 + 35) / 3)
    assert np.isnan(found.old[1])


def test_limits_that_are_not_given_hold_nobody_back() -> None:
    made = company(users=50)
    at = menus.ground(panel.compress(made), NOW, TERMS)
    assert menus.measure(plans.offer(TIERS, NOW, [False, False]), at).passes(Limits()) == []
