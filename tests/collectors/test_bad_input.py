"""Ten bad inputs for every kind: a clear reason with file and line, never a traceback, never a lost good row."""

from __future__ import annotations

import gzip
from typing import Any

import pyarrow as pa
import pytest

from farthing.lake.schemas import (
    BUDGETS,
    CHARGES,
    GPU_INVENTORY,
    GPU_USAGE,
    IDENTITIES,
    JOBS,
    METRICS,
    REJECTS,
    REQUESTS,
    REVENUE,
    Table,
)

BILL = "BillingCurrency,BilledCost,EffectiveCost,ChargeCategory,BillingPeriodStart,BillingPeriodEnd"
#: Per kind: its table, settings, header, and a good line made from a name that tells the rows apart.
KINDS: dict[str, tuple[Table, dict[str, Any], str, str]] = {
    "focus": (
        CHARGES,
        {},
        f"{BILL},ChargePeriodStart,ChargePeriodEnd,ResourceId",
        "USD,1.25,1.25,Usage,2026-10-01,2026-11-01,2026-10-01,2026-10-02,{}",
    ),
    "costs": (
        CHARGES,
        {},
        "start,end,service,amount,currency,team,driver",
        "2026-10-01,2026-10-31,{},99.5,EUR,support,tickets",
    ),
    "requests": (
        REQUESTS,
        {"token_convention": "inclusive"},
        "request_id,started_at,ended_at,model,input_tokens,output_tokens",
        "{},2026-10-01T10:00:00Z,2026-10-01T10:00:05Z,m,10,20",
    ),
    "gpu_usage": (
        GPU_USAGE,
        {},
        "gpu_uuid,started_at,ended_at,covered_seconds,busy_seconds",
        "{},2026-10-01T10:00:00Z,2026-10-01T10:00:10Z,10,4",
    ),
    "gpu_inventory": (
        GPU_INVENTORY,
        {},
        "gpu_uuid,ResourceId,replica_id,share,valid_from,valid_to",
        "{},i-1,r1,0.5,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z",
    ),
    "jobs": (
        JOBS,
        {},
        "job_id,started_at,ended_at,gpu_count",
        "{},2026-10-01T10:00:00Z,2026-10-01T11:00:00Z,8",
    ),
    "identities": (
        IDENTITIES,
        {},
        "id,kind,user_id,valid_from,valid_to",
        "{},user,u1,2026-10-01T00:00:00Z,2026-11-01T00:00:00Z",
    ),
    "revenue": (REVENUE, {}, "customer_id,plan,period,amount,currency", "{},pro,2026-10,99.5,EUR"),
    "budgets": (
        BUDGETS,
        {},
        "month,dimension,key,amount,currency,quantity,unit,rate",
        "2026-10,team,{},99.5,EUR,199,tokens,0.5",
    ),
    "metrics": (METRICS, {}, "day,dimension,key,name,quantity", "2026-10-01,team,{},vectors,12.5"),
}
NAMES = {"focus": "ResourceId", "requests": "request_id", "gpu_usage": "gpu_uuid", "gpu_inventory": "gpu_uuid"}
NAMES |= {"costs": "ServiceName", "jobs": "job_id", "identities": "id", "revenue": "customer_id", "metrics": "key"}
NAMES |= {"budgets": "key"}
ALL = sorted(KINDS)


def landed(world: Any, kind: str) -> list[str]:
    table = KINDS[kind][0]
    return sorted(row[NAMES[kind]] for row in world.rows(table))


def deliver(world: Any, kind: str, *lines: str | bytes) -> Any:
    """The header, a good line, `lines`, another good line; both good ones must land."""
    _, settings, header, good = KINDS[kind]
    parts = [header, good.format("first"), *lines, good.format("last")]
    content = b"".join((part.encode() if isinstance(part, str) else part) + b"\n" for part in parts)
    world.write("in.csv", content)
    result = world.one(kind, "in.csv", **settings)
    assert {"first", "last"} <= set(landed(world, kind))
    return result


def changed(kind: str, name: str, **values: str) -> str:
    """The good line called `name` with other values in some columns."""
    _, _, header, good = KINDS[kind]
    fields = dict(zip(header.split(","), good.format(name).split(","), strict=True))
    assert set(values) <= set(fields)
    return ",".join({**fields, **values}.values())


def refused(world: Any, kind: str, line: str, reason: str) -> None:
    result = deliver(world, kind, line)
    assert (result.read, result.landed, result.rejected) == (3, 2, 1)
    ((number, told),) = world.rejects()
    assert number == 3
    assert reason in told


