"""Rows of any Arrow producer, brought into a lake table's exact schema and checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from farthing.lake.schemas import Table
from farthing.locks import scratch

#: Gives the rows from the start, each time that it is called.
Rows = Callable[[], pa.RecordBatchReader]


@contextmanager
def arranged(table: Table, data: Any, *, only: Mapping[str, Sequence[object]] | None = None) -> Iterator[Rows]:
    """`data` in the columns and types of `table`; columns that it lacks are null.

    `data` is anything with an Arrow C stream. What can be read only once (a RecordBatchReader) goes through a temporary
    file: memory stays bounded, everything is checked before the first row is written, and a write that clashes with
    another can be repeated.

    Raises:
        ValueError: a column that the table does not have; a time without a zone; a value that its type cannot hold
            exactly; a null in a required column, a null or empty text in a partition column; a value that is not
            among those of `only` (column -> values).
    """
    reader = pa.RecordBatchReader.from_stream(data)
    unknown = sorted(set(reader.schema.names) - set(table.columns))
    if unknown:
        raise ValueError(f"table {table.name} has no column {', '.join(unknown)}; it has {', '.join(table.columns)}")
    twice = sorted({name for name in reader.schema.names if reader.schema.names.count(name) > 1})
    if twice:
        raise ValueError(f"table {table.name}: column given twice: {', '.join(twice)}")
    batches = (_only(table, _fit(table, batch), only or {}) for batch in reader)
    if hasattr(data, "__len__") or hasattr(data, "num_rows"):
        held = pa.Table.from_batches(batches, schema=table.schema)
        yield held.to_reader
        return
    with scratch() as folder:
        path = str(folder / "rows.arrow")
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            for batch in batches:
                writer.write_batch(batch)
        yield lambda: pa.ipc.open_stream(pa.OSFile(path))


def _only(table: Table, batch: pa.RecordBatch, only: Mapping[str, Sequence[object]]) -> pa.RecordBatch:
    for name, values in only.items():
        allowed = pc.is_in(batch[name], pa.array(values, table.schema.field(name).type))
        if batch.num_rows and not pc.all(allowed).as_py():
            raise ValueError(f"{table.name}: there are rows whose {name} is not among {list(values)}")
    return batch


def _fit(table: Table, batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = []
    for field in table.schema:
        if field.name in batch.schema.names:
            column = _cast(table, field, batch.column(field.name))
        else:
            column = pa.nulls(batch.num_rows, field.type)
        if column.null_count and field.name in (*table.required, *table.partition_by):
            raise ValueError(f"{table.name}.{field.name} may not be null, and {column.null_count} row(s) have no value")
        if field.name in table.partition_by and pa.types.is_string(field.type) and pc.any(pc.equal(column, "")).as_py():
            # Delta writes empty text and null as the same partition.
            raise ValueError(f"{table.name}.{field.name} may not be empty text: it is a partition column")
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _cast(table: Table, field: pa.Field, column: pa.Array) -> pa.Array:
    if column.type == field.type:
        return column
    where = f"{table.name}.{field.name}"
    if pa.types.is_timestamp(field.type) and not pa.types.is_null(column.type):
        if not pa.types.is_timestamp(column.type):
            raise ValueError(f"{where} takes times with a zone, not {column.type}")
        if column.type.tz is None:
            raise ValueError(f"{where} has times without a zone; give them one (UTC) before they reach the lake")
    if pa.types.is_decimal(field.type) and pa.types.is_floating(column.type):
        raise ValueError(f"{where} is decimal and was given as {column.type}: money never passes through floats")
    try:
        return column.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise ValueError(f"{where} cannot be {field.type}: {error}") from error
