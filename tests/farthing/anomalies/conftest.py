"""Six weeks of a small company in which something happens to every rule, built once; tests only read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from farthing import config as configuration
from farthing.anomalies import Finding, find
from farthing.config import Config
from farthing.lake import Lake
from farthing.warehouse import open_warehouse
from tests.farthing.build.world import World

FIRST, LAST = date(2026, 9, 21), date(2026, 10, 31)
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SPIKE, PRICE, UNTAGGED, NEW = date(2026, 10, 20), date(2026, 10, 10), date(2026, 10, 15), date(2026, 10, 25)
IDLE, HEAVY, LATE = date(2026, 10, 5), date(2026, 10, 19), date(2026, 10, 29)
TOML = """\
[project]
name = "small"
currency = "USD"
[anomalies]
user_limits = { coding = 20, "*" = 1000 }
user_limit_days = 7
"""
POOLS: list[dict[str, Any]] = [
    {"name": "gpu", "kind": "gpu", "match": {"ResourceId": "node*"}},
    {"name": "storage", "kind": "owned", "owner": "team:data", "match": {"ServiceName": "Storage"}},
    {"name": "api", "kind": "owned", "owner": "team:chat", "match": {"ProviderName": "OpenAI"}},
    {"name": "notebooks", "kind": "owned", "owner": "Tags.team", "match": {"ServiceName": "Notebooks"}},
    {"name": "tools", "kind": "shared", "driver": "requests", "match": {"ProviderName": "Tools"}},
    {"name": "cloud", "kind": "owned", "owner": "team:data", "match": {"ProviderName": "GCP"}},
    {"name": "search", "kind": "owned", "owner": "team:data", "match": {"ServiceName": "Search"}},
]


def company() -> World:
    """Every day alike but for what is planted on the days above; GCP's bill of the last three days is not there."""
    world = World(*POOLS, attribution={"cell_seconds": 60, "request_costs": False})
    world.gpu(valid_from=datetime(2026, 1, 1, tzinfo=UTC), team_id="chat")
    world.identity("key-heavy", "heavy", plan="coding", customer_id="acme")
    world.identity("key-light", "light", plan="coding", customer_id="acme")
    day = FIRST
    while day <= LAST:
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
        _bill(world, day, begin)
        world.usage(begin, begin + timedelta(days=1), 0.0 if day >= IDLE else 0.5)
        for number in range(2):
            world.request(
                begin + timedelta(hours=9, minutes=number), user="heavy" if day >= HEAVY else "light", replica=None
            )
        day += timedelta(days=1)
    return world


def _bill(world: World, day: date, begin: datetime) -> None:
    def charge(cost: object, **more: Any) -> None:
        more = {"resource": None, "month": day.replace(day=1), "ChargeCategory": "Usage", **more}
        world.charge(str(cost), begin, begin + timedelta(days=1), **more)

    charge(48, resource="node-1", ServiceName="Machines")
    charge(
        200 if day == SPIKE else 100, ServiceName="Storage", SkuId="gb", SkuMeter="gb", ConsumedQuantity=_quantity(day)
    )
    charge(
        90 if day >= PRICE else 72,
        ProviderName="OpenAI",
        ServiceName="API",
        SkuId="model-x",
        SkuMeter="tokens",
        ConsumedQuantity=10,
    )
    charge(3, ServiceName="Notebooks", Tags='{"team": "chat"}')
    charge(10, ProviderName="Tools", ServiceName="Tools")
    charge(7, currency="EUR", ServiceName="Storage")
    if day < LATE:
        charge(80, ProviderName="GCP", ServiceName="Run")
    if day == UNTAGGED:
        charge(59, ServiceName="Notebooks", Tags="{}")
    if day >= NEW:
        charge(30, ServiceName="Search")


def _quantity(day: date) -> int:
    return 2000 if day == SPIKE else 1000


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of `company`, published."""
    folder = tmp_path_factory.mktemp("anomalies") / "project"
    folder.mkdir()
    (folder / "farthing.toml").write_text(TOML, encoding="utf-8")
    world = company()
    world.land(Lake(world.config(folder).lake_path))
    world.build(folder, now=NOW)
    return folder


@pytest.fixture
def config(project: Path) -> Config:
    return configuration.load(project)


@pytest.fixture
def warehouse(config: Config) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_warehouse(config) as con:
        yield con


@pytest.fixture
def found(config: Config, warehouse: duckdb.DuckDBPyConnection) -> Callable[..., list[Finding]]:
    """What stands out at the end of a day, with other settings where some are given."""

    def look(day: date, **settings: Any) -> list[Finding]:
        anomalies = config.anomalies.model_copy(update=settings)
        return find(warehouse, config.model_copy(update={"anomalies": anomalies}), day)

    return look
