"""Columns of a bill made piece by piece, each only once for a combination of values that comes many times.

A bill repeats itself: a month of a million lines has some hundred products, usage types and prices. Parquet keeps such
a column as a dictionary and numbers. What is made of such columns alone is made of the combinations of their numbers,
and is handed on as a dictionary again, so that neither polars nor the writer of the file sees each line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from collectors import focus
from collectors.raw import LINE, PROBLEM, RAW, REPEATED, TOGETHER
from collectors.values import quoted

PIECE_ROWS = 131_072
_Numbers = npt.NDArray[np.int64]
#: So many numbers are told apart by a table of them, which is faster than to sort.
_TABLE = 1 << 21
#: So many columns next to each other are worth making their text together; AWS describes a product in sixty.
_RUN = 3


@dataclass(frozen=True)
class Made:
    """`columns` of `rows`, each row made of one line alone; of those lines only that `where` keeps."""

    rows: pl.LazyFrame
    columns: Sequence[pl.Expr]
    where: pl.Expr | None = None

    @property
    def frame(self) -> pl.LazyFrame:
        """The rows as polars makes them, line by line."""
        rows = self.rows if self.where is None else self.rows.filter(self.where)
        return rows.select(self.columns)


def in_tables(made: Sequence[Made], files: Sequence[Path]) -> Iterator[pa.Table] | None:
    """The rows of all of `made`, whose rows are those of `files`, so many at a time that memory stays bounded.

    None where the files have columns that are not read alike here and by polars: lists, maps, other types by file.
    """
    schema = made[0].rows.collect_schema()
    opened = [pq.ParquetFile(path) for path in files]
    for file in opened:
        own = _schema(file.schema_arrow)
        if own is None or dict(own) != {name: kind for name, kind in schema.items() if name != LINE or LINE in own}:
            return None
    return _tables([_Plan(one, schema) for one in made], files)


def _schema(schema: pa.Schema) -> pl.Schema | None:
    if any(pa.types.is_nested(field.type) or pa.types.is_dictionary(field.type) for field in schema):
        return None
    return pl.DataFrame(pl.from_arrow(pa.Table.from_batches([], schema))).schema


def _tables(plans: Sequence[_Plan], files: Sequence[Path]) -> Iterator[pa.Table]:
    before = 0
    runs: list[list[str]] | None = None
    with duckdb.connect() as con:
        con.execute("set threads = 1")  # some hundred rows at a time
        for path in files:
            texts = [field.name for field in pq.read_schema(path) if pa.types.is_string(field.type)]
            file = pq.ParquetFile(path, read_dictionary=texts)
            for table in _pieces(file):
                if not len(table):
                    continue
                piece = table
                if LINE not in piece.column_names or len(files) > 1:
                    lines = _array(np.arange(before + 1, before + 1 + len(piece)))
                    kept = [name for name in piece.column_names if name != LINE]
                    piece = piece.select(kept).append_column(LINE, lines)
                before += len(piece)
                coded = _Coded(piece)
                for made in (plan.table(coded) for plan in plans):
                    if runs is None:
                        runs = _runs(made)
                    if made.num_rows:
                        yield _with_runs(made, runs, con)
    if not before:
        yield plans[0].nothing  # a table is a table when nothing is in it


def _runs(rows: pa.Table) -> list[list[str]]:
    """Columns that FOCUS does not know, next to each other and with few combinations: their text is made together."""
    known = {name.lower() for name in focus.KIND.dialect.types} | {LINE, RAW, PROBLEM, REPEATED}
    coded, most = _Coded(rows), len(rows) // 16
    found: list[list[str]] = [[]]
    numbers, count = np.zeros(len(rows), np.int64), 1
    for name in (name for name in rows.column_names if name.lower() not in known):
        column = coded.column(name) if pa.types.is_dictionary(rows[name].type) else None
        if column is not None:
            more, many = _joined(numbers, count, column)
            if many > most:
                found.append([])
                more, many = _joined(np.zeros(len(rows), np.int64), 1, column)
            if many <= most:
                found[-1].append(name)
                numbers, count = more, many
                continue
        found.append([])
        numbers, count = np.zeros(len(rows), np.int64), 1
    return [run for run in found if len(run) >= _RUN]


def _with_runs(rows: pa.Table, runs: Sequence[Sequence[str]], con: duckdb.DuckDBPyConnection) -> pa.Table:
    """`rows` and, for each of `runs`, its pairs as text: of each combination once."""
    coded = _Coded(rows)
    for run in runs:
        found = coded.combined(run)
        texts = found[0] if found else _table({name: _decoded(_whole(rows[name])) for name in run})
        con.register("texts", texts)
        pairs = ", ".join(focus.KIND.dialect.pair(name, quoted(name)) for name in run)
        [made] = con.sql(f"select nullif(concat_ws(',', {pairs}), '') as pairs from texts").to_arrow_table().columns
        con.unregister("texts")
        pairs_of_rows = _repeated(_whole(made), _array(found[1].astype(np.int32))) if found else made
        rows = rows.append_column(TOGETHER + json.dumps(list(run), ensure_ascii=False), pairs_of_rows)
    return rows


def _pieces(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """Whole row groups as far as they are no more than a piece together; a larger one in parts."""
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    group: list[int] = []
    for number in range(len(sizes)):
        group.append(number)
        together = sum(sizes[one] for one in group)
        if number + 1 < len(sizes) and together + sizes[number + 1] <= PIECE_ROWS:
            continue
        if together <= PIECE_ROWS:
            yield file.read_row_groups(group).unify_dictionaries().combine_chunks()
        else:
            for batch in file.iter_batches(PIECE_ROWS, row_groups=group):
                yield pa.Table.from_batches([batch])
        group = []


class _Coded:
    """The rows of a piece, and its columns as a dictionary and numbers where they have few values."""

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows
        self._found: dict[str, pa.DictionaryArray | None] = {}

    def column(self, name: str) -> pa.DictionaryArray | None:
        """A column as a dictionary and numbers; None where most of its values are different ones."""
        if name not in self._found:
            column = _whole(self.rows[name])
            if not isinstance(column, pa.DictionaryArray):
                column = column.dictionary_encode()
            few = len(column.dictionary) <= len(column) // 4
            self._found[name] = column if few else None
        return self._found[name]

    def combined(self, names: Sequence[str]) -> tuple[pa.Table, _Numbers] | None:
        """The combinations of the columns `names`, and the one of each row; None where most are different ones."""
        count = len(self.rows)
        if not names:
            return _table({"": pa.nulls(1)}), np.zeros(count, np.int64)
        columns = [self.column(name) for name in names]
        numbers, known = np.zeros(count, np.int64), 1
        for column in columns:
            if column is None:
                return None
            numbers, known = _joined(numbers, known, column)
            if known > max(count // 4, 1):
                return None
        first = np.zeros(known, np.int64)
        first[numbers[::-1]] = np.arange(count)[::-1]  # the first row with each combination
        rows = _array(first)
        taken = {
            name: column.take(rows).dictionary_decode()
            for name, column in zip(names, columns, strict=True)
            if column is not None
        }
        return _table(taken), numbers


def _joined(numbers: _Numbers, known: int, column: pa.DictionaryArray) -> tuple[_Numbers, int]:
    """The combinations `numbers`, of which there are `known`, with those of one more column."""
    if column.null_count in (0, len(column)) and len(column.dictionary) <= 1:
        return numbers, known  # the same in every row
    more = len(column.dictionary) + 1
    filled = pc.fill_null(column.indices, _array(np.array([more - 1], np.int32))[0])
    return _fewer(numbers * more + pl.Series(pl.from_arrow(filled)).to_numpy(), known * more)


def _fewer(numbers: _Numbers, below: int) -> tuple[_Numbers, int]:
    """`numbers`, all less than `below`, as 0, 1, 2, ... without gaps, and how many different ones there are."""
    if below > _TABLE:
        different, again = np.unique(numbers, return_inverse=True)
        return again.astype(np.int64), len(different)
    seen = np.zeros(below, bool)
    seen[numbers] = True
    place = np.cumsum(seen) - 1
    return place[numbers], int(place[-1]) + 1


class _Plan:
    """What is made of which columns: as few evaluations as there are sets of columns."""

    def __init__(self, made: Made, schema: pl.Schema) -> None:
        self._made, self._schema = made, schema
        frame = pl.DataFrame(schema=made.frame.collect_schema()).to_arrow()
        self.types = {field.name: _plain(field.type) for field in frame.schema}
        self._same: dict[str, str] = {}
        self._sets: dict[tuple[str, ...], list[pl.Expr]] = {}
        for column in made.columns:
            name, roots = column.meta.output_name(), tuple(sorted(set(column.meta.root_names())))
            if len(roots) == 1 and column.meta.undo_aliases().meta.eq(pl.col(roots[0])):
                self._same[name] = roots[0]
            else:
                self._sets.setdefault(roots, []).append(column)

    @property
    def nothing(self) -> pa.Table:
        """The columns without a row."""
        return _table({name: pa.nulls(0, kind) for name, kind in self.types.items()})

    def table(self, coded: _Coded) -> pa.Table:
        """The rows that are made of a piece."""
        if self._made.where is not None:
            coded = _Coded(coded.rows.filter(self._kept(coded, self._made.where.alias(""))))
            if not len(coded.rows):
                return self.nothing
        columns: dict[str, pa.Array | pa.ChunkedArray] = {
            name: coded.rows[source] for name, source in self._same.items()
        }
        each: list[pl.Expr] = []  # what must be made of each row
        for roots, expressions in self._sets.items():
            found = coded.combined(roots)
            if found is None:
                each += expressions
            else:
                columns |= _spread(*found, expressions, self.types)
        if each:
            columns |= _evaluated(coded.rows, each, self.types)
        return _table({name: columns[name] for name in self.types})

    @staticmethod
    def _kept(coded: _Coded, where: pl.Expr) -> pa.Array:
        """True for the rows that `where` keeps."""
        types = {"": pa.bool_()}
        found = coded.combined(sorted(set(where.meta.root_names())))
        return (_spread(*found, [where], types) if found else _evaluated(coded.rows, [where], types))[""]


def _spread(
    combinations: pa.Table, numbers: _Numbers, expressions: Sequence[pl.Expr], types: Mapping[str, pa.DataType]
) -> dict[str, pa.Array]:
    """What is made of `combinations`, in the rows: text as a dictionary, in which each text is once and no null."""
    indices, spread = _array(numbers.astype(np.int32)), {}
    for name, values in _evaluated(combinations, expressions, types).items():
        spread[name] = _repeated(values, indices)
    return spread


def _repeated(values: pa.Array, indices: pa.Array) -> pa.Array:
    if not pa.types.is_string(values.type):
        return values.take(indices)
    once = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(once.indices.take(indices), once.dictionary)


def _evaluated(rows: pa.Table, expressions: Sequence[pl.Expr], types: Mapping[str, pa.DataType]) -> dict[str, pa.Array]:
    """`expressions` over `rows`, by name."""
    needed = sorted({root for one in expressions for root in one.meta.root_names()}) or rows.column_names[:1]
    plain = pl.DataFrame(pl.from_arrow(_table({name: _decoded(_whole(rows[name])) for name in needed})))
    made = plain.lazy().with_columns(expressions).collect().to_arrow()
    return {name: _whole(made[name]).cast(types[name]) for name in (one.meta.output_name() for one in expressions)}


# `pa.table`, `pa.array` and `to_numpy` of Arrow would load pandas, which takes longer than a small bill.


def _table(columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def _array(numbers: npt.NDArray[Any]) -> pa.Array:
    return pl.Series(values=numbers).to_arrow()


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.nulls(0, column.type)
    return column


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind
