"""A published company of three days in two months and two currencies, for the pages to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from farthing import config as configuration
from farthing.lake import Lake
from farthing.lake.schemas import REVENUE
from farthing.warehouse import open_warehouse
from tests.farthing.build.world import World, at

APP = Path(dashboard.__file__).with_name("app.py")
TOML = '[project]\nname = "tiny (simulated)"\ncurrency = "USD"\n'
#: The build's clock: half of the last day's charge is still to come.
NOW = datetime(2026, 11, 2, tzinfo=UTC)
DAYS = [1, 2, 32]  # of October; the last is the first of November
FORMULA, LINK = "=cmd|' /C calc'!A0", "[a](https://b.example)"
USERS = [FORMULA, LINK, "+49", "@you", *(f"user-{number:02}" for number in range(16))]
POOLS = [
    {"name": "gpu", "kind": "gpu", "match": {"ResourceId": "node*"}},
    {"name": "llm", "kind": "api", "provider": "openai", "match": {"ProviderName": "OpenAI"}},
    {"name": "tools", "kind": "shared", "driver": "users", "match": {"ProviderName": "Tools"}},
]


def company() -> World:
    world = World(*POOLS, units={"ticket": {"metric": "tickets_solved"}})
    world.gpu()
    for number in DAYS:
        noon = at("12:00", number)
        month = date(2026, 10 if number < 32 else 11, 1)
        bill: dict[str, Any] = {"month": month, "invoice": f"{month:%Y-%m}"}
        world.charge("4.2", noon, **bill)
        world.usage(noon, noon + timedelta(hours=1), 0.25, every=600)
        world.charge(f"{number}.123456789012", noon, resource=None, ProviderName="OpenAI", **bill)
        world.charge("0.5", noon, resource="forgotten", **bill)
        world.charge("0.07", noon, resource=None, ProviderName="Tools", currency="EUR", **bill)
        world.request(noon, noon + timedelta(minutes=5), first=noon + timedelta(seconds=1), user="user-00")
        world.request(noon, noon + timedelta(minutes=5), first=noon + timedelta(seconds=1), user=None)
        vendor: dict[str, Any] = {"provider": "openai", "replica": None, "output_tokens": 1}
        world.request(noon, noon, user=LINK, model="model-0", input_tokens=10**7, **vendor)  # the most expensive
        for place, user in enumerate(USERS):
            for extra in range(1 + (number + place) % 3):
                moment = noon + timedelta(minutes=extra)
                tokens = 100 * (place + 1) * number
                task: dict[str, Any] = {
                    "trace_id": f"task-{number}-{place}",
                    "agent": f"agent-{extra}",
                    "tool": "search",
                }
                task |= {"customer_id": ("acme", "loser")[place % 2], "tool": "search"}
                model = f"model-{place % 3}"
                world.request(moment, moment, user=user, model=model, input_tokens=tokens, **task, **vendor)
        world.metric("tickets_solved", "customer", "acme", 7 * number, day=noon.date())
    for user in USERS[4:10]:
        world.identity(user, user, plan="pro")
    last = at("00:00", DAYS[-1])
    world.charge("1", last, last + timedelta(days=2), resource="late", month=date(2026, 11, 1), invoice="2026-11")
    return world


#: Revenue has no table in World: rows of (customer, plan, first of the month, amount, currency).
PAID = [
    ("acme", "pro", date(2026, 10, 1), "310", "USD"),
    ("acme", "pro", date(2026, 11, 1), "300", "USD"),
    ("loser", "free", date(2026, 10, 1), "0.31", "USD"),
    ("acme", "pro", date(2026, 10, 1), "31", "EUR"),
]


def publish(world: World, folder: Path, *, paid: Sequence[tuple[Any, ...]] = (), now: datetime = NOW) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "farthing.toml").write_text(TOML)
    lake = Lake(world.config(folder).lake_path)
    world.land(lake)
    if paid:
        names = ("customer_id", "plan", "period", "amount", "currency")
        rows = [dict(zip(names, (*row[:3], Decimal(row[3]), row[4]), strict=True)) for row in paid]
        lake.append(REVENUE, pa.Table.from_pylist(rows, schema=REVENUE.schema), load="paid")
    world.build(folder, now=now)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of `company`, published; tests only read it."""
    folder = tmp_path_factory.mktemp("company")
    publish(company(), folder, paid=PAID)
    return folder


@pytest.fixture
def warehouse(project: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_warehouse(configuration.load(project)) as con:
        yield con


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Opens the dashboard of a project as a browser would, or one page of it by its name."""

    def open_it(folder: Path, page: str | None = None) -> AppTest:
        monkeypatch.setenv("FARTHING_PROJECT", str(folder))
        if page is None:
            return AppTest.from_file(str(APP), default_timeout=30).run()
        script = f"from dashboard import {page}\n{page}.page()\n"
        return AppTest.from_string(script, default_timeout=30).run()

    return open_it
