"""What repeated, changed and overlapping deliveries do to the lake."""

from __future__ import annotations

import importlib
import os
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collectors import kinds, load
from collectors.delivery import Delivery
from farthing import clock
from farthing.commit_points import on
from farthing.errors import ConfigError, SourceError
from farthing.lake.schemas import CHARGES, IDENTITIES, LOADS, REJECTS, REQUESTS

HEADER = "request_id,started_at,model,input_tokens\n"
REQUEST: dict[str, Any] = {"token_convention": "inclusive", "constants": {"provider": "vllm"}}


def request(name: str, tokens: int = 1, day: int = 1) -> str:
    return f"{name},2026-10-{day:02}T10:00:00Z,m,{tokens}\n"


def ids(world: Any) -> list[tuple[str, int]]:
    return [(row["request_id"], row["input_tokens"]) for row in world.rows(REQUESTS, "request_id")]


def test_an_unchanged_file_is_left_alone(world: Any) -> None:
    world.write("a.csv", HEADER + request("r1"))
    assert world.one("requests", "a.csv", **REQUEST).status == "landed"
    versions = world.lake.pins([REQUESTS, REJECTS, LOADS])
    assert world.one("requests", "a.csv", **REQUEST).status == "unchanged"
    assert world.lake.pins([REQUESTS, REJECTS, LOADS]) == versions
    assert world.report.done_bytes == world.report.total_bytes


def test_a_changed_file_replaces_what_it_landed_before(world: Any) -> None:
    world.write("a.csv", HEADER + request("r1") + request("r2") + "bad\n")
    world.write("b.csv", HEADER + request("r9"))
    world.collect("requests", "?.csv", **REQUEST)
    world.write("a.csv", HEADER + request("r2", 7) + request("r3"))
    first, second = world.collect("requests", "?.csv", **REQUEST)
    assert (first.landed, second.status) == (2, "unchanged")
    assert ids(world) == [("r2", 7), ("r3", 1), ("r9", 1)]
    assert world.rejects() == []


def test_a_file_that_comes_back_to_an_earlier_content_lands_again(world: Any) -> None:
    old, new = HEADER + request("r1"), HEADER + request("r2")
    path = world.write("a.csv", old)
    for content, stamp in ((old, 1), (new, 2), (old, 1)):
        world.write("a.csv", content)
        os.utime(path, (stamp, stamp))
        world.one("requests", "a.csv", **REQUEST)
    assert ids(world) == [("r1", 1)]


def test_a_mended_column_map_lands_the_same_file_again(world: Any) -> None:
    world.write("a.csv", "request_id,started_at,model,n,c\nr1,2026-10-01T10:00:00Z,m,5,9\n")
    columns = {"input_tokens": "n", "cached_input_tokens": "c"}
    assert world.one("requests", "a.csv", columns=columns, token_convention="inclusive").rejected == 1
    assert world.one("requests", "a.csv", columns=columns, token_convention="exclusive").landed == 1
    assert ids(world) == [("r1", 14)]
    assert world.rejects() == []


def test_the_last_row_with_a_key_wins_inside_a_file(world: Any) -> None:
    world.write("a.csv", HEADER + request("r1", 1) + request("r2") + request("r1", 5) + request("r2"))
    result = world.one("requests", "a.csv", **REQUEST)
    assert (result.read, result.landed, result.duplicate) == (4, 2, 2)
    assert ids(world) == [("r1", 5), ("r2", 1)]


def test_a_row_that_another_file_landed_already_is_a_duplicate(world: Any) -> None:
    world.write("a.csv", HEADER + request("r1") + request("r2"))
    world.write("b.csv", HEADER + request("r2") + request("r3"))
    _, second = world.collect("requests", "?.csv", **REQUEST)
    assert (second.landed, second.duplicate) == (1, 1)
    assert ids(world) == [("r1", 1), ("r2", 1), ("r3", 1)]


def test_a_redelivered_request_takes_the_new_content_and_keeps_its_first_day(world: Any) -> None:
    world.write("a.csv", HEADER + request("r1", 1, day=1) + request("r2", 1, day=1))
    world.one("requests", "a.csv", **REQUEST)
    world.write("b.csv", HEADER + request("r1", 8, day=2) + request("r3", 1, day=2))
    assert world.one("requests", "b.csv", **REQUEST).landed == 2
    assert ids(world) == [("r1", 8), ("r2", 1), ("r3", 1)]
    days = {row["request_id"]: (row["day"].day, row["started_at"].day) for row in world.rows(REQUESTS)}
    assert days == {"r1": (1, 2), "r2": (1, 1), "r3": (2, 2)}


