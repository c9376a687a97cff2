"""Columns of a bill made piece by piece, each only once for a combination of values that comes many times.

A bill repeats itself: a month of a million lines has some hundred products, usage types and prices. Parquet keeps such
a column as a dictionary and numbers. What is made of such columns alone is made of the combinations of their numbers,
and is handed on as a dictionary again, so that neither polars nor the writer of the file sees each line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from collectors.mapping import pair_key
from collectors.raw import LINE, PROBLEM, RAW, REPEATED, TOGETHER
from collectors.values import kind_of

PIECE_ROWS = 131_072
_Numbers = npt.NDArray[np.int64]
#: So many numbers are told apart by a table of them, which is faster than to sort.
_TABLE = 1 << 21
#: So many rows tell of most columns that they are not given by others.
_GLANCE = 1024
#: Values whose text in `x_extra` is made of combinations, as they are in SQL.
_PAIRED = {pa.string(): "VARCHAR", pa.float64(): "DOUBLE"}


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
    runs: list[dict[str, str]] | None = None
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


def _runs(rows: pa.Table) -> list[dict[str, str]]:
    """Columns that FOCUS does not know, next to each other and with few combinations, with their types in SQL."""
    known = {name.lower() for name in focus.KIND.dialect.types} | {LINE, RAW, PROBLEM, REPEATED}
    coded, most = _Coded(rows), len(rows) // 16
    nothing = _Combinations.of_no_column(len(rows))
    found: list[dict[str, str]] = [{}]
    combinations = nothing
    for name in (name for name in rows.column_names if name.lower() not in known):
        kind = _PAIRED.get(_of_values(rows[name].type))
        if kind and coded.few(name):
            more = combinations.joined(*coded.numbers(name))
            if len(more.rows) > most:
                found.append({})
                more = nothing.joined(*coded.numbers(name))
            if len(more.rows) <= most:
                found[-1][name] = kind
                combinations = more
                continue
        found.append({})
        combinations = nothing
    return [run for run in found if run]


def _with_runs(rows: pa.Table, runs: Sequence[Mapping[str, str]], con: duckdb.DuckDBPyConnection) -> pa.Table:
    """`rows` with the pairs of each of `runs` as text, made once of each combination, in the place of its columns."""
    coded = _Coded(rows)
    pairs: dict[str, pa.Array] = {}
    for kind in _PAIRED.values():
        pairs |= _pairs({name: coded.values(name) for run in runs for name in run if run[name] == kind}, kind, con)
    for run in runs:
        found = coded.combinations(run)
        indices = [coded.values(name).indices for name in run]
        if found:
            indices = [one.take(_array(found.rows)) for one in indices]
        parts = [pairs[name].take(one) for name, one in zip(run, indices, strict=True)]
        # With something before them that is not null: Arrow leaves a row out that has nothing but nulls to join.
        text = pc.binary_join_element_wise(_text(""), *parts, _text(","), null_handling="skip")
        text = pc.binary_replace_slice(
            pc.if_else(pc.equal(text, _text("")), pa.nulls(1, pa.string())[0], text), 0, 1, ""
        )
        first, *others = run
        rows = rows.set_column(
            rows.column_names.index(first),
            TOGETHER + json.dumps(run, ensure_ascii=False),
            _repeated(text, _array(found.numbers.astype(np.int32))) if found else text,
        ).drop_columns(others)
    return rows


def _pairs(columns: Mapping[str, pa.DictionaryArray], kind: str, con: duckdb.DuckDBPyConnection) -> dict[str, pa.Array]:
    """The pair of each different value of `columns`; in one go, as SQL over so many columns is long to plan."""
    if not columns:
        return {}
    keys = pl.Series([pair_key(name) for name in columns])
    sizes = [len(column.dictionary) for column in columns.values()]
    con.register(
        "given",
        _table(
            {
                "key": keys.gather(np.repeat(np.arange(len(sizes)), sizes)).to_arrow(),
                "value": pa.concat_arrays([column.dictionary for column in columns.values()]),
            }
        ),
    )
    made = con.sql(f"select {focus.KIND.dialect.pair('key', 'value', kind_of(kind))} as pair from given")
    pairs = _whole(made.to_arrow_table()["pair"])
    con.unregister("given")
    ends = np.cumsum(sizes)
    return {name: pairs.slice(end - size, size) for name, end, size in zip(columns, ends, sizes, strict=True)}


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
        self._found: dict[str, pa.DictionaryArray] = {}
        self._numbers: dict[str, tuple[_Numbers, int]] = {}

    def values(self, name: str) -> pa.DictionaryArray:
        """A column as a dictionary and numbers."""
        if name not in self._found:
            column = _whole(self.rows[name])
            self._found[name] = column if isinstance(column, pa.DictionaryArray) else column.dictionary_encode()
        return self._found[name]

    def numbers(self, name: str) -> tuple[_Numbers, int]:
        """A column as numbers, and below what they are; nothing is a number too."""
        if name not in self._numbers:
            column = self.values(name)
            indices, below = column.indices, len(column.dictionary)
            if indices.null_count == len(indices):
                indices, below = _array(np.zeros(len(indices), np.int32)), 1
            elif indices.null_count:
                indices, below = pc.fill_null(indices, _array(np.array([below], np.int32))[0]), below + 1
            self._numbers[name] = pl.Series(pl.from_arrow(indices)).to_numpy(), below
        return self._numbers[name]

    def few(self, name: str) -> bool:
        """Whether a column has few values, each in many rows."""
        return len(self.values(name).dictionary) <= len(self.rows) // 4

    def combined(self, names: Sequence[str]) -> tuple[pa.Table, _Numbers] | None:
        """The combinations of the columns `names`, and the one of each row; None where most are different ones."""
        if not names:
            return _table({"": pa.nulls(1)}), np.zeros(len(self.rows), np.int64)
        found = self.combinations(names)
        if found is None:
            return None
        rows = _array(found.rows)
        return _table({name: self.values(name).take(rows).dictionary_decode() for name in names}), found.numbers

    def combinations(self, names: Iterable[str]) -> _Combinations | None:
        """The combinations of the columns `names`; None where most are different ones."""
        if not all(map(self.few, names)):
            return None
        found = _Combinations.of_no_column(len(self.rows))
        # The one with most values first: a product's other columns say nothing new beside its number.
        for numbers, below in sorted(map(self.numbers, names), key=lambda one: -one[1]):
            found = found.joined(numbers, below)
            if len(found.rows) > max(len(self.rows) // 4, 1):
                return None
        return found


@dataclass(frozen=True)
class _Combinations:
    """The different combinations of some columns: `numbers` has the one of each row, `rows` a row with each."""

    numbers: _Numbers
    rows: _Numbers

    @classmethod
    def of_no_column(cls, count: int) -> _Combinations:
        """What `count` rows have of no column: all the same."""
        return cls(np.zeros(count, np.int64), np.zeros(1, np.int64))

    def joined(self, values: _Numbers, below: int) -> _Combinations:
        """Those with one more column, whose `values` are numbers less than `below`."""
        if below == 1:
            return self
        told = values[self.rows]  # what the column has if the combination alone says it
        if np.array_equal(told[self.numbers[:_GLANCE]], values[:_GLANCE]) and np.array_equal(
            told[self.numbers], values
        ):
            return self
        numbers, known = _fewer(self.numbers * below + values, len(self.rows) * below)
        rows = np.empty(known, np.int64)
        rows[numbers] = np.arange(len(numbers))
        return _Combinations(numbers, rows)


def _fewer(numbers: _Numbers, below: int) -> tuple[_Numbers, int]:
    """`numbers`, all less than `below`, as 0, 1, 2, ... without gaps, and how many different ones there are."""
    if below > _TABLE:
        different, again = np.unique(numbers, return_inverse=True)
        return again.astype(np.int64), len(different)
    seen = np.zeros(below, bool)
    seen[numbers] = True
    different = np.flatnonzero(seen)
    place = np.empty(below, np.int64)
    place[different] = np.arange(len(different))
    return place[numbers], len(different)


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
        asked: list[tuple[pa.Table, list[pl.Expr]]] = []
        spread: list[_Numbers | None] = []
        for roots, expressions in self._sets.items():
            found = coded.combined(roots)
            if found is None:
                each += expressions
            else:
                asked.append((found[0], expressions))
                spread.append(found[1])
        if each:
            asked.append((coded.rows, each))
            spread.append(None)
        for values, numbers in zip(_evaluated(asked, self.types), spread, strict=True):
            columns |= _spread(values, numbers)
        return _table({name: columns[name] for name in self.types})

    @staticmethod
    def _kept(coded: _Coded, where: pl.Expr) -> pa.Array:
        """True for the rows that `where` keeps."""
        types = {"": pa.bool_()}
        rows, numbers = coded.combined(sorted(set(where.meta.root_names()))) or (coded.rows, None)
        [made] = _evaluated([(rows, [where])], types)
        return _spread(made, numbers)[""]


def _spread(values: dict[str, pa.Array], numbers: _Numbers | None) -> dict[str, pa.Array]:
    """What was made of combinations, in the rows; without `numbers` it was made of the rows themselves."""
    if numbers is None:
        return values
    indices = _array(numbers.astype(np.int32))
    return {name: _repeated(one, indices) for name, one in values.items()}


def _repeated(values: pa.Array, indices: pa.Array) -> pa.Array:
    """`values` of combinations in the rows: text as a dictionary, in which each text is once and no null."""
    if not pa.types.is_string(values.type):
        return values.take(indices)
    once = values.dictionary_encode()
    return pa.DictionaryArray.from_arrays(once.indices.take(indices), once.dictionary)


def _evaluated(
    asked: Sequence[tuple[pa.Table, Sequence[pl.Expr]]], types: Mapping[str, pa.DataType]
) -> list[dict[str, pa.Array]]:
    """Expressions over rows, by name; all in one go, as there are many and each is soon done."""
    frames = []
    for rows, expressions in asked:
        needed = sorted({root for one in expressions for root in one.meta.root_names()}) or rows.column_names[:1]
        plain = pl.DataFrame(pl.from_arrow(_table({name: _decoded(_whole(rows[name])) for name in needed})))
        frames.append(plain.lazy().select(expressions))
    made = [one.to_arrow() for one in pl.collect_all(frames)]
    return [{name: _whole(one[name]).cast(types[name]) for name in one.column_names} for one in made]


# `pa.table`, `pa.array`, `pa.scalar`, `to_numpy` and no chunk to combine would load pandas, which takes longer than a
# small bill.


def _table(columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def _array(numbers: npt.NDArray[Any]) -> pa.Array:
    return pl.Series(values=numbers).to_arrow()


def _text(text: str) -> pa.Scalar:
    return pl.Series([text]).to_arrow().cast(pa.string())[0]


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks else pa.nulls(0, column.type)
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.nulls(0, column.type)
    return column


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column


def _of_values(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if isinstance(kind, pa.DictionaryType) else kind


def _plain(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind
