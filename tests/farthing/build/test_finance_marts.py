"""The marts that finance reads: margin, cost centers, journal, training and its life, unit costs, rates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from farthing.lake import Lake
from farthing.lake.schemas import JOBS, REVENUE
from tests.farthing.build.world import DAY, World, at, published

SERVING = {"name": "gpu", "kind": "gpu", "gl_account": "5010", "match": {"ResourceId": "node*"}}
LAB = {"name": "lab", "kind": "training", "class": "rnd", "gl_account": "6200", "match": {"ResourceId": "lab*"}}
PEOPLE = {"name": "people", "kind": "owned", "class": "opex", "owner": "Tags.team", "match": {"ServiceName": "Labour"}}
AUGUST, NOVEMBER = date(2026, 8, 1), date(2026, 11, 1)
#: What the grid of cells leaves of an hour is a line of some pico-units.
MORE_THAN_ROUNDING = "cost > 0.000001"


def company() -> World:
    """An hour of serving for two customers (100), of training (60), labour (30), and 5 that no rule takes."""
    world = World(
        SERVING,
        LAB,
        PEOPLE,
        attribution={"cell_seconds": 60},
        teams={"red": {"cost_center": "CC-1", "department": "Product/Assistant"}},
        models={"v2": {"released": date(2026, 9, 15), "life_months": 3}},
        units={"ticket": {"metric": "tickets_solved"}},
    )
    world.charge(60, PricingCategory="Committed", CommitmentDiscountId="one-year")
    world.charge(40, PricingCategory="Committed", CommitmentDiscountId="one-year")  # another SKU of the same hour
    world.gpu("G")
    world.usage(at("10:00"), at("11:00"), 1)
    world.request(at("10:00"), at("10:45"), user="key-a", customer_id="acme", input_tokens=600_000, output_tokens=0)
    world.request(at("10:45"), at("11:00"), user="key-b", customer_id="bolt", input_tokens=0, output_tokens=200_000)
    world.identity("key-a", "ann", plan="old", cost_center="CC-8", team_id="red")
    world.rows["identities"][-1]["valid_to"] = at("00:00", 20)
    world.identity("key-a", "ann", at("00:00", 20), plan="pro", cost_center="CC-9", team_id="red")
    world.identity("key-b", "bob", team_id="blue", cost_center="CC-2")
    world.charge(60, resource="lab-1", PricingCategory="Dynamic")
    world.gpu("L", None, resource="lab-1")
    world.job(
        at("10:00"), at("10:30"), id="one", gpu_uuids="L", model_produced="v2", experiment="e", status="completed"
    )
    world.job(
        at("10:30"),
        at("11:00"),
        id="two",
        gpu_uuids="L",
        model_produced="v3",
        experiment="e",
        status="failed",
        last_checkpoint_at=at("10:40"),
    )
    world.charge(30, resource=None, ServiceName="Labour", Tags='{"team": "red"}')
    world.charge(5, resource="stray")
    world.metric("tickets_solved", "customer", "acme", 40)
    world.metric("tickets_solved", "customer", "bolt", 10)
    return world


def income(*rows: tuple[str, date, str, int]) -> pa.Table:
    """Revenue of (customer, period, currency, amount)."""
    return pa.Table.from_pylist(
        [
            {"customer_id": customer, "plan": "pro", "period": period, "currency": currency, "amount": Decimal(amount)}
            for customer, period, currency, amount in rows
        ],
        schema=REVENUE.schema,
    )


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("company")
    world = company()
    lake = Lake(str(folder / "lake"))
    world.land(lake)
    lake.append(
        REVENUE,
        income(
            ("acme", DAY, "USD", 400), ("cold", DAY, "USD", 100), ("acme", DAY, "EUR", 7), ("acme", AUGUST, "USD", 9)
        ),
        load="revenue",
    )
    with published(world.build(folder)) as con:
        yield con


def ask(con: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return con.execute(query).fetchall()


def test_gross_margin_is_revenue_less_what_running_costs_and_training_is_never_in_it(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    rows = ask(
        warehouse,
        "select month, BillingCurrency, revenue, cogs_cost, rnd_cost, opex_cost, unassigned_cost, cost, gross_margin,"
        " gross_margin_share, operating_margin from margin_month order by month, BillingCurrency",
    )
    assert rows == [
        (AUGUST, "USD", 9, None, None, None, None, None, 9, 1.0, 9),
        (DAY, "EUR", 7, None, None, None, None, None, 7, 1.0, 7),
        (DAY, "USD", 500, 100, 60, 30, 5, 195, 400, 0.8, 305),
    ]


def test_a_customer_with_only_revenue_or_only_cost_keeps_its_line(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = ask(
        warehouse,
        "select customer_id, BillingCurrency, plan, revenue, round(cogs_cost, 6) from customer_margin_month"
        f" where month = date '{DAY}' and customer_id is not null order by 1, 2",
    )
    assert rows == [
        ("acme", "EUR", "pro", 7, None),
        ("acme", "USD", "pro", 400, 75),
        ("bolt", "USD", None, None, 25),
        ("cold", "USD", "pro", 100, None),
    ]
    assert ask(
        warehouse,
        f"select round(margin, 6) from customer_margin_month where customer_id = 'acme' and BillingCurrency = 'USD'"
        f" and month = date '{DAY}'",
    ) == [(325,)]


def test_the_cost_center_of_teams_wins_over_that_of_identities(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = ask(
        warehouse,
        "select department, cost_center, team_id, class, round(cost, 6) from cost_center_month"
        f" where {MORE_THAN_ROUNDING} order by class, team_id",
    )
    assert rows == [
        (None, "CC-2", "blue", "cogs", 25),
        ("Product/Assistant", "CC-1", "red", "cogs", 75),
        ("Product/Assistant", "CC-1", "red", "opex", 30),
        (None, None, None, "rnd", 60),
        (None, None, None, None, 5),
    ]


def test_the_journal_books_every_amount_on_the_account_of_its_pool(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = ask(
        warehouse,
        "select gl_account, cost_center, class, round(cost, 6) from journal_month"
        f" where {MORE_THAN_ROUNDING} order by gl_account, cost",
    )
    assert rows == [
        ("5010", "CC-2", "cogs", 25),
        ("5010", "CC-1", "cogs", 75),
        ("6200", None, "rnd", 60),
        (None, None, None, 5),
        (None, "CC-1", "opex", 30),
    ]


def test_a_user_has_the_plan_and_cost_center_that_were_valid_last_in_the_month(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    rows = ask(
        warehouse,
        "select user_id, plan, cost_center, round(cost, 6) from user_month where user_id is not null order by user_id",
    )
    assert rows == [("ann", "pro", "CC-9", 75), ("bob", None, "CC-2", 25)]


def test_a_training_run_says_what_it_cost_and_what_was_lost_after_its_last_checkpoint(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    rows = ask(
        warehouse,
        "select job_id, experiment, model_produced, gpu_hours, cost, lost_cost, provisional_cost from training_runs"
        " order by job_id",
    )
    assert rows == [("one", "e", "v2", 0.5, 30, 0, None), ("two", "e", "v3", 0.5, 30, 20, None)]


def test_a_run_after_the_release_is_written_off_over_what_is_left_of_the_life(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """Released in September for three months: a run of October has October and November."""
    rows = ask(warehouse, "select month, model, BillingCurrency, cost from training_amortisation order by month")
    assert rows == [(DAY, "v2", "USD", 15), (NOVEMBER, "v2", "USD", 15)]


@pytest.mark.parametrize(
    ("released", "life", "months"),
    [
        (date(2026, 12, 31), 3, {date(2026, 12, 1): "3.333333333333", date(2027, 1, 1): "3.333333333333"}),
        (date(2026, 1, 1), 2, {DAY: "10"}),
    ],
    ids=["before the release", "after its life"],
)
def test_the_months_of_a_model_add_up_to_its_training_to_the_last_decimal(
    tmp_path: Path, released: date, life: int, months: dict[date, str]
) -> None:
    world = World(LAB, models={"v2": {"released": released, "life_months": life}})
    world.charge(10, resource="lab-1")
    world.gpu("L", None, resource="lab-1")
    world.job(at("10:00"), at("11:00"), gpu_uuids="L", model_produced="v2")
    world.land(Lake(str(tmp_path / "lake")))
    with published(world.build(tmp_path)) as con:
        rows = dict(ask(con, "select month, cost from training_amortisation"))
    assert sum(rows.values()) == 10
    assert {month: rows[month] for month in months} == {month: Decimal(cost) for month, cost in months.items()}
    assert len(rows) == (life if released > DAY else 1)


def test_a_run_that_still_goes_on_is_what_is_being_built_and_is_written_off_from_its_end(tmp_path: Path) -> None:
    """Released in September for three months. A run since October 1st, built on the 2nd: 24 of the day cost so far.

    In November its end is known: 48, in equal parts over what is left of the life; a second one has ended before.
    """
    lake = Lake(str(tmp_path / "lake"))
    world = World(LAB, models={"v2": {"released": date(2026, 9, 15), "life_months": 3}})
    world.charge(48, at("00:00"), at("00:00", 3), resource="lab-1")
    world.charge(10, at("00:00"), at("10:00"), resource="lab-2")
    world.gpu("L", None, resource="lab-1")
    world.gpu("M", None, resource="lab-2")
    world.job(at("00:00"), None, id="long", gpu_uuids="L", model_produced="v2")
    world.job(at("00:00"), at("10:00"), id="short", gpu_uuids="M", model_produced="v2")
    world.land(lake)
    query = "select month, cost, building_cost from training_amortisation order by month"
    with published(world.build(tmp_path, now=at("00:00", 2))) as con:
        assert ask(con, query) == [(DAY, 5, 24), (NOVEMBER, 5, 0)]
    [long, _] = world.rows["jobs"]
    long["ended_at"] = datetime(NOVEMBER.year, NOVEMBER.month, 1, tzinfo=UTC)
    lake.upsert(JOBS, world.arrow("jobs"), load="ended")
    with published(world.build(tmp_path)) as con:
        assert ask(con, query) == [(DAY, 5, 0), (NOVEMBER, 53, 0)]


def test_the_cost_of_a_unit_is_what_running_costs_and_training_stands_beside_it(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    rows = ask(
        warehouse,
        "select unit, model, quantity, cost, cost_per_unit, training_cost, training_cost_per_unit from unit_costs"
        " order by unit, model nulls last",
    )
    assert rows == [
        ("million tokens", "m", Decimal("0.8"), 100, 125, None, None),
        ("million tokens", None, Decimal("0.8"), 100, 125, 15, Decimal("18.75")),
        ("request", "m", 2, 100, 50, None, None),
        ("request", None, 2, 100, 50, 15, Decimal("7.5")),
        ("ticket", None, 50, 100, 2, 15, Decimal("0.3")),
    ]


def test_of_a_level_the_mean_of_the_days_that_have_a_value_counts_and_of_a_flow_their_sum(tmp_path: Path) -> None:
    """100 of serving. Stored: 300 + 100 on the 1st, 200 on the 4th, nothing said between: a mean of 300."""
    world = World(
        SERVING,
        units={
            "stored": {"metric": "vectors", "measure": "mean"},
            "ticket": {"metric": "tickets"},
            "third": {"metric": "thirds", "measure": "mean"},
        },
    )
    world.charge(100)
    for metric in ("vectors", "tickets"):
        world.metric(metric, "customer", "acme", 300)
        world.metric(metric, "customer", "bolt", 100)
        world.metric(metric, "customer", "acme", 200, at(day=4).date())
    for number, quantity in enumerate((1, 1, 2), 1):  # a mean of four thirds
        world.metric("thirds", "customer", "acme", quantity, at(day=number).date())
    world.land(Lake(str(tmp_path / "lake")))
    query = "select unit, quantity, cost, cost_per_unit from unit_costs where model is null order by unit"
    with published(world.build(tmp_path)) as con:
        assert [row for row in ask(con, query) if row[0] in ("stored", "third", "ticket")] == [
            ("stored", 300, 100, Decimal("0.333333333333")),
            ("third", Decimal("1.333333"), 100, Decimal("75.000018750004")),
            ("ticket", 600, 100, Decimal("0.166666666666")),
        ]


def test_an_hour_billed_by_several_skus_counts_once_and_the_premium_is_over_the_cheapest_contract(
    tmp_path: Path,
) -> None:
    world = World(SERVING)
    for node, gpus in (("node-1", 2), ("node-2", 1), ("node-3", 1)):
        for number in range(gpus):
            world.gpu(f"{node}-{number}", resource=node)
    world.charge(3, PricingCategory="Committed", CommitmentDiscountId="one-year")
    world.charge(1, PricingCategory="Committed", CommitmentDiscountId="one-year")  # the same hour of the same machine
    world.charge(3, resource="node-2", PricingCategory="Committed", CommitmentDiscountId="month")
    world.charge(5, resource="node-3", PricingCategory="Standard")
    world.charge(9, at("10:00", 2), resource="node-3", PricingCategory="Standard")  # a day without a contract
    world.land(Lake(str(tmp_path / "lake")))
    with published(world.build(tmp_path)) as con:
        rows = ask(
            con,
            "select day, pricing_category, commitment, gpu_hours, cost, rate, cheapest_contracted_rate, premium"
            " from gpu_rate order by day, cost",
        )
    assert rows == [
        (DAY, "Committed", "month", 1.0, 3, 3, 2, 1),
        (DAY, "Committed", "one-year", 2.0, 4, 2, 2, 0),
        (DAY, "Standard", None, 1.0, 5, 5, 2, 3),
        (date(2026, 10, 2), "Standard", None, 1.0, 9, 9, None, None),
    ]


MANY_DAYS = [date(2026, 10, day) for day in (1, 2, 3, 4)]


def rates(world: World, folder: Path, columns: str, **options: Any) -> list[tuple[Any, ...]]:
    """`columns` of gpu_rate, built."""
    world.land(Lake(str(folder / "lake")))
    with published(world.build(folder, **options)) as con:
        return ask(con, f"select {columns} from gpu_rate order by day, cost")


def test_a_charge_of_many_days_has_a_rate_on_each_of_them_and_adds_up_to_it(tmp_path: Path) -> None:
    """100 for 72 hours of two GPUs from noon of the first: 12, 24, 24 and 12 hours; twice as many of GPUs."""
    world = World(SERVING)
    world.gpu("G")
    world.gpu("H")
    world.charge(100, at("12:00"), at("12:00", 4), PricingCategory="Committed", ChargeCategory="Purchase")
    rows = rates(world, tmp_path, "day, gpu_hours, cost, rate")
    assert sorted(row[:2] for row in rows) == list(zip(MANY_DAYS, (24, 48, 48, 24), strict=True))
    for day, hours, cost, rate in rows:
        assert abs(cost - Decimal(100) * int(hours) / 144) < Decimal("1e-11"), day
        assert rate in (Decimal("0.694444444444"), Decimal("0.694444444445"))
    assert sum(row[2] for row in rows) == 100


def test_hours_still_to_come_of_a_commitment_have_no_rate_yet(tmp_path: Path) -> None:
    world = World(SERVING)
    world.gpu("G")
    world.charge(96, at("00:00"), at("00:00", 5), PricingCategory="Committed")
    rows = rates(world, tmp_path, "day, gpu_hours, cost, rate", now=at("06:00", 2))
    assert rows == [(DAY, 24.0, 24, 1), (date(2026, 10, 2), 6.0, 6, 1)]


def test_an_hour_counts_once_whatever_stands_on_it_and_credits_and_taxes_change_its_rate(tmp_path: Path) -> None:
    """Two committed hours at 4 and two standard ones at 6 of one GPU; a credit of 8 and a tax of 4 on all four."""
    world = World(SERVING)
    world.gpu("G")
    for number in (10, 11):
        world.charge(4, at(f"{number}:00"), PricingCategory="Committed", CommitmentDiscountId="year")
        world.charge(6, at(f"{number + 2}:00"), PricingCategory="Standard")
    world.charge(-8, at("00:00"), at("24:00"), ChargeCategory="Credit")
    world.charge(4, at("10:00"), at("14:00"), ChargeCategory="Tax", PricingCategory="Other")
    rows = rates(world, tmp_path, "pricing_category, gpu_hours, cost, rate, premium")
    # half of the credit and of the tax on two hours each: 8 - 4 + 2, and 12 - 4 + 2
    assert rows == [("Committed", 2.0, 6, 3, 0), ("Standard", 2.0, 10, 5, 4)]


def test_a_further_price_of_the_same_hours_is_a_part_of_their_cost(tmp_path: Path) -> None:
    """A licence of another category on the same machine and hours has no GPU-hours of its own."""
    world = World(SERVING)
    world.gpu("G")
    world.charge(10, at("10:00"), at("14:00"), PricingCategory="Committed")
    world.charge(1, at("11:00"), PricingCategory="Standard")
    world.charge(2, at("13:00"), at("15:00"), PricingCategory="Dynamic")  # its second hour is new
    rows = rates(world, tmp_path, "pricing_category, gpu_hours, cost")
    # the licence's 1 falls on four hours and one: four fifths and a fifth of it
    assert rows == [("Dynamic", 1.0, Decimal("2.2")), ("Committed", 4.0, Decimal("10.8"))]


def test_a_credit_on_a_day_without_hours_is_a_cost_without_a_rate(tmp_path: Path) -> None:
    world = World(SERVING)
    world.gpu("G")
    world.charge(5, PricingCategory="Standard")
    world.charge(-3, at("00:00", 2), at("24:00", 2), ChargeCategory="Credit")
    rows = rates(world, tmp_path, "day, pricing_category, gpu_hours, cost, rate")
    assert rows == [(DAY, "Standard", 1.0, 5, 5), (date(2026, 10, 2), None, 0.0, -3, None)]


def test_a_gpu_counts_from_when_it_stands_in_the_machine_and_its_instances_are_one(tmp_path: Path) -> None:
    """G all day, cut into two instances at noon; H from 18:00: 24 and 6 hours for 60."""
    world = World(SERVING)
    world.gpu("G", valid_to=at("12:00"))
    for instance in ("G-1", "G-2"):
        world.gpu(instance, parent_gpu_uuid="G", mig_profile="3g.40gb", valid_from=at("12:00"))
    world.gpu("H", valid_from=at("18:00"))
    world.charge(60, at("00:00"), at("24:00"))
    assert rates(world, tmp_path, "gpu_hours, cost, rate") == [(30.0, 60, 2)]
