"""Files of OTLP traces, decoded by DuckDB: lines of JSON or frames of protobuf become spans and requests in Parquet."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from collectors import otlp_sql
from collectors.lines import blocks, pieces
from collectors.otlp_frames import lines_of_frames
from collectors.otlp_names import allowed
from collectors.values import literal

#: The lake tables that a file fills.
TABLES = ("spans", "requests")
_PIECE_ROWS = 131_072
_MEMORY = "500MB"
_BATCH_BYTES = 24 << 20  # every batch is planned anew, which takes as long as a megabyte of it
_BATCH = pa.schema([("line", pa.int64()), ("text", pa.string()), ("problem", pa.string())])


@dataclass(frozen=True)
class Reading:
    """How a source reads its traces: attributes of its own, whose machine answers by address, and what goes unsaid."""

    attributes: tuple[str, ...] = ()
    providers: Mapping[str, str] = field(default_factory=dict)
    provider: str | None = None  # of a server's spans that name none
    server: bool = False  # whoever wrote these spans is the server
    threads: int | None = None

    @property
    def allowed(self) -> frozenset[str]:
        """Every attribute that is read."""
        return allowed(self.attributes)


def decode(path: Path, folder: Path, reading: Reading) -> dict[str, Path]:
    """The rows of `path` for each of `TABLES`: folders of Parquet files, made below `folder`.

    Columns are those of the lake's tables, those that `collectors.traces` makes them of, and as text the attributes
    that `reading` names. A line's number, and what is wrong with a row, are where `collectors.raw` says.

    Raises:
        UnreadableError: the file is empty, damaged, or neither JSON lines nor frames of OTLP.
        ConfigError: it holds protobuf, and the package that reads it is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder))
    targets = {table: made / f"{table}.parquet" for table in TABLES}
    for target in targets.values():
        target.mkdir()
    with duckdb.connect() as con:
        con.execute(f"set TimeZone = 'UTC'; set memory_limit = '{_MEMORY}'; set python_enable_replacements = false")
        if reading.threads:
            con.execute(f"set threads = {reading.threads}")
        decoder = _Decoder(con, reading, targets)
        for batch in _batches(path, reading.allowed):
            decoder.take(batch)
        decoder.end()
    return targets


class _Decoder:
    """One file's rows on their way into Parquet, so many at a time that memory stays bounded."""

    def __init__(self, con: duckdb.DuckDBPyConnection, reading: Reading, targets: Mapping[str, Path]) -> None:
        self._con, self._targets = con, targets
        self._statements = otlp_sql.statements(
            reading.attributes, reading.providers, reading.provider, server=reading.server
        )
        self._made = False
        self._seen = self._files = 0  # rows of the file so far, files that they are in

    def take(self, batch: pa.Table) -> None:
        """Decode lines (`line`, `text`, and the `problem` of one that is none)."""
        self._con.register("batch", batch)
        try:
            self._con.execute(self._statements.lines("true"))
        except duckdb.InvalidInputException:  # a line is no JSON: look which
            self._con.execute(self._statements.lines("json_valid(text)"))
        self._con.unregister("batch")
        self._con.execute(otlp_sql.FOUND)
        begin = "insert into decoded" if self._made else "create temp table decoded as"
        self._con.execute(f"{begin} {self._statements.decoded(self._seen)}")
        self._made = True
        self._seen += self._count("found")
        if self._count("decoded") >= _PIECE_ROWS:
            self._write()

    def end(self) -> None:
        """Write what is left."""
        if not self._made:
            self.take(_BATCH.empty_table())
        if self._count("decoded") or not self._files:
            self._write()

    def _write(self) -> None:
        for table, target in self._targets.items():
            place = literal(str(target / f"{self._files:06}.parquet"))
            self._con.execute(f"copy ({self._statements.rows(table)}) to {place} (format parquet, compression lz4)")
        self._con.execute("truncate decoded")
        self._files += 1

    def _count(self, table: str) -> int:
        [(count,)] = self._con.execute(f"select count(*) from {table}").fetchall()
        return int(count)


def _batches(path: Path, keep: frozenset[str]) -> Iterator[pa.Table]:
    """The lines of JSON in `path`, or its frames as such lines, with only the attributes `keep`."""
    first, _ = next(pieces(path))
    # A frame begins with its length: none is as long as text of JSON would say.
    if first[:1] < b"\t":
        yield from lines_of_frames(path, keep, _BATCH)
        return
    held, line, size = list[bytes](), 1, 0
    for block in blocks(path):
        if size + len(block.data) > _BATCH_BYTES or block.broken:
            yield _lines(b"".join(held), line)
            held, line, size = [], block.line, 0
        held.append(block.data)
        size += len(block.data)
        if block.broken:
            numbers, reasons = zip(*((one.line, one.reason) for one in block.broken), strict=True)
            yield pa.table([list(numbers), ["{}"] * len(numbers), list(reasons)], schema=_BATCH)
    if held:
        yield _lines(b"".join(held), line)


def _lines(data: bytes, line: int) -> pa.Table:
    """Each line of `data` as text, without a copy; the first is number `line`."""
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10) + 1
    if not data.endswith(b"\n") and data:
        ends = np.append(ends, len(data))
    numbers = pa.array(np.arange(line, line + len(ends)), pa.int64())
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    texts = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:  # a line is no UTF-8, and what stands for its bytes is no JSON
        lines = [one.decode("utf-8", "backslashreplace") for one in data.split(b"\n")]
        texts = pa.array(lines[: len(ends)], pa.string())
    return pa.table([numbers, texts, pa.nulls(len(ends), pa.string())], schema=_BATCH)
