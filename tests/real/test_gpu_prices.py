"""A list of prices that somebody else keeps lands whole with the column map of the page, and prices a machine."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from collectors import load
from farthing.lake import Lake
from tests.collectors.conftest import Silence
from tests.farthing.build.world import GPU_POOL, World, at, published
from tests.real.projects import read

PAGE = Path(__file__).resolve().parents[2] / "docs" / "sources" / "gpu-prices.md"


@pytest.mark.slow
def test_the_recipe_of_the_page_lands_every_price_of_the_list_and_prices_a_machine(
    shared: Path, tmp_path: Path
) -> None:
    listed = shared / "billing" / "gpu_prices" / "gpu_prices.csv"
    (tmp_path / "gpu_prices.csv").write_bytes(listed.read_bytes())
    [recipe] = re.findall(r"```toml\n(\[sources\.list_prices\]\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    world = World(GPU_POOL, sources=tomllib.loads(recipe)["sources"], attribution={"law_minimum_requests": 10_000})
    config = world.config(tmp_path)
    lake = Lake(config.lake_path)
    source = config.sources["list_prices"]
    [result] = load("gpu_prices").collect("list_prices", source, config, lake, Silence())
    file = read(listed)
    assert (result.read, result.landed, result.rejected) == (len(file), len(file), 0)

    world.gpu(provider="AWS", region="us-east-1", instance_type="p5.48xlarge")
    world.gpu("H", resource="node-2", provider="Microsoft", region="eastus", instance_type="ND96isr_H100_v5")
    world.usage(at(), at("01:00"), 0.5, every=3600)
    world.land(lake)
    with published(world.build(tmp_path)) as con:
        rows = con.execute("select resource_id, cost from provisional_charges order by 1").fetchall()
        assert rows == [("node-1", Decimal("6.88")), ("node-2", Decimal("12.29"))]
        landed = con.execute("select sum(price_per_instance_hour), sum(price_per_gpu_hour) from gpu_prices").fetchone()
    columns = ("usd_per_instance_hour", "usd_per_gpu_hour")
    assert landed == tuple(sum(Decimal(row[column]) for row in file) for column in columns)