def test_the_same_request_id_in_two_sources_is_two_requests(world: Any) -> None:
    world.write("a.csv", HEADER + request("r1"))
    world.one("requests", "a.csv", name="one", **REQUEST)
    assert world.one("requests", "a.csv", name="two", **REQUEST).landed == 1
    assert len(world.rows(REQUESTS)) == 2


def test_equal_lines_without_a_request_id_are_two_requests_and_the_same_file_twice_is_not(world: Any) -> None:
    world.write("a.csv", "started_at,model\n" + "2026-10-01T10:00:00Z,m\n" * 2)
    assert world.one("requests", "a.csv").landed == 2
    first = {row["request_id"] for row in world.rows(REQUESTS)}
    world.write("a.csv", "started_at,model\n" + "2026-10-01T10:00:00Z,m\n" * 3)
    assert world.one("requests", "a.csv").landed == 3
    assert first < {row["request_id"] for row in world.rows(REQUESTS)}


@pytest.mark.slow
def test_a_row_that_vanishes_from_one_file_comes_back_from_another_that_holds_it(world: Any) -> None:
    world.write("a.csv", HEADER + request("r1") + request("r2"))
    world.write("b.csv", HEADER + request("r1") + request("r3"))
    world.write("c.csv", HEADER + request("r4"))
    world.collect("requests", "?.csv", **REQUEST)
    world.write("a.csv", HEADER + request("r2"))
    results = world.collect("requests", "?.csv", **REQUEST)
    assert [(result.status, result.landed) for result in results] == [("landed", 1), ("landed", 2), ("unchanged", 0)]
    assert ids(world) == [("r1", 1), ("r2", 1), ("r3", 1), ("r4", 1)]
    assert {result.status for result in world.collect("requests", "?.csv", **REQUEST)} == {"unchanged"}


@pytest.mark.slow
def test_a_row_that_a_newer_file_had_replaced_comes_back_when_that_file_drops_it(world: Any) -> None:
    world.write("a.csv", HEADER + request("r1", 1) + request("r2"))
    world.one("requests", "a.csv", **REQUEST)
    world.write("b.csv", HEADER + request("r1", 9) + request("r3"))
    world.collect("requests", "?.csv", **REQUEST)
    assert ids(world) == [("r1", 9), ("r2", 1), ("r3", 1)]
    world.write("b.csv", HEADER + request("r3"))
    world.collect("requests", "?.csv", **REQUEST)
    assert ids(world) == [("r1", 1), ("r2", 1), ("r3", 1)]


POINTS = [f"lake.{table}.{when}" for table in ("rejects", "requests", "loads") for when in ("before", "after")]


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_collection_stopped_at_any_commit_and_run_again_ends_in_the_same_lake(world: Any, point: str) -> None:
    class StopHere(BaseException):
        pass

    def stop() -> None:
        raise StopHere

    world.write("a.csv", HEADER + request("r1") + request("r2") + "bad\n")
    world.one("requests", "a.csv", **REQUEST)
    world.write("b.csv", HEADER + request("r2", 5) + request("r1") + request("r3") + "bad\n")
    on(point, stop)
    try:
        with pytest.raises(StopHere):
            world.collect("requests", "?.csv", **REQUEST)
    finally:
        on(point, None)
    result = world.collect("requests", "?.csv", **REQUEST)[1]
    assert result.status == ("unchanged" if point == "lake.loads.after" else "landed")
    assert ids(world) == [("r1", 1), ("r2", 5), ("r3", 1)]
    (told,) = [row for row in world.rows(LOADS) if row["file"] == "b.csv"]
    assert (told["read"], told["landed"], told["duplicate"], told["rejected"]) == (4, 2, 1, 1)
    assert len(world.rows(REJECTS)) == 2


@pytest.mark.slow
def test_one_unreadable_file_does_not_stop_the_others_and_keeps_what_it_landed_before(world: Any) -> None:
    world.write("a.csv", HEADER + request("r1"))
    world.write("b.csv", HEADER + request("r2"))
    world.collect("requests", "?.csv", **REQUEST)
    world.write("a.csv", "")
    world.write("b.csv", HEADER + request("r3"))
    first, second = world.collect("requests", "?.csv", **REQUEST)
    assert (first.status, first.problem, second.landed) == ("failed", "the file is empty (0 bytes)", 1)
    assert ids(world) == [("r1", 1), ("r3", 1)]
    deliveries = len(world.rows(LOADS))
    assert world.collect("requests", "?.csv", **REQUEST)[0].status == "failed"
    assert len(world.rows(LOADS)) == deliveries


