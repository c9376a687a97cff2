"""How every file lands: staged row by row, judged, cleared of duplicates, and committed in an order that may stop anywhere."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Protocol

import duckdb
import polars as pl
import pyarrow as pa

from collectors.lines import Broken, Unreadable
from collectors.mapping import ColumnMap, Dialect, literal, quoted, sql_type
from collectors.raw import ParquetFile, open_file
from farthing import clock
from farthing.config import Config, Source
from farthing.errors import ConfigError, SourceError
from farthing.lake import Lake
from farthing.lake.schemas import LOADS, REJECTS, Table
from farthing.objects import Found, fetch, find

_RAW_CHARACTERS = 4096
_STAGE_MEMORY = "600MB"
_ORIGIN = ("x_source", "x_load")


class Report(Protocol):
    """Who is told how far a collection is: a progress bar, plain lines, or nobody."""

    def start(self, total_files: int, total_bytes: int) -> None:
        """`total_files` files of together `total_bytes` bytes are ahead."""

    def advance(self, done_bytes: int) -> None:
        """`done_bytes` more bytes are done."""

    def message(self, text: str) -> None:
        """A line for the person who waits."""


@dataclass(frozen=True)
class LoadResult:
    """What became of one file: the equation of its rows, and what rounding to 12 decimals took, per currency."""

    source: str
    table: str
    file: str
    status: str  # landed | failed | unchanged
    read: int = 0
    landed: int = 0
    duplicate: int = 0
    rejected: int = 0
    problem: str = ""
    rounding: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def balanced(self) -> bool:
        """Whether every row read is accounted for."""
        return self.read == self.landed + self.duplicate + self.rejected


@dataclass(frozen=True)
class Row:
    """What a kind may build its SQL from: the source, the file's name, its columns and the row's own text."""

    source: Source
    x_load: str
    mapped: frozenset[str]
    map: ColumnMap


#: (condition that is true for a bad row, its reason), both SQL over the typed columns.
Check = tuple[str, str]


@dataclass(frozen=True)
class Kind:
    """One kind of source: its dialect, and the SQL that makes and judges its rows."""

    dialect: Dialect
    needed: Callable[[Source], Sequence[str]]  # columns that the file must give
    derived: Callable[[Row], Mapping[str, str]] = lambda row: {}
    checks: Callable[[Row], Sequence[Check]] = lambda row: ()
    finish: Callable[[Source], Sequence[str]] = lambda source: ()  # statements over `staged`, when all rows are in
    key: Callable[[Source], Sequence[str]] | None = None  # of a duplicate, when it is not the table's key
    rounding: Callable[[Source], tuple[str, str]] | None = None  # (currency, what rounding took), over `staged`
    demand: Callable[[str, Row], None] = lambda name, row: None  # raises ConfigError for a setting that is missing
    spec: str = ""  # whose columns these are, when a missing one is theirs to deliver

    @property
    def table(self) -> Table:
        """The lake table that this kind fills."""
        return self.dialect.table

    def duplicate_key(self, source: Source) -> tuple[str, ...]:
        """The columns whose values two rows may not share; none for charges."""
        key = self.key(source) if self.key else self.table.key
        return tuple(name for name in key if name != "x_source")


def collect(kind: Kind, name: str, source: Source, config: Config, lake: Lake, report: Report) -> list[LoadResult]:
    """Land every new or changed file of `source`; a file that cannot be read is `failed`, and the others go on.

    Raises:
        ConfigError: the column map does not fit the files.
        SourceError: no file at all, or a store that cannot be listed.
    """
    files = _files(name, source, config)
    report.start(len(files), sum(file.size for file in files))
    history = _history(lake, kind.table, name)
    results = []
    with _stage(config) as (stage, folder):
        for file in files:
            delivery = _Delivery(kind, name, source, lake, report, stage, folder, file)
            results.append(delivery.land(history.get(file.name)))
    return results


def preview(kind: Kind, name: str, source: Source, config: Config) -> pl.DataFrame:
    """The first three rows as they would land; nothing is written.

    Raises:
        ConfigError: the column map does not fit the file.
        SourceError: no file, an unreadable one, or not one good row at its beginning.
    """
    file = _files(name, source, config)[0]
    with _stage(config) as (stage, folder):
        delivery = _Delivery(kind, name, source, None, None, stage, folder, file)
        try:
            delivery.stage_rows(fetch(file, folder), batches=1)
        except Unreadable as error:
            raise SourceError(str(error), source=name, object_name=file.name) from error
        refused = stage.sql("select _line, _reason from staged where _reason is not null order by 1 limit 1").fetchall()
        rows = stage.sql(delivery.landing_sql() + " order by _line limit 3").to_arrow_table()
    if refused and not rows.num_rows:
        raise SourceError(f"no row would land; line {refused[0][0]}: {refused[0][1]}", source=name, object_name=file.name)
    return pl.DataFrame(pl.from_arrow(rows)).drop("_line")


def _files(name: str, source: Source, config: Config) -> list[Found]:
    files = find(source.patterns, config.root, config.lake.storage_options)
    if not files:
        raise SourceError(f"no file matches {', '.join(source.patterns)} in {config.root}.", source=name)
    return files


@contextmanager
def _stage(config: Config) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A DuckDB file of its own for one collection, gone afterwards: rows wait there on disk, not in memory."""
    with tempfile.TemporaryDirectory(prefix="farthing-") as folder:
        with duckdb.connect(str(Path(folder) / "stage.duckdb")) as stage:
            stage.execute("set TimeZone = 'UTC'")
            stage.execute(f"set memory_limit = '{_STAGE_MEMORY}'")
            stage.execute(f"set temp_directory = {literal(folder)}")
            stage.execute("set python_enable_replacements = false")
            stage.execute("set preserve_insertion_order = false")
            if config.engine.threads:
                stage.execute(f"set threads = {config.engine.threads}")
            yield stage, Path(folder)