@pytest.mark.parametrize(("kind", "packed"), [*((kind, ".gz") for kind in ALL), ("focus", ".zst")])
def test_a_packed_file_that_was_cut_short_lands_nothing_and_keeps_what_was_there(
    world: Any, kind: str, packed: str
) -> None:
    _, settings, header, good = KINDS[kind]
    names = [f"name-{number * 7919 % 100_003}" for number in range(3000)]
    text = "\n".join([header, *map(good.format, names)]).encode() + b"\n"
    whole = gzip.compress(text) if packed == ".gz" else pa.compress(text, codec="zstd", asbytes=True)
    world.write(f"in.csv{packed}", whole)
    assert world.one(kind, f"in.csv{packed}", **settings).landed == 3000
    world.write(f"in.csv{packed}", whole[: len(whole) // 2])
    result = world.one(kind, f"in.csv{packed}", **settings)
    assert (result.status, result.read, result.landed) == ("failed", 0, 0)
    assert f"in.csv{packed} cannot be unpacked to its end" in result.problem
    assert landed(world, kind) == sorted(names)
    assert not world.rejects()


@pytest.mark.parametrize("kind", ALL)
def test_a_line_in_another_encoding_is_refused_alone(world: Any, kind: str) -> None:
    line = KINDS[kind][3].format("M\xfcller").encode("latin-1")
    result = deliver(world, kind, line)
    assert (result.landed, world.rejects()) == (2, [(3, "the line is not UTF-8 text")])


@pytest.mark.parametrize("kind", ALL)
def test_a_file_in_another_encoding_fails_with_what_to_do(world: Any, kind: str) -> None:
    _, settings, header, good = KINDS[kind]
    world.write("in.csv", f"{header}\n{good.format('first')}\n".encode("utf-16"))
    result = world.one(kind, "in.csv", **settings)
    assert (result.status, result.problem) == ("failed", "the file is UTF-16; write it as UTF-8")


@pytest.mark.parametrize("kind", ALL)
def test_a_short_and_a_long_line_are_refused_with_their_number_of_fields(world: Any, kind: str) -> None:
    _, _, header, good = KINDS[kind]
    width = header.count(",") + 1
    result = deliver(world, kind, "a,b", good.format("long") + ",more")
    assert (result.read, result.landed, result.rejected) == (4, 2, 2)
    assert world.rejects() == [
        (3, f"the line has 2 fields, the header has {width}"),
        (4, f"the line has {width + 1} fields, the header has {width}"),
    ]


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("focus", "BilledCost"),
        ("costs", "amount"),
        ("costs", "start"),
        ("requests", "input_tokens"),
        ("gpu_usage", "busy_seconds"),
        ("gpu_inventory", "share"),
        ("jobs", "gpu_count"),
        ("identities", "valid_from"),
        ("revenue", "amount"),
        ("metrics", "quantity"),
    ],
)
def test_text_in_a_column_of_numbers_or_times_is_refused(world: Any, kind: str, column: str) -> None:
    refused(world, kind, changed(kind, "bad", **{column: "twelve"}), f"{column}: 'twelve' is no ")


@pytest.mark.parametrize(
    ("kind", "end", "value", "reason"),
    [
        ("focus", "ChargePeriodEnd", "2026-09-30", "is before ChargePeriodStart"),
        ("costs", "end", "2026-09-30", "end 2026-09-30 is before start 2026-10-01"),
        ("requests", "ended_at", "2026-10-01T09:59:59Z", "is before started_at"),
        ("gpu_usage", "ended_at", "2026-10-01T09:59:59Z", "is before started_at"),
        ("gpu_inventory", "valid_to", "2026-10-01T00:00:00Z", "is not after valid_from"),
        ("jobs", "ended_at", "2026-10-01T09:59:59Z", "is before started_at"),
        ("identities", "valid_to", "2026-09-01T00:00:00Z", "is not after valid_from"),
    ],
)
def test_an_end_before_its_start_is_refused(world: Any, kind: str, end: str, value: str, reason: str) -> None:
    refused(world, kind, changed(kind, "bad", **{end: value}), reason)


@pytest.mark.parametrize(
    ("kind", "column"), [("focus", "BillingCurrency"), ("costs", "currency"), ("revenue", "currency")]
)
@pytest.mark.parametrize("code", ["XYZ", "usd", "BTC", "DEM"])
def test_an_unknown_currency_is_refused(world: Any, kind: str, column: str, code: str) -> None:
    refused(world, kind, changed(kind, "bad", **{column: code}), f"{code} is no ISO 4217 currency code")


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("requests", "input_tokens"),
        ("requests", "output_tokens"),
        ("gpu_usage", "busy_seconds"),
        ("jobs", "gpu_count"),
        ("metrics", "quantity"),
    ],
)
def test_a_negative_quantity_is_refused(world: Any, kind: str, column: str) -> None:
    refused(world, kind, changed(kind, "bad", **{column: "-3"}), f"{column} is negative: -3")


