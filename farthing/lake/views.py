"""DuckDB SQL over an exact list of a lake table's Parquet files, with every column of today's schema."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from farthing.lake.schemas import Table


def relation(table: Table, paths: Sequence[Path]) -> str:
    """A select over `paths`: all columns of `table`, times as naive UTC, columns that a file lacks as typed nulls.

    Delta keeps partition values in folder names only, so they are read from there with the schema's types.
    """
    # Typed nulls first: they give the types when no file, or no file with that column, is there.
    empty = ", ".join(f"null::{duckdb_type(field.type, stored=True)} as {quoted(field.name)}" for field in table.schema)
    source = f"select {empty} where false"
    if paths:
        types = {name: duckdb_type(table.schema.field(name).type) for name in table.partition_by}
        kinds = ", ".join(f"{quoted(name)}: {kind}" for name, kind in types.items())
        hive = f"hive_partitioning = true, hive_types = {{{kinds}}}" if kinds else "hive_partitioning = false"
        files = ", ".join(text(_unglobbed(path)) for path in paths)
        source += f" union all by name select * from read_parquet([{files}], union_by_name = true, {hive})"
    return f"select {columns(table)} from ({source})"


def columns(table: Table) -> str:
    """The select list that turns stored columns into those of a view: times become naive UTC in any session zone."""
    return ", ".join(
        # Not `at time zone`: that is six times slower, and hides the column's statistics from filters.
        f"make_timestamp(epoch_us({quoted(field.name)})) as {quoted(field.name)}"
        if pa.types.is_timestamp(field.type)
        else quoted(field.name)
        for field in table.schema
    )


def duckdb_type(kind: pa.DataType, *, stored: bool = False) -> str:
    """DuckDB's name of an Arrow type; `stored`: as in the files, where times carry a zone."""
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if stored else "TIMESTAMP"
    if pa.types.is_list(kind):
        return f"{duckdb_type(kind.value_type, stored=stored)}[]"
    return {
        pa.string(): "VARCHAR",
        pa.int32(): "INTEGER",
        pa.int64(): "BIGINT",
        pa.float32(): "FLOAT",
        pa.float64(): "DOUBLE",
        pa.date32(): "DATE",
        pa.bool_(): "BOOLEAN",
    }[kind]


def quoted(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: object) -> str:
    """`value` as an SQL text literal."""
    return "'" + str(value).replace("'", "''") + "'"


def _unglobbed(path: Path) -> str:
    return re.sub(r"([*?\[])", r"[\1]", str(path))
