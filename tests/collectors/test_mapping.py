"""Column maps: names, paths, units, zones, constants and tags, and what a mistake in them says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from collectors.kind import LoadResult
from farthing import clock
from farthing.errors import ConfigError
from farthing.lake.schemas import GPU_USAGE, IDENTITIES, JOBS, METRICS, REQUESTS, REVENUE

INCLUSIVE: dict[str, Any] = {"token_convention": "inclusive"}


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[misc,arg-type]


def land(world: Any, lines: str, **source: Any) -> list[dict[str, Any]]:
    world.write("in.csv", lines)
    world.one("requests", "in.csv", **source)
    return list(world.rows(REQUESTS, "started_at"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-01T10:00:00Z", utc(2026, 10, 1, 10)),
        ("2026-10-01 10:00:00 UTC", utc(2026, 10, 1, 10)),
        ("2026-10-01T10:00:00+02:00", utc(2026, 10, 1, 8)),
        ("2026-10-01T10:00:00-0530", utc(2026, 10, 1, 15, 30)),
        ("2026-10-01T10:00:00.123456999Z", utc(2026, 10, 1, 10, 0, 0, 123456)),
        ("2026-10-01T10:00:00.123456999+01", utc(2026, 10, 1, 9, 0, 0, 123456)),
        ("2026-10-01T10:00Z", utc(2026, 10, 1, 10)),
    ],
)
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_a_time_with_a_zone_is_read_as_that_moment(world: Any, text: str, expected: datetime, zone: str | None) -> None:
    (row,) = land(world, f"started_at,model\n{text},m\n", timezone=zone)
    assert row["started_at"] == expected


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        ("UTC", "2026-10-01 10:00:00", utc(2026, 10, 1, 10)),
        ("Europe/Berlin", "2026-10-01T10:00:00.5", utc(2026, 10, 1, 8, 0, 0, 500_000)),
        ("Europe/Berlin", "2026-12-01T10:00:00", utc(2026, 12, 1, 9)),
        ("Asia/Shanghai", "2026-10-01 02:00:00", utc(2026, 9, 30, 18)),
    ],
)
def test_a_time_without_a_zone_is_read_in_the_configured_one(
    world: Any, zone: str, text: str, expected: datetime
) -> None:
    with clock.fixed(datetime(2027, 1, 1, tzinfo=UTC)):
        (row,) = land(world, f"started_at,model\n{text},m\n", timezone=zone)
    assert row["started_at"] == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-01 11:00:00 PM",
        "2026-10-01 11:00:00 PST",
        "2026-10-01 11:00:00 America/New_York",
        "2026-10-01 11",
        "epoch",
    ],
)
def test_a_time_that_is_not_iso_is_rejected_and_never_read_as_another(world: Any, text: str) -> None:
    assert land(world, f"started_at,model\n{text},m\n2026-10-01T10:00:00Z,m\n", timezone="UTC")[0]["started_at"] == utc(
        2026, 10, 1, 10
    )
    assert len(world.rows(REQUESTS, "started_at")) == 1


def test_the_first_time_without_a_zone_asks_for_it_and_names_file_line_and_column(world: Any) -> None:
    with pytest.raises(ConfigError, match=r"in\.csv, line 3, column t: times for 'started_at' carry no time zone") as e:
        land(world, "t,model\n2026-10-01T10:00:00Z,m\n2026-10-01 10:00:00,m\n", columns={"started_at": "t"})
    assert (e.value.key, e.value.fix.split(",")[0]) == ("sources.one.timezone", 'timezone = "UTC"')


@pytest.mark.parametrize(
    ("unit", "text"),
    [("s", "1790848800.25"), ("ms", "1790848800250"), ("us", "1790848800250000"), ("ns", "1790848800250000999")],
)
def test_epoch_numbers_are_read_in_their_unit_and_cut_to_microseconds(world: Any, unit: str, text: str) -> None:
    (row,) = land(world, f"t,model\n{text},m\n", columns={"started_at": {"from": "t", "unit": unit}})
    assert row["started_at"] == utc(2026, 10, 1, 10, 0, 0, 250_000)


def test_seconds_read_as_nanoseconds_of_another_age_are_refused(world: Any) -> None:
    world.write("in.csv", "t,model\n1790848800250,m\n")
    assert world.one("requests", "in.csv", columns={"started_at": {"from": "t", "unit": "s"}}).rejected == 1


def test_a_relative_clock_starts_at_its_epoch(world: Any) -> None:
    (row,) = land(
        world,
        "t,model\n1500,m\n",
        columns={"started_at": {"from": "t", "unit": "ms"}},
        epoch="2026-10-01T00:00:00+02:00",
    )
    assert row["started_at"] == utc(2026, 9, 30, 22, 0, 1, 500_000)


def test_a_duration_is_added_or_taken_and_a_missing_one_leaves_the_time_open(world: Any) -> None:
    columns = {
        "started_at": {"from": "t", "minus": "wait", "plus_unit": "s"},
        "ended_at": {"from": "t", "plus": "took", "plus_unit": "ms"},
    }
    lines = "t,wait,took,model\n2026-10-01T10:00:00Z,1.5,250,m\n2026-10-01T10:00:01Z,0,,m\n2026-10-01T10:00:02Z,0,x,m\n"
    first, second = land(world, lines, columns=columns)
    assert (first["started_at"], first["ended_at"]) == (
        utc(2026, 10, 1, 9, 59, 58, 500_000),
        utc(2026, 10, 1, 10, 0, 0, 250_000),
    )
    assert second["ended_at"] is None
    assert world.rejects()[0][0] == 4
    assert "with x" in world.rejects()[0][1]


@pytest.mark.slow
def test_json_lines_are_mapped_by_dotted_paths_and_money_keeps_every_digit(world: Any) -> None:
    row = (
        '{"id": 7, "at": "2026-10-01T10:00:00Z", "usage": {"prompt": {"n": 10}, "out": 3}, "m": "x", '
        '"cost": 0.12345678901234567890123, "hit": true, "a.b": "dotted", "extra": [1, {"k": 2.50}]}'
    )
    world.write("in.jsonl", row + "\n" + row.replace('"id": 7', '"id": 8').replace('"out": 3', '"out": null'))
    columns = {
        "request_id": "id",
        "started_at": "at",
        "model": "m",
        "input_tokens": "usage.prompt.n",
        "output_tokens": "usage.out",
        "reported_cost": "cost",
        "gateway_cache_hit": "hit",
        "feature": "a.b",
        "agent": "extra",
    }
    assert world.one("requests", "in.jsonl", columns=columns, **INCLUSIVE).landed == 2
    first, second = world.rows(REQUESTS, "request_id")
    assert (first["request_id"], first["input_tokens"], first["output_tokens"]) == ("7", 10, 3)
    assert first["reported_cost"] == Decimal("0.123456789012345678901230")
    assert (first["gateway_cache_hit"], first["feature"], first["agent"]) == (True, "dotted", '[1, {"k": 2.5}]')
    assert second["output_tokens"] is None


def test_one_json_array_is_read_element_by_element(world: Any) -> None:
    rows = [{"started_at": "2026-10-01T10:00:00Z", "model": name} for name in "abc"]
    world.write("in.json", json.dumps([rows[0], 5, *rows[1:]], indent=2))
    result = world.one("requests", "in.json")
    assert (result.read, result.landed, world.rejects()) == (4, 3, [(2, "the line is not a JSON object")])


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_tags_are_gathered_into_one_object_without_empty_ones(world: Any, form: str) -> None:
    row = {
        "started_at": "2026-10-01T10:00:00Z",
        "model": "m",
        "team": "red",
        "none": None,
        "meta": {"a": "1", "b": "x"},
    }
    if form == "csv":
        world.write("in.csv", "started_at,model,team,none,meta.a,meta.b\n2026-10-01T10:00:00Z,m,red,,1,x\n")
    else:
        world.write("rows.json", json.dumps(row))
    if form == "jsonl":
        world.write("in.jsonl", json.dumps(row))
    elif form == "parquet":
        world.parquet("in.parquet", f"select * from '{world.folder}/rows.json'")
    world.one("requests", f"in.{form}", tags=["team", "none", "meta.*"], timezone="UTC")
    (landed,) = world.rows(REQUESTS)
    assert json.loads(landed["tags"]) == {"team": "red", "a": "1", "b": "x"}


def test_parquet_structs_maps_and_types_are_taken_as_they_are(world: Any) -> None:
    world.parquet(
        "in.parquet",
        """
        select 5 as id, timestamp_ns '2026-10-01 10:00:00.123456999' as t, {'n': 12, 'deep': {'m': 'x'}} as usage,
            map {'team': 'red'} as labels, 0.1::double as cost, 1e-7::double as tiny, 3.0::double as units
        """,
    )
    columns = {
        "request_id": "id",
        "started_at": "t",
        "model": "usage.deep.m",
        "input_tokens": "usage.n",
        "team_id": "labels.team",
        "reported_cost": "cost",
        "work_units": "units",
        "output_tokens": "units",
    }
    world.one("requests", "in.parquet", columns=columns, timezone="Europe/Berlin", **INCLUSIVE)
    (row,) = world.rows(REQUESTS)
    assert row["started_at"] == utc(2026, 10, 1, 8, 0, 0, 123456)
    assert (row["request_id"], row["model"], row["input_tokens"], row["team_id"]) == ("5", "x", 12, "red")
    assert (row["reported_cost"], row["work_units"], row["output_tokens"]) == (Decimal("0.1"), 3.0, 3)


def test_naive_parquet_times_ask_for_their_zone(world: Any) -> None:
    world.parquet("in.parquet", "select timestamp '2026-10-01' as started_at, 'm' as model")
    with pytest.raises(ConfigError, match="carry no time zone"):
        world.one("requests", "in.parquet")


def test_units_of_numbers_are_converted(world: Any) -> None:
    world.write("in.csv", "g,a,b,c,u,mem,e\nG1,2026-10-01T10:00:00Z,2026-10-01T10:00:10Z,10000,35,2.5,1500\n")
    columns = {
        "gpu_uuid": "g",
        "started_at": "a",
        "ended_at": "b",
        "covered_seconds": {"from": "c", "unit": "ms"},
        "busy_fraction": {"from": "u", "unit": "percent"},
        "memory_used_bytes": {"from": "mem", "unit": "gib"},
        "energy_joules": {"from": "e", "unit": "mj"},
    }
    world.one("gpu_usage", "in.csv", columns=columns)
    (row,) = world.rows(GPU_USAGE)
    assert (row["covered_seconds"], row["busy_seconds"]) == (10.0, pytest.approx(3.5))
    assert (row["memory_used_bytes"], row["energy_joules"]) == (2684354560, 1.5)


def test_a_unit_that_cannot_be_is_refused(world: Any) -> None:
    world.write("in.csv", "started_at,model,n\n")
    with pytest.raises(ConfigError, match=r"columns\.input_tokens\] 'input_tokens' cannot be in 'percent'"):
        world.one("requests", "in.csv", columns={"input_tokens": {"from": "n", "unit": "percent"}}, **INCLUSIVE)


def test_an_unmapped_required_column_lists_the_files_columns_and_the_nearest(world: Any) -> None:
    world.write("in.csv", "Start,LLM,Model_Name\n")
    with pytest.raises(ConfigError) as error:
        world.one("requests", "in.csv", columns={"started_at": "Start"}, timezone="UTC")
    assert "required column 'model'; in.csv has: Start, LLM, Model_Name" in str(error.value)
    assert error.value.fix.startswith('model = "Model_Name"')


def test_a_mapped_column_that_the_file_lacks_names_key_file_and_columns(world: Any) -> None:
    world.write("in.csv", "started_at,model,userid\n")
    with pytest.raises(ConfigError) as error:
        world.one("requests", "in.csv", columns={"user_id": "user"})
    assert (error.value.key, error.value.fix) == ("sources.one.columns.user_id", "is it 'userid'?")
    assert "in.csv has no 'user'; in.csv has: started_at, model, userid" in str(error.value)


def test_a_path_that_the_first_json_rows_lack_is_told_and_left_empty(world: Any) -> None:
    world.write("in.jsonl", '{"started_at": "2026-10-01T10:00:00Z", "model": "m"}')
    assert world.one("requests", "in.jsonl", columns={"user_id": "meta.user"}).landed == 1
    assert world.report.messages == ["in.jsonl: the first rows have no 'meta.user'"]
    with pytest.raises(ConfigError, match="required column 'started_at'"):
        world.one("requests", "in.jsonl", columns={"started_at": "when"})


def test_a_column_that_is_not_ours_names_the_nearest_of_ours(world: Any) -> None:
    world.write("in.csv", "started_at,model\n")
    with pytest.raises(ConfigError, match=r"'input_token' is no column of kind requests; nearest: input_tokens"):
        world.one("requests", "in.csv", columns={"input_token": "model"})
    with pytest.raises(ConfigError, match="'model' is mapped and constant"):
        world.one("requests", "in.csv", columns={"model": "model"}, constants={"model": "m"})


def test_a_column_names_other_case_and_signs_are_no_trouble(world: Any) -> None:
    world.write("in.csv", '"St""art",model,Model,"select * from",a.b\n2026-10-01T10:00:00Z,m,M,u,f\n')
    columns = {"started_at": 'St"art', "response_model": "Model", "user_id": "select * from", "feature": "a.b"}
    world.one("requests", "in.csv", columns=columns)
    (row,) = world.rows(REQUESTS)
    assert (row["model"], row["response_model"], row["user_id"], row["feature"]) == ("m", "M", "u", "f")


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_the_delimiter_is_the_headers(world: Any, delimiter: str) -> None:
    line = delimiter.join(["2026-10-01T10:00:00Z", "m,n", "5"])
    (row,) = land(world, f"{delimiter.join(['started_at', 'model', 'input_tokens'])}\r\n{line}\r\n", **INCLUSIVE)
    assert (row["model"], row["input_tokens"]) == ("m,n", 5)


def test_a_byte_order_mark_is_not_part_of_the_first_name(world: Any) -> None:
    world.write("in.csv", b"\xef\xbb\xbfstarted_at,model\n2026-10-01T10:00:00Z,m\n")
    assert world.one("requests", "in.csv").landed == 1


@pytest.mark.slow
def test_small_tables_take_their_days_months_and_amounts(world: Any) -> None:
    world.write("revenue.csv", "customer_id,plan,period,amount,currency\nc1,pro,2026-10,10.0000000000005,USD\n")
    result: LoadResult = world.one("revenue", "revenue.csv")
    assert result.rounding == {"USD": Decimal("-5e-13")}
    (row,) = world.rows(REVENUE)
    assert (row["period"].isoformat(), row["amount"]) == ("2026-10-01", Decimal("10.000000000001"))
    world.write(
        "metrics.jsonl", '{"day": "2026-10-02", "dimension": "team", "key": "red", "name": "vectors", "quantity": 1e6}'
    )
    world.one("metrics", "metrics.jsonl")
    assert world.rows(METRICS)[0]["quantity"] == Decimal(1_000_000)
    world.write("jobs.csv", "job_id,started_at,node_id,gpu_count\nj1,2026-10-01T00:00:00Z,n1,8\n")
    world.one("jobs", "jobs.csv")
    assert (world.rows(JOBS)[0]["gpu_count"], world.rows(JOBS)[0]["ended_at"]) == (8, None)
    world.write("people.csv", "id,kind,user_id,team_id\nk-1,key,u1,red\nk-2,user,u2,red\n")
    assert world.one("identities", "people.csv").landed == 2
    assert {row["user_id"] for row in world.rows(IDENTITIES)} == {"u1", "u2"}


def test_a_preview_shows_three_rows_as_they_would_land_and_writes_nothing(world: Any) -> None:
    from tests.collectors.conftest import collector

    lines = "".join(f"2026-10-01T10:00:0{number}Z,m{number},{number}\n" for number in range(9))
    world.write("in.csv", "started_at,model,input_tokens\nbad\n" + lines)
    made = world.config("requests", "in.csv", **INCLUSIVE)
    frame = collector("requests").preview("one", made.sources["one"], made)
    assert frame.select("model", "input_tokens", "usage_quality").rows() == [
        ("m0", 0, "reported"), ("m1", 1, "reported"), ("m2", 2, "reported")
    ]  # fmt: skip
    assert frame["started_at"][1] - frame["started_at"][0] == timedelta(seconds=1)
    assert world.lake.version(REQUESTS) is None
