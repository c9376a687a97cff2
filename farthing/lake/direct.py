"""Rows that DuckDB computes and writes as a data file itself, and what Delta's log is told of that file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
from deltalake.transaction import AddAction

from farthing import clock
from farthing.lake.schemas import COUNT, DAY, TEXT, TIME, Table
from farthing.lake.views import duckdb_type, quoted, text

#: Columns that have statistics in the log: as many as Delta itself gives them to.
_COUNTED = 32
#: A partition value that is the same in a folder's name and in the log, and a text that statistics may show.
_PLAIN, _SHORT = re.compile(r"[A-Za-z0-9_.-]+"), re.compile(r"[ -~]{1,64}")


@dataclass(frozen=True)
class Query:
    """Rows as SQL over a connection, with all columns of a table; times are naive UTC, as in the lake's views."""

    con: duckdb.DuckDBPyConnection
    sql: str

    def stream(self, table: Table) -> pa.RecordBatchReader:
        """The rows in `table`'s schema, batch by batch."""
        batches = (
            batch
            for chunk in self.con.sql(self.sql).to_arrow_reader(100_000)
            for batch in pa.Table.from_batches([chunk]).select(table.columns).cast(table.schema).to_batches()
        )
        return pa.RecordBatchReader.from_batches(table.schema, batches)


@dataclass(frozen=True)
class DataFile:
    """A Parquet file that is not yet where its line in the log says."""

    path: Path
    action: AddAction


def written(table: Table, query: Query, folder: Path) -> DataFile | None:
    """The rows of `query` as one file in `folder`; None when they are of several partitions, or there are none.

    Raises:
        ValueError: a column is missing or of another type than the table's, or is null where it may not be.
    """
    con = query.con
    found = {name: kind for name, kind, *_ in con.execute(f"describe {query.sql}").fetchall()}
    wanted = {field.name: duckdb_type(field.type) for field in table.schema}
    if found != wanted:
        other = sorted(name for name in found | wanted if found.get(name) != wanted.get(name))
        raise ValueError(f"table {table.name}: missing, unknown or of another type: {', '.join(other)}")
    parts = ", ".join(map(quoted, table.partition_by)) or "1"
    values = con.execute(f"select distinct {parts} from ({query.sql}) limit 2").fetchall()
    if len(values) != 1 or (table.partition_by and None in values[0]):
        return None
    partition = dict(zip(table.partition_by, map(str, values[0]), strict=False))
    if not all(map(_PLAIN.fullmatch, partition.values())):
        return None
    stored = [field for field in table.schema if field.name not in table.partition_by]
    columns = ", ".join(
        f"timezone('UTC', {quoted(field.name)}) as {quoted(field.name)}" if field.type == TIME else quoted(field.name)
        for field in stored
    )
    path = folder / f"part-00000-{uuid4()}-c000.zstd.parquet"
    [(_, rows, size, _, told, *_)] = con.execute(
        f"copy (select {columns} from ({query.sql})) to {text(path)} "
        "(format parquet, compression zstd, row_group_size_bytes '64MB', return_stats)"
    ).fetchall()
    nulls = {field.name: int(told[quoted(field.name)]["null_count"]) for field in stored}
    for name in table.required:
        if nulls.get(name):
            raise ValueError(f"{table.name}.{name} may not be null, and {nulls[name]} row(s) have no value")
    ranges = {field.name: _range(field.type, told[quoted(field.name)]) for field in stored[:_COUNTED]}
    statistics = {
        "numRecords": rows,
        "minValues": {name: pair[0] for name, pair in ranges.items() if pair},
        "maxValues": {name: pair[1] for name, pair in ranges.items() if pair},
        "nullCount": {name: nulls[name] for name in ranges},
    }
    key = "/".join([*(f"{name}={value}" for name, value in partition.items()), path.name])
    now = int(clock.now().timestamp() * 1000)
    return DataFile(path, AddAction(key, size, partition, now, data_change=True, stats=json.dumps(statistics)))


def _range(kind: pa.DataType, told: Mapping[str, str]) -> tuple[str | int, str | int] | None:
    """The least and the greatest value as the log has them; None where they are not known exactly or say little."""
    if told.get("min_is_exact") != "true" or told.get("max_is_exact") != "true":
        return None
    low, high = told["min"], told["max"]
    if kind == TIME and low.endswith("+00") and high.endswith("+00"):
        return _moment(low), _moment(high)
    if kind == COUNT:
        return int(low), int(high)
    if kind == DAY or (kind == TEXT and _SHORT.fullmatch(low) and _SHORT.fullmatch(high)):
        return low, high
    return None


def _moment(shown: str) -> str:
    return datetime.fromisoformat(shown).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
