"""A small lake table that has every type, two partition columns and a key, and rows for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa

from farthing.lake import Lake
from farthing.lake.schemas import COUNT, DAY, EXACT, FLAG, MONEY, REAL, TEXT, TIME, Table

THINGS = Table(
    "things",
    pa.schema(
        [
            ("day", DAY),
            ("id", TEXT),
            ("part", TEXT),
            ("at", TIME),
            ("BilledCost", MONEY),
            ("exact", EXACT),
            ("count", COUNT),
            ("real", REAL),
            ("flag", FLAG),
            ("x_source", TEXT),
            ("x_load", TEXT),
        ]
    ),
    partition_by=("x_source", "day"),
    key=("id", "part"),
    required=("id",),
)
NOON = datetime(2026, 10, 1, 12, 0, 0, 123456, tzinfo=UTC)


def row(
    id: str, *, day: int = 1, cost: str = "0", source: str = "a", load: str | None = "l", **more: object
) -> dict[str, Any]:
    values = {"day": date(2026, 10, day), "id": id, "x_source": source, "x_load": load, "BilledCost": Decimal(cost)}
    return {**dict.fromkeys(THINGS.columns), **values, **more}


def things(rows: Sequence[dict[str, Any]], table: Table = THINGS) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=table.schema)


def read(lake: Lake, query: str = "from lake.things order by all", *, table: Table = THINGS, **pin: Any) -> list[Any]:
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'Asia/Tokyo'")
        lake.view(con, table, **pin)
        return con.execute(query).fetchall()


def ids(lake: Lake, **pin: Any) -> list[str]:
    return [one for (one,) in read(lake, "select id from lake.things order by 1", **pin)]
