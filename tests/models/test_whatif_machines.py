"""Levers on machines: whole nodes, spot, commitments, moves and supply keep their formulas and their limits."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.whatif import SMALL, log_of
from models.whatif import fleet as fleets
from models.whatif import moves, reserved, spot, supply
from models.whatif.card import LATENCY, Card, measured, spread
from models.whatif.fleet import Batching, Fleet, Quantisation, Rightsizing, Terms
from models.whatif.inputs import Draws, Floats, Input
from models.whatif.joint import Sold
from models.whatif.log import Log, Names, Which
from models.whatif.moves import BareMetal, Cloud, ToApi, ToOwnGpus
from models.whatif.reserved import Reserved
from models.whatif.routing import Target
from models.whatif.scenario import Scenario
from models.whatif.simulate import Facts, simulate
from models.whatif.spot import Spot
from models.whatif.supply import Supply

HOURS = 30 * 24
DRAWS = Draws(40, 3)
WAVE = 0.6 + 0.3 * np.sin(np.arange(HOURS) / 24 * 2 * np.pi)


def number(value: float) -> Input:
    return Input(value=value, basis="assumed", why="test")


def between(low: float, high: float) -> Input:
    return Input(range=(low, high), basis="assumed", why="test")


def fleet(*, nodes: float = 10, gpus: int = 4, busy: Floats = WAVE, **keys: Any) -> Fleet:
    """Nodes at 2 money a GPU-hour, busy by that part of them."""
    billed = np.full(HOURS, nodes * gpus)
    usual: dict[str, Any] = {
        "pool": "gpus",
        "gpu_model": "H100",
        "billed": billed,
        "busy": billed * busy,
        "covered": billed,
        "cost": billed * 2.0,
        "gpus_per_node": gpus,
        "committed": 0.0,
        "spot": 0.0,
        "on_demand": 3.0,
    }
    return Fleet(**usual | keys)


def terms(**keys: Any) -> Terms:
    return Terms.model_validate({"pool": "gpus", "headroom": number(0.0)} | keys)


def batching(gain: float) -> Batching:
    return Batching(name="batches", kind="batching", pool="gpus", gain=number(gain))


def saving(card: Card) -> float:
    assert card.saving is not None
    return spread(card.saving).q50


# Whole nodes


def test_a_tenth_fewer_tokens_saves_less_than_a_tenth_by_the_hour_and_nothing_while_committed() -> None:
    whole = fleet()
    lever = batching(1 / 0.9)
    lean = sum(min(10, math.ceil(40 * part / 4 - 1e-9)) for part in WAVE) * 4 * 2.0
    hourly = saving(fleets.card(lever, [whole], terms(capacity="hourly"), DRAWS))
    assert 0.05 * lean < hourly < 0.1 * lean
    assert saving(fleets.card(lever, [replace(whole, committed=1.0)], terms(capacity="hourly"), DRAWS)) == 0


def test_only_a_node_that_is_not_needed_in_the_busiest_hours_is_given_back_for_the_month() -> None:
    steady = fleet(nodes=2, busy=np.full(HOURS, 0.9))
    assert saving(fleets.card(batching(1.5), [steady], terms(), DRAWS)) == 0
    assert saving(fleets.card(batching(1.9), [steady], terms(), DRAWS)) == pytest.approx(4 * HOURS * 2.0)


@given(st.lists(st.floats(0, 1), min_size=24, max_size=24), st.floats(1, 5), st.integers(1, 8), st.floats(0, 0.5))
def test_what_is_released_is_whole_nodes_and_never_more_than_there_are(
    shape: list[float], gain: float, gpus: int, headroom: float
) -> None:
    found = fleet(nodes=3, gpus=gpus, busy=np.tile(shape, 30))
    for capacity in ("fixed", "hourly"):
        left = np.full((1, 1), 1 / gain)
        free = np.array([headroom])
        got = fleets.release(found, terms(capacity=capacity), free, left, rightsized=False)
        assert got.hours[0] >= 0
        assert got.hours[0] / gpus == pytest.approx(round(got.hours[0] / gpus))
        assert got.hours[0] + got.without_lever[0] <= found.billed.sum() + 1e-6
        right = fleets.release(found, terms(capacity=capacity), free, left, rightsized=True)
        assert right.hours[0] == pytest.approx(got.hours[0] + got.without_lever[0])


def test_a_lever_is_not_praised_for_nodes_that_were_idle_before() -> None:
    lazy = fleet(nodes=10, busy=np.full(HOURS, 0.1))
    card = fleets.card(batching(1.0), [lazy], terms(), DRAWS)
    assert saving(card) == 0
    assert card.figures["rightsizing"].values == pytest.approx(9 * 4 * HOURS * 2.0)
    right = Rightsizing(name="right", kind="rightsizing", pool="gpus")
    assert saving(fleets.card(right, [lazy], terms(), DRAWS)) == pytest.approx(9 * 4 * HOURS * 2.0)


def test_headroom_keeps_nodes_and_the_card_says_what_is_left_of_it() -> None:
    found = fleet(nodes=4, busy=np.full(HOURS, 0.5))
    right = Rightsizing(name="right", kind="rightsizing", pool="gpus")
    card = fleets.card(right, [found], terms(headroom=number(0.3)), DRAWS)
    assert saving(card) == pytest.approx(1 * 4 * HOURS * 2.0)
    assert card.figures["headroom_before H100"].values == pytest.approx(0.5)
    assert card.figures["headroom_after H100"].values == pytest.approx(1 - 8 / 12)
    assert LATENCY in card.remarks


def test_hours_under_a_commitment_are_paid_for_and_the_others_go_at_their_own_price() -> None:
    half = fleet(nodes=2, busy=np.full(HOURS, 0.9), committed=0.75, on_demand=3.0)
    kept = fleets.card(batching(1.9), [half], terms(), DRAWS)
    assert saving(kept) == pytest.approx(0.25 * 8 * HOURS * 3.0)
    assert any("75%" in remark for remark in kept.remarks)
    ended = fleets.card(batching(1.9), [half], terms(commitments="ended"), DRAWS)
    assert saving(ended) == pytest.approx(4 * HOURS * 2.0)


def test_hours_that_nobody_watched_are_as_busy_as_those_seen_or_all_busy() -> None:
    covered = np.where(np.arange(HOURS) % 2 == 0, 20.0, 0.0)
    found = replace(fleet(), covered=covered, busy=covered * 0.5)
    assert list(found.demand[:2]) == [20.0, 40.0]
    assert found.unseen == pytest.approx(0.75)


def test_machines_that_did_nothing_all_month_need_not_be_there() -> None:
    idle = fleet(nodes=2, busy=np.zeros(HOURS))
    right = Rightsizing(name="right", kind="rightsizing", pool="gpus")
    assert saving(fleets.card(right, [idle], terms(), DRAWS)) == pytest.approx(idle.cost.sum())


def test_the_preset_of_quantisation_is_two_to_four_times_and_marked_assumed() -> None:
    lever = Quantisation(name="bits", kind="quantisation", pool="gpus")
    card = fleets.card(lever, [fleet()], terms(capacity="hourly"), DRAWS)
    assert list(lever.gain.bounds) == [2, 4]
    assert card.inputs["gain"].given.basis == "assumed"
    assert card.saving is not None
    assert np.ptp(card.saving) > 0


def test_levers_on_one_pool_are_together_what_their_gains_multiply_to() -> None:
    cards = (batching(1.5), Quantisation(name="bits", kind="quantisation", pool="gpus", gain=number(2)))
    scenario = Scenario(cards=cards, fleets=(terms(capacity="hourly"),))
    result = simulate(scenario, Facts(no_requests(), [fleet()], 30))
    alone = fleets.card(batching(3.0), [fleet()], terms(capacity="hourly"), DRAWS)
    assert result.together.joint == pytest.approx(np.full(200, saving(alone)))
    assert (result.together.added > result.together.joint).all()


# Spot


def lever(**keys: Any) -> Spot:
    usual = {"discount": 0.6, "restart_hours": 0.1, "fallback": 0.0, "interruptions_per_hour": 0.05}
    inputs = {name: number(value) for name, value in (usual | keys).items()}
    return Spot.model_validate({"name": "spot", "kind": "spot", "pool": "gpus"} | inputs)


@pytest.mark.parametrize(
    ("often", "checkpoint", "fallback", "saved"),
    [(0.05, 1, 0, 0.588), (0.15, 4, 0, 0.474), (0.05, 1, 0.1, 0.529), (0.15, 4, 0.1, 0.427)],
    ids=["seldom", "often", "seldom, a tenth on demand", "often, a tenth on demand"],
)
def test_interruptions_and_fallback_take_their_part_of_the_spot_discount(
    often: float, checkpoint: float, fallback: float, saved: float
) -> None:
    found = lever(interruptions_per_hour=often, checkpoint_hours=checkpoint, fallback=fallback)
    assert 1 - spot.effective(found, DRAWS)[0] == pytest.approx(saved, abs=6e-4)


def test_spot_saves_on_hours_that_are_neither_committed_nor_spot() -> None:
    found = lever(discount=0.5, interruptions_per_hour=0)
    card = spot.card(found, [fleet(committed=0.5, spot=0.25)], terms(), DRAWS)
    assert saving(card) == pytest.approx(0.25 * 40 * HOURS * 3.0 * 0.5)
    assert Spot(name="spot", kind="spot", pool="gpus").discount.value == 0.5


def test_together_spot_is_for_hours_that_are_left() -> None:
    found = fleet(busy=np.ones(HOURS))
    cards = (batching(2), lever(discount=0.5, interruptions_per_hour=0))
    scenario = Scenario(cards=cards, fleets=(terms(),))
    result = simulate(scenario, Facts(no_requests(), [found], 30))
    assert result.together.joint == pytest.approx(np.full(200, HOURS * (5 * 4 * 2.0 + 5 * 4 * 3.0 * 0.5)))


def test_together_another_cloud_gets_only_hours_that_are_paid_by_the_hour_and_left() -> None:
    found = fleet(busy=np.ones(HOURS), committed=0.5, cost=np.full(HOURS, 40 * 3.0))
    elsewhere = Cloud(name="c", kind="cloud", pool="gpus", provider="x", gpu_hour=number(1.0))
    scenario = Scenario(cards=(batching(1.3), elsewhere), fleets=(terms(),))
    result = simulate(scenario, Facts(no_requests(), [found], 30))
    released = 2 * 4  # 40 / 1.3 = 30.8 GPUs need 8 nodes of 10; 5 nodes are committed, 3 are left to move
    assert result.together.joint == pytest.approx(np.full(200, HOURS * (released * 3.0 + 12 * (3.0 - 1.0))))


# Commitments


def commit(discount: float, **keys: Any) -> Reserved:
    return Reserved(name="commit", kind="reserved", pool="gpus", discount=number(discount), term_months=12, **keys)


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=40),
    st.floats(0.02, 0.95),
    st.integers(1, 4),
)
def test_no_other_number_of_whole_nodes_costs_less(demand: list[int], discount: float, step: int) -> None:
    values = np.array([demand], dtype=np.float64)
    best = reserved.best(values, discount, step)
    assert best % step == 0
    costs = [reserved.cost(values, gpus, discount) for gpus in range(0, 61 + step, step)]
    assert reserved.cost(values, best, discount) <= min(costs) + 1e-9


@pytest.mark.parametrize("discount", [0.3, 0.45, 0.6])
def test_one_commits_at_the_quantile_of_demand_that_equals_the_discount(discount: float) -> None:
    demand = np.random.default_rng(5).lognormal(4, 0.5, (50, HOURS))
    best = reserved.best(demand, discount, 1)
    assert (demand <= best).mean() == pytest.approx(discount, abs=0.01)


def test_a_commitment_is_on_what_the_other_cards_leave() -> None:
    found = fleet(busy=np.ones(HOURS))
    alone = simulate(Scenario(cards=(commit(0.3),), fleets=(terms(),)), Facts(no_requests(), [found], 30))
    both = simulate(Scenario(cards=(batching(2), commit(0.3)), fleets=(terms(),)), Facts(no_requests(), [found], 30))
    assert alone.cards[0].figures["committed H100"].values == 40
    assert both.cards[1].figures["committed H100"].values == 20
    assert both.cards[1].figures["without_plans H100"].values == 40
    assert both.cards[1].figures["planned_less H100"].values == pytest.approx(np.full(200, 0.5))
    assert saving(both.cards[1]) == pytest.approx(20 * HOURS * 3.0 * 0.3)
    assert both.together.joint == pytest.approx(np.full(200, 20 * HOURS * 2.0 + 20 * HOURS * 3.0 * 0.3))


def test_of_hours_that_become_spot_only_the_fallback_is_left_to_commit_to() -> None:
    cards = (lever(fallback=0.1), commit(0.3))
    result = simulate(Scenario(cards=cards, fleets=(terms(),)), Facts(no_requests(), [fleet()], 30))
    assert result.cards[1].figures["committed H100"].values == 4
    assert result.cards[1].figures["without_plans H100"].values == 40


def test_paths_of_demand_take_the_place_of_the_month() -> None:
    paths = np.array([[10.0, 10.0], [30.0, 30.0]])
    facts = Facts(no_requests(), [fleet(gpus=1)], 30, paths={"commit": paths})
    card = simulate(Scenario(cards=(commit(0.3),)), facts).cards[0]
    assert card.figures["committed H100"].values == 10
    deep = simulate(Scenario(cards=(commit(0.7),)), facts).cards[0]
    assert deep.figures["committed H100"].values == 30
    assert deep.saving is not None
    assert set(np.round(deep.saving / HOURS / 3.0, 9)) == {10 - 30 * 0.3, 30 - 30 * 0.3}


# Moves


def no_requests() -> Log:
    nothing = np.zeros(0, dtype=np.int64)
    tokens = np.zeros((0, 6), dtype=np.int64)
    return log_of(started=nothing, ended=nothing, tokens=tokens, prompt=nothing, customer=nothing, failed=nothing)


def test_another_cloud_is_paid_in_whole_nodes_of_its_own_speed() -> None:
    inputs = {"gpu_hour": number(1.0), "speed": number(1.9), "one_off": number(720.0)}
    found = Cloud.model_validate({"name": "c", "kind": "cloud", "pool": "gpus", "provider": "x"} | inputs)
    card = moves.cloud(found, [fleet(nodes=2)], terms(), None, DRAWS)
    saved = 8 * HOURS * 2.0 - 2 * 4 * HOURS * 1.0
    assert saving(card) == pytest.approx(saved)
    assert card.figures["payback_months"].values == pytest.approx(np.full(40, 720 / saved))


def test_a_cloud_without_a_price_says_so_and_a_listed_price_is_a_measured_input() -> None:
    found = Cloud(name="c", kind="cloud", pool="gpus", provider="x")
    card = moves.cloud(found, [fleet()], terms(), None, DRAWS)
    assert card.saving is None
    assert "no on-demand price" in card.remarks[0]
    listed = moves.cloud(found, [fleet()], terms(), measured(1.5, "price list"), DRAWS)
    assert saving(listed) == pytest.approx(40 * HOURS * 0.5)
    assert listed.inputs["gpu_hour"].given.basis == "measured"


def rack(**keys: Any) -> BareMetal:
    usual = {
        "price": 240_000.0,
        "life_months": 48.0,
        "kw": 10.5,
        "load": 0.8,
        "pue": 1.3,
        "kwh_price": 0.12,
        "monthly": 100.0,
    }
    inputs = {name: number(value) for name, value in (usual | keys).items()}
    fixed = {"name": "rack", "kind": "bare_metal", "pool": "gpus", "gpus_per_server": 8}
    return BareMetal.model_validate(fixed | inputs)


def test_bare_metal_is_capital_by_its_life_and_power_at_the_pue() -> None:
    card = moves.bare_metal(rack(), [fleet()], terms(), DRAWS)
    power = 10.5 * 0.8 * 1.3 * HOURS
    assert card.figures["power_kwh"].values == pytest.approx(np.full(40, 5 * power))
    assert saving(card) == pytest.approx(40 * HOURS * 2.0 - 5 * (240_000 / 48 + power * 0.12) - 100)


def test_power_below_that_of_the_servers_is_refused() -> None:
    with pytest.raises(ValidationError, match="pue"):
        rack(pue=0.9)


@given(
    st.floats(0.001, 1),
    st.floats(1, 500),
    st.integers(20, 5000),
    st.floats(0, 2000),
)
def test_break_even_is_the_first_volume_at_which_own_nodes_are_no_dearer(
    api: float, node_day: float, node_requests: int, fixed_day: float
) -> None:
    assume(abs(api * node_requests - node_day) > 0.05 * node_day)
    got = moves.break_even(api, node_day, node_requests, fixed_day)

    def pays(volume: float) -> bool:
        return volume * api >= math.ceil(volume / node_requests - 1e-9) * node_day + fixed_day - 1e-6

    grid = np.linspace(0.01, 60 * node_requests, 400)
    if math.isinf(got.first):
        assert not any(pays(float(volume)) for volume in grid)
        return
    assert pays(got.first * (1 + 1e-9))
    assert not any(pays(float(volume)) for volume in grid if volume < got.first * (1 - 1e-6))
    assert all(pays(float(volume)) for volume in grid if volume > got.always * (1 + 1e-6))


def own_log(*, own: bool) -> Log:
    """A request each minute of 30 days, at 0.0045 by the table of the big model."""
    count = HOURS * 60
    tokens = np.zeros((count, 6), dtype=np.int64)
    tokens[:, 0], tokens[:, 4] = 1000, 100
    started = np.arange(count) * 60_000_000
    zeros = np.zeros(count, dtype=np.int64)
    found = log_of(started=started, ended=started, tokens=tokens, prompt=zeros, customer=zeros, failed=zeros)
    return replace(found, own=np.full(count, own), names={**found.names, "pool": Names(zeros, ["gpus"])})


def test_an_api_is_left_when_its_requests_pay_for_whole_nodes() -> None:
    found = ToOwnGpus(
        name="own", kind="to_own_gpus", which=Which(models=("big",)), gpus_per_node=1, gpu_hour=number(0.2),
        requests_per_gpu_hour=number(40), headroom=number(0.25),
    )  # fmt: skip
    card = moves.to_own_gpus(found, own_log(own=False), [], 30, DRAWS)
    assert card.figures["nodes"].values == pytest.approx(np.full(40, 2))
    assert saving(card) == pytest.approx(HOURS * 60 * 0.0045 - 2 * HOURS * 0.2)
    assert spread(card.figures["break_even_per_day"].values).q50 == math.inf
    cheap = found.model_copy(update={"gpu_hour": number(0.1)})
    card = moves.to_own_gpus(cheap, own_log(own=False), [], 30, DRAWS)
    assert spread(card.figures["break_even_per_day"].values).q50 == pytest.approx(0.1 * 24 / 0.0045)


def test_own_nodes_must_hold_the_busiest_hours() -> None:
    found = ToOwnGpus(
        name="own", kind="to_own_gpus", which=Which(models=("big",)), gpus_per_node=1, gpu_hour=number(0.2),
        requests_per_gpu_hour=number(40), headroom=number(0.25),
    )  # fmt: skip
    log = own_log(own=False)
    by_day_only = replace(log, hour=log.hour // 24 * 24 + log.hour % 6)
    card = moves.to_own_gpus(found, by_day_only, [], 30, DRAWS)
    assert card.inputs["peak"].values == pytest.approx([4])
    assert card.figures["nodes"].values == pytest.approx(np.full(40, 8))
    assert card.figures["headroom_at_p99"].values == pytest.approx(np.full(40, 1 - 240 / (8 * 40)))


def test_rate_and_throughput_are_measured_on_a_pool_when_they_are_not_given() -> None:
    found = ToOwnGpus(name="own", kind="to_own_gpus", which=Which(models=("big",)), gpus_per_node=4, pool="gpus")
    log = own_log(own=False)
    served = replace(log, own=np.arange(len(log)) % 2 == 0)
    card = moves.to_own_gpus(found, served, [fleet()], 30, DRAWS)
    assert card.inputs["gpu_hour"].values == pytest.approx([2.0])
    assert card.inputs["requests_per_gpu_hour"].values == pytest.approx([HOURS * 30 / fleet().busy.sum()])
    with pytest.raises(ValidationError, match="or a pool"):
        ToOwnGpus(name="own", kind="to_own_gpus", which=Which(), gpus_per_node=4)


def test_own_gpus_are_left_for_an_api_when_all_of_their_nodes_go() -> None:
    found = ToApi(name="api", kind="to_api", which=Which(models=("big",)), pool="gpus", to=Target(model="small"))
    small = 1000 * 3e-7 + 100 * 1.5e-6
    machines = fleet(nodes=1, gpus=1, busy=np.full(HOURS, 0.5))
    none = terms(minimum_nodes=0)
    card = moves.to_api(found, own_log(own=True), [machines], none, Sold([SMALL], 1.0), 30, DRAWS)
    assert saving(card) == pytest.approx(HOURS * 2.0 - HOURS * 60 * small)
    assert card.figures["break_even_per_day"].values == pytest.approx(24 * 2.0 / small)
    nowhere = moves.to_api(found, own_log(own=True), [machines], none, Sold([], 1.0), 30, DRAWS)
    assert nowhere.saving is None


# Supply

NOW = date(2026, 12, 1)


def plan(needs: list[tuple[date, Input]], offers: list[dict[str, Any]], **keys: Any) -> Supply:
    return Supply.model_validate(
        {
            "name": "plan",
            "kind": "supply",
            "until": NOW + timedelta(days=730),
            "needs": [{"from": day, "units": units.model_dump()} for day, units in needs],
            "offers": [offer | {"unit_hour": offer["unit_hour"].model_dump()} for offer in offers],
        }
        | keys
    )


def offer(provider: str, capacity: float, start: date, price: float, **keys: Any) -> dict[str, Any]:
    return {"provider": provider, "capacity": capacity, "from": start, "unit_hour": number(price)} | keys


def test_fifty_were_needed_and_ten_were_got() -> None:
    found = plan([(NOW, number(50))], [offer("cloud", 10, NOW, 2.5)])
    card = supply.card(found, DRAWS)
    assert card.figures["most_unmet"].values == pytest.approx(np.full(40, 40))
    assert spread(card.figures["days_unmet"].values).q50 == 730
    assert spread(card.figures["cost"].values).q50 == pytest.approx(10 * 2.5 * 730 * 24)


def test_twenty_racks_now_and_eighty_in_eighteen_months() -> None:
    later = NOW + timedelta(days=548)
    found = plan([(NOW, number(100))], [offer("racks", 20, NOW, 30), offer("racks later", 80, later, 25)], unit="racks")
    first, second = supply.fill(found, DRAWS)
    assert (first.until, spread(first.unmet).q50) == (later, 80)
    assert spread(second.unmet).q50 == 0
    assert [spread(values).q50 for values in second.filled] == [20, 80]


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(1, 60), st.floats(0.5, 9)), max_size=5),
    st.floats(0, 120),
)
def test_the_cheapest_offers_that_are_there_fill_the_need_and_nothing_is_lost(
    offers: list[tuple[int, int, float]], need: float
) -> None:
    found = plan(
        [(NOW, number(need))],
        [
            offer(f"p{number}", size, NOW + timedelta(days=day), price)
            for number, (day, size, price) in enumerate(offers)
        ],
    )
    for stretch in supply.fill(found, DRAWS):
        there = [one for one in offers if NOW + timedelta(days=one[0]) <= stretch.first]
        assert stretch.filled.sum(axis=0) + stretch.unmet == pytest.approx(stretch.needed)
        assert stretch.unmet == pytest.approx(np.maximum(need - sum(size for _, size, _ in there), 0) * np.ones(40))
        left, cost = need, 0.0
        for _, size, price in sorted(there, key=lambda one: one[2]):
            cost += min(left, size) * price
            left -= min(left, size)
        assert stretch.cost == pytest.approx(np.full(40, cost * (stretch.until - stretch.first).days * 24))


def test_an_offer_that_ends_is_there_no_more() -> None:
    ends = NOW + timedelta(days=30)
    found = plan([(NOW, between(5, 6))], [offer("cloud", 10, NOW, 2.5, until=ends)])
    first, second = supply.fill(found, DRAWS)
    assert spread(first.unmet).q95 == 0
    assert spread(second.unmet).q05 >= 5


def test_needs_that_do_not_follow_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="later day"):
        plan([(NOW, number(1)), (NOW, number(2))], [])
