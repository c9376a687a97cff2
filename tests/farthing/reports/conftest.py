"""A published company of two whole months and a begun one, in two currencies, whose names are hostile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from farthing import config as configuration
from farthing.lake import Lake
from farthing.lake.schemas import REVENUE
from farthing.reports import monthly
from farthing.reports.document import Report
from farthing.warehouse import open_warehouse
from tests.farthing.build.world import World

NOW = datetime(2026, 11, 2, tzinfo=UTC)
FORMULA, MARKUP = "=cmd|' /C calc'!A0", "<script>alert('x')</script>[a](https://b.example)"
TOML = """\
[project]
name = "tiny (simulated)"
currency = "USD"

[teams.serving]
cost_center = "CC-1"
department = "Product/Serving"
"""
POOLS: list[dict[str, Any]] = [
    {"name": "gpu", "kind": "gpu", "gl_account": "5010", "match": {"ResourceId": "node*"}},
    {"name": "llm", "kind": "api", "provider": "openai", "match": {"ProviderName": "OpenAI"}},
    {"name": "lab", "kind": "owned", "class": "rnd", "owner": "team:research", "match": {"ServiceName": "Lab"}},
    {"name": "tools", "kind": "shared", "class": "opex", "driver": "requests", "match": {"ProviderName": "Tools"}},
]
#: Customer, plan, first of the month, amount, currency.
PAID = [
    ("acme", "pro", date(2026, 9, 1), "100", "USD"),
    ("acme", "pro", date(2026, 10, 1), "310", "USD"),
    (MARKUP, "free", date(2026, 10, 1), "0.31", "USD"),
    ("customer-16", "free", date(2026, 10, 1), "1", "USD"),
    ("acme", "pro", date(2026, 11, 1), "300", "USD"),
    ("acme", "pro", date(2026, 10, 1), "31", "EUR"),
]
#: Of September, October and November: the days on which something happens.
DAYS = [date(2026, 9, 1), date(2026, 9, 30), date(2026, 10, 1), date(2026, 10, 20), date(2026, 11, 1)]


def company() -> World:
    world = World(*POOLS, units={"ticket": {"metric": "tickets_solved"}})
    world.gpu(valid_from=datetime(2026, 1, 1, tzinfo=UTC), team_id="serving")
    for number, day in enumerate(DAYS, 1):
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        bill: dict[str, Any] = {"month": day.replace(day=1), "invoice": f"{day:%Y-%m}"}
        world.charge("4.2", noon, **bill)
        world.usage(noon, noon + timedelta(hours=1), 0.25, every=600)
        world.charge(f"{number}.123456789012", noon, resource=None, ProviderName="OpenAI", **bill)
        world.charge("0.5", noon, resource="forgotten", **bill)
        world.charge("2", noon, resource=None, ServiceName="Lab", **bill)
        world.charge("0.07", noon, resource=None, ProviderName="Tools", currency="EUR", **bill)
        world.charge("0.36", noon, resource=None, ProviderName="Tools", **bill)
        world.request(noon, noon + timedelta(minutes=5), first=noon + timedelta(seconds=1), user="ann")
        for place in range(18):
            customer = ("acme", MARKUP, FORMULA)[place] if place < 3 else f"customer-{place:02}"
            world.request(
                noon,
                noon,
                user=f"user-{place:02}",
                customer_id=customer,
                model=FORMULA if place % 2 else MARKUP,
                provider="openai",
                replica=None,
                input_tokens=100 * (20 - place + number),
                output_tokens=10,
                trace_id=f"task-{number}-{place // 2}",
                agent=MARKUP if place % 2 else "planner",
            )
        world.metric("tickets_solved", "customer", "acme", 7 * number, day=day)
    return world


def publish(world: World, folder: Path, *, paid: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "farthing.toml").write_text(TOML)
    lake = Lake(world.config(folder).lake_path)
    world.land(lake)
    if paid:
        names = ("customer_id", "plan", "period", "amount", "currency")
        rows = [dict(zip(names, (*row[:3], Decimal(row[3]), row[4]), strict=True)) for row in PAID]
        lake.append(REVENUE, pa.Table.from_pylist(rows, schema=REVENUE.schema), load="paid")
    world.tables |= {"teams": {"serving": {"cost_center": "CC-1", "department": "Product/Serving"}}}
    world.build(folder, now=NOW)
    return folder


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of `company`, published; tests only read it."""
    return publish(company(), tmp_path_factory.mktemp("company"), paid=True)


@pytest.fixture
def warehouse(project: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_warehouse(configuration.load(project)) as con:
        yield con


@pytest.fixture
def report(project: Path, warehouse: duckdb.DuckDBPyConnection) -> Callable[..., Report]:
    """Makes the report of a month, by default that of October."""

    def made(first: date | None = date(2026, 10, 1)) -> Report:
        return monthly(warehouse, configuration.load(project), first)

    return made
