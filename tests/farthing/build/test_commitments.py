"""Commitments and promotional credits: how much is used, who owns the rest, and when they end."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from farthing.lake import Lake
from tests.farthing.build.world import DAY, World, at, published

OWNED = {"name": "all", "kind": "owned", "owner": "team:platform"}


def built(world: World, folder: Path, query: str) -> list[tuple[Any, ...]]:
    world.land(Lake(str(folder / "lake")))
    with published(world.build(folder)) as con:
        return con.execute(query).fetchall()


def plan(**columns: Any) -> dict[str, Any]:
    """The columns of a charge under the commitment SP-1."""
    return {
        "CommitmentDiscountId": "SP-1",
        "CommitmentDiscountCategory": "Spend",
        "CommitmentDiscountType": "Savings Plan",
        "PricingCategory": "Committed",
        **columns,
    }


def test_a_commitment_says_what_was_used_of_it_and_who_owns_what_was_not(tmp_path: Path) -> None:
    world = World(OWNED)
    world.charge(0, BilledCost=Decimal(10), **plan(ChargeCategory="Purchase", SubAccountId="payer"))
    world.charge(6, BilledCost=Decimal(0), **plan(CommitmentDiscountStatus="Used", SubAccountId="user"))
    world.charge(
        4, at("10:00", 2), BilledCost=Decimal(0), **plan(CommitmentDiscountStatus="Unused", Tags='{"team":"platform"}')
    )
    world.charge(
        1, CommitmentDiscountId="sp-1", BilledCost=Decimal(0), CommitmentDiscountStatus="Used", ProviderName="Other"
    )
    rows = built(
        world,
        tmp_path,
        "select provider, commitment, owner, owner_team, billed_cost, used_cost, unused_cost, utilisation, first_day,"
        " last_day, paid_until from commitments order by used_cost desc",
    )
    assert rows == [
        ("AWS", "sp-1", "payer", "platform", 10, 6, 4, 0.6, DAY, date(2026, 10, 2), at("11:00").replace(tzinfo=None)),
        ("Other", "sp-1", None, None, 0, 1, 0, 1.0, DAY, DAY, None),
    ]


def test_the_end_of_a_commitment_is_the_one_that_its_charges_name(tmp_path: Path) -> None:
    world = World(OWNED)
    world.charge(1, **plan(CommitmentDiscountStatus="Used", x_extra='{"x_CommitmentDiscountEnd":"2027-03-31"}'))
    assert built(world, tmp_path, "select ends_on from commitments") == [(date(2027, 3, 31),)]


def test_coverage_is_what_is_committed_of_what_is_not_spot(tmp_path: Path) -> None:
    world = World(OWNED)
    world.charge(6, **plan(ChargeCategory="Usage", CommitmentDiscountStatus="Used"))
    world.charge(50, **plan(ChargeCategory="Usage", CommitmentDiscountStatus="Unused"))  # is of no use
    world.charge(2, ChargeCategory="Usage", PricingCategory="Standard")
    world.charge(7, ChargeCategory="Usage", PricingCategory="Dynamic")
    rows = built(
        world, tmp_path, "select committed_cost, standard_cost, dynamic_cost, coverage from commitment_coverage"
    )
    assert rows == [(6, 2, 7, 0.75)]


def credit_world(**grant: Any) -> World:
    """1,000 granted; 10 used on the first day of October, 20 on the second and 30 on the third."""
    world = World(OWNED, credits={"startup": {"match": {"ChargeCategory": "Credit"}, "amount": 1000, **grant}})
    for day in (1, 2, 3):
        world.charge(-10 * day, at(day=day), at(day=day + 1), ChargeCategory="Credit", BilledCost=Decimal(-10 * day))
    world.charge(500)
    return world


def test_a_credit_runs_out_at_the_pace_of_its_last_days(tmp_path: Path) -> None:
    """60 of 1,000 are used at 20 a day: 940 last 47 days after the third of October."""
    rows = built(
        credit_world(),
        tmp_path,
        "select credit, granted, used, left_over, first_day, last_day, used_a_day, runs_out_on, lost_at_expiry"
        " from credits",
    )
    assert rows == [("startup", 1000, 60, 940, DAY, date(2026, 10, 3), 20, date(2026, 11, 19), None)]


def test_what_is_left_when_a_credit_expires_is_lost(tmp_path: Path) -> None:
    """Of the 940 that are left 20 are used on each of the six days before the tenth: 820 are lost."""
    rows = built(
        credit_world(expires="2026-10-10"), tmp_path, "select runs_out_on, lost_at_expiry, expires from credits"
    )
    assert rows == [(date(2026, 10, 10), 820, date(2026, 10, 10))]


def test_a_credit_that_was_never_used_stands_whole(tmp_path: Path) -> None:
    world = World(OWNED, credits={"new": {"match": {"ChargeCategory": "Credit"}, "amount": "12.5", "currency": "EUR"}})
    world.charge(-1, ChargeCategory="Credit")  # dollars do not use up euros
    rows = built(world, tmp_path, "select BillingCurrency, used, left_over, last_day, runs_out_on from credits")
    assert rows == [("EUR", 0, Decimal("12.5"), None, None)]
