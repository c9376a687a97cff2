"""The lake: Delta tables in a folder or an object store, written exactly once per load and read at a pinned version."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import obstore
import pyarrow as pa
import stamina
from deltalake import CommitProperties, DeltaTable, Schema, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from obstore.exceptions import BaseError

from farthing import clock
from farthing.commit_points import reached
from farthing.errors import ConfigError, SourceError
from farthing.lake.arrange import Rows, arranged
from farthing.lake.direct import DataFile, Query, written
from farthing.lake.files import Cache, LakeFile, listed
from farthing.lake.schemas import Table
from farthing.lake.views import columns, quoted, relation, text
from farthing.locks import scratch
from farthing.objects import is_url, open_store, unreachable

__all__ = ["Lake", "LakeFile", "Query"]

#: Statements are rebuilt from old versions: log files are never deleted, removed data files stay ten years.
_PROPERTIES = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.deletedFileRetentionDuration": "interval 3650 days",
    "delta.checkpointInterval": "20",
}
_COMMITTED_AT = "farthing.committedAt"
_PATIENCE_SECONDS = 300.0


class Lake:
    """All tables below `path`: a local folder, or s3://, gs://, az:// with `storage_options` or the environment's keys.

    Every write is one Delta commit. Writers may run at the same time in many processes (started by spawn, not fork):
    one that clashes with another reads the table again and repeats its write. `load` is the identity of what is
    written; a load that is already in the table is not written again, and the write returns False.

    Raises, in every method:
        SourceError: the lake cannot be reached, is no Delta table, or was written by a newer farthing.
    """

    def __init__(self, path: str, storage_options: Mapping[str, str] | None = None, cache: Path | None = None) -> None:
        self.path = path.rstrip("/") if is_url(path) else str(Path(path).resolve())
        # Readers take name=value folders for partition values; delta-rs misreads the other characters.
        if re.search(r"(^|/)[^/]+=|[%\[\]^|\\]", self.path):
            raise ConfigError(
                f"the lake cannot lie in {self.path}.",
                key="lake.path",
                fix="choose a path without = % [ ] ^ | and backslash.",
            )
        self._options = {"max_retries": "3", "retry_timeout": "60s", **(storage_options or {})} if is_url(path) else {}
        self._store_options = storage_options or {}
        self._cache = Cache(self.path, storage_options or {}, cache)

    # Reading

    def version(self, table: Table) -> int | None:
        """The newest version of `table`; None when it is not there yet."""
        handle = self._open(table)
        return None if handle is None else handle.version()

    def version_at(self, table: Table, moment: datetime) -> int | None:
        """The version that `table` had at `moment` (zone-aware); None when it was not there yet."""
        if moment.tzinfo is None:
            raise ValueError("version_at takes zone-aware times only")
        with self._reaching(table):
            handle = self._open(table)
            commits = [] if handle is None else handle.history()
        answer = None
        for commit in sorted(commits, key=lambda commit: int(commit["version"])):
            if _committed_at(commit) > moment:
                break  # a later commit with an earlier time came from a slow clock: still later
            answer = int(commit["version"])
        return answer

    def pins(self, tables: Iterable[Table]) -> dict[str, int | None]:
        """The newest version of each table by name: what a build reads and writes down."""
        return {table.name: self.version(table) for table in tables}

    def files(
        self,
        table: Table,
        *,
        version: int | None = None,
        partitions: Mapping[str, Sequence[object]] | None = None,
    ) -> list[LakeFile]:
        """The data files of `version` (the newest by default), of `partitions` only when given; no data is read."""
        with self._reaching(table):
            handle = self._open(table, version)
            return [] if handle is None else listed(handle, self._uri(table), partitions)

    def local(self, files: Iterable[LakeFile]) -> list[Path]:
        """Paths on this machine for `files`; those in an object store are fetched once into the cache."""
        return self._cache.local(files)

    def view(
        self,
        con: duckdb.DuckDBPyConnection,
        table: Table,
        *,
        name: str | None = None,
        version: int | None = None,
        files: Sequence[LakeFile] | None = None,
    ) -> None:
        """Make the view `lake.<name>` in `con` of what `select` has: exactly `files`, else all files of `version`."""
        target = f"lake.{quoted(name or table.name)}"
        query = self.select(table, version=version, files=files)
        with self._reaching(table):
            con.execute("create schema if not exists lake")
            con.execute(f"create or replace view {target} as {query}")

    def select(self, table: Table, *, version: int | None = None, files: Sequence[LakeFile] | None = None) -> str:
        """The SQL of a select over exactly `files`, else over all files of `version`.

        It has all columns of `table`, in order and type, times as naive UTC TIMESTAMP whatever the session's zone.
        No file gives no row. To pin a table that was not there yet, give `files=[]`.
        """
        if files is None:
            files = self.files(table, version=version)
        with self._reaching(table):
            return relation(table, self.local(files))

    # Writing

    def append(self, table: Table, data: Any, *, load: str, number: int = 1) -> bool:
        """Add the rows of `data` (a query, or anything with an Arrow C stream) to `table`.

        Rows of a query that are of one partition, or of some that it may be read for one by one, go straight into
        files, with no stop in Arrow. A writer that comes again and again has one `load` and counts: what has a
        `number` up to the last committed is not written.
        """
        if isinstance(data, Query):
            with scratch() as folder:
                files = written(table, data, folder)
                if files is not None:
                    return self._commit(
                        table, load, lambda handle: self._adopt(handle, table, files, load, number), number
                    )
            data = data.stream(table)
        with arranged(table, data) as rows:

            def write(handle: DeltaTable) -> None:
                write_deltalake(handle, rows(), mode="append", commit_properties=_properties(load, number))

            return self._commit(table, load, write, number)

    def committed(self, table: Table, load: str) -> int:
        """The last number of `load` that is in `table`, as a reader sees it now; 0 when there is none."""
        handle = self._open(table)
        return (handle.transaction_version(load) if handle else None) or 0

    def replace(
        self,
        table: Table,
        data: Any,
        *,
        where: Mapping[str, object | list[object]],
        load: str | None = None,
    ) -> bool:
        """Put the rows of `data` in the place of those that match `where`, in one commit.

        `where` gives a value or a list of values for each column, all of which must match; {} is the whole table.

        Raises:
            ValueError: `where` names an unknown column, or a row of `data` does not match it.
        """
        chosen = {name: value if isinstance(value, list) else [value] for name, value in where.items()}
        unknown = sorted(set(chosen) - set(table.columns))
        if unknown:
            raise ValueError(f"table {table.name} has no column {', '.join(unknown)}")
        nothing = not all(chosen.values())
        with arranged(table, data, only=chosen) as rows:

            def write(handle: DeltaTable) -> None:
                if nothing:
                    write_deltalake(handle, rows(), mode="append", commit_properties=_properties(load))
                else:
                    _overwrite(handle, rows(), _predicate(chosen), load)

            return self._commit(table, load, write)

    def upsert(self, table: Table, data: Any, *, load: str) -> bool:
        """Replace the rows that have a key of `data` by the rows of `data`, in one commit; nulls in a key are equal.

        A row may move to another partition. The partitions that hold a replaced row are written anew, so a table that
        is upserted often wants partitions of a size that bears it.

        Raises:
            ValueError: `table` has no key, or `data` has a key twice.
        """
        if not table.key:
            raise ValueError(f"table {table.name} has no key")
        with arranged(table, data) as rows, _scratch() as con:
            con.register("arriving", rows())
            con.execute(f"create temp table fresh as select {columns(table)} from arriving")
            con.unregister("arriving")
            keys = ", ".join(quoted(name) for name in table.key)
            twice = con.execute(f"select {keys} from fresh group by all having count(*) > 1 limit 3").fetchall()
            if twice:
                raise ValueError(f"table {table.name}: key ({', '.join(table.key)}) given twice, for example {twice}")
            return self._commit(table, load, lambda handle: self._merge(handle, table, rows, con, load))

    def _adopt(self, handle: DeltaTable, table: Table, files: Sequence[DataFile], load: str, number: int) -> None:
        for file in files:
            key = file.action.path
            if is_url(self.path):
                try:
                    obstore.put(open_store(self._uri(table), self._store_options), key, file.path)
                except BaseError as error:
                    raise unreachable(self._uri(table), error) from error
            elif file.path.exists():  # not there when this write is repeated
                target = Path(self._uri(table)) / key
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(file.path, target)
        handle.create_write_transaction(
            [file.action for file in files],
            "append",
            handle.schema(),
            list(table.partition_by),
            commit_properties=_properties(load, number),
        )

    def _merge(self, handle: DeltaTable, table: Table, rows: Rows, con: duckdb.DuckDBPyConnection, load: str) -> None:
        # Any commit since `handle` was opened may have brought one of these keys: strict commits only.
        self.view(con, table, name="held", files=listed(handle, self._uri(table)))
        same = " and ".join(f"held.{quoted(key)} is not distinct from fresh.{quoted(key)}" for key in table.key)
        matched = f"exists (select 1 from fresh where {same})"
        parts = ", ".join(quoted(name) for name in table.partition_by) or "true"
        touched = con.execute(f"select distinct {parts} from lake.held as held where {matched}").fetchall()
        if not touched:
            write_deltalake(handle, rows(), mode="append", commit_properties=_properties(load, strict=True))
            return
        predicate = None
        if table.partition_by:
            touched = sorted({*touched, *con.execute(f"select distinct {parts} from fresh").fetchall()})
            predicate = _any_of(table.partition_by, touched)
        kept = con.sql(
            f"select * from lake.held as held where {predicate or 'true'} and not {matched} union all from fresh"
        ).to_arrow_reader(100_000)
        batches = (batch.cast(table.schema) for batch in kept)  # naive times of the view are UTC
        merged = pa.RecordBatchReader.from_batches(table.schema, batches)
        _overwrite(handle, merged, predicate, load, strict=True)

    def _commit(self, table: Table, load: str | None, write: Callable[[DeltaTable], None], number: int = 1) -> bool:
        """Run `write` on a fresh handle, again after each clash; False when `number` of `load` is in the table already.

        The handle that says that the load is missing is the one that commits it: of two processes with one load, the
        second clashes, looks again and finds it.
        """
        with self._reaching(table):
            for attempt in stamina.retry_context(
                on=CommitFailedError,
                attempts=None,
                timeout=_PATIENCE_SECONDS,
                wait_initial=0.02,
                wait_max=2.0,
                wait_jitter=0.2,
            ):
                with attempt:
                    handle = self._open_to_write(table)
                    if load is not None and (handle.transaction_version(load) or 0) >= number:
                        return False
                    reached(f"lake.{table.name}.before")
                    write(handle)
            reached(f"lake.{table.name}.after")
        return True

    # Opening

    def _uri(self, table: Table) -> str:
        return f"{self.path}/{table.name}"

    @contextmanager
    def _reaching(self, table: Table) -> Iterator[None]:
        try:
            yield
        except CommitFailedError as error:
            raise SourceError(
                f"other writers kept it busy for {_PATIENCE_SECONDS:.0f} s; nothing was written.",
                source="lake",
                object_name=self._uri(table),
                fix="run the command again.",
            ) from error
        except (DeltaError, OSError, duckdb.Error) as error:
            if is_url(self.path):
                raise unreachable(self._uri(table), error) from error
            raise SourceError(
                " ".join(str(error).split())[:400],
                source="lake",
                object_name=self._uri(table),
                fix="check that the folder exists, is a Delta table and may be written, and that the disk is not full.",
            ) from error

    def _open(self, table: Table, version: int | None = None) -> DeltaTable | None:
        with self._reaching(table):
            try:
                return DeltaTable(self._uri(table), version=version, storage_options=self._options)
            except TableNotFoundError:
                if version is not None:
                    raise
            if not is_url(self.path):
                folder = Path(self._uri(table))
                if any(place.exists() and not place.is_dir() for place in (folder, folder.parent)):
                    raise NotADirectoryError("this is a file, not a folder of a lake")
                if folder.is_dir() and any(folder.iterdir()) and not (folder / "_delta_log").is_dir():
                    raise FileExistsError("this folder has other files in it and is not a Delta table")
            return None

    def _open_to_write(self, table: Table) -> DeltaTable:
        """A fresh handle on `table`, which is made when it is absent and gets the columns that it lacks."""
        schema = Schema.from_arrow(table.schema)
        handle = self._open(table)
        if handle is None:
            try:
                handle = DeltaTable.create(
                    self._uri(table),
                    schema,
                    partition_by=list(table.partition_by),
                    configuration=_PROPERTIES,
                    storage_options=self._options,
                    commit_properties=_properties(None),
                )
            except DeltaError:  # another process may have made it in this moment
                handle = self._open(table)
                if handle is None:
                    raise
        stored = {field.name: field for field in handle.schema().fields}
        wanted = {field.name: field for field in schema.fields}
        other = [name for name, field in stored.items() if name not in wanted or wanted[name].type != field.type]
        if other or tuple(handle.metadata().partition_columns) != table.partition_by:
            raise SourceError(
                f"its columns or partitions are not those of this farthing ({', '.join(other) or 'partitions'}).",
                source="lake",
                object_name=self._uri(table),
                fix="write to it with the farthing that made it or a newer one.",
            )
        missing = [field for name, field in wanted.items() if name not in stored]
        if missing:
            handle.alter.add_columns(missing, commit_properties=_properties(None))
            return self._open_to_write(table)
        return handle


def _properties(load: str | None, number: int = 1, *, strict: bool = False) -> CommitProperties:
    """What goes with a commit: its time by our clock and its load; `strict` fails on any commit since the handle."""
    return CommitProperties(
        custom_metadata={_COMMITTED_AT: clock.now().isoformat()},
        app_transactions=[Transaction(load, number)] if load is not None else None,
        max_commit_retries=0 if strict else None,
    )


def _committed_at(commit: Mapping[str, Any]) -> datetime:
    written = commit.get(_COMMITTED_AT)
    return datetime.fromisoformat(written) if written else datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)


def _overwrite(handle: DeltaTable, rows: Any, predicate: str | None, load: str | None, *, strict: bool = False) -> None:
    # Delta does not check an overwrite of the whole table against rows that came meanwhile: strict there, always.
    properties = _properties(load, strict=strict or predicate is None)
    write_deltalake(handle, rows, mode="overwrite", predicate=predicate, commit_properties=properties)


def _predicate(chosen: Mapping[str, Sequence[object]]) -> str | None:
    """`chosen` (column -> values) as SQL that delta-rs and DuckDB both read; None for no condition."""
    conditions = []
    for name, values in chosen.items():
        known = ", ".join(_literal(value) for value in values if value is not None)
        either = [f"{quoted(name)} in ({known})"] if known else []
        either += [f"{quoted(name)} is null"] if None in values else []
        conditions.append(f"({' or '.join(either)})")
    return " and ".join(conditions) or None


def _any_of(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if len(names) == 1:
        return str(_predicate({names[0]: [value for (value,) in rows]}))
    return "(" + " or ".join(f"({_predicate({n: [v] for n, v in zip(names, row, strict=True)})})" for row in rows) + ")"


def _literal(value: object) -> str:
    if isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time to match needs a zone")
        return text(value.astimezone(UTC).isoformat())
    if isinstance(value, str | date):
        return text(value)
    raise ValueError(f"rows cannot be matched by a value of type {type(value).__name__}")


@contextmanager
def _scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of one write's own, which goes to disk rather than out of memory."""
    with scratch() as folder, duckdb.connect() as con:
        con.execute(f"set temp_directory = {text(folder)}; set memory_limit = '1GB'")
        con.execute("set preserve_insertion_order = false")
        yield con