def test_a_delivery_writes_its_equation_and_rejects_say_file_line_and_text(world: Any) -> None:
    world.write("in/a.csv", HEADER + request("r1") + "r2,yesterday,m,1\n")
    with clock.fixed(datetime(2026, 11, 1, tzinfo=UTC)):
        world.one("requests", "in/*.csv", **REQUEST)
    (row,) = world.rows(LOADS)
    assert (row["table"], row["file"], row["x_load"], row["status"]) == ("requests", "in/a.csv", "in/a.csv", "landed")
    assert (row["read"], row["landed"], row["duplicate"], row["rejected"]) == (2, 1, 0, 1)
    (reject,) = world.rows(REJECTS)
    raw = '{"request_id":"r2","started_at":"yesterday","model":"m","input_tokens":"1"}'
    assert (reject["file"], reject["line"], reject["raw"]) == ("in/a.csv", 3, raw)
    assert "started_at: 'yesterday' is no time" in reject["reason"]
    assert reject["rejected_at"] == datetime(2026, 11, 1)  # noqa: DTZ001  # views give naive UTC


def test_charges_have_no_key_so_equal_lines_all_land(world: Any) -> None:
    columns = "BillingCurrency,BilledCost,EffectiveCost,ChargeCategory"
    times = "BillingPeriodStart,BillingPeriodEnd,ChargePeriodStart,ChargePeriodEnd"
    line = "USD,1.5,1.5,Usage,2026-10-01,2026-11-01,2026-10-01,2026-10-02\n"
    world.write("bill.csv", f"{columns},{times}\n{line}{line}")
    assert world.one("focus", "bill.csv").landed == 2
    rows = world.rows(CHARGES, "x_charge_id")
    assert [row["x_charge_id"] for row in rows] == ["bill.csv:2", "bill.csv:3"]
    assert sum(row["BilledCost"] for row in rows) == Decimal(3)


def test_a_pattern_without_a_file_says_so(world: Any) -> None:
    with pytest.raises(SourceError, match=r"no file matches nothing/\*\.csv"):
        world.collect("requests", "nothing/*.csv")


def test_where_a_source_is_reached_does_not_make_its_rows_new(world: Any) -> None:
    world.write("a.csv", HEADER + request("r1"))
    world.one("requests", "a.csv", **REQUEST)
    assert world.one("requests", ["a.csv"], **REQUEST).status == "unchanged"
    told = world.config("requests", "a.csv", **REQUEST).sources["one"]
    moved = told.model_copy(update={"endpoint": "https://elsewhere", "since": datetime(2026, 1, 1, tzinfo=UTC).date()})
    found = [load("requests").find("one", told, world.config("requests", "a.csv", **REQUEST))[0]] * 2
    first, second = (
        Delivery(importlib.import_module("collectors.requests").KIND, "one", source, None, None, None, None, one)  # type: ignore[arg-type]
        for source, one in zip((told, moved), found, strict=True)
    )
    assert first.identity == second.identity


def test_an_unknown_kind_lists_the_kinds() -> None:
    with pytest.raises(ConfigError, match=r"no kind 'bill'") as error:
        load("bill")
    assert error.value.fix == f"kind is one of: {', '.join(kinds())}."
    assert {"costs", "focus", "requests"} <= set(kinds())


def test_every_kind_is_an_entry_point_of_the_project_and_loads() -> None:
    root = Path(__file__).parents[2]
    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]["entry-points"]["farthing.collectors"]
    assert declared == {kind: f"collectors.{kind}:COLLECTOR" for kind in kinds()}
    for kind in kinds():
        assert load(kind) is importlib.import_module(f"collectors.{kind}").COLLECTOR


def test_an_id_of_two_kinds_at_one_time_is_one_party_and_the_other_is_counted(world: Any) -> None:
    world.write("in.csv", "id,kind,user_id\nx,key,bob\nx,user,alice\n")
    result = world.one("identities", "in.csv")
    assert (result.read, result.landed, result.duplicate) == (2, 1, 1)
    assert [row["user_id"] for row in world.rows(IDENTITIES, "id")] == ["alice"]
