"""Owned hardware costs by the hour what its price, its place and its power come to, to the last decimal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from collectors import LoadResult
from collectors.assets import COLLECTOR
from farthing import clock, commit_points
from farthing.config import from_mapping
from farthing.errors import ConfigError, SourceError
from farthing.lake.schemas import CHARGES, GPU_INVENTORY, GPU_USAGE
from tests.collectors.conftest import Silence

#: The rack of docs/sources/bare-metal.md.
RACK = {
    "name": "rack-a",
    "resources": ["node-1"],
    "gpus": 8,
    "in_service": "2026-10-01",
    "purchase_price": "320000",
    "residual": "20000",
    "months": 48,
    "currency": "EUR",
    "kw": "10.5",
    "pue": "1.3",
    "power_price_per_kwh": "0.12",
    "colo_per_kw_month": "180",
    "support_per_year": "12000",
}
#: The same on one day only, and what its power costs there without telemetry.
ONE_DAY = {**RACK, "in_service": "2026-10-05", "retired": "2026-10-06"}
METERED = {**ONE_DAY, "host_kw": "4.9"}
A_DAY_OF_POWER = Decimal("39.312")  # 24 h x 1.638
OCTOBER = {
    "depreciation": Decimal(6250),  # (320,000 - 20,000) / 48
    "colocation": Decimal(1890),  # 10.5 kW x 180
    "support": Decimal(1000),  # 12,000 / 12
    "power": Decimal("1218.672"),  # 744 h x 10.5 kW x 1.3 x 0.12
}


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.fixture(autouse=True)
def now() -> Iterator[None]:
    with clock.fixed(at(11, 1, 0, 30)):
        yield


def collect(world: Any, *assets: dict[str, Any], **source: Any) -> dict[str, LoadResult]:
    values = {"sources": {"racks": {"kind": "assets", **source}}, "assets": list(assets)}
    made = from_mapping(values, file=world.folder / "farthing.toml")
    results = COLLECTOR.collect("racks", made.sources["racks"], made, world.lake, Silence())
    assert all(result.balanced for result in results)
    return {result.file: result for result in results}


def sums(world: Any, month: str = "2026-10-01", by: str = "SkuId") -> dict[str, Decimal]:
    rows = world.query(
        CHARGES,
        f"select {by} as key, sum(EffectiveCost) as cost from lake.charges "
        f"where billing_month = '{month}' group by all",
    )
    return {row["key"]: row["cost"] for row in rows}


def watch(world: Any, hour: datetime, gpus: int, watts: float, resource: str = "node-1", **inventory: Any) -> None:
    """Telemetry of one hour, in intervals of 10 minutes."""
    uuids = [f"GPU-{number}" for number in range(gpus)]
    held = [
        {"gpu_uuid": uuid, "ResourceId": resource, "valid_from": at(9, 1), "x_source": "t", "x_load": "t", **inventory}
        for uuid in uuids
    ]
    used = [
        {
            "day": hour.date(), "gpu_uuid": uuid, "started_at": begin, "ended_at": begin + timedelta(minutes=10),
            "covered_seconds": 600.0, "busy_seconds": 300.0, "energy_joules": watts * 600,
            "x_source": "t", "x_load": "t",
        }
        for uuid in uuids
        for begin in (hour + timedelta(minutes=10 * number) for number in range(6))
    ]  # fmt: skip
    for table, rows in ((GPU_INVENTORY, held), (GPU_USAGE, used)):
        empty = pl.DataFrame(pl.from_arrow(table.schema.empty_table()))
        frame = pl.concat([empty, pl.from_dicts(rows)], how="diagonal_relaxed").select(empty.columns)
        world.lake.append(table, frame, load=f"{table.name}{hour}")


@pytest.mark.slow
def test_a_rack_of_ten_and_a_half_kilowatt_costs_what_the_docs_work_out_by_hand(world: Any) -> None:
    [result] = collect(world, RACK).values()
    assert (result.file, result.form, result.read) == ("assets 2026-10", "owned hardware", 744 * 4)
    assert sums(world) == OCTOBER
    assert sum(sums(world).values()) == Decimal("10358.672")
    _, depreciation, power, _ = world.rows(CHARGES, "ChargePeriodStart, SkuId limit 4")
    assert depreciation["ChargePeriodEnd"] - depreciation["ChargePeriodStart"] == timedelta(hours=1)
    assert power["EffectiveCost"] == Decimal("1.638")
    expected = {
        "BillingCurrency": "EUR", "ResourceId": "node-1", "ResourceName": "rack-a", "ConsumedUnit": "kWh",
        "ConsumedQuantity": Decimal("13.65"), "ChargeFrequency": "Usage-Based", "ChargeDescription": "rack-a: power",
        "ServiceCategory": "Compute", "ProviderName": "Own hardware", "SkuPriceDetails": '{"GpuCount": 8}',
        "x_extra": '{"x_energy":"nameplate"}', "Tags": None,
    }  # fmt: skip
    assert {name: power[name] for name in expected} == expected


@pytest.mark.slow
def test_machines_share_to_the_last_decimal_and_hours_add_up_to_the_price(world: Any) -> None:
    odd = {
        **RACK, "resources": ["a", "b", "c"], "purchase_price": "100.01", "residual": "0", "months": 1,
        "support_per_year": "100", "in_service": "2026-09-15", "tags": {"team": "research"},
    }  # fmt: skip
    collect(world, odd)
    whole = world.query(CHARGES, "select SkuId, sum(EffectiveCost) as cost from lake.charges group by all order by 1")
    parts = {row["SkuId"]: row["cost"] for row in whole}
    assert parts["depreciation"] == Decimal("100.01")
    assert abs(sums(world)["support"] - Decimal(100) / 12) < Decimal("1e-12")
    assert sums(world)["colocation"] == 1890
    assert sums(world, "2026-09-01")["colocation"] == 1008  # 16 of 30 days
    assert sums(world)["power"] == Decimal("1218.672")
    assert len(sums(world, by="ResourceId")) == 3
    [told] = world.query(CHARGES, "select distinct Tags, SkuPriceDetails from lake.charges")
    assert told == {"Tags": '{"team": "research"}', "SkuPriceDetails": '{"x_GpuCountOfAsset": 8}'}


@pytest.mark.slow
def test_an_hour_that_is_not_over_is_no_charge_and_an_hours_cost_never_changes(world: Any) -> None:
    with clock.fixed(at(10, 31, 12, 59)):
        collect(world, RACK)
    before = world.query(CHARGES, "select ChargePeriodStart, SkuId, EffectiveCost from lake.charges order by all")
    assert max(row["ChargePeriodStart"].replace(tzinfo=UTC) for row in before) == at(10, 31, 11)
    assert collect(world, RACK)["assets 2026-10"].status == "landed"
    after = world.query(CHARGES, "select ChargePeriodStart, SkuId, EffectiveCost from lake.charges order by all")
    assert after[: len(before)] == before
    assert sums(world) == OCTOBER
    assert {result.status for result in collect(world, RACK).values()} == {"unchanged"}


@pytest.mark.slow
def test_a_changed_price_replaces_every_month(world: Any) -> None:
    collect(world, RACK)
    assert {result.status for result in collect(world, {**RACK, "residual": "32000"}).values()} == {"landed"}
    assert sums(world)["depreciation"] == 6000


@pytest.mark.slow
def test_a_collection_that_stops_around_its_commits_ends_like_one_that_did_not(world: Any) -> None:
    collect(world, ONE_DAY)

    def stop() -> None:
        raise KeyboardInterrupt

    dearer = {**ONE_DAY, "power_price_per_kwh": "0.24"}
    for point in ("lake.charges.before", "lake.charges.after"):
        commit_points.on(point, stop)
        try:
            with pytest.raises(KeyboardInterrupt):
                collect(world, dearer)
        finally:
            commit_points.on(point, None)
    collect(world, dearer)
    assert sums(world)["power"] == 2 * A_DAY_OF_POWER
    assert {result.status for result in collect(world, dearer).values()} == {"unchanged"}


@pytest.mark.slow
def test_after_its_months_hardware_costs_its_place_and_power_until_it_is_retired(world: Any) -> None:
    collect(world, {**RACK, "in_service": "2026-09-01", "months": 1, "retired": "2026-10-02"})
    assert sums(world, "2026-09-01")["depreciation"] == 300_000
    assert sums(world) == {
        "colocation": round(Decimal(1890) / 31, 12), "support": round(Decimal(1000) / 31, 12),
        "power": Decimal("39.312"),
    }  # fmt: skip


def test_energy_is_what_telemetry_measured_and_the_rest_nameplate(world: Any) -> None:
    watch(world, at(10, 5, 3), gpus=8, watts=500)  # 4 kWh
    watch(world, at(10, 5, 4), gpus=4, watts=500)  # 2 kWh, and four GPUs at 0.7 kW
    collect(world, METERED)
    rows = world.query(
        CHARGES,
        "select EffectiveCost, ConsumedQuantity, x_extra from lake.charges where SkuId = 'power' and "
        "ChargePeriodStart between '2026-10-05 02:00' and '2026-10-05 04:00' order by ChargePeriodStart",
    )
    assert [row["EffectiveCost"] for row in rows] == [Decimal("1.638"), Decimal("1.3884"), Decimal("1.5132")]
    assert [row["ConsumedQuantity"] for row in rows] == [Decimal("13.65"), Decimal("11.57"), Decimal("12.61")]
    assert [json.loads(row["x_extra"])["x_energy"] for row in rows] == [
        "nameplate", "telemetry", "telemetry and nameplate",
    ]  # fmt: skip


def test_telemetry_of_gpus_alone_does_not_stand_for_a_whole_machine(world: Any) -> None:
    watch(world, at(10, 5, 3), gpus=8, watts=500)
    collect(world, ONE_DAY)
    assert sums(world)["power"] == A_DAY_OF_POWER


@pytest.mark.slow
def test_telemetry_that_comes_late_changes_the_month_but_not_a_settled_one(world: Any) -> None:
    collect(world, METERED)
    watch(world, at(10, 5, 3), gpus=8, watts=500)
    assert collect(world, METERED)["assets 2026-10"].status == "landed"
    assert sums(world)["power"] == A_DAY_OF_POWER - Decimal("0.2496")
    with clock.fixed(at(12, 1)):
        collect(world, METERED)
        watch(world, at(10, 5, 7), gpus=8, watts=500)
        assert collect(world, METERED)["assets 2026-10"].status == "unchanged"


def test_a_gpu_that_serves_two_replicas_draws_its_energy_once(world: Any) -> None:
    watch(world, at(10, 5, 3), gpus=8, watts=500, replica_id="one")
    held = pl.DataFrame(world.rows(GPU_INVENTORY)).with_columns(
        pl.lit("two").alias("replica_id"), pl.lit("u").alias("x_load"), valid_from=pl.lit(at(10, 5, 0))
    )
    world.lake.append(GPU_INVENTORY, held, load="again")
    collect(world, METERED)
    assert sums(world)["power"] == A_DAY_OF_POWER - Decimal("0.2496")


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"residual": "400000"}, "residual is more than purchase_price"),
        ({"host_kw": "11"}, "host_kw is more than kw"),
        ({"retired": "2026-10-01"}, "retired is not after in_service"),
        ({"resources": []}, "at least 1 item"),
        ({"pue": "0.9"}, "greater than or equal to 1"),
    ],
)
def test_hardware_that_cannot_be_is_a_mistake_of_the_configuration(world: Any, wrong: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        collect(world, {**RACK, **wrong})


def test_a_machine_belongs_to_one_asset(world: Any) -> None:
    with pytest.raises(ConfigError, match="resource of assets used twice: node-1"):
        collect(world, RACK, {**RACK, "name": "rack-b"})


def test_hardware_that_is_still_to_come_is_an_error_in_words(world: Any) -> None:
    with pytest.raises(SourceError, match=r"no hour of any .* the first begins on 2026-12-01"):
        collect(world, {**RACK, "in_service": "2026-12-01"})


def test_no_assets_or_a_path_is_a_mistake_in_words(world: Any) -> None:
    with pytest.raises(ConfigError, match=r"there is no \[\[assets\]\]"):
        collect(world)
    with pytest.raises(ConfigError, match="kind 'assets' does not take it"):
        collect(world, RACK, path="x.csv")
