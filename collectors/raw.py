"""Foreign files as batches of raw rows: every row with its line number and its text, every damaged piece named."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from collectors.lines import LINE_LIMIT_BYTES, Broken, UnreadableError, blocks, excerpt, pieces
from collectors.values import json_path, literal, quoted

csv.field_size_limit(LINE_LIMIT_BYTES)
_COMPRESSIONS = (".gz", ".zst")
_FORMATS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "jsonl", ".jsonl": "jsonl", ".ndjson": "jsonl"}
_PARQUET = (".parquet", ".pq")
_SNIFFED_ROWS = 1000
_CHUNK_ROWS = 16_384  # what one thread of DuckDB takes at a time
#: Columns of a Parquet file that a collector made: the row's line, negative for a second charge of that line; of a
#: line that is no row its text and why; and whether another delivery has the row already.
LINE, RAW, PROBLEM, REPEATED = "~line", "~raw", "~problem", "~repeated"
#: Begins the name of a column that stands for others and has them as text, `"a":"x","b":1.5`; as JSON their types in
#: SQL follow, `{"a": "VARCHAR", "b": "DOUBLE"}`.
TOGETHER = "~together "
#: Where a line holds several rows, the first has the line's number and each next one so much more.
ROWS_APART = 1 << 32


@dataclass(frozen=True)
class Batch:
    """Raw rows: `table` has `_line`, `_raw` and the asked columns as text, named `f0`, `f1`, ... in the order asked."""

    table: pa.Table
    broken: list[Broken]
    consumed_bytes: int


def open_file(path: Path, kind: str | None = None) -> CsvFile | JsonFile | ParquetFile:
    """The reader for `path`: by `kind` (csv, jsonl, parquet), else by the file's name.

    Raises:
        UnreadableError: unknown kind of file, empty, or damaged at its beginning.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _COMPRESSIONS]
    suffix = suffixes[-1] if suffixes else ""
    kind = kind or ("parquet" if suffix in _PARQUET else _FORMATS.get(suffix))
    if path.stat().st_size == 0:
        raise UnreadableError("the file is empty (0 bytes)")
    if kind == "parquet":
        return ParquetFile(path)
    if kind == "csv":
        return CsvFile(path)
    if kind == "jsonl":
        return JsonFile(path)
    raise UnreadableError(f'\'{path.name}\' tells no format; set format = "csv", "jsonl" or "parquet" in the source')


