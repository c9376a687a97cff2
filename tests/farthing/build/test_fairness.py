"""What may and may not change when one thing of a world changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.prefill_law import PrefillLaw
from tests.farthing.build.test_gpus import LAW
from tests.farthing.build.world import GPU_POOL, World, at

#: Each example is a build or two: a tenth of what cheap properties get.
few = settings(max_examples=settings().max_examples // 10, suppress_health_check=list(HealthCheck))
PICO = Decimal("0.000000000001")
#: (start, seconds to the first token, seconds after it, input tokens), within an hour
Drawn = tuple[int, int, int, int]
drawn = st.tuples(st.integers(0, 3500), st.integers(0, 100), st.integers(0, 600), st.integers(0, 9000))
many = st.lists(drawn, min_size=2, max_size=6)


def hour(requests: list[Drawn], *, busy: float = 0.7, every: int = 60, method: str = "phase_time") -> World:
    """A GPU for 100 for an hour, with requests of user-0, user-1, ..."""
    world = World({**GPU_POOL, "method": method}, attribution={"cell_seconds": 60, "law_minimum_requests": 10_000})
    world.charge(100)
    world.gpu()
    world.usage(at("10:00"), at("11:00"), busy, every=every)
    for number, request in enumerate(requests):
        _add(world, request, f"user-{number}")
    return world


def _add(world: World, request: Drawn, user: str) -> None:
    start, first, decode, tokens = request
    begun = at("10:00") + timedelta(seconds=start)
    seen = begun + timedelta(seconds=first)
    ended = seen + timedelta(seconds=decode)
    world.request(begun, ended, first=seen, user=user, id=user, input_tokens=tokens, output_tokens=decode)


@few
@given(requests=many, method=st.sampled_from(["phase_time", "gpu_seconds", "tokens", "requests"]), data=st.data())
def test_permuting_users_permutes_costs(requests: list[Drawn], method: str, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(requests))))
    world, other = hour(requests, method=method), hour(requests, method=method)
    for number, row in enumerate(other.rows["requests"]):
        row["user_id"] = f"user-{order[number]}"
    other.rows["requests"].reverse()
    ours, theirs = world.run(laws=LAW).users(), other.run(laws=LAW, threads=2).users()
    assert {f"user-{order[int(user[5:])]}": cost for user, cost in ours.items()} == theirs


@few
@given(requests=many, cut=st.integers(0, 9000))
def test_under_tokens_splitting_a_request_in_two_changes_nobody_elses_cost(requests: list[Drawn], cut: int) -> None:
    world, other = hour(requests, method="tokens"), hour(requests, method="tokens")
    half = other.rows["requests"][0]
    part = min(cut, half["input_tokens"])
    other.rows["requests"].append({**half, "request_id": "half", "input_tokens": part, "output_tokens": 0})
    half["input_tokens"] -= part
    ours, theirs = world.run().users(), other.run().users()
    whole = ours.pop("user-0", Decimal(0)), theirs.pop("user-0", Decimal(0))
    assert ours == theirs
    assert abs(whole[0] - whole[1]) <= PICO


@few
@given(requests=many, one_more=drawn, law=st.sampled_from([LAW, {}]))
def test_under_phase_time_one_more_request_in_the_same_busy_time_never_raises_anothers_cost(
    requests: list[Drawn], one_more: Drawn, law: dict[tuple[str, str], PrefillLaw]
) -> None:
    """Telemetry of one cell each: what a cell was busy is then the same with the request and without it."""
    world, other = hour(requests), hour(requests)
    _add(other, one_more, "one-more")
    before, after = world.run(laws=law).requests(), other.run(laws=law).requests()
    slack = 4 * PICO  # each of the four cut cells rounds by itself
    assert [request for request, cost in before.items() if after[request] > cost + slack] == []


@few
@given(requests=many, busy=st.floats(0, 1), every=st.sampled_from([57, 60, 600]))
def test_halving_busy_seconds_moves_cost_from_direct_to_idle(requests: list[Drawn], busy: float, every: int) -> None:
    """opencost/opencost#3900: use that follows what was asked for does not see it."""
    world, other = hour(requests, busy=busy, every=every), hour(requests, busy=busy / 2, every=every)
    full, half = world.run(laws=LAW), other.run(laws=LAW)
    was, now = full.kinds(), half.kinds()
    nothing = Decimal(0)
    busy_was = was.get("direct", nothing) + was.get("unexplained", nothing)
    busy_now = now.get("direct", nothing) + now.get("unexplained", nothing)
    assert abs(busy_now * 2 - busy_was) < Decimal("0.0001")  # telemetry is in whole microseconds
    assert abs(now.get("idle", nothing) - was.get("idle", nothing) - busy_was / 2) < Decimal("0.0001")
    for request, cost in half.requests().items():
        assert cost <= full.requests()[request] + Decimal("0.0001")


