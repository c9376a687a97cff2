"""Rows that DuckDB computes and writes as data files itself, and what Delta's log is told of those files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
from deltalake.transaction import AddAction

from farthing import clock
from farthing.lake.schemas import COUNT, DAY, TEXT, TIME, Table
from farthing.lake.views import duckdb_type, quoted, text

#: The rows are read once for each partition: of so many at most, however they are mixed.
_MOST_PARTITIONS = 62
#: Columns that have statistics in the log: as many as Delta itself gives them to.
_COUNTED = 32
#: A partition value that is the same in a folder's name and in the log, and a text that statistics may show.
_PLAIN, _SHORT = re.compile(r"[A-Za-z0-9_.-]+"), re.compile(r"[ -~]{1,64}")


@dataclass(frozen=True)
class Query:
    """Rows as SQL over a connection, with all columns of a table; times are naive UTC, as in the lake's views.

    `settled` is called when all rows were read and none is in the lake yet: it raises where they may not land.
    `nothing` are columns that are null in every row: no file gets them. `within` is said of queries that may be read
    once for each partition: it gives what can be added to the SQL of one, so that the engine passes over most others.
    """

    con: duckdb.DuckDBPyConnection
    sql: str
    settled: Callable[[], None] = field(default=lambda: None, compare=False)
    nothing: frozenset[str] = frozenset()
    within: Callable[[Mapping[str, str]], str] | None = field(default=None, compare=False)

    def part(self, partition: Mapping[str, str], table: Table) -> str:
        """The rows of one partition of `table`, as SQL."""
        same = " and ".join(
            f"{quoted(name)} = {text(value)}::{duckdb_type(table.schema.field(name).type)}"
            for name, value in partition.items()
        )
        return f"select * from ({self.sql}{self.within(partition) if self.within else ''}) where {same}"

    def stream(self, table: Table) -> pa.RecordBatchReader:
        """The rows in `table`'s schema, batch by batch."""
        return pa.RecordBatchReader.from_batches(table.schema, self._batches(table))

    def _batches(self, table: Table) -> Iterator[pa.RecordBatch]:
        for chunk in self.con.sql(self.sql).to_arrow_reader(100_000):
            yield from pa.Table.from_batches([chunk]).select(table.columns).cast(table.schema).to_batches()
        self.settled()


@dataclass(frozen=True)
class DataFile:
    """A Parquet file that is not yet where its line in the log says."""

    path: Path
    action: AddAction


def written(table: Table, query: Query, folder: Path) -> list[DataFile] | None:
    """The rows of `query` as one file in `folder` for each partition; None when there are no rows, or many partitions.

    Each file is written by itself: DuckDB's own partitioned copy holds rows of all partitions at once, and takes twice
    the time when they do not fit into its memory.

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
    most = _MOST_PARTITIONS if query.within else 1
    values = con.execute(f"select distinct {parts} from ({query.sql}) order by all limit {most + 1}").fetchall()
    partitions = [dict(zip(table.partition_by, map(str, row), strict=False)) for row in values]
    if not 0 < len(values) <= most or (table.partition_by and any(None in row for row in values)):
        return None
    if not all(_PLAIN.fullmatch(value) for partition in partitions for value in partition.values()):
        return None
    files = [_copied(table, query, folder, partition, alone=len(partitions) == 1) for partition in partitions]
    query.settled()
    return files


def _copied(table: Table, query: Query, folder: Path, partition: Mapping[str, str], *, alone: bool) -> DataFile:
    """The rows of one partition, which are all of them where it is `alone`, as a file in `folder`."""
    stored = [field for field in table.schema if field.name not in (*table.partition_by, *query.nothing)]
    columns = ", ".join(
        f"timezone('UTC', {quoted(field.name)}) as {quoted(field.name)}" if field.type == TIME else quoted(field.name)
        for field in stored
    )
    path = folder / f"part-00000-{uuid4()}-c000.zstd.parquet"
    [(_, rows, size, _, told, *_)] = query.con.execute(
        f"copy (select {columns} from ({query.sql if alone else query.part(partition, table)})) to {text(path)} "
        "(format parquet, compression zstd, row_group_size_bytes '64MB', return_stats)"
    ).fetchall()
    nulls = {field.name: int(told[quoted(field.name)]["null_count"]) for field in stored}
    nulls |= dict.fromkeys(query.nothing, rows)
    for name in table.required:
        if nulls.get(name):
            raise ValueError(f"{table.name}.{name} may not be null, and {nulls[name]} row(s) have no value")
    ranges = {field.name: _range(field.type, told[quoted(field.name)]) for field in stored[:_COUNTED]}
    statistics = {
        "numRecords": rows,
        "minValues": {name: pair[0] for name, pair in ranges.items() if pair},
        "maxValues": {name: pair[1] for name, pair in ranges.items() if pair},
        "nullCount": {name: nulls[name] for name in (*ranges, *sorted(query.nothing))},
    }
    key = "/".join([*(f"{name}={value}" for name, value in partition.items()), path.name])
    now = int(clock.now().timestamp() * 1000)
    return DataFile(path, AddAction(key, size, dict(partition), now, data_change=True, stats=json.dumps(statistics)))


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