class ParquetFile:
    """A Parquet file, read by DuckDB where it lies; a row's line is its number, counted from 1.

    What a collector made from other files is a folder of such files, and has the line, the text and the problem of a
    row in columns of its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with duckdb.connect() as con:
            try:
                described = con.execute(f"describe from {self._rows}").fetchall()
            except duckdb.Error as error:
                raise UnreadableError(f"this is no readable Parquet file ({_first_line(error)})") from error
        self.types: dict[str, str] = {}
        self._together: dict[str, dict[str, str]] = {}
        for name, kind, *_ in described:
            if name.startswith(TOGETHER):
                self._together[name] = json.loads(name.removeprefix(TOGETHER))
                self.types |= self._together[name]
            elif name != "file_row_number":
                self.types[name] = kind
        self.notes = frozenset(self.types) & {LINE, RAW, PROBLEM, REPEATED}

    @property
    def columns(self) -> list[str]:
        """Names of the top-level columns, also of those for which another stands."""
        return [name for name in self.types if name not in self.notes]

    @property
    def together(self) -> dict[str, list[str]]:
        """The columns that have the pairs of others as text, each with the names of those."""
        return {name: list(others) for name, others in self._together.items()}

    @property
    def relation(self) -> str:
        """The file as a relation in SQL, with `_line`, and with its other notes (`_raw`, ...) where it has them.

        What stands together is a column each as well, made of the text for who asks.
        """
        made = [f"{quoted(name)} as {quoted(name.replace('~', '_'))}" for name in sorted(self.notes)]
        if LINE not in self.notes:
            made.append("file_row_number + 1 as _line")
        for column, others in self._together.items():
            made += [
                f"json_extract_string('{{' || {quoted(column)} || '}}', {literal(json_path([name]))})::{kind} "
                f"as {quoted(name)}"
                for name, kind in others.items()
            ]
        return f"(select *, {', '.join(made)} from {self._rows})"

    @property
    def _rows(self) -> str:
        name = str(self.path / "*.parquet" if self.path.is_dir() else self.path).replace("'", "''")
        return f"read_parquet('{name}', file_row_number = true, binary_as_string = true)"


class CsvFile:
    """A delimited text file with a header; quoted as RFC 4180 says. The delimiter is the header's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        first = next(blocks(path))
        lines = first.data.splitlines(keepends=True) if first.data else []
        blank = next((number for number, line in enumerate(lines) if line.strip()), None)
        if blank is None:
            raise UnreadableError(
                first.broken[0].reason if first.broken else "the file has no header, only blank lines"
            )
        try:
            header = lines[blank].decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnreadableError("the header is not UTF-8 text; write the file as UTF-8") from error
        if "\0" in header:
            raise UnreadableError("the header is not text")
        self._header_bytes = sum(len(line) for line in lines[: blank + 1])
        self._header_lines = blank + 1
        self.delimiter = max(",;\t|", key=header.count)
        names = next(csv.reader([header], delimiter=self.delimiter))
        self.columns = [name.strip() or f"column {number}" for number, name in enumerate(names, 1)]
        twice = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if twice:
            raise UnreadableError(f"the header names a column twice: {', '.join(twice)}")

    def batches(self, needed: Sequence[str]) -> Iterator[Batch]:
        """All rows with the columns `needed`; ragged, badly quoted or badly encoded lines are `broken`."""
        wanted = [self.columns.index(name) for name in needed]
        carry, carry_line = b"", 0
        for number, block in enumerate(blocks(self.path)):
            data, line = block.data, block.line
            if number == 0:
                data, line = data[self._header_bytes :], line + self._header_lines
            if carry:
                data, line = carry + data, carry_line
            last = not data.endswith(b"\n")
            table = self._fast(data, line, wanted)
            broken = list(block.broken)
            carry = b""
            if table is None:
                table, more, carry, carry_line = self._careful(data, line, wanted, last=last)
                broken += more
            yield Batch(table, broken, block.consumed_bytes)
        if carry:
            table, broken, _, _ = self._careful(carry, carry_line, wanted, last=True)
            yield Batch(table, broken, 0)

    def _fast(self, data: bytes, line: int, wanted: list[int]) -> pa.Table | None:
        """The block by Arrow's parser, if each line of it is one row in good order; else None."""
        last = data[data.rfind(b"\n", 0, -1) + 1 :]
        # Arrow takes a quote that is open at the end for closed, and a lone carriage return for a new line.
        if last.count(b'"') % 2 or data.count(b"\r") != data.count(b"\r\n"):
            return None
        names = [f"f{number}" for number in range(len(self.columns))]
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(data),
                pyarrow.csv.ReadOptions(column_names=names, block_size=len(data) + 1),
                pyarrow.csv.ParseOptions(delimiter=self.delimiter),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=[names[index] for index in wanted] or names[:1],
                    null_values=[],
                ),
            )
        except pa.ArrowInvalid:
            return None
        ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10) + 1
        if not data.endswith(b"\n"):
            ends = np.append(ends, len(data))
        if len(ends) != table.num_rows or len(data) >= 2**31:
            return None
        offsets = np.concatenate(([0], ends)).astype(np.int32)
        raw = pa.StringArray.from_buffers(table.num_rows, pa.py_buffer(offsets), pa.py_buffer(data))
        lines = pa.array(np.arange(line, line + table.num_rows, dtype=np.int64))
        return _table(lines, raw, table.columns[: len(wanted)])

    def _careful(
        self, data: bytes, line: int, wanted: list[int], *, last: bool
    ) -> tuple[pa.Table, list[Broken], bytes, int]:
        """The block record by record: good ones, broken ones, and the unfinished rest with its line number.

        A record of several lines that does not come out right is one bad line with a stray quote: that line is
        broken, and reading goes on with the next, so no good row is swallowed.
        """
        lines = list(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="\n"))
        good: list[tuple[int, str, list[str]]] = []
        broken: list[Broken] = []
        start = 0

        def refuse(text: str, reason: str) -> None:
            broken.append(Broken(line + start, excerpt(text.encode("utf-8", "surrogateescape")), reason))

        while start < len(lines):
            reader = csv.reader(islice(lines, start, None), delimiter=self.delimiter, strict=True)
            origin = start
            try:
                for record in reader:
                    end = origin + reader.line_num
                    raw = lines[start] if end == start + 1 else "".join(lines[start:end])
                    if not record and not raw.strip():
                        pass
                    elif len(record) != len(self.columns):
                        what = f"the line has {len(record)} fields, the header has {len(self.columns)}"
                        if end > start + 1:
                            refuse(lines[start], f"{what}: a quotation mark is not closed")
                            start += 1
                            break
                        refuse(raw, what)
                    elif not raw.isascii() and _escaped(raw):
                        refuse(raw, "the line is not UTF-8 text")
                    else:
                        good.append((line + start, raw, record))
                    start = end
                else:
                    start = len(lines)
            except csv.Error as error:
                rest = sum(map(len, lines[start:]))
                if origin + reader.line_num >= len(lines) and not last and rest < LINE_LIMIT_BYTES:
                    tail = "".join(lines[start:]).encode("utf-8", "surrogateescape")
                    return self._good(good, wanted), broken, tail, line + start
                refuse(lines[start], f"the line is not well quoted ({error})")
                start += 1
        return self._good(good, wanted), broken, b"", 0

    def _good(self, rows: list[tuple[int, str, list[str]]], wanted: list[int]) -> pa.Table:
        columns = [pa.array([row[2][index] for row in rows], pa.string()) for index in wanted]
        return _table(
            pa.array([row[0] for row in rows], pa.int64()), pa.array([row[1] for row in rows], pa.string()), columns
        )


