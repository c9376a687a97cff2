"""Levers on requests: the joint replay is what a plain loop over the log gives, and keeps the rules of each lever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from benchmarks.whatif import BIG, SMALL, log_of, outcome, plain_saving
from models.whatif.caching import ExactCache, RealisedCache, SemanticCache, replay, same_class, same_prompt
from models.whatif.inputs import Draws, Input, below, numbers
from models.whatif.joint import Plan, Sold
from models.whatif.joint import replay as replay_requests
from models.whatif.log import Log, Names, Price, Which, own_quote
from models.whatif.prompts import Prompt
from models.whatif.request_cards import realised
from models.whatif.routing import Distillation, Router, Routing, Target
from models.whatif.scenario import Scenario
from models.whatif.simulate import Facts, Result, simulate

HOUR = 3_600_000_000
DRAWS = Draws(20, 3)


def number(value: float) -> Input:
    return Input(value=value, basis="assumed", why="test")


def cache(**keys: Any) -> ExactCache:
    usual = {"name": "cache", "kind": "exact_cache", "scope": ("customer", "model"), "ttl_hours": 1}
    return ExactCache.model_validate(usual | keys)


def routing(easy: float, recall: float, misrouted: float, fallback: float, **keys: Any) -> Routing:
    chances = {"easy": easy, "recall": recall, "misrouted": misrouted, "fallback": fallback}
    inputs = {name: number(value) for name, value in chances.items()}
    usual = {"name": "router", "kind": "routing", "which": Which(models=("big",)), "to": Target(model="small")}
    return Routing.model_validate(usual | inputs | keys)


def log(starts: list[int], **columns: Any) -> Log:
    """Requests of 1,000 tokens in and 100 out, of one customer, that end a second after they began."""
    count = len(starts)
    tokens = np.zeros((count, 6), dtype=np.int64)
    tokens[:, 0], tokens[:, 4] = 1000, 100
    started = np.array(starts, dtype=np.int64)
    usual: dict[str, Any] = {
        "started": started,
        "ended": started + 1_000_000,
        "tokens": tokens,
        "prompt": np.zeros(count, dtype=np.int64),
        "customer": np.zeros(count, dtype=np.int64),
        "failed": np.zeros(count, dtype=bool),
    }
    return log_of(**usual | {name: np.array(column) for name, column in columns.items()})


EACH = 1000 * 3e-6 + 100 * 15e-6


def hits(found: Log, lever: ExactCache) -> list[bool]:
    return [bool(hit) for hit in replay(found, lever, same_prompt(found)).hits]


# What a plain loop gives

_share = st.floats(0, 1)
_requests = st.lists(
    st.tuples(
        st.integers(0, 30),  # minutes of the start
        st.integers(0, 8),  # minutes until the end
        st.integers(0, 900),  # input tokens
        st.integers(0, 300),  # output tokens
        st.integers(-1, 2),  # prompt
        st.integers(-1, 1),  # customer
        st.booleans(),  # failed
    ),
    min_size=1,
    max_size=30,
)


@given(_requests, _share, _share, _share, _share, _share, st.floats(0.01, 0.6), st.integers(0, 19))
def test_the_joint_saving_is_that_of_a_plain_loop_over_the_requests(
    rows: list[tuple[int, int, int, int, int, int, bool]],
    easy: float,
    recall: float,
    misrouted: float,
    fallback: float,
    shorter: float,
    ttl_hours: float,
    draw: int,
) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    tokens = np.zeros((len(rows), 6), dtype=np.int64)
    tokens[:, 0], tokens[:, 4] = [row[2] for row in rows], [row[3] for row in rows]
    tokens[:, 1] = tokens[:, 0] // 3
    found = log(
        [row[0] * 60_000_000 for row in rows],
        ended=[(row[0] + row[1]) * 60_000_000 for row in rows],
        tokens=tokens,
        prompt=[row[4] for row in rows],
        customer=[row[5] for row in rows],
        failed=[row[6] for row in rows],
        rates=1.07,
    )
    route, lever = routing(easy, recall, misrouted, fallback), cache(ttl_hours=ttl_hours)
    parts = {"uncached": shorter, "cached": shorter / 3, "output": shorter / 2 + 0.01}
    inputs = {name: number(part) for name, part in parts.items()}
    cut = Prompt.model_validate({"name": "cut", "kind": "prompt"} | inputs)
    got = outcome(found, DRAWS, cache=lever, route=route, cut=cut).saved[draw]
    expected = plain_saving(found, DRAWS, draw, cache=lever, route=route, cut=cut)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-12 * float(found.cost.sum()))


def test_together_two_levers_save_less_than_their_sum_and_no_less_than_each() -> None:
    found = log(list(range(0, 400 * 60_000_000, 60_000_000)), prompt=[at % 40 for at in range(400)])
    route, lever = routing(0.5, 0.9, 0.05, 0.1), cache()
    routed = outcome(found, DRAWS, cache=None, route=route).saved
    cached = outcome(found, DRAWS, cache=lever, route=None).saved
    joint = outcome(found, DRAWS, cache=lever, route=route).saved
    assert (joint < routed + cached).all()
    assert (joint > np.maximum(routed, cached)).all()


# Caching


def test_an_answer_is_there_when_its_request_has_ended_and_for_its_time_from_then() -> None:
    starts = [0, 500_000, 1_000_000, HOUR + 1_499_999, HOUR + 1_500_000]
    assert hits(log(starts), cache()) == [False, False, True, True, False]


def test_a_hit_does_not_make_an_answer_live_longer() -> None:
    starts = [0, HOUR // 2, HOUR + 2_000_000]
    assert hits(log(starts), cache()) == [False, True, False]


def test_the_latest_answer_counts_when_several_asked_at_once() -> None:
    ended = [10_000_000, HOUR // 2, HOUR + 20_000_000]
    assert hits(log([0, 1, HOUR + 11_000_000], ended=ended), cache()) == [False, False, True]


def test_a_failed_request_stores_nothing() -> None:
    assert hits(log([0, HOUR // 4, HOUR // 2], failed=[True, False, False]), cache()) == [False, False, True]


def test_answers_are_shared_inside_the_scope_only() -> None:
    found = log([0, 2_000_000], customer=[0, 1])
    assert hits(found, cache()) == [False, False]
    assert hits(found, cache(scope=("model",))) == [False, True]


def test_a_request_whose_prompt_or_customer_is_not_known_is_no_hit_and_counted() -> None:
    found = log([0, 2_000_000, 4_000_000, 6_000_000], prompt=[0, 0, -1, 0], customer=[0, -1, 0, 0])
    replayed = replay(found, cache(), same_prompt(found))
    assert [bool(hit) for hit in replayed.hits] == [False, False, False, True]
    assert replayed.without_key == 2


def test_the_share_of_requests_is_not_the_share_of_cost() -> None:
    tokens = np.zeros((4, 6), dtype=np.int64)
    tokens[:, 0] = [100, 100, 100, 9700]
    found = log([0, HOUR // 9, HOUR // 8, HOUR // 7], tokens=tokens, prompt=[0, 0, 0, 1])
    got = outcome(found, DRAWS, cache=cache(), route=None)
    assert got.hits[0] / got.matched == 0.5
    assert got.hit_cost[0] / got.baseline == pytest.approx(0.02)
    assert got.saved[0] == pytest.approx(200 * 3e-6)


def test_every_lookup_has_its_fee() -> None:
    fee = Input(value=0.001, basis="assumed", why="test")
    got = outcome(log([0, HOUR // 2]), DRAWS, cache=cache(lookup_fee=fee), route=None)
    assert got.saved[0] == pytest.approx(EACH - 2 * 0.001)


def semantic(**keys: Any) -> SemanticCache:
    usual = {"name": "meaning", "kind": "semantic_cache", "classes": "x.csv", "ttl_hours": 1, "wrong": number(0)}
    return SemanticCache.model_validate(usual | keys)


def test_a_semantic_cache_hits_by_class_and_a_wrong_hit_pays() -> None:
    found = log([0, HOUR // 4, HOUR // 2], prompt=[0, 1, 2])
    same = same_class({"a": "greeting", "b": "greeting"}, ["a", "b", "c"])
    assert list(same) == [0, 0, -1]
    for wrong, saved in ((0.0, EACH), (1.0, 0.0)):
        lever = semantic(wrong=number(wrong))
        got = replay_requests(found, Plan(caches=[replay(found, lever, same)]), {}, DRAWS)
        assert got.saved == pytest.approx(np.full(20, saved))
        assert set(got.asked_again) == {wrong}


def test_semantic_caching_without_classes_is_refused() -> None:
    card = {"name": "meaning", "kind": "semantic_cache", "ttl_hours": 1, "wrong": number(0)}
    with pytest.raises(ValidationError, match="classes"):
        Scenario.model_validate({"cards": [card]})


def test_realised_savings_are_the_price_of_what_a_gateway_answered() -> None:
    found = replace(log([0, 1, 2]), cached=np.array([False, True, True]), price=np.array([EACH, EACH, np.nan]))
    card = realised(RealisedCache(name="gateway", kind="realised_cache"), found)
    assert card.saving == pytest.approx([EACH])
    assert card.figures["hit_requests"].values == pytest.approx(2 / 3)
    assert "1 hits have no price" in card.remarks[0]
    assert realised(RealisedCache(name="gateway", kind="realised_cache"), log([0])).saving is None


def test_what_a_gateway_answered_is_not_saved_again() -> None:
    found = replace(log([0, HOUR // 2]), cached=np.array([False, True]))
    assert outcome(found, DRAWS, cache=cache(), route=routing(1, 1, 0, 0)).matched == 1


# Routing


def test_a_fallback_pays_both_models() -> None:
    found = log([0])
    small = 1000 * 3e-7 + 100 * 1.5e-6
    for fallback, saved in ((0, EACH - small), (1, -small)):
        got = outcome(found, DRAWS, cache=None, route=routing(1, 1, 0, fallback))
        assert got.saved == pytest.approx(np.full(20, saved))
        assert set(got.changed) == {1 - fallback}


def test_the_parts_routed_are_those_of_the_chances() -> None:
    found = log(list(range(20_000)), prompt=np.arange(20_000))
    got = outcome(found, DRAWS, cache=None, route=routing(0.6, 0.9, 0.1, 0.2))
    assert got.routed.mean() / 20_000 == pytest.approx(0.6 * 0.9 + 0.4 * 0.1, abs=0.01)
    assert got.fell_back.mean() / got.routed.mean() == pytest.approx(0.2, abs=0.01)


def test_a_router_takes_its_fee_also_for_what_it_does_not_route() -> None:
    got = outcome(log([0, 1]), DRAWS, cache=None, route=routing(0, 0, 0, 0, fee=number(0.0001)))
    assert got.saved == pytest.approx(np.full(20, -0.0002))


def test_a_request_without_a_known_cost_or_a_price_there_stays_and_is_counted() -> None:
    found = replace(log([0, 1]), cost=np.array([EACH, np.nan]))
    got = outcome(found, DRAWS, cache=None, route=routing(1, 1, 1, 0))
    assert (got.without_cost, got.matched, got.routed[0]) == (1, 2, 1)
    nowhere = Plan(routers=[Router(found, routing(1, 1, 1, 0), DRAWS)])
    unsold = replay_requests(found, nowhere, {"router": Sold([], 1.0)}, DRAWS)
    assert (unsold.cannot, unsold.saved[0]) == (1, 0.0)


def test_a_request_whose_tokens_are_not_known_is_not_priced_as_nothing() -> None:
    found = replace(log([0]), counted=np.array([False]))
    got = outcome(found, DRAWS, cache=None, route=routing(1, 1, 1, 0))
    assert (got.cannot, got.saved[0]) == (1, 0.0)


def test_of_two_routers_the_first_takes_a_request() -> None:
    found = log([0])
    first, second = routing(1, 1, 1, 0), routing(1, 1, 1, 0).model_copy(update={"name": "second"})
    plan = Plan(routers=[Router(found, first, DRAWS), Router(found, second, DRAWS)])
    got = replay_requests(found, plan, {"router": Sold([SMALL], 2.0), "second": Sold([SMALL], 1.0)}, DRAWS)
    assert got.saved[0] == pytest.approx(EACH - 2 * (1000 * 3e-7 + 100 * 1.5e-6))
    assert got.routed[0] == 1


def test_others_in_the_log_do_not_change_where_a_request_goes() -> None:
    keys = np.array([5, 6, 7], dtype=np.uint64)
    assert list(numbers(keys[::-1], 1, "x")[::-1]) == list(numbers(keys, 1, "x"))
    places = numbers(np.arange(40_000, dtype=np.uint64), 1, "x")
    for draw in (0, 1, 57):
        assert below(places, "easy", draw, 0.3).mean() == pytest.approx(0.3, abs=0.01)
    assert below(places, "easy", 3, 0.0).sum() == 0
    assert below(places, "easy", 3, 1.0).all()


# Distillation, prompts, own GPUs


def distilled(**keys: Any) -> Distillation:
    nothing = {name: number(0) for name in ("fallback", "misrouted", "training_gpu_hours", "gpu_hour_price", "labels")}
    usual = {"name": "router", "kind": "distillation", "which": Which(models=("big",)), "cheaper_by": number(5)}
    return Distillation.model_validate(usual | nothing | keys)


def on_own_gpus(found: Log, own: list[bool]) -> Log:
    pool = Names(np.zeros(len(found), dtype=np.int64), ["gpus"])
    return replace(found, own=np.array(own), names={**found.names, "pool": pool})


def test_a_distilled_model_costs_its_part_and_pays_back_what_it_took() -> None:
    lever = distilled(training_gpu_hours=number(2), gpu_hour_price=number(3), labels=number(10))
    facts = Facts(log([0, 1]), [], 30)
    [card] = simulate(Scenario(cards=(lever,)), facts).cards
    assert card.saving == pytest.approx(np.full(200, 2 * EACH * 4 / 5))
    assert card.figures["payback_months"].values == pytest.approx(np.full(200, 16 / (2 * EACH * 4 / 5)))


def test_what_requests_free_on_own_gpus_is_no_money_by_itself() -> None:
    found = on_own_gpus(log([0, HOUR // 2]), [True, True])
    got = outcome(found, DRAWS, cache=cache(), route=None)
    assert (got.saved[0], got.baseline) == (0.0, 0.0)
    assert got.freed["gpus"][0] == pytest.approx([EACH])
    plan = Plan(routers=[Router(found, distilled(), DRAWS)])
    assert replay_requests(found, plan, {}, DRAWS).freed["gpus"][0] == pytest.approx([2 * EACH * 4 / 5])


def test_a_request_of_own_gpus_that_goes_to_an_api_costs_there() -> None:
    found = on_own_gpus(log([0, 1]), [True, False])
    got = outcome(found, DRAWS, cache=None, route=routing(1, 1, 1, 0))
    small = 1000 * 3e-7 + 100 * 1.5e-6
    assert got.saved[0] == pytest.approx(EACH - 2 * small)
    assert got.freed["gpus"][0] == pytest.approx([EACH])


def test_a_shorter_prompt_falls_below_a_step_of_the_price_table() -> None:
    found = log([0])
    dear = Price(**{**BIG.__dict__, "tokens_over": 900, "unit": tuple(2 * one for one in BIG.unit)})
    cheap = Price(**{**BIG.__dict__, "tokens_upto": 900})
    found = replace(found, prices=[[cheap, dear]], cost=np.array([2 * EACH * 1.5]))
    cut = Prompt(name="cut", kind="prompt", uncached=number(0.2))
    got = replay_requests(found, Plan(prompts=[cut]), {}, DRAWS)
    after = (800 * 3e-6 + 100 * 15e-6) * 1.5  # billed at 1.5 times the table
    assert got.saved[0] == pytest.approx(2 * EACH * 1.5 - after)


def test_a_step_of_the_price_table_begins_above_its_size() -> None:
    cheap, dear = replace(BIG, tokens_upto=1000), replace(BIG, tokens_over=1000, request=1.0)
    found = replace(log([0]), prices=[[cheap, dear]])
    assert own_quote(found, np.arange(1), found.tokens).price(found.tokens)[0] == pytest.approx(EACH)
    more = found.tokens + 1
    assert own_quote(found, np.arange(1), more).price(more)[0] > 1


def test_a_shorter_prompt_is_shorter_for_the_small_model_too_at_its_own_bill_rate() -> None:
    found, cut = log([0]), Prompt(name="cut", kind="prompt", uncached=number(0.5))
    plan = Plan(routers=[Router(found, routing(1, 1, 1, 1), DRAWS)], prompts=[cut])
    got = replay_requests(found, plan, {"router": Sold([SMALL], 2.0)}, DRAWS)
    both = (500 * 3e-6 + 100 * 15e-6) + 2 * (500 * 3e-7 + 100 * 1.5e-6)
    assert got.saved[0] == pytest.approx(EACH - both)


def test_two_prompts_shorten_one_after_the_other_in_whole_tokens() -> None:
    cuts = [Prompt(name=f"cut {part}", kind="prompt", uncached=number(part)) for part in (0.5, 0.0999)]
    got = replay_requests(log([0]), Plan(prompts=cuts), {}, DRAWS)
    assert got.saved[0] == pytest.approx((500 + 49) * 3e-6)


def test_a_lever_is_about_the_requests_that_all_of_its_keys_fit() -> None:
    found = log([0, 1, 2])
    features = Names(np.array([0, 1, -1]), ["chat", "Search"])
    found = replace(found, names={**found.names, "feature": features})
    assert list(Which(features=("SEA*",)).of(found)) == [False, True, False]
    assert list(Which(features=("*",), max_input_tokens=999).of(found)) == [False, False, False]
    assert list(Which(models=("big",), customers=("customer-0",)).of(found)) == [True, True, True]


# The scenario


def both() -> Scenario:
    beta = Input(beta=(45, 55), basis="measured", why="test")
    return Scenario(cards=(cache(), routing(0, 1, 0, 0).model_copy(update={"easy": beta})))


def facts() -> Facts:
    found = log(list(range(0, 300 * 60_000_000, 60_000_000)), prompt=[at % 100 for at in range(300)])
    return Facts(found, [], 30, sold={"router": Sold([SMALL], 1.0)})


def test_the_same_seed_gives_the_same_answer_and_another_seed_another() -> None:
    def joint(seed: int) -> Result:
        return simulate(both().model_copy(update={"seed": seed}), facts())

    assert (joint(7).together.joint == joint(7).together.joint).all()
    assert (joint(7).together.joint != joint(8).together.joint).any()


def test_alone_and_together_are_compared_on_the_same_numbers() -> None:
    result = simulate(both(), facts())
    alone = {card.name: card.saving for card in result.cards}
    assert alone["cache"] is not None
    assert alone["router"] is not None
    overlap = result.together.added - result.together.joint
    assert result.together.added == pytest.approx(alone["cache"] + alone["router"])
    assert np.std(overlap) < np.std(result.together.added)


def test_without_hashes_an_exact_cache_says_why_and_is_in_no_sum() -> None:
    found = facts()
    found = replace(found, log=replace(found.log, names={**found.log.names, "prompt": Names(np.full(300, -1), [])}))
    fee = number(1.0)
    scenario = Scenario(cards=(cache(lookup_fee=fee), both().cards[1]))
    result = simulate(scenario, found)
    assert result.cards[0].saving is None
    assert "prompt_hash" in result.cards[0].remarks[0]
    assert list(result.together.names) == ["router"]
    assert result.together.joint == pytest.approx(result.cards[1].saving)


def test_the_price_of_a_request_is_that_of_its_day_minute_and_tier() -> None:
    day = 24 * 60 * 60_000_000
    later = Price(**{**BIG.__dict__, "day_from": 1, "minute_from": 60, "minute_to": 120, "request": 1.0})
    sooner = Price(**{**BIG.__dict__, "day_to": 1})
    found = replace(log([0, day, day + HOUR]), prices=[[later, sooner]])
    price = own_quote(found, np.arange(3), found.tokens).price(found.tokens)
    assert price[0] == pytest.approx(EACH)
    assert np.isnan(price[1])
    assert price[2] == pytest.approx(EACH + 1.0)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"value": 1.0, "range": (1, 2)}, "one of value, range and beta"),
        ({"range": (2, 1)}, "goes up"),
        ({"beta": (0, 2)}, "above 0"),
        ({"value": 1.0, "basis": None}, "basis"),
    ],
    ids=["two forms", "downwards", "no prior", "no basis"],
)
def test_a_number_says_one_thing_and_where_it_is_from(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Input(**{"basis": "assumed", "why": "test"} | keys)


def test_a_chance_above_one_is_refused() -> None:
    with pytest.raises(ValidationError, match="between 0 and 1"):
        routing(1.2, 1, 0, 0)
