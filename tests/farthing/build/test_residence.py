"""`when_unobserved = "residence"`: time that no telemetry covers, shared by who was in flight and marked estimated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.farthing.build.test_gpus import NEARLY, hour, kinds, near, tidy
from tests.farthing.build.world import Ran, World, at

SHARED = {"when_unobserved": "residence"}


def estimates(ran: Ran) -> dict[Any, Decimal]:
    """Direct cost by user and whether it is estimated."""
    return tidy(ran.ledger("user_id", "estimated", where="kind = 'direct'"))


def nearly(parts: dict[Any, Any]) -> Any:
    return pytest.approx({key: Decimal(cost) for key, cost in parts.items()}, abs=NEARLY)


def silent(cost: int = 60, **pool: Any) -> World:
    """One GPU for one hour, and no telemetry at all."""
    return hour(cost, pool={**SHARED, **pool})


def test_without_any_telemetry_who_was_in_flight_pays_for_the_time_that_he_was_there() -> None:
    one = silent()
    one.request(at("10:00"), at("10:30"), user="ann")
    one.request(at("10:20"), at("10:40"), user="bob")
    ran = one.run()
    # 10:00 to 10:20 ann alone, ten minutes both, ten minutes bob alone, nobody after
    assert estimates(ran) == nearly({("ann", True): 25, ("bob", True): 15})
    assert kinds(ran) == near(direct="40", unobserved="20")
    assert ran.total() == 60


def test_by_default_time_without_telemetry_is_nobodys() -> None:
    one = hour(60)
    one.request(at("10:00"), at("10:30"), user="ann")
    ran = one.run()
    assert ran.ledger("kind", "estimated") == {("unobserved", False): 60}


def test_only_the_gap_is_estimated_and_what_telemetry_saw_stays_as_it_is() -> None:
    one = silent()
    one.usage(at("10:00"), at("10:30"), 0.5, every=60)
    one.request(at("10:00"), at("10:40"), user="ann")
    ran = one.run()
    assert estimates(ran) == nearly({("ann", False): 15, ("ann", True): 10})
    assert kinds(ran) == near(direct="25", idle="15", unobserved="20")
    assert ran.total() == 60


def test_a_gap_between_samples_is_shared_and_so_is_one_before_the_first() -> None:
    one = silent()
    one.usage(at("10:10"), at("10:20"), 0, every=60)
    one.usage(at("10:30"), at("11:00"), 0, every=60)
    one.request(at("10:00"), at("11:00"), user="ann")
    ran = one.run()
    assert estimates(ran) == nearly({("ann", True): 20})
    assert kinds(ran) == near(direct="20", idle="40")


def test_a_gap_inside_a_cell_is_shared_no_further_than_it_reaches() -> None:
    """Samples that do not meet the cells of a minute."""
    one = silent()
    one.usage(at("10:00"), at("10:29:30"), 0)
    one.usage(at("10:31"), at("11:00"), 0)
    one.request(at("10:00"), at("11:00"), user="ann")
    ran = one.run()
    assert estimates(ran) == nearly({("ann", True): "1.5"})
    assert kinds(ran) == near(direct="1.5", idle="58.5")


def test_two_gpus_of_a_replica_with_gaps_of_their_own_each_share_theirs() -> None:
    one = silent(120)
    one.gpu("H")
    one.usage(at("10:00"), at("10:30"), 0, gpu="G", every=60)
    one.usage(at("10:00"), at("10:45"), 0, gpu="H", every=60)
    one.request(at("10:15"), at("11:00"), user="ann")
    ran = one.run()
    # a minute of a GPU costs 1: thirty of G, fifteen of H
    assert estimates(ran) == nearly({("ann", True): 45})
    assert kinds(ran) == near(direct="45", idle="75")
    assert ran.sums("select gpu_uuid, round(direct_cost, 6) from done.gpu_days") == {("G",): 30, ("H",): 15}


def test_a_gap_that_two_gpus_have_together_weighs_twice_a_gap_of_one() -> None:
    one = silent(120)
    one.gpu("H")
    for gpu in ("G", "H"):
        one.usage(at("10:10"), at("10:30"), 0, gpu=gpu, every=60)
        one.usage(at("10:40"), at("11:00"), 0, gpu=gpu, every=60)
    one.usage(at("10:30"), at("10:40"), 0, gpu="H", every=60)
    one.request(at("10:00"), at("10:10"), user="ann")
    one.request(at("10:30"), at("10:40"), user="bob")
    ran = one.run()
    # a minute of a GPU costs 1: nobody watched ten of both while ann was there, and ten of G while bob was
    assert estimates(ran) == nearly({("ann", True): 20, ("bob", True): 10})
    assert kinds(ran) == near(direct="30", idle="90")


def test_two_replicas_share_only_their_own_gaps() -> None:
    one = silent(120)
    one.gpu("H", "s")
    one.request(at("10:00"), at("10:30"), user="ann")
    one.request(at("10:00"), at("10:10"), user="bob", replica="s")
    ran = one.run()
    assert estimates(ran) == nearly({("ann", True): 30, ("bob", True): 10})
    assert ran.total() == 120


@pytest.mark.parametrize("method", ["gpu_seconds", "tokens", "requests"])
def test_gaps_are_shared_by_residence_whatever_the_pools_method(method: str) -> None:
    one = silent(method=method)
    one.request(at("10:00"), at("10:30"), user="ann", input_tokens=1)
    one.request(at("10:30"), at("10:40"), user="bob", input_tokens=99)
    ran = one.run()
    assert estimates(ran) == nearly({("ann", True): 30, ("bob", True): 10})
    assert kinds(ran) == near(direct="40", unobserved="20")


def test_a_request_over_midnight_has_its_part_of_each_day() -> None:
    one = silent()
    one.rows["charges"].clear()
    one.charge(120, at("23:00"), at("01:00", 2))
    one.request(at("23:30"), at("00:10", 2), user="ann")
    ran = one.run()
    assert ran.ledger("day", where="estimated") == nearly({at().date(): 30, at(day=2).date(): 10})
    assert ran.total() == 120


def test_what_no_bill_confirms_may_be_estimated_too() -> None:
    """The open day of a node that nothing watches: both marks stand side by side."""
    one = silent()
    one.rows["charges"].clear()
    one.charge(60, at("09:00"))
    one.request(at("09:30"), at("10:30"), user="ann")
    ran = one.run(horizon=at("11:00"))
    assert tidy(ran.ledger("provisional", "estimated", where="user_id = 'ann'")) == nearly(
        {(False, True): 30, (True, True): 30}
    )
    assert ran.ledger("provisional") == {False: 60, True: 60}


def test_estimated_cost_is_not_watched_cost() -> None:
    one = silent()
    one.usage(at("10:00"), at("10:30"), 0.5, every=60)
    one.request(at("10:00"), at("10:40"), user="ann")
    matched, total = one.run().quality("cost", "of GPUs, watched by telemetry")
    assert (round(matched, 6), total) == (30, 60)
