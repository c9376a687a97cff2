"""SIGKILL of a collection of any kind of bill: run again, the lake is that of a collection that nobody disturbed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from farthing import clock
from farthing.lake.schemas import CHARGES, SPANS
from tests.collectors.conftest import world
from tests.collectors.test_assets import RACK, at, sums
from tests.collectors.test_assets import collect as collect_assets
from tests.collectors.told import EVERY, Told, told, trace_files
from tests.crash.child import KILLED, started
from tests.servers import moto_endpoint, postgres, s3, web

__all__ = ["moto_endpoint", "postgres", "s3", "told", "web", "world"]

pytestmark = pytest.mark.heavy


def kill_around_the_rows(project: Path, table: str, now: str) -> None:
    """Collect twice, dying right before the rows are committed, and right after."""
    for side in ("before", "after"):
        with started(project, "--collect", now, "--kill", f"lake.{table}.{side}:1") as process:
            assert process.wait() == KILLED


@pytest.mark.parametrize("told", EVERY, indirect=True)
def test_a_killed_collection_of_any_kind_ends_like_one_that_was_not(world: Any, told: Told) -> None:
    told.say({1: [5, 8]}, ())
    told.collect(world)
    told.say({1: [7], 2: [6]}, ())
    settings = "\n".join(f"{key} = {json.dumps(value)}" for key, value in told.settings.items())
    (world.folder / "farthing.toml").write_text(f"[sources.one]\n{settings}\n", encoding="utf-8")
    kill_around_the_rows(world.folder, told.table.name, told.now.isoformat())
    told.collect(world)
    assert told.held(world) == [6, 7]
    assert {result.status for result in told.collect(world)} == {"unchanged"}


def test_traces_of_which_one_table_landed_end_like_those_that_nobody_killed(world: Any) -> None:
    told = trace_files(world.folder, "otel")
    told.say({1: [5, 8]}, ())
    told.collect(world)
    told.say({1: [7], 2: [6]}, ())
    settings = "\n".join(f"{key} = {json.dumps(value)}" for key, value in told.settings.items())
    (world.folder / "farthing.toml").write_text(f"[sources.one]\n{settings}\n", encoding="utf-8")
    kill_around_the_rows(world.folder, SPANS.name, told.now.isoformat())
    told.collect(world)
    assert told.held(world) == [6, 7]
    assert len(world.rows(SPANS)) == 4  # two days, each with a request and its call
    assert {result.status for result in told.collect(world)} == {"unchanged"}


def test_a_killed_collection_of_own_hardware_ends_like_one_that_was_not(world: Any) -> None:
    now = at(11, 1, 0, 30)
    dearer = {**RACK, "purchase_price": "332000"}
    with clock.fixed(now):
        collect_assets(world, RACK)
        rows = [f"{key} = {json.dumps(value)}" for key, value in dearer.items() if key != "in_service"]
        text = "\n".join(["[sources.racks]", 'kind = "assets"', "[[assets]]", "in_service = 2026-10-01", *rows])
        (world.folder / "farthing.toml").write_text(text + "\n", encoding="utf-8")
        kill_around_the_rows(world.folder, CHARGES.name, now.isoformat())
        collect_assets(world, dearer)
        assert sums(world)["depreciation"] == 6500
        assert {result.status for result in collect_assets(world, dearer).values()} == {"unchanged"}
