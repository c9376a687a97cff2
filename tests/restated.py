"""A company whose October was stated, restated by a late bill, and trained a model; pages and reports show it alike."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from farthing.lake import Lake
from farthing.lake.schemas import REVENUE
from tests.farthing.build.world import GPU_POOL, World, at

TOML = '[project]\nname = "restated"\ncurrency = "USD"\n'
LAB = {"name": "lab", "kind": "training", "class": "rnd", "match": {"ResourceId": "lab*"}}
STATED, RESTATED = datetime(2026, 11, 1, 8, tzinfo=UTC), datetime(2026, 11, 2, 8, tzinfo=UTC)
VENDOR = {"name": "llm", "kind": "api", "provider": "openai", "match": {"ProviderName": "OpenAI"}}
#: What the late bill adds to the first of October.
LATE = "1.50"


def company() -> World:
    return World(
        GPU_POOL,
        LAB,
        VENDOR,
        models={"v2": {"released": date(2026, 9, 1), "life_months": 4}},
        attribution={"cell_seconds": 60},
    )


def october() -> World:
    """An hour by night and one at noon: a contracted node, busy for a quarter, and a dearer one that nobody watches."""
    world = company()
    world.gpu("G", "r", resource="node-1")
    world.gpu("H", "s", resource="node-2")
    for hour in ("03:00", "12:00"):
        begin = at(hour)
        world.charge(2, begin, PricingCategory="Committed", CommitmentDiscountId="one-year")
        world.charge(3, begin, resource="node-2", PricingCategory="Standard")
        world.usage(begin, begin.replace(minute=15), 1)
        world.usage(begin.replace(minute=15), begin.replace(hour=begin.hour + 1), 0)
        world.request(begin, begin.replace(minute=15), user="ann", input_tokens=100, output_tokens=10)
    world.request(at("12:00"), at("12:15"), user="stranger", input_tokens=100, output_tokens=10)
    world.charge(5, at("12:00"), resource=None, ProviderName="OpenAI")
    bought: dict[str, Any] = {"model": "vendors", "provider": "openai", "replica": None}
    world.request(at("12:00"), at("12:01"), user="ann", input_tokens=900, output_tokens=100, **bought)
    world.identity("ann", "ann", team_id="red", plan="pro")
    world.charge(60, at("12:00"), resource="lab-1", PricingCategory="Dynamic")
    world.gpu("L", None, resource="lab-1", gpu_model="A100")
    world.job(at("12:00"), at("13:00"), id="run", gpu_uuids="L", model_produced="v2", status="completed")
    return world


#: What ann pays in October, and what her customer pays for nobody in particular.
PAID = [("acme", "ann", 31), ("acme", None, 62)]


def publish(folder: Path) -> Path:
    """Two builds: before and after the late bill."""
    (folder / "farthing.toml").write_text(TOML)
    world = october()
    lake = Lake(world.config(folder).lake_path)
    world.land(lake)
    paid = [
        {"customer_id": customer, "user_id": user, "plan": "pro", "period": date(2026, 10, 1), "currency": "USD"}
        | {"amount": Decimal(amount)}
        for customer, user, amount in PAID
    ]
    lake.append(REVENUE, pa.Table.from_pylist(paid, schema=REVENUE.schema), load="paid")
    world.build(folder, now=STATED)
    late = company()
    late.charge(LATE, at("12:00"), invoice="late", PricingCategory="Committed", CommitmentDiscountId="one-year")
    late.land(lake)
    world.build(folder, now=RESTATED)
    return folder