@pytest.mark.parametrize("kind", [kind for kind in ALL if KINDS[kind][0].key])
def test_a_repeated_key_lands_once_and_is_counted(world: Any, kind: str) -> None:
    result = deliver(world, kind, KINDS[kind][3].format("last"))
    assert (result.read, result.landed, result.duplicate) == (3, 2, 1)
    assert landed(world, kind) == ["first", "last"]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("name", ["in.csv", "in.csv.gz", "in.jsonl", "in.parquet"])
def test_an_empty_file_fails_and_says_so(world: Any, kind: str, name: str) -> None:
    world.write(name, b"")
    result = world.one(kind, name, **KINDS[kind][1])
    assert (result.status, result.problem) == ("failed", "the file is empty (0 bytes)")


@pytest.mark.parametrize("kind", ALL)
def test_a_header_alone_lands_nothing_and_is_no_failure(world: Any, kind: str) -> None:
    _, settings, header, _ = KINDS[kind]
    world.write("in.csv", header + "\n")
    result = world.one(kind, "in.csv", **settings)
    assert (result.status, result.read, result.landed) == ("landed", 0, 0)


@pytest.mark.parametrize("kind", ["focus", "requests"])
def test_one_line_of_64_mb_is_refused_alone_and_its_text_is_cut(world: Any, kind: str) -> None:
    result = deliver(world, kind, b"x" * (64 << 20))
    assert (result.read, result.landed) == (3, 2)
    assert world.rejects() == [(3, "the line is longer than 16 MB")]
    (reject,) = world.rows(REJECTS)
    if kind == "requests":
        assert reject["raw"] == "not kept: it may hold a prompt"
    else:
        assert len(reject["raw"]) == 4096


@pytest.mark.parametrize("kind", ALL)
def test_a_quotation_mark_that_is_never_closed_costs_its_own_line_only(world: Any, kind: str) -> None:
    _, _, _, good = KINDS[kind]
    result = deliver(world, kind, good.format('"open'), *(good.format(f"n{number}") for number in range(50)))
    assert (result.read, result.landed, result.rejected) == (53, 52, 1)
    ((line, reason),) = world.rejects()
    assert line == 3
    assert "quot" in reason


def test_a_quotation_mark_left_open_at_the_end_of_the_file_is_no_value(world: Any) -> None:
    world.write("in.csv", 'started_at,feature,model\n2026-10-01T10:00:00Z,5" disk,m\n2026-10-01T10:00:00Z,x,"open\n')
    result = world.one("requests", "in.csv")
    assert (result.landed, [line for line, _ in world.rejects()]) == (1, [3])
    assert world.rows(REQUESTS)[0]["feature"] == '5" disk'


@pytest.mark.parametrize("kind", ALL)
def test_what_is_not_parquet_fails_and_says_so(world: Any, kind: str) -> None:
    world.write("in.parquet", b"PAR1 this is not it" * 10)
    result = world.one(kind, "in.parquet", **KINDS[kind][1])
    assert result.status == "failed"
    assert "this is no readable Parquet file" in result.problem


@pytest.mark.parametrize("kind", ALL)
def test_json_lines_that_are_no_objects_are_refused_with_their_line(world: Any, kind: str) -> None:
    _, settings, header, good = KINDS[kind]
    names = header.split(",")

    def row(name: str) -> str:
        pairs = zip(names, good.format(name).split(","), strict=True)
        return "{" + ", ".join(f'"{column}": "{value}"' for column, value in pairs) + "}"

    lines = [row("first"), "{not json", "[1]", "", '"\\ud800"', row("last")]
    world.write("in.jsonl", "\n".join(lines))
    result = world.one(kind, "in.jsonl", **settings)
    assert (result.read, result.landed, result.rejected) == (5, 2, 3)
    assert [line for line, _ in world.rejects()] == [2, 3, 5]
    assert landed(world, kind) == ["first", "last"]


def test_damaged_gzip_data_lands_nothing(world: Any) -> None:
    _, settings, header, good = KINDS["requests"]
    packed = bytearray(gzip.compress("\n".join([header, *(good.format(n) for n in range(2000))]).encode()))
    packed[-6] ^= 0xFF  # the checksum: some value before it is not what was written
    world.write("in.csv.gz", bytes(packed))
    result = world.one("requests", "in.csv.gz", **settings)
    assert result.status == "failed"
    assert "cannot be unpacked to its end" in result.problem
    assert world.rows(REQUESTS) == []


def test_a_parquet_file_damaged_in_the_middle_fails_and_lands_nothing(world: Any) -> None:
    path = world.parquet(
        "in.parquet",
        "select 'r' || i as request_id, timestamp '2026-10-01' as started_at, md5(i::varchar) as model "
        "from range(200000) t(i)",
    )
    content = bytearray(path.read_bytes())
    content[200_000:260_000] = b"\xff" * 60_000
    path.write_bytes(bytes(content))
    result = world.one("requests", "in.parquet", timezone="UTC")
    assert result.status == "failed"
    assert "cannot be read" in result.problem
    assert world.rows(REQUESTS) == []
