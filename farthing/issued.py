"""Writing down what was foreseen, found and told: rows for the issued tables of the lake, and into the warehouse."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from farthing.config import Config
from farthing.lake import Lake
from farthing.lake.schemas import Table


def add(lake: Lake, table: Table, rows: Sequence[Mapping[str, object]], *, load: str | None = None) -> bool:
    """Append `rows` (column -> value; what is not given is null) to `table`; False when `load` is there already."""
    return not rows or lake.append(table, _arrow(table, rows), load=load or uuid.uuid4().hex)


def put(lake: Lake, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
    """Write `rows` in the place of those of `table` that have the same key."""
    if rows:
        lake.upsert(table, _arrow(table, rows), load=uuid.uuid4().hex)


def publish(config: Config, lake: Lake, tell: Callable[[str], None]) -> Path | None:
    """Let the published warehouse have what the lake's issued tables have now; None where nothing is published yet."""
    from farthing.build.publish import publish_issued

    return publish_issued(config, lake, tell)


def _arrow(table: Table, rows: Sequence[Mapping[str, object]]) -> pa.Table:
    unknown = sorted({name for row in rows for name in row} - set(table.columns))
    if unknown:
        raise ValueError(f"table {table.name} has no column {', '.join(unknown)}")
    return pa.Table.from_pylist([dict(row) for row in rows], schema=table.schema)