class JsonFile:
    """A file of JSON objects, one per line; or one array of objects, where a row's line is its place in the array."""

    def __init__(self, path: Path) -> None:
        self.path = path
        begin = next((data.lstrip() for data, _ in pieces(path) if data.strip()), b"")
        self._array = begin[:1] == b"["

    @cached_property
    def columns(self) -> list[str]:
        """Dotted paths seen in the first rows; later rows may hold more."""
        seen: dict[str, None] = {}
        rows = (value for batch, _, _ in self._objects() for _, _, value in batch)
        for value in islice(rows, _SNIFFED_ROWS):
            for path in _paths(value):
                seen.setdefault(path)
        return list(seen)

    def keys(self) -> list[str]:
        """The keys of all objects, in the order in which they come; the whole file is read for it."""
        seen: dict[str, None] = {}
        for rows, _, _ in self._objects():
            for _, _, value in rows:
                seen.update(dict.fromkeys(value))
        return list(seen)

    def batches(self, needed: Sequence[str]) -> Iterator[Batch]:
        """All rows with the paths `needed` as text: `a.b` a value or object, `*` the whole row."""
        picks = [_pick(path) for path in needed]
        for rows, broken, consumed in self._objects():
            present = set().union(*(row[2] for row in rows))
            columns = [
                pa.array([pick(row[2]) for row in rows], pa.string())
                if path == "*" or path in present or path.split(".")[0] in present
                else pa.nulls(len(rows), pa.string())
                for path, pick in zip(needed, picks, strict=True)
            ]
            lines = pa.array([row[0] for row in rows], pa.int64())
            yield Batch(_table(lines, pa.array([row[1] for row in rows], pa.string()), columns), broken, consumed)

    def _objects(self) -> Iterator[tuple[list[_Object], list[Broken], int]]:
        return self._elements() if self._array else self._lines()

    def _lines(self) -> Iterator[tuple[list[_Object], list[Broken], int]]:
        for block in blocks(self.path):
            rows: list[_Object] = []
            broken = list(block.broken)
            for number, data in enumerate(block.data.split(b"\n"), block.line):
                if not data.strip():
                    continue
                try:
                    text = data.decode("utf-8")
                    value = _DECODER.decode(text)
                except UnicodeError:
                    broken.append(Broken(number, excerpt(data), _NO_UNICODE))
                except (ValueError, RecursionError) as error:
                    broken.append(Broken(number, excerpt(data), f"the line is not JSON ({error})"))
                else:
                    _sort(number, text, value, rows, broken)
            yield rows, broken, block.consumed_bytes

    def _elements(self) -> Iterator[tuple[list[_Object], list[Broken], int]]:
        """The elements of one array, or of several after each other; a row's line is its place among all of them.

        What lies in memory is a piece of the file and an element, however long a line is.
        """
        decoder, reader = codecs.getincrementaldecoder("utf-8")(), _Elements()
        number = 0
        try:
            for data, consumed in pieces(self.path):
                rows: list[_Object] = []
                broken: list[Broken] = []
                for text, value in reader.take(decoder.decode(data)):
                    number += 1
                    _sort(number, text, value, rows, broken)
                if len(reader.rest) > LINE_LIMIT_BYTES:
                    reader.fail(f"element {number + 1} is no JSON, or longer than {LINE_LIMIT_BYTES >> 20} MB")
                yield rows, broken, consumed
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            reader.fail(str(error))
        reader.end()


