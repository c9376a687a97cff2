"""List prices beside what was paid: the discount that was reached, and what idle time would have cost without it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from farthing.lake import Lake
from tests.farthing.build.world import GPU_POOL, World, at, published

P5: dict[str, Any] = {"SkuPriceDetails": '{"InstanceType": "p5.48xlarge"}', "RegionId": "us-east-1"}
TABLES: dict[str, Any] = {"attribution": {"cell_seconds": 60, "law_minimum_requests": 10_000}}


def day(number: int) -> date:
    return at(day=number).date()


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Four machines of a pool, by what is known of them; each is billed for a day or two at 24 an hour and GPU."""
    world = World(GPU_POOL, **TABLES)
    world.gpu("A", "r0", share=0.5)  # the other half is nobody's
    world.gpu("B", "r1")
    world.charge("1152", at(), at("24:00"), **P5)
    world.charge("384", at(day=2), at(day=3), **P5)
    world.charge("100", at(day=3), at(day=4), **P5)  # no price any more
    world.usage(at(), at("12:00"), 0.25, gpu="A", every=3600)
    world.usage(at(), at("24:00"), 0.5, gpu="B", every=3600)
    # the inventory knows better than the bill
    world.gpu("C", resource="node-2", provider="Microsoft", region="eastus", instance_type="Standard_NC40ads_H100_v5")
    world.charge("24", at(), at("24:00"), resource="node-2", currency="EUR", **P5)
    world.gpu("D", resource="node-3", gpu_model="A100")
    world.charge("24", at(), at("24:00"), resource="node-3")  # nobody says what it is
    world.gpu("E", resource="node-4", gpu_model="L4")
    world.charge(
        "24",
        at(),
        at("24:00"),
        resource="node-4",
        x_extra='{"product/instanceType": "p5.48xlarge"}',
        RegionId="us-east-1",
    )
    world.list_price("p5.48xlarge", "64", region="us-east-1", gpus=2, valid_to=day(3))
    world.list_price("p5.48xlarge", "1", region="us-west-2", gpus=2)
    world.list_price("nc40ads_h100_v5", "7", region="eastus", gpus=1, provider="Microsoft")
    folder = tmp_path_factory.mktemp("list")
    world.land(Lake(world.config(folder).lake_path))
    with published(world.build(folder)) as opened:
        yield opened


def test_the_list_price_of_an_hour_stands_beside_the_rate_with_the_discount_reached(con: Any) -> None:
    rows = con.execute(
        "select day, BillingCurrency, rate, list_rate, list_cost, discount from gpu_rate"
        " where gpu_model = 'H100' order by all"
    ).fetchall()
    assert rows == [
        (day(1), "EUR", Decimal(1), None, None, None),  # the list price is in USD
        (day(1), "USD", Decimal(24), Decimal(32), Decimal(1536), 0.25),
        (day(2), "USD", Decimal(8), Decimal(32), Decimal(1536), 0.75),
        (day(3), "USD", Decimal(100) / 48 // Decimal("1e-12") * Decimal("1e-12"), None, None, None),
    ]


def test_idle_time_has_a_value_at_list_price_by_the_part_of_the_cost_that_is_idle(con: Any) -> None:
    rows = con.execute(
        "select gpu_uuid, gpu_seconds / 3600, cost, idle_cost, list_rate, idle_list_cost from gpu_day"
        f" where day = '{day(1)}' and ResourceId = 'node-1' order by gpu_uuid"
    ).fetchall()
    assert rows == [
        ("A", 12, 288, Decimal(108), 32, Decimal(144)),  # 12 hours seen of 24, a quarter busy: 9 hours of half a GPU
        ("B", 24, 576, Decimal(288), 32, Decimal(384)),
        (None, 12, 288, Decimal(288), 32, Decimal(384)),  # the other half of A serves nothing
    ]


def test_where_there_is_no_list_price_the_reason_is_said(con: Any) -> None:
    rows = con.execute("select ResourceId, day, list_rate, remark from gpu_list_price order by 1, 2").fetchall()
    assert [(resource, number, rate, remark) for resource, number, rate, remark in rows] == [
        ("node-1", day(1), Decimal(32), None),
        ("node-1", day(2), Decimal(32), None),
        ("node-1", day(3), None, "no list price of p5.48xlarge in us-east-1 on this day"),
        ("node-2", day(1), None, "the list price is in USD"),
        ("node-3", day(1), None, "neither inventory nor bill says the instance type"),
        ("node-4", day(1), None, "the inventory has 1 GPUs of it and the price is for 2"),
    ]


def test_data_quality_says_how_much_time_has_a_list_price_and_in_the_currency_of_the_bill(con: Any) -> None:
    rows = con.execute(
        "select day, measure, matched / 3600, total / 3600 from data_quality where measure like 'billed, with a list%'"
        " order by 1, length(measure)"
    ).fetchall()
    known, same = "billed, with a list price", "billed, with a list price in the currency of the bill"
    assert rows == [
        (day(1), known, 72, 120),
        (day(1), same, 48, 72),
        (day(2), known, 48, 48),
        (day(2), same, 48, 48),
        (day(3), known, 0, 48),
    ]


@pytest.mark.heavy
def test_what_stands_for_a_bill_says_which_price_was_taken(tmp_path: Any) -> None:
    world = World(GPU_POOL, **TABLES)
    world.gpu(provider="AWS", region="us-east-1", instance_type="p5.48xlarge")
    world.list_price("p5.48xlarge", "64")
    world.usage(at(), at("02:00"), 0.5, every=3600)
    world.land(Lake(world.config(tmp_path).lake_path))
    with published(world.build(tmp_path)) as con:
        assert con.execute("from provisional_charges").fetchall() == [
            (
                *("gpu", "node-1", "AWS", at().replace(tzinfo=None), (at() + timedelta(hours=2)).replace(tzinfo=None)),
                "list price",
                f"list price of p5.48xlarge in us-east-1 since {day(1)} from prices.csv: 8 USD per GPU and hour",
                "USD",
                Decimal(16),
            )
        ]
        assert con.execute("select price_per_gpu_hour, valid_from, valid_to from list_prices").fetchall() == [
            (Decimal(8), day(1), None)
        ]


@pytest.mark.heavy
def test_without_any_list_price_nothing_is_said_of_them(tmp_path: Any) -> None:
    world = World(GPU_POOL, **TABLES)
    world.gpu()
    world.charge("24", at(), at("24:00"))
    world.land(Lake(world.config(tmp_path).lake_path))
    with published(world.build(tmp_path)) as con:
        assert con.execute("select list_rate, discount from gpu_rate").fetchall() == [(None, None)]
        assert con.execute("from gpu_list_price").fetchall() == []
        assert con.execute("from data_quality where measure like '%list price%'").fetchall() == []
