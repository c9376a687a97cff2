"""A source's files, found and landed one after the other: what every collector does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date
from pathlib import Path
from typing import Literal

import duckdb
import polars as pl

from collectors.delivery import Delivery, Past
from collectors.gathered import Gathered
from collectors.kind import ASIDE, REACHING, Deliverable, Kind, LoadResult, Report, Total
from collectors.lines import UnreadableError
from collectors.raw import ROWS_APART
from collectors.values import literal
from farthing.config import Config, Source
from farthing.errors import ConfigError, SourceError
from farthing.lake import Lake
from farthing.lake.schemas import LOADS, Table
from farthing.locks import scratch
from farthing.objects import find

#: With half of it, to write a month of AWS took 0.8 million page faults instead of 0.5: memory was given back too soon.
_STAGE_MEMORY = "1GB"


@dataclass(frozen=True)
class Part:
    """What of a file lands in one table: its kind, the settings that are for it, and where its rows are."""

    kind: Kind
    source: Source
    file: Deliverable


def _key(part: Part) -> tuple[str, str]:
    return part.kind.table.name, part.file.name


class Files:
    """The collector of one kind of file: each is landed once, and again when it changed.

    Collectors of what is no plain file find their own deliveries, and name the settings of a source that they take.
    """

    settings: frozenset[str] = frozenset({"path"})
    #: Those of them that say how a provider is asked: they mean nothing beside files.
    asking: frozenset[str] = frozenset()

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    @property
    def table(self) -> Table:
        """The lake table that it fills."""
        return self.kind.table

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """What there is to land, landed before or not.

        Raises:
            ConfigError: a setting is missing, or means nothing to this kind.
            SourceError: nothing is there, or a store cannot be listed.
        """
        self.check_settings(name, source)
        if not source.patterns:
            other = "path, or export," if "export" in self.asking else "path"
            raise ConfigError(f"{other} is missing.", key=f"sources.{name}.path", fix='path = "folder/*.csv"')
        files = find(source.patterns, config.root, config.lake.storage_options)
        if not files:
            raise SourceError(
                f"no file matches {', '.join(source.patterns)} in {config.root}.", source=name, fix="correct path."
            )
        return files

    def parts(self, source: Source, one: Deliverable) -> Sequence[Part]:
        """What `one` fills, a table each; the first is `table`."""
        return [Part(self.kind, source, one)]

    def deliveries(self, name: str, source: Source, config: Config, _report: Report) -> Sequence[Deliverable]:
        """What a collection lands: what `find` finds, or what can be asked for at a price that `find` must not pay.

        Raises:
            ConfigError: a setting is missing, or means nothing to this kind.
            SourceError: nothing is there, or a store cannot be listed.
        """
        return self.find(name, source, config)

    def form_of(self, _path: Path) -> str | None:
        """What the provider calls a file that somebody downloaded, by its columns; None where it is none of his."""
        return None

    def remarks(self, _name: str, _source: Source) -> list[str]:
        """What the provider says beside the bill that helps to judge it, a sentence each; nothing is paid for.

        Raises:
            SourceError: rights are missing, or the provider does not answer.
        """
        return []

    def gaps(self, _name: str, _source: Source, _config: Config) -> list[tuple[Literal["finding", "note"], str, str]]:
        """What the first file lacks or cannot show though its rows land: how bad, what, and the fix."""
        return []

    def totals(self, _name: str, _source: Source, _month: date, _report: Report, *, pay: bool) -> list[Total] | None:  # noqa: ARG002
        """What the provider itself says that a month came to; null where there is nobody to ask.

        `report` hears what asking costs, before it is asked; unless `pay`, that is all.

        Raises:
            ConfigError: a package or setting is missing.
            SourceError: rights are missing, or the provider does not answer.
        """
        return None

    def check_settings(self, name: str, source: Source) -> None:
        """Refuse settings that another kind takes, and those of asking a provider beside files.

        Raises:
            ConfigError: naming the key and what to do.
        """
        given = {key for key in REACHING if getattr(source, key) is not None}
        for key in sorted(given - self.settings):
            raise ConfigError(
                f"kind '{source.kind}' does not take it.",
                key=f"sources.{name}.{key}",
                fix=f"it takes {', '.join(sorted(self.settings))}.",
            )
        for key in sorted(given & self.asking) if "path" in given else ():
            raise ConfigError(
                "it is for asking the provider, and path reads files.",
                key=f"sources.{name}.{key}",
                fix=f"keep path or {key}.",
            )

    def collect(self, name: str, source: Source, config: Config, lake: Lake, report: Report) -> list[LoadResult]:
        """Land every new or changed delivery of `source`; one that cannot be read is `failed`, and the others go on.

        One collection into a table runs at a time: two would not see each other's rows when they look for duplicates.

        Raises:
            ConfigError: the column map does not fit the files.
            SourceError: nothing is there, or a store cannot be listed.
        """
        found = self.deliveries(name, source, config, report)
        report.start(len(found), sum(one.size for one in found))
        results: dict[tuple[str, str], LoadResult] = {}
        recalled: set[tuple[str, str]] = set()
        history: dict[tuple[str, str], Past] = {}
        with _stage(config) as (stage, folder):

            def land(part: Part, told: Report | None) -> None:
                delivery = Delivery(part.kind, name, part.source, lake, told, stage, folder, part.file)
                results[_key(part)] = delivery.land(history.get(_key(part)))
                recalled.update((part.kind.table.name, other) for other in delivery.recalled)

            parts = [part for one in found for part in self.parts(source, one)]
            history = history_of(lake, dict.fromkeys(part.kind.table for part in parts), name)
            new = [one for one in found if (self.table.name, one.name) not in history]
            for group in self.together(source, new):
                gathered = Gathered(self.kind, name, source, lake, report, stage, folder, group)
                results |= {(result.table, result.file): result for result in gathered.land_together()}
                recalled.update((self.table.name, other) for other in gathered.recalled)
            for part in [part for part in parts if _key(part) not in results]:
                land(part, report if part.kind.table == self.table else None)
            again = set(recalled)
            history = history_of(lake, dict.fromkeys(part.kind.table for part in parts), name) if again else {}
            for part in parts:
                if _key(part) in again:
                    land(part, None)
        return [results[key] for key in dict.fromkeys(map(_key, parts))]

    def together(self, _source: Source, _new: Sequence[Deliverable]) -> list[list[Deliverable]]:
        """Which of the files that never landed go into the lake in one commit: none, where files are not small."""
        return []

    def preview(self, name: str, source: Source, config: Config) -> pl.DataFrame:
        """The first three rows as they would land; nothing is written.

        Raises:
            ConfigError: the column map does not fit the file.
            SourceError: no file, an unreadable one, or not one good row at its beginning.
        """
        return self.preview_of(name, source, config, self.find(name, source, config)[0])

    def preview_of(self, name: str, source: Source, config: Config, one: Deliverable) -> pl.DataFrame:
        """The first three rows of a delivery as they would land.

        Raises:
            ConfigError: the column map does not fit it.
            SourceError: it cannot be read, or has not one good row at its beginning.
        """
        part = self.parts(source, one)[0]
        with _stage(config) as (stage, folder):
            delivery = Delivery(part.kind, name, part.source, None, None, stage, folder, one)
            try:
                delivery.stage_rows(one.fetch(folder), batches=1)
            except UnreadableError as error:
                raise SourceError(str(error), source=name, object_name=one.name) from error
            refused = stage.sql(
                f"select abs(_line) % {ROWS_APART}, _reason from staged where _reason <> {literal(ASIDE)} "
                "order by 1 limit 1"
            ).fetchall()
            rows = stage.sql(delivery.landing_sql() + " order by _line limit 3").to_arrow_table()
        if refused and not rows.num_rows:
            raise SourceError(
                f"no row would land; line {refused[0][0]}: {refused[0][1]}", source=name, object_name=one.name
            )
        return pl.DataFrame(pl.from_arrow(rows)).drop("_line")


def landed_files(lake: Lake, tables: Iterable[Table], name: str) -> dict[tuple[str, str], str]:
    """The identity of each file of the source `name` that has landed, by table and file."""
    return {key: past.identity for key, past in history_of(lake, tables, name).items() if past.status == "landed"}


@contextmanager
def _stage(config: Config) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A DuckDB file of its own for one collection, gone afterwards: rows wait there on disk, not in memory."""
    with scratch() as folder, duckdb.connect() as stage:
        stage.execute("set TimeZone = 'UTC'")
        stage.execute("set parquet_metadata_cache = true")  # the lake's files are looked at for every file that lands
        stage.execute(f"set memory_limit = '{_STAGE_MEMORY}'")
        stage.execute(f"set temp_directory = {literal(str(folder))}")
        stage.execute("set python_enable_replacements = false")
        stage.execute("pragma disable_checkpoint_on_shutdown")
        stage.execute("set checkpoint_threshold = '1TB'")
        stage.execute("set preserve_insertion_order = false")
        if config.engine.threads:
            stage.execute(f"set threads = {config.engine.threads}")
        yield stage, folder


def history_of(lake: Lake, tables: Iterable[Table], name: str) -> dict[tuple[str, str], Past]:
    """What the lake remembers of the files of the source `name`, by table and file."""
    known = [table.name for table in tables]
    if not known or lake.version(LOADS) is None:
        return {}
    with duckdb.connect() as con:
        lake.view(con, LOADS)
        rows = con.execute(
            "select x_load, arg_max(identity, loaded_at), arg_max(status, loaded_at), count(*), max(loaded_at), "
            '"table" from lake.loads where x_source = ? and list_contains(?, "table") group by all',
            [name, known],
        ).fetchall()
    return {
        (table, load): Past(identity, status, deliveries, loaded_at.replace(tzinfo=UTC))
        for load, identity, status, deliveries, loaded_at, table in rows
    }