@dataclass(frozen=True)
class _Past:
    """What the lake remembers of a file: its newest delivery, and how many there were."""

    identity: str
    status: str
    deliveries: int
    loaded_at: datetime


def _history(lake: Lake, table: Table, name: str) -> dict[str, _Past]:
    if lake.version(LOADS) is None:
        return {}
    with duckdb.connect() as con:
        lake.view(con, LOADS)
        rows = con.execute(
            "select x_load, arg_max(identity, loaded_at), arg_max(status, loaded_at), count(*), max(loaded_at) from lake.loads "
            'where x_source = ? and "table" = ? group by x_load',
            [name, table.name],
        ).fetchall()
    return {row[0]: _Past(*row[1:4], row[4].replace(tzinfo=UTC)) for row in rows}


class _Delivery:
    """One file on its way into the lake."""

    def __init__(
        self,
        kind: Kind,
        name: str,
        source: Source,
        lake: Lake | None,
        report: Report | None,
        stage: duckdb.DuckDBPyConnection,
        folder: Path,
        file: Found,
    ) -> None:
        self.kind, self.name, self.source, self.file = kind, name, source, file
        self.table, self.x_load = kind.table, file.name
        self._lake, self._report, self._stage, self._folder = lake, report, stage, folder
        told = source.model_dump_json(exclude={"path"}).encode()
        # The same bytes under another column map are another delivery: a mended map lands by itself.
        self.identity = f"{file.identity}-{hashlib.sha256(told).hexdigest()[:8]}"

    @property
    def lake(self) -> Lake:
        assert self._lake is not None
        return self._lake

    def land(self, past: _Past | None) -> LoadResult:
        """Stage, judge and commit the file, unless its newest delivery was this very one."""
        if past and past.identity == self.identity and past.status == "landed":
            self._advance(self.file.size)
            return LoadResult(self.name, self.table.name, self.x_load, "unchanged")
        load = f"{self.name}:{self.x_load}:{self.identity}" + (f":{past.deliveries + 1}" if past else "")
        try:
            path = fetch(self.file, self._folder)
            self.stage_rows(path)
        except (Unreadable, OSError) as error:
            problem = str(error) if isinstance(error, Unreadable) else f"cannot be read ({error.strerror or error})"
            result = LoadResult(self.name, self.table.name, self.x_load, "failed", problem=problem)
            if past is None or (past.identity, past.status) != (self.identity, "failed"):
                self._record(result, load, past)
            return result
        self._drop_repeated()
        self._commit_rejects(load)
        self._commit_rows(load)
        result = self._result()
        self._record(result, load, past)
        return result

    # -- staging ------------------------------------------------------------------------------------------------

    def stage_rows(self, path: Path, batches: int | None = None) -> None:
        """Fill `staged`: every row typed, with its line, or with the reason and the text of a refused one."""
        self._create_staged()
        file = open_file(path, self.source.format)
        columns = ColumnMap(self.name, self.source, self.kind.dialect, file, self.x_load)
        if self.kind.spec:
            missing = sorted(set(self.kind.needed(self.source)) - columns.mapped)
            if missing:
                has = ", ".join(file.columns)
                raise Unreadable(f"{self.kind.spec} requires {', '.join(missing)}; the file has: {has}")
        else:
            columns.require(self.kind.needed(self.source))
        self.kind.demand(self.name, self._row(columns))
        for path_ in dict.fromkeys(columns.missing_paths):
            self._message(f"{self.x_load}: the first rows have no '{path_}'")
        if isinstance(file, ParquetFile):
            limit = " where file_row_number < 1000" if batches else ""
            self._judge(columns, f"(select file_row_number + 1 as _line, * from {file.relation}{limit})")
            self._advance(self.file.size)
        else:
            for batch in islice(file.batches(columns.inputs), batches):
                self._stage.register("batch", batch.table)
                self._judge(columns, "batch")
                self._stage.unregister("batch")
                self._refuse(batch.broken)
                self._advance(batch.consumed_bytes)
        for statement in self.kind.finish(self.source):
            self._stage.execute(statement)

    def _row(self, columns: ColumnMap) -> Row:
        return Row(self.source, self.x_load, frozenset(filter(columns.gives, columns.mapped)), columns)

    def _create_staged(self) -> None:
        columns = [f"{quoted(name)} {sql_type(kind)}" for name, kind in self.kind.dialect.staged_types.items()]
        self._stage.execute(
            f"create or replace table staged ({', '.join(columns)}, _line bigint, _reason varchar, _raw varchar)"
        )

    def _judge(self, columns: ColumnMap, batch: str) -> None:
        row = self._row(columns)
        typed = columns.typed_sql(batch)
        for ours, zoneless in columns.zoneless:
            line = self._value(f"select min(_line) from ({typed}) where {zoneless}")
            if line is not None:
                raise columns.naive_error(ours, line)
        derived = ", ".join(f"{sql} as {quoted(ours)}" for ours, sql in self.kind.derived(row).items())
        made = f"select * replace ({derived}) from ({typed})" if derived else typed
        required = [
            (f"{quoted(name)} is null", literal(f"{name} is missing"))
            for name in dict.fromkeys((*self.kind.needed(self.source), *self.table.required))
            if name in columns.mapped or name in self.kind.derived(row)
        ]
        checks = [*columns.unreadable(), *required, *self.kind.checks(row)]
        reason = " ".join(f"when {condition} then {text}" for condition, text in checks)
        names = [quoted(name) for name in self.kind.dialect.staged_types]
        try:
            self._stage.execute(
                f"insert into staged select {', '.join(names)}, _line, _reason, "
                f"case when _reason is not null then left({columns.raw_sql}, {_RAW_CHARACTERS}) end "
                f"from (select *, case {reason} end as _reason from ({made}))"
            )
        except duckdb.IOException as error:
            raise Unreadable(f"cannot be read to its end ({str(error).splitlines()[0]})") from error

    def _refuse(self, broken: Sequence[Broken]) -> None:
        if broken:
            table = pa.table(
                {
                    "line": [one.line for one in broken],
                    "reason": [one.reason for one in broken],
                    "raw": [one.raw for one in broken],
                }
            )
            self._stage.register("broken", table)
            self._stage.execute("insert into staged (_line, _reason, _raw) select line, reason, raw from broken")
            self._stage.unregister("broken")

    # -- duplicates ---------------------------------------------------------------------------------------------

    def _drop_repeated(self) -> None:
        """Move rows that another row stands for into `repeated`: the last one of a file wins, and against the lake
        a row of the same content stays where it is."""
        self._stage.execute("create or replace table repeated (_line bigint)")
        self._stage.execute("create or replace table replaced (x_source varchar, x_load varchar, _line bigint)")
        key = self.kind.duplicate_key(self.source)
        if not key:
            return
        names = ", ".join(quoted(name) for name in key)
        same = " and ".join(f"s.{quoted(name)} is not distinct from k.{quoted(name)}" for name in key)
        self._stage.execute(
            f"insert into repeated select s._line from staged s join (select {names}, max(_line) as last from staged "
            f"where _reason is null group by all having count(*) > 1) k on {same} "
            "where s._reason is null and s._line < k.last"
        )
        if self.lake.version(self.table) is None:
            return
        self._see_lake()
        own = f"k.x_source = {literal(self.name)} and k.x_load = {literal(self.x_load)}"
        scope = f" and k.x_source = {literal(self.name)}" if "x_source" in self.table.key else ""
        content = [name for name in self.table.columns if name not in (*_ORIGIN, "day")]
        left, right = (", ".join(f"{side}.{quoted(name)}" for name in content) for side in "sk")
        first_day = "k.day" if "day" in self.table.partition_by else "null::date"
        self._stage.execute(
            f"create or replace table known as select s._line, k.x_source, k.x_load, {first_day} as day, {own} as own, "
            f"({left}) is not distinct from ({right}) as same from staged s join lake.{self.table.name} k on {same}{scope} "
            "where s._reason is null and s._line not in (from repeated)"
        )
        self._stage.execute("insert into repeated select distinct _line from known where same and not own")
        self._stage.execute(
            "insert into replaced select x_source, x_load, _line from known "
            "where not own and _line not in (from repeated)"
        )
        if "day" in self.table.partition_by and "x_source" in self.table.key:  # a redelivered request keeps its day
            self._stage.execute(
                "update staged set day = k.day from (select _line, min(day) as day from known group by _line) k "
                "where staged._line = k._line and staged._reason is null and staged.day <> k.day"
            )

    def _see_lake(self) -> None:
        self.lake.view(self._stage, self.table)

    # -- commits ------------------------------------------------------------------------------------------------

    def landing_sql(self) -> str:
        """The rows that land, in the table's columns, with `_line`."""
        columns = [
            literal(self.name) + " as x_source"
            if name == "x_source"
            else literal(self.x_load) + " as x_load"
            if name == "x_load"
            else quoted(name)
            for name in self.table.columns
        ]
        return f"select {', '.join(columns)}, _line from staged where _reason is null"

    def _commit_rejects(self, load: str) -> None:
        where: dict[str, object] = {"x_source": self.name, "x_load": self.x_load}
        some = self._count("staged where _reason is not null")
        if not some and not self._landed_before(REJECTS):
            return
        constants = {
            "table": literal(self.table.name),
            "file": literal(self.x_load),
            "rejected_at": f"timestamp {literal(clock.now().replace(tzinfo=None).isoformat(' '))}",
            "x_source": literal(self.name),
            "x_load": literal(self.x_load),
        }
        made = ", ".join(f"{sql} as {quoted(name)}" for name, sql in constants.items())
        data = self._reader(
            REJECTS,
            f"select {made}, _line as line, _raw as raw, _reason as reason "
            "from staged where _reason is not null order by _line",
        )
        self.lake.replace(REJECTS, data, where=where, load=f"{REJECTS.name}:{load}")

    def _commit_rows(self, load: str) -> None:
        """One commit: this file's rows instead of what it landed before, and instead of other files' outdated rows."""
        before = self._landed_before(self.table)
        losers = self._stage.execute("select distinct x_source, x_load from replaced order by all").fetchall()
        rows = f"select * exclude (_line) from ({self.landing_sql()} and _line not in (from repeated))"
        identity = f"{self.table.name}:{load}"
        if not before and not losers:
            if self._count("staged where _reason is null and _line not in (from repeated)"):
                self.lake.append(self.table, self._reader(self.table, rows), load=identity)
            return
        where: dict[str, object] = {"x_source": self.name, "x_load": self.x_load}
        if losers:
            where = {
                "x_source": sorted({self.name, *(loser[0] for loser in losers)}),
                "x_load": sorted({self.x_load, *(loser[1] for loser in losers)}),
            }
            rows += " union all by name " + self._kept_sql(where)
        self.lake.replace(self.table, self._reader(self.table, rows), where=where, load=identity)

    def _kept_sql(self, where: Mapping[str, object]) -> str:
        """Rows of other files that stay as they are when this file's newer ones take some of their places."""
        self._see_lake()
        key = self.kind.duplicate_key(self.source)
        same = " and ".join(f"s.{quoted(name)} is not distinct from k.{quoted(name)}" for name in key)
        scope = f"k.x_source = {literal(self.name)} and " if "x_source" in self.table.key else ""
        inside = " and ".join(
            f"k.{column} in ({', '.join(literal(str(one)) for one in values)})"
            for column, values in where.items()
            if isinstance(values, list)
        )
        return (
            f"select k.* from lake.{self.table.name} k where {inside} "
            f"and not (k.x_source = {literal(self.name)} and k.x_load = {literal(self.x_load)}) "
            f"and not exists (from staged s where s._reason is null and {scope}{same} "
            "and s._line in (select _line from replaced))"
        )

    def _record(self, result: LoadResult, load: str, past: _Past | None) -> None:
        # The newest delivery is told by its time, so no two of a file may have the same.
        loaded_at = max(clock.now(), past.loaded_at + timedelta(microseconds=1)) if past else clock.now()
        row = {
            "table": self.table.name,
            "file": self.x_load,
            "identity": self.identity,
            "status": result.status,
            "problem": result.problem or None,
            "read": result.read,
            "landed": result.landed,
            "duplicate": result.duplicate,
            "rejected": result.rejected,
            "loaded_at": loaded_at,
            "x_source": self.name,
            "x_load": self.x_load,
        }
        self.lake.append(LOADS, pa.Table.from_pylist([row], schema=LOADS.schema), load=f"{LOADS.name}:{load}")

    def _result(self) -> LoadResult:
        read, rejected = self._count("staged"), self._count("staged where _reason is not null")
        repeated = self._count("repeated")
        rounding: dict[str, Decimal] = {}
        if self.kind.rounding:
            currency, taken = self.kind.rounding(self.source)
            rounding = dict(
                self._stage.execute(
                    f"select {currency}, sum({taken})::decimal(38,24) from staged "
                    "where _reason is null and _line not in (from repeated) group by 1 order by 1"
                ).fetchall()
            )
        return LoadResult(
            self.name, self.table.name, self.x_load, "landed",
            read, read - rejected - repeated, repeated, rejected, rounding=rounding,
        )  # fmt: skip

    # -- small things -------------------------------------------------------------------------------------------

    def _landed_before(self, table: Table) -> bool:
        if self.lake.version(table) is None:
            return False
        self.lake.view(self._stage, table)
        return (
            self._count(f"lake.{table.name} where x_source = {literal(self.name)} and x_load = {literal(self.x_load)}")
            > 0
        )

    def _reader(self, table: Table, query: str) -> pa.RecordBatchReader:
        """The rows of `query` in `table`'s schema, batch by batch."""
        rows = self._stage.sql(query).to_arrow_reader(100_000)
        batches = (
            batch
            for chunk in rows
            for batch in pa.Table.from_batches([chunk]).select(table.columns).cast(table.schema).to_batches()
        )
        return pa.RecordBatchReader.from_batches(table.schema, batches)

    def _count(self, what: str) -> int:
        return self._value(f"select count(*) from {what}") or 0

    def _value(self, query: str) -> int | None:
        value: int | None = self._stage.sql(query).fetchall()[0][0]
        return value

    def _advance(self, done_bytes: int) -> None:
        if self._report:
            self._report.advance(done_bytes)

    def _message(self, text: str) -> None:
        if self._report:
            self._report.message(text)