def _sort(line: int, text: str, value: Any, rows: list[_Object], broken: list[Broken]) -> None:
    """Put a JSON value to `rows`, or to `broken` with the reason."""
    reason = "" if isinstance(value, dict) else "the line is not a JSON object"
    if "\\ud" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeError:
            reason = _NO_UNICODE
    if reason:
        broken.append(Broken(line, excerpt(text.encode()), reason))
    else:
        rows.append((line, text, value))


class _Elements:
    """The elements of arrays in a text that comes in pieces."""

    def __init__(self) -> None:
        self.rest = ""  # what is not taken yet
        self._expected = "["  # what comes next: [ or the end; , or ]; an element; or an element or ]

    def take(self, piece: str) -> Iterator[tuple[str, Any]]:
        """The text, on one line, and the value of each element that is whole by now."""
        text, place = self.rest + piece, 0
        while True:
            place = _BLANK.match(text, place).end()  # type: ignore[union-attr]  # the pattern matches anywhere
            if place == len(text):
                self.rest = ""
                return
            sign = text[place]
            if sign in "[,]" and sign in self._expected:
                self._expected = {"[": "element]", ",": "element", "]": "["}[sign]
                place += 1
                continue
            if "element" not in self._expected:
                self.fail(f"'{sign}' stands where {' or '.join(self._expected)} should")
            try:
                value, end = _DECODER.raw_decode(text, place)
            except (ValueError, RecursionError):
                end = len(text)
            if end == len(text):  # it is not whole yet, or a number that may go on
                self.rest = text[place:]
                return
            yield text[place:end].replace("\n", " ").replace("\r", " "), value
            place, self._expected = end, ",]"

    def end(self) -> None:
        """Nothing comes any more.

        Raises:
            UnreadableError: the last array is not whole.
        """
        if self._expected != "[":
            try:
                _DECODER.decode(self.rest or "[")
            except (ValueError, RecursionError) as error:
                self.fail(str(error))
            self.fail("it does not end")

    @staticmethod
    def fail(reason: str) -> NoReturn:
        """Say that this is no array."""
        raise UnreadableError(f"the file begins as a JSON array and is not one ({reason})")


class _Exact(float):
    """A JSON number with the digits that the file wrote: money must not pass through a double."""

    text: str

    def __new__(cls, text: str) -> _Exact:
        value = super().__new__(cls, text)
        value.text = text
        return value


_BLANK = re.compile(r"\s*")
_NO_UNICODE = "the line is not Unicode text"
#: A row: its line, its text, and its fields.
_Object = tuple[int, str, dict[str, Any]]
_DECODER = json.JSONDecoder(parse_float=_Exact)


def _paths(value: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, inner in value.items():
        yield prefix + key
        if isinstance(inner, dict) and prefix.count(".") < 4:
            yield from _paths(inner, f"{prefix}{key}.")


def _pick(path: str) -> Callable[[dict[str, Any]], str | None]:
    if path == "*":
        return lambda row: json.dumps(row, ensure_ascii=False)
    keys = path.split(".")
    if len(keys) == 1:
        return lambda row: _text(row.get(path))

    def pick(row: dict[str, Any]) -> str | None:
        value: Any = row.get(path)
        return _text(_inside(row, keys) if value is None else value)

    return pick


def _inside(value: Any, keys: Sequence[str]) -> Any:
    """The field `keys` of an object, or of text that is one; of a list of them, that of the last which has it."""
    for place, key in enumerate(keys):
        if isinstance(value, str):
            value = _object(value)
        if isinstance(value, list):
            found = (_inside(one, keys[place:]) for one in reversed(value))
            return next((one for one in found if one is not None), None)
        value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            return None
    return value


def _object(text: str) -> Any:
    """What JSON text holds, when it begins like an object or a list."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _DECODER.decode(text)
        except (ValueError, RecursionError):
            return None
    return None


def _text(value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    if isinstance(value, _Exact):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)


def _table(lines: pa.Array, raw: pa.Array, columns: Sequence[Any]) -> pa.Table:
    names = ["_line", "_raw", *(f"f{number}" for number in range(len(columns)))]
    table = pa.table([lines, pc.ascii_rtrim(raw, "\r\n"), *columns], names=names)
    return pa.Table.from_batches(table.to_batches(max_chunksize=_CHUNK_ROWS), table.schema)


def _escaped(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
