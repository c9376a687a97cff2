"""A published company of three days in two months and two currencies, for the pages to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from farthing import config as configuration
from farthing.lake import Lake
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
    world = World(*POOLS)
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
                world.request(moment, moment, user=user, model=f"model-{place % 3}", input_tokens=tokens, **vendor)
    last = at("00:00", DAYS[-1])
    world.charge("1", last, last + timedelta(days=2), resource="late", month=date(2026, 11, 1), invoice="2026-11")
    return world


def publish(world: World, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "farthing.toml").write_text(TOML)
    world.land(Lake(world.config(folder).lake_path))
    world.build(folder, now=NOW)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of `company`, published; tests only read it."""
    folder = tmp_path_factory.mktemp("company")
    publish(company(), folder)
    return folder


@pytest.fixture
def warehouse(project: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_warehouse(configuration.load(project)) as con:
        yield con


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], AppTest]:
    """Opens the dashboard of a project, as a browser would."""

    def open_it(folder: Path) -> AppTest:
        monkeypatch.setenv("FARTHING_PROJECT", str(folder))
        return AppTest.from_file(str(APP), default_timeout=30).run()

    return open_it
