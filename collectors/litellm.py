"""Requests that a LiteLLM proxy logged: its payloads in files, or its spend log in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import duckdb
import polars as pl
import pyarrow as pa

from collectors import requests
from collectors.json_rows import NOTHING, JsonRows, Refused, json_rows
from collectors.kind import Deliverable, Kind, LoadResult, OfFile, Report, Row
from collectors.landing import Files
from collectors.litellm_fields import HASHED, payload_sql
from collectors.litellm_requests import target_of, write_requests
from collectors.litellm_table import OVERLAP, SpendLog
from collectors.values import has_hash_key, set_hash_key
from farthing.config import Config, Source
from farthing.errors import ConfigError
from farthing.lake import Lake
from farthing.lake.schemas import LOADS, REQUESTS, TEXT


def _refuse_convention(name: str, row: Row) -> None:
    if row.source.token_convention == "exclusive":
        raise ConfigError(
            "LiteLLM's counts are inclusive, whoever the provider is.",
            key=f"sources.{name}.token_convention",
            fix="take it out.",
        )


def _derived(row: Row) -> Mapping[str, str]:
    return {**requests.KIND.derived(row), "prompt_hash": HASHED}


KIND: Kind = replace(
    requests.KIND,
    dialect=replace(requests.KIND.dialect, extra={HASHED: TEXT}),
    derived=_derived,
    demand=_refuse_convention,
)


@dataclass
class Payloads(OfFile):
    """A file of StandardLoggingPayloads; of their text nothing is kept but what a request has columns for."""

    form: ClassVar[str] = "LiteLLM payloads"

    file: Deliverable
    source: Source = field(repr=False)
    beginning: bool = False  # only the first megabytes are read: to look at

    @property
    def identity(self) -> str:
        """That of the file; with a key for hashes it is another, so that they come to rows that landed without."""
        return self.file.identity + ("-hashed" if has_hash_key() else "")

    def fetch(self, folder: Path) -> Path:
        """Parquet with the requests, in columns of the lake.

        Raises:
            UnreadableError: it is damaged or cut short.
            SourceError: it cannot be reached.
        """
        target = target_of(folder, self.name, self.identity)
        if not target.exists():
            rows = json_rows(self.file.fetch(folder))
            write_requests(target, facts_of(islice(rows, 1) if self.beginning else rows), self.source)
        return target


def facts_of(pieces: Iterator[JsonRows]) -> Iterator[pa.Table]:
    """What the payloads of each piece say; at least one table, be it empty."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute("set python_enable_replacements = false")
        if has_hash_key():
            set_hash_key(con)
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
        "wrong": [f"{one.reason}; its {one.size:,} bytes are not kept, for they may hold a prompt" for one in refused],
    }
    blank = [None] * len(refused)
    rows = [pa.array(told.get(column.name, blank), column.type) for column in said.schema]
    return pa.concat_tables([said, pa.table(rows, schema=said.schema)])


def _parsed(con: duckdb.DuckDBPyConnection, texts: pa.Table) -> pa.Table:
    con.register("texts", texts)
    try:
        return con.sql(payload_sql("texts", hashed=has_hash_key())).to_arrow_table()
    finally:
        con.unregister("texts")


class LiteLLM(Files):
    """The collector of a LiteLLM proxy's log."""

    asking = frozenset({"export", "since", "key_env"})
    settings = asking | {"path"}

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The files of `path`; of a spend log its newest day, of which one page is read.

        Raises:
            ConfigError: a setting or a package is missing, or a setting means nothing to this kind.
            SourceError: nothing is there, a store cannot be listed, or the database refuses.
        """
        if source.export is None:
            return [Payloads(one, source) for one in super().find(name, source, config)]
        self.check_settings(name, source)
        return SpendLog(name, source).newest()

    def collect(self, name: str, source: Source, config: Config, lake: Lake, report: Report) -> list[LoadResult]:
        """Land every new or changed file, or every new or changed day of the spend log behind the watermark.

        Raises:
            ConfigError: a setting or a package is missing, or a setting means nothing to this kind.
            SourceError: nothing is there, a store cannot be listed, or the database refuses.
        """
        if source.export is None:
            return super().collect(name, source, config, lake, report)
        self.check_settings(name, source)
        return _Days(self.kind, _newest_landed(lake, name, source.export)).collect(name, source, config, lake, report)

    def preview(self, name: str, source: Source, config: Config) -> pl.DataFrame:
        """The first three rows as they would land, of the beginning of the log; nothing is written.

        Raises:
            ConfigError: a setting or a package is missing, or a setting means nothing to this kind.
            SourceError: nothing is there, it cannot be read, or not one row at its beginning is good.
        """
        return _Beginnings(self.kind).preview(name, source, config)


class _Beginnings(Files):
    """The collector of what a log begins with."""

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The first file, or the newest day of a spend log."""
        first = COLLECTOR.find(name, source, config)[0]
        return [replace(first, beginning=True) if isinstance(first, Payloads) else first]


class _Days(Files):
    """The collector of a spend log of which something has landed, or nothing yet."""

    def __init__(self, kind: Kind, landed: date | None) -> None:
        super().__init__(kind)
        self._landed = landed

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:  # noqa: ARG002
        """The days since the watermark, and none before `since`."""
        begins = [source.since, self._landed - OVERLAP if self._landed else None]
        return SpendLog(name, source).days(max((one for one in begins if one), default=None))


def _newest_landed(lake: Lake, name: str, table: str) -> date | None:
    """The last day of the spend log of which the lake has something."""
    if lake.version(LOADS) is None:
        return None
    with duckdb.connect() as con:
        lake.view(con, LOADS)
        days = con.execute(
            "select max(try_cast(right(x_load, 10) as date)) from lake.loads "
            "where x_source = ? and \"table\" = ? and status = 'landed' and starts_with(x_load, ? || ' ')",
            [name, REQUESTS.name, table],
        ).fetchall()
    newest: date | None = days[0][0]
    return newest


COLLECTOR = LiteLLM(KIND)
