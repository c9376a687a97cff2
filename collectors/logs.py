"""Request logs in a format of their own: presets of the column map, over the rules of `requests`.

A preset says where each column is, which counts lie outside of others, which lines are requests at all, and which tags
are kept; whatever it does not name never lands. The source's own `columns`, `constants` and `tags` come before it.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb
import polars as pl
import pyarrow as pa

from collectors.kind import Deliverable, Kind, LoadResult, OfFile, Report
from collectors.landing import Files
from collectors.lines import UnreadableError
from collectors.mapping import ColumnMap, Dialect
from collectors.raw import ParquetFile, open_file
from collectors.statements import header_of
from farthing.config import Column, Config, Source
from farthing.errors import SourceError
from farthing.lake import Lake
from farthing.lake.schemas import REQUESTS, Table
from farthing.locks import scratch

NEEDED = ("request_id", "started_at", "model")
#: How many files of lenders are asked around the time of a file, when there are many.
_NEIGHBOURS = 1


def at(*paths: str, **more: Any) -> Column:
    """An entry of a preset: the first of `paths` that gives a value; a file may lack them all."""
    return Column.model_validate({"from": list(paths), "optional": True, **more})


@dataclass(frozen=True)
class Lenders:
    """Files that hold no requests but say something about them, by an id: who asked, how long it took.

    `where` is matched with a file's name in lower case; `columns` says where what they lend is, of `types`.
    """

    name: str
    where: str
    types: Mapping[str, pa.DataType]
    columns: Mapping[str, Column]

    @property
    def table(self) -> Table:
        """What they lend."""
        return Table(self.name, pa.schema(list(self.types.items())))


@dataclass(frozen=True)
class Log:
    """A preset: what a source of this kind says when its own settings say nothing else."""

    columns: Mapping[str, Column]
    constants: Mapping[str, str] = field(default_factory=dict)
    token_convention: str | None = "inclusive"
    lenders: Lenders | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # what a file has if it was switched on
    notes: tuple[tuple[str, str], ...] = ()  # what a file cannot show, and makes its figures whole; and the fix

    def over(self, source: Source) -> Source:
        """`source` with the preset where it says nothing."""
        columns = {name: one for name, one in self.columns.items() if name not in source.constants}
        constants = {name: one for name, one in self.constants.items() if name not in source.columns}
        return source.model_copy(
            update={
                "columns": {**columns, **source.columns},
                "constants": {**constants, **source.constants},
                "token_convention": source.token_convention or self.token_convention,
                "timezone": source.timezone or "UTC",
            }
        )


def dialect(extra: Mapping[str, pa.DataType], tags: Sequence[str]) -> Dialect:
    """The dialect of a log whose lines hold prompts: only what its preset or the source names is taken."""
    return Dialect(REQUESTS, extra=extra, tags=tuple(tags), named_only=True, private=True)


@dataclass(frozen=True)
class Paired(OfFile):
    """A file of requests and the files that lend to it; it is another delivery when one of them changes."""

    file: Deliverable
    lenders: tuple[Deliverable, ...]

    @property
    def form(self) -> str:
        """That of the file of requests."""
        return self.file.form

    @property
    def identity(self) -> str:
        """That of all of them."""
        lent = "\n".join(f"{one.name} {one.identity}" for one in self.lenders)
        return f"{self.file.identity}-{hashlib.sha256(lent.encode()).hexdigest()[:8]}"

    def fetch(self, folder: Path) -> Path:
        """The file of requests on this machine."""
        return self.file.fetch(folder)


class Logs(Files):
    """The collector of one format of request logs."""

    def __init__(self, kind: Kind, log: Log) -> None:
        super().__init__(kind)
        self.log = log

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """Its files of requests, each with those that lend to it.

        Raises:
            ConfigError: a setting is missing, or means nothing to this kind.
            SourceError: nothing is there, or a store cannot be listed.
        """
        files = super().find(name, source, config)
        if self.log.lenders is None:
            return files
        lend = re.compile(self.log.lenders.where)
        lenders = [file for file in files if lend.search(file.name.lower())]
        requests = [file for file in files if not lend.search(file.name.lower())]
        if not requests:
            raise SourceError(
                f"all that path matches is {self.log.lenders.name}, which are no requests.",
                source=name,
                fix="let path match the files of requests too.",
            )
        if not lenders:
            return files
        places = sorted((_when(file, lend), number) for number, file in enumerate(lenders))
        return [Paired(file, _near(file, lenders, places, lend)) for file in requests]

    def collect(self, name: str, source: Source, config: Config, lake: Lake, report: Report) -> list[LoadResult]:
        """Land every new or changed file, by the preset and the source's own settings.

        Raises:
            ConfigError: the column map does not fit the files.
            SourceError: nothing is there, or a store cannot be listed.
        """
        return super().collect(name, self.log.over(source), config, lake, report)

    def preview(self, name: str, source: Source, config: Config) -> pl.DataFrame:
        """The first three rows as they would land; nothing is written.

        Raises:
            ConfigError: the column map does not fit the file.
            SourceError: no file, an unreadable one, or not one good row at its beginning.
        """
        return super().preview(name, self.log.over(source), config)

    def gaps(self, name: str, source: Source, config: Config) -> list[tuple[Literal["finding", "note"], str, str]]:
        """Groups of columns that the first file lacks, and what no file can show.

        Raises:
            SourceError: no file, or one that cannot be reached.
        """
        first = self.find(name, source, config)[0]
        notes: list[tuple[Literal["finding", "note"], str, str]] = [("note", *note) for note in self.log.notes]
        with scratch() as folder:
            try:
                has = set(header_of(first.fetch(folder)))
            except UnreadableError:  # said where its rows are looked at
                return notes
        lacking = [group for group, columns in self.log.groups.items() if not has.intersection(columns)]
        if isinstance(first, Paired) and "trace_context" in lacking:
            lacking.remove("trace_context")
        found: list[tuple[Literal["finding", "note"], str, str]] = [
            (
                "finding",
                f"the export has no {group} ({self.log.groups[group][0]})",
                f"switch its field group {group} on",
            )
            for group in lacking
        ]
        return [*found, *notes]


def _when(file: Deliverable, lend: re.Pattern[str]) -> str:
    """What orders files of both sorts in time: the name, without the part that tells the sorts apart."""
    parts = file.name.lower().split("/")
    told = {part for part in parts[:-1] if lend.search(part + "/")}
    return "/".join(part for part in parts if part not in told and not re.fullmatch(r"observations.*|.*llm.*", part))


def _near(
    file: Deliverable, lenders: Sequence[Deliverable], places: Sequence[tuple[str, int]], lend: re.Pattern[str]
) -> tuple[Deliverable, ...]:
    """The lenders of the same time, of the one before and the one after; all, where they are few."""
    if len(lenders) <= 2 * _NEIGHBOURS + 1:
        return tuple(lenders)
    place = bisect_left(places, (_when(file, lend), -1))
    chosen = places[max(0, place - _NEIGHBOURS) : place + _NEIGHBOURS + 1]
    return tuple(lenders[number] for _, number in chosen)


def lent(lenders: Lenders, file: Deliverable, folder: Path) -> pa.Table:
    """What the lenders of `file` have, as their table; no rows where it has none.

    Raises:
        UnreadableError: one of them is damaged.
        SourceError: one of them cannot be reached.
    """
    found = [lenders.table.schema.empty_table()]
    for one in file.lenders if isinstance(file, Paired) else ():
        try:
            found += _rows(lenders, one, one.fetch(folder))
        except (UnreadableError, duckdb.Error) as error:
            raise UnreadableError(f"{one.name}: {str(error).splitlines()[0]}") from error
    return pa.concat_tables(found)


def _rows(lenders: Lenders, one: Deliverable, path: Path) -> list[pa.Table]:
    source = Source(kind=lenders.name, columns=dict(lenders.columns), timezone="UTC")
    file = open_file(path)
    columns = ColumnMap(lenders.name, source, Dialect(lenders.table, named_only=True), file, one.name)
    found: list[pa.Table] = []
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")

        def take(batch: str) -> None:
            rows = con.sql(f"select {', '.join(lenders.types)} from ({columns.typed_sql(batch)})").to_arrow_table()
            found.append(rows.cast(lenders.table.schema))

        if isinstance(file, ParquetFile):
            take(file.relation)
            return found
        for batch in file.batches(columns.inputs):
            con.register("batch", batch.table)
            take("batch")
            con.unregister("batch")
    return found