@few
@given(requests=many, method=st.sampled_from(["phase_time", "gpu_seconds"]))
def test_a_request_costs_at_most_the_gpu_for_the_time_that_it_lived(requests: list[Drawn], method: str) -> None:
    ran = hour(requests, busy=1, method=method).run(laws=LAW)
    cost_of = ran.requests(method)
    assert len(cost_of) <= len(requests)
    for number, (start, first, decode, _) in enumerate(requests):
        lived = min(start + first + decode, 3600) - start
        assert 0 <= cost_of.get(f"user-{number}", 0) <= Decimal(100 * lived) / 3600 + PICO


@pytest.mark.parametrize(
    "outside",
    [
        {"start": at("09:00"), "end": at("09:59:59")},
        {"start": at("11:00"), "end": at("12:00")},
        {"start": at("10:30"), "end": at("10:30")},
        {"start": at("10:00"), "end": at("11:00"), "replica": "other"},
        {"start": at("10:00"), "end": at("11:00"), "replica": None},
    ],
)
def test_who_was_not_there_costs_nothing(outside: dict[str, Any]) -> None:
    world = hour([(0, 0, 1800, 5)])
    world.request(**outside, user="away")
    assert "away" not in world.run().users()


def _ledger(world: World, threads: int) -> list[tuple[Any, ...]]:
    ran = world.run(laws=LAW, threads=threads)
    return [
        *ran.ask("select * from done.cost_ledger order by all"),
        *ran.ask("select * from done.request_costs order by all"),
        *ran.ask("select * from done.gpu_days order by all"),
    ]


@settings(few, max_examples=2)
@given(requests=st.lists(drawn, min_size=30, max_size=60))
def test_one_two_and_eight_threads_give_the_same_ledger(requests: list[Drawn]) -> None:
    make: Callable[[], World] = lambda: hour(requests, every=57)  # noqa: E731
    first = _ledger(make(), 1)
    assert first
    assert _ledger(make(), 2) == first
    assert _ledger(make(), 8) == first


def test_a_law_is_learned_from_the_days_own_requests_and_kept_for_the_next_days() -> None:
    """Prefill 0.2 s + 1 ms a token: the second day has too few requests for a law of its own."""
    world = World(attribution={"cell_seconds": 60, "law_minimum_requests": 100})
    world.charge(48, at("00:00"), at("00:00", 3))
    world.gpu()
    world.usage(at("00:00"), at("00:00", 3), 1, every=600)
    for number in range(120):
        tokens = (500, 1000, 2000, 4000)[number % 4]
        begun = at() + timedelta(minutes=10 * number)
        seen = begun + timedelta(microseconds=200_000 + 1000 * tokens)
        world.request(begun, seen + timedelta(seconds=5), first=seen, input_tokens=tokens, output_tokens=51)
    world.request(at("10:00:30", 2), at("10:02", 2), first=at("10:01", 2), input_tokens=9800, user="late")
    ran = world.run()
    assert ran.ask("select p0_us, p1_ns, decode_us from settings.prefill_laws") == [(200_000, 1_000_000, 100_000)]
    assert ran.users()["late"] == pytest.approx(Decimal(48) * 70 / (2 * 86400), rel=Decimal("0.0001"))
