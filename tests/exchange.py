"""A published company that is billed in dollars and francs, paid in euros and pounds, and reports in euros."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from farthing.lake import Lake
from farthing.lake.schemas import EXCHANGE_RATES, REVENUE
from tests.farthing.build.world import DAY, World, at

NOW = datetime(2026, 11, 2, tzinfo=UTC)
POOLS: list[dict[str, Any]] = [
    {"name": "serving", "kind": "shared", "driver": "requests", "match": {"ResourceId": "node*"}},
    {"name": "lab", "kind": "owned", "class": "rnd", "owner": "team:research", "match": {"ResourceId": "lab*"}},
]
PROJECT = {"name": "tiny", "currency": "USD", "reporting_currency": "EUR"}
#: Of 1 EUR. The third of October is a Saturday.
RATES = [(DAY, "USD", "1.25"), (date(2026, 10, 2), "USD", "1.6"), (DAY, "GBP", "0.8")]


def publish(folder: Path) -> Path:
    """In October 16 USD of serving on a Saturday (10 EUR), 100 of the lab on the first (80), 7 EUR; in November 5 CHF.

    Paid are 200 EUR and 40 GBP (50 EUR) for October.
    """
    folder.mkdir(exist_ok=True)
    lines = "".join(f'{key} = "{value}"\n' for key, value in PROJECT.items())
    (folder / "farthing.toml").write_text(f"[project]\n{lines}")
    made = world()
    made.charge(16, at("12:00", 3), id="saturday")
    made.request(at("12:00", 3), at("12:01", 3), user="ann", team_id="product", replica=None)
    made.charge(100, resource="lab-1")
    made.charge(7, currency="EUR", invoice="II")
    made.charge(5, at("12:00", 32), currency="CHF", invoice="III", month=date(2026, 11, 1))
    lake = Lake(made.config(folder).lake_path)
    made.land(lake)
    paid = [
        {"customer_id": "acme", "plan": "pro", "period": DAY, "amount": Decimal(amount), "currency": currency}
        for amount, currency in (("200", "EUR"), ("40", "GBP"))
    ]
    lake.append(REVENUE, pa.Table.from_pylist(paid, schema=REVENUE.schema), load="paid")
    quote(lake, *RATES)
    made.build(folder, now=NOW)
    return folder


def world() -> World:
    """The company's configuration, without a row."""
    return World(*POOLS, project=PROJECT)


def quote(lake: Lake, *rates: tuple[date, str, str]) -> None:
    """Units of a currency for 1 EUR: day, currency, rate."""
    rows = [
        {
            "day": day,
            "currency": currency,
            "base": "EUR",
            "rate": Decimal(rate),
            "x_source": "ecb",
            "x_load": "hist.csv",
        }
        for day, currency, rate in rates
    ]
    lake.append(EXCHANGE_RATES, pa.Table.from_pylist(rows, schema=EXCHANGE_RATES.schema), load=f"rates-{rates}")
