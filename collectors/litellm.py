"""Requests that a LiteLLM proxy logged: its payloads in files, or its spend log in PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import ClassVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from collectors import requests
from collectors.json_rows import NOTHING, JsonRows, Refused, json_rows
from collectors.kind import Deliverable, Kind, Row
from collectors.landing import Files
from collectors.litellm_fields import hash_parameters, payload_sql, request_sql
from collectors.values import literal
from farthing.config import Column, Config, Source
from farthing.errors import ConfigError
from farthing.lake.schemas import REQUESTS

#: Columns that requests made here have beside the caller's own; a source may not give them another meaning.
_KNOWN = frozenset({*REQUESTS.columns, "request_tags", "organization_id", "project_id", "key_alias"})


def _refuse_convention(name: str, row: Row) -> None:
    if row.source.token_convention == "exclusive":
        raise ConfigError(
            "LiteLLM's counts are inclusive, whoever the provider is.",
            key=f"sources.{name}.token_convention",
            fix="take it out.",
        )


KIND: Kind = replace(requests.KIND, demand=_refuse_convention)


def asked_names(source: Source) -> list[str]:
    """Names of the caller's metadata that `tags` and `columns` of a source list."""
    listed = [tag.removesuffix(".*") for tag in source.tags]
    listed += [one.from_ if isinstance(one, Column) else one for one in source.columns.values()]
    return [name for name in dict.fromkeys(listed) if name not in _KNOWN]


@dataclass
class Payloads:
    """A file of StandardLoggingPayloads; of their text nothing is kept but what a request has columns for."""

    form: ClassVar[str] = "LiteLLM payloads"

    file: Deliverable
    source: Source = field(repr=False)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.file.size

    @property
    def identity(self) -> str:
        """That of the file; with a key for hashes it is another, so that they come to rows that landed without."""
        return self.file.identity + ("-hashed" if hash_parameters() else "")

    def fetch(self, folder: Path) -> Path:
        """Parquet with the requests, in columns of the lake.

        Raises:
            UnreadableError: it is damaged or cut short.
            SourceError: it cannot be reached.
        """
        mark = hashlib.sha256(f"{self.name}\n{self.identity}".encode()).hexdigest()[:16]
        target = folder / f"{mark}.parquet"
        if not target.exists():
            write_requests(target, facts_of(json_rows(self.file.fetch(folder))), self.source)
        return target


def write_requests(target: Path, facts: Iterator[pa.Table], source: Source) -> None:
    """Write requests as Parquet from `facts`, which come in pieces so that memory stays bounded."""
    target.parent.mkdir(parents=True, exist_ok=True)
    gathered, making = target.with_suffix(".facts"), target.with_suffix(".making")
    first = next(facts)
    with pq.ParquetWriter(gathered, first.schema, compression="lz4", write_statistics=False) as writer:
        writer.write_table(first)
        for piece in facts:
            writer.write_table(piece)
    query = request_sql(f"from read_parquet({literal(str(gathered))})", asked_names(source), has_tags=not source.tags)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"copy ({query}) to {literal(str(making))} (format parquet, compression lz4)")
    gathered.unlink()
    making.rename(target)


def facts_of(pieces: Iterator[JsonRows]) -> Iterator[pa.Table]:
    """What the payloads of each piece say; at least one table, be it empty."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("set python_enable_replacements = false")
        for piece in chain([NOTHING], pieces):
            yield _facts(con, piece)


def _facts(con: duckdb.DuckDBPyConnection, piece: JsonRows) -> pa.Table:
    refused = list(piece.refused)
    try:
        said = _parsed(con, piece.table)
    except duckdb.InvalidInputException:  # one of them is no JSON: which?
        con.register("texts", piece.table)
        valid = con.sql("select _line, octet_length(encode(text)) as size, json_valid(text) as fine from texts")
        judged = {line: (size, fine) for line, size, fine in valid.fetchall()}
        con.unregister("texts")
        refused += [Refused(line, size, "the line is not JSON") for line, (size, fine) in judged.items() if not fine]
        fine = pa.array([judged[line][1] for line in piece.table["_line"].to_pylist()], pa.bool_())
        said = _parsed(con, piece.table.filter(fine))
    if not refused:
        return said
    told = {
        "_line": [one.line for one in refused],
        "wrong": [one.reason for one in refused],
        "kept": [f"({one.size:,} bytes, not kept: they may hold a prompt)" for one in refused],
    }
    blank = [None] * len(refused)
    rows = [pa.array(told.get(column.name, blank), column.type) for column in said.schema]
    return pa.concat_tables([said, pa.table(rows, schema=said.schema)])


def _parsed(con: duckdb.DuckDBPyConnection, texts: pa.Table) -> pa.Table:
    parameters = hash_parameters()
    con.register("texts", texts)
    try:
        return con.sql(payload_sql("texts", hashed=bool(parameters)), params=parameters or {}).to_arrow_table()
    finally:
        con.unregister("texts")


class LiteLLM(Files):
    """The collector of a LiteLLM proxy's log."""

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The files of `path`.

        Raises:
            ConfigError: a setting is missing, or means nothing to this kind.
            SourceError: nothing is there, or a store cannot be listed.
        """
        return [Payloads(one, source) for one in super().find(name, source, config)]


COLLECTOR = LiteLLM(KIND)
