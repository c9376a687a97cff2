"""One file on its way into the lake: staged row by row, judged, cleared of duplicates, committed.

The commits are in an order that may stop anywhere: for a file that landed before, the line in `loads` that takes that
back; rejects, rows, then the line that says it is done. Run again, each is found by its load identity or replaces what
was there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa

from collectors.kind import ASIDE, REACHING, Check, Deliverable, Kind, LoadResult, Report, Row
from collectors.lines import RAW_LIMIT_BYTES, Broken, UnreadableError
from collectors.mapping import KEYED, ColumnMap
from collectors.raw import REPEATED, ROWS_APART, ParquetFile, open_file
from collectors.values import HASH_KEY, has_hash_key, literal, quoted, set_hash_key, sql_type
from farthing import clock
from farthing.config import Source
from farthing.errors import ConfigError
from farthing.lake import Lake, Query
from farthing.lake.schemas import LOADS, REJECTS, Table

_ORIGIN = ("x_source", "x_load")
_TEXT = {"problem": pl.String}  # null alone has no type
_REFUSED = f"_reason <> {literal(ASIDE)}"  # null, which is not true, for a good row


@dataclass(frozen=True)
class Past:
    """What the lake remembers of a file: its newest delivery, and how many there were."""

    identity: str
    status: str
    deliveries: int
    loaded_at: datetime


class Delivery:
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
        file: Deliverable,
    ) -> None:
        self.kind, self.name, self.source, self.file = kind, name, source, file
        self.table, self.x_load = kind.table, file.name
        self.x_loads = [file.name]  # of its rows; several where small files land together
        self._staged: list[str] = []
        self._seen: dict[str, int | None] = {}  # versions of the lake's tables that the stage shows
        self._in_place = False  # whether `staged` reads the rows from their file
        self._read: tuple[Path, tuple[int, ...]] | None = None  # somebody's file that is read where it lies, as it was
        self._told_repeated = ""  # SQL: the lines that the file itself says are repeated
        self.recalled: set[str] = set()  # other files that must be read again because of this one
        self._lake, self._report, self._stage, self._folder = lake, report, stage, folder
        told = source.model_dump_json(exclude=set(REACHING)).encode()
        # The same bytes under another column map are another delivery: a mended map lands by itself.
        self.identity = f"{file.identity}-{hashlib.sha256(told).hexdigest()[:8]}"

    @property
    def lake(self) -> Lake:
        """The lake; a preview has none and does not ask."""
        assert self._lake is not None
        return self._lake

    def land(self, past: Past | None) -> LoadResult:
        """Stage, judge and commit the file, unless its newest delivery was this very one."""
        if past and past.identity == self.identity and past.status == "landed":
            self._advance(self.file.size)
            return LoadResult(self.name, self.table.name, self.x_load, "unchanged")
        load = f"{self.name}:{self.x_load}:{self.identity}" + (f":{past.deliveries + 1}" if past else "")
        try:
            path = self.file.fetch(self._folder)
            self.stage_rows(path)
        except (UnreadableError, OSError) as error:
            return self._failed(error, load, past)
        try:
            with self._as_it_was():
                yields = past is not None and (past.identity, past.status) == (self.identity, "recalled")
                self._drop_repeated(yields=yields)
                result = self._result()
                past = self._take_back(past, load)
                self._commit_rejects()
                self._commit_rows(load)
        except UnreadableError as error:
            return self._failed(error, load, past)
        if result.aside:
            self._message(f"{self.x_load}: {result.aside:,} lines are no {self.table.name}, and stand aside")
        self._record(result, load, past)
        return result

    def _failed(self, error: UnreadableError | OSError, load: str, past: Past | None) -> LoadResult:
        problem = str(error) if isinstance(error, UnreadableError) else f"cannot be read ({error.strerror or error})"
        result = LoadResult(self.name, self.table.name, self.x_load, "failed", problem=problem)
        if past is None or (past.identity, past.status) != (self.identity, "failed"):
            self._record(result, load, past)
        return result

    # -- staging ------------------------------------------------------------------------------------------------

    def stage_rows(self, path: Path, batches: int | None = None) -> None:
        """Fill `staged`: every row typed, with its line, or with the reason and the text of a refused one."""
        file = open_file(path, self.source.format)
        columns = ColumnMap(self.name, self.source, self.kind.dialect, file, self.x_load)
        self._create_staged(columns)
        if self.kind.spec:
            missing = sorted(set(self.kind.needed(self.source)) - columns.mapped)
            if missing:
                has = ", ".join(file.columns)
                raise UnreadableError(f"{self.kind.spec} requires {', '.join(missing)}; the file has: {has}")
        else:
            columns.require(self.kind.needed(self.source))
        self.kind.demand(self.name, self._row(columns))
        if KEYED in columns.mapped and KEYED not in self.source.constants:
            self._set_hash_key()
        for path_ in dict.fromkeys(columns.missing_paths):
            self._message(f"{self.x_load}: the first rows have no '{path_}'")
        if isinstance(file, ParquetFile):
            if REPEATED in file.notes:
                self._told_repeated = f"select _line from {file.relation} where _repeated"
            if batches:
                self._judge(columns, f"(from {file.relation} limit 1000)")
            elif self._stays(columns):
                with self._as_it_was(path):
                    self._judge_in_place(columns, file.relation)
            else:
                self._judge(columns, file.relation)
            self._advance(self.file.size)
        else:
            for batch in islice(file.batches(columns.inputs), batches):
                self._stage.register("batch", batch.table)
                self._judge(columns, "batch")
                self._stage.unregister("batch")
                self._refuse(batch.broken)
                self._advance(batch.consumed_bytes)
        self._finish()

    def _finish(self) -> None:
        """What a kind does when all rows are in, with what stands beside the file at hand."""
        statements = self.kind.finish(self.source)
        beside = self.kind.beside(self.file, self._folder) if statements else None
        if beside is not None:
            self._stage.register("beside", beside)
        for statement in statements:
            self._stage.execute(statement)
        if beside is not None:
            self._stage.unregister("beside")

    def _set_hash_key(self) -> None:
        if not has_hash_key():
            raise ConfigError(
                f"a hash of prompts needs a key, and {HASH_KEY} is not set: without one, prompts could be guessed.",
                key=f"sources.{self.name}.columns.{KEYED}",
                fix=f"set {HASH_KEY} in the environment to a long random text, the same for all collections.",
            )
        set_hash_key(self._stage)

    def _row(self, columns: ColumnMap) -> Row:
        return Row(self.source, self.x_load, frozenset(filter(columns.gives, columns.mapped)), columns)

    def _create_staged(self, columns: ColumnMap) -> None:
        """`staged_rows` holds only the columns that something gives, `staged` shows all: most of a table is null."""
        types = self.kind.dialect.staged_types
        self._staged = list(types)
        if not self.kind.finish(self.source):
            given = {*columns.mapped, *self._derivable(columns), *self.kind.duplicate_key(self.source)}
            self._staged = [name for name in types if name in given]
        stored = [f"{quoted(name)} {sql_type(types[name])}" for name in self._staged]
        self._stage.execute(
            f"create or replace table staged_rows ({', '.join(stored)}, _line bigint, _reason varchar, _raw varchar, "
            "_said varchar)"
        )
        self._show("staged_rows")

    def _show(self, rows: str) -> None:
        """Make `staged` of `rows`, with the columns that nothing gives as null."""
        types = self.kind.dialect.staged_types
        absent = [f"null::{sql_type(types[name])} as {quoted(name)}" for name in types if name not in self._staged]
        self._stage.execute(f"create or replace view staged as select {', '.join([*absent, '*'])} from {rows}")

    def _stays(self, columns: ColumnMap) -> bool:
        """Whether nothing will be done to the rows, so that they need not be kept a second time.

        Duplicates are looked for in the file itself: by what it says, not by what is dear to make of it.
        """
        return not self.kind.finish(self.source) and columns.mapped.issuperset(self.kind.duplicate_key(self.source))

    @contextmanager
    def _as_it_was(self, path: Path | None = None) -> Iterator[None]:
        """Rows that are read where they lie are read several times: of one and the same file, or none lands.

        Raises:
            UnreadableError: somebody wrote the file at `path` meanwhile, or took it away.
        """
        if path and not path.is_relative_to(self._folder):
            self._read = path, _marks(path)
        try:
            yield
        except Exception:
            self._unchanged()
            raise

    def _unchanged(self) -> None:
        if self._read and _marks(self._read[0]) != self._read[1]:
            raise UnreadableError("it was changed while it was read; it is read again when it stays as it is")

    def _judge(self, columns: ColumnMap, batch: str) -> None:
        names = [quoted(name) for name in self._staged]
        with self._readable():
            self._stage.execute(
                f"insert into staged_rows select {', '.join(names)}, _line, _reason, "
                f"case when {_REFUSED} then {self._excerpt(columns)} end, "
                f"case when {_REFUSED} then {self._said} end "
                f"from ({self._judged(columns, batch)})"
            )

    def _judge_in_place(self, columns: ColumnMap, relation: str) -> None:
        """Keep only the lines that are refused; the others are counted, and read from their file again to land."""
        names = [quoted(name) for name in self._staged]
        judged = self._judged(columns, relation)
        currency, taken = self._rounding or ("null", "0")
        with self._readable():
            self._stage.execute(
                f"create or replace table judged as select {currency} as currency, "
                f"sum({taken}) filter (where _reason is null)::decimal(38,24) as taken, "
                "count(*) filter (where _reason is null) as good, "
                "count(*) filter (where _reason is null and _line > 0) as lines, count(_reason) as refused "
                f"from ({judged}) group by all"
            )
            # The text of a row is dear to make: only when there are some, and only of these.
            some = "" if self._value("select sum(refused) from judged") else " limit 0"
            self._stage.execute(
                f"create or replace table refused as select _line, _reason, {self._excerpt(columns)} as _raw, "
                f"{self._said} as _said from ({judged}) where _reason is not null{some}"
            )
        good = f"select {', '.join(names)}, _line, null::varchar as _reason, null::varchar as _raw, "
        good += "null::varchar as _said from ({})"
        good = good.format(self._made(columns, relation))
        if self._count("refused"):
            good = f"from ({good}) where _line not in (select _line from refused)"
        types = {name: sql_type(self.kind.dialect.staged_types[name]) for name in self._staged}
        blank = ", ".join(f"null::{kind} as {quoted(name)}" for name, kind in types.items())
        self._stage.execute("drop table if exists staged_rows")
        self._stage.execute(
            f"create or replace view staged_in_place as {good} union all select {blank}, * from refused"
        )
        self._show("staged_in_place")
        self._in_place = True

    def _derivable(self, columns: ColumnMap) -> set[str]:
        """Our columns that the kind makes of others."""
        row = self._row(columns)
        return {*self.kind.prepared(row), *self.kind.derived(row)}

    def _made(self, columns: ColumnMap, batch: str) -> str:
        """The rows of `batch` with every column typed, prepared and derived."""
        row, made = self._row(columns), columns.typed_sql(batch)
        prepared = self.kind.prepared(row)
        if prepared:  # it may take a value for none, which is not to be unable to read it
            made = f"select *, {_first_of(columns.unreadable())} as _unreadable from ({made})"
        for step in (prepared, self.kind.derived(row)):
            replaced = ", ".join(f"{sql} as {quoted(ours)}" for ours, sql in step.items())
            made = f"select * replace ({replaced}) from ({made})" if replaced else made
        return made

    def _judged(self, columns: ColumnMap, batch: str) -> str:
        """The same, with the reason of those that cannot land."""
        row = self._row(columns)
        typed = columns.typed_sql(batch)
        for ours, zoneless in columns.zoneless:
            line = self._value(f"select min(_line) from ({typed}) where {zoneless}")
            if line is not None:
                raise columns.naive_error(ours, line)
        required = [
            (f"{quoted(name)} is null", literal(f"{name} is missing"))
            for name in dict.fromkeys((*self.kind.needed(self.source), *self.table.required))
            if name in columns.mapped or name in self._derivable(columns)
        ]
        # What a kind says of a row comes before what the lake misses: it speaks of the file's own columns.
        noted = [("_unreadable is not null", "_unreadable")] if self.kind.prepared(row) else columns.unreadable()
        checks = [*noted, *self.kind.checks(row), *required]
        if aside := self.kind.aside(row):
            checks.insert(0, (aside, literal(ASIDE)))
        return f"select *, {_first_of(checks)} as _reason from ({self._made(columns, batch)})"

    @staticmethod
    def _excerpt(columns: ColumnMap) -> str:
        return f"left({columns.excerpt_sql}, {RAW_LIMIT_BYTES})"

    @property
    def _rounding(self) -> tuple[str, str] | None:
        return self.kind.rounding(self.source) if self.kind.rounding else None

    @property
    def _said(self) -> str:
        """What is kept of a rejected row beside its text, as one JSON object."""
        pairs = ", ".join(
            f"{literal(name)}, {quoted(name)}::varchar" for name in self.kind.said if name in self._staged
        )
        return f"nullif(json_merge_patch('{{}}', json_object({pairs}))::varchar, '{{}}')" if pairs else "null::varchar"

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException) as error:
            raise UnreadableError(f"cannot be read to its end ({str(error).splitlines()[0]})") from error

    def _refuse(self, broken: Sequence[Broken]) -> None:
        if broken:
            hidden = self.kind.dialect.private
            table = pa.table(
                {
                    "line": [one.line for one in broken],
                    "reason": [one.reason for one in broken],
                    "raw": ["not kept: it may hold a prompt" if hidden else one.raw for one in broken],
                }
            )
            self._stage.register("broken", table)
            self._stage.execute("insert into staged_rows (_line, _reason, _raw) select line, reason, raw from broken")
            self._stage.unregister("broken")

    # -- duplicates ---------------------------------------------------------------------------------------------

    def _drop_repeated(self, *, yields: bool) -> None:
        """Note in `repeated` the rows that another stands for, and in `replaced` the lake's rows that are outdated.

        In a file the last row with a key wins. Against other files of the lake, a row of the same content is
        repeated and the lake's stays; one of other content takes its place, unless this file `yields`: it is not new,
        it only brings what is gone from the others.
        """
        self._stage.execute("create or replace table repeated (_line bigint)")
        self._stage.execute("create or replace table replaced (x_source varchar, x_load varchar, _line bigint)")
        if self._told_repeated:
            self._stage.execute(
                "insert into repeated select _line from staged where _reason is null "
                f"and _line in ({self._told_repeated})"
            )
        key = self.kind.duplicate_key(self.source)
        if not key:
            return
        names = ", ".join(quoted(name) for name in key)
        same = " and ".join(f"s.{quoted(name)} is not distinct from k.{quoted(name)}" for name in key)
        # First by their hashes, which are small: most files have no two keys alike, and are done with that.
        mark = f"hash({names})"
        self._stage.execute(
            f"create or replace table alike as select {mark} as mark from staged where _reason is null "
            "group by all having count(*) > 1"
        )
        if self._count("alike"):
            last = f"arg_max(_line, {self._rank('')})" if self.kind.wins else "max(_line)"
            some = f"_reason is null and {mark} in (from alike)"
            self._stage.execute(
                f"create or replace table last_of as select {names}, {last} as last from staged where {some} "
                "group by all having count(*) > 1"
            )
            self._stage.execute(
                f"insert into repeated select s._line from (select {names}, _line from staged where {some}) s "
                f"join last_of k on {same} where s._line <> k.last"
            )
        if self.lake.version(self.table) is None:
            return
        self._see(self.table)
        own = self._own("k.")
        scope = f" and k.x_source = {literal(self.name)}" if "x_source" in self.table.key else ""
        content = [name for name in self.table.columns if name not in (*_ORIGIN, "day")]
        left, right = (", ".join(f"{side}.{quoted(name)}" for name in content) for side in "sk")
        first_day = "k.day" if "day" in self.table.partition_by else "null::date"
        outdated = f" or {self._rank('k.', '0')} > {self._rank('s.', '0')}" if self.kind.wins else ""
        self._stage.execute(
            f"create or replace table known as select s._line, k.x_source, k.x_load, {first_day} as day, "
            f"{own} as own, {yields} or ({left}) is not distinct from ({right}){outdated} as same "
            f"from staged s join lake.{self.table.name} k on {same}{scope} "
            "where s._reason is null and s._line not in (from repeated)"
        )
        self._stage.execute("insert into repeated select distinct _line from known where same and not own")
        self._stage.execute(
            "insert into replaced select x_source, x_load, _line from known "
            "where not own and _line not in (from repeated)"
        )
        if "day" in self.table.partition_by and "x_source" in self.table.key:  # a redelivered request keeps its day
            self._keep_days()

    def _keep_days(self) -> None:
        """Leave rows that the lake knows on the day that they have there."""
        self._stage.execute(
            "create or replace table moved as select s._line, k.day from staged s "
            "join (select _line, min(day) as day from known group by _line) k on s._line = k._line "
            "where s._reason is null and s.day <> k.day"
        )
        if not self._count("moved"):
            return
        if not self._in_place:
            self._stage.execute(
                "update staged_rows set day = moved.day from moved where staged_rows._line = moved._line "
                "and staged_rows._reason is null"
            )
            return
        self._show(
            "(select rows.* replace (coalesce(moved.day, rows.day) as day) from staged_in_place rows "
            "left join moved on rows._reason is null and rows._line = moved._line)"
        )

    def _rank(self, of: str, line: str = "_line") -> str:
        """What the greater of two rows with a key has more of; nothing is less than anything."""
        parts = [f"{of}{quoted(name)} is not null, {of}{quoted(name)}" for name in self.kind.wins]
        fields = ", ".join(f"'{number}': {part}" for number, part in enumerate(", ".join([*parts, line]).split(", ")))
        return f"{{{fields}}}"

    def _see(self, table: Table) -> None:
        """Show the newest version of `table` as `lake.NAME`; it is looked for anew only when there is a newer one."""
        version = self.lake.version(table)
        if self._seen.get(table.name) != version:
            self.lake.view(self._stage, table, version=version)
            self._seen[table.name] = version

    # -- commits ------------------------------------------------------------------------------------------------

    def _own(self, prefix: str = "") -> str:
        """SQL: whether a row of the lake is of this delivery."""
        loads = ", ".join(map(literal, self.x_loads))
        return f"{prefix}x_source = {literal(self.name)} and {prefix}x_load in ({loads})"

    @property
    def _x_load_sql(self) -> str:
        """SQL over a staged row: the file that it is of."""
        return literal(self.x_load)

    def landing_sql(self, *, line: bool = True) -> str:
        """The rows that land, in the table's columns, and `_line`."""
        columns = [
            literal(self.name) + " as x_source"
            if name == "x_source"
            else f"{self._x_load_sql} as x_load"
            if name == "x_load"
            else quoted(name)
            for name in self.table.columns
        ]
        return f"select {', '.join([*columns, *(['_line'] if line else [])])} from staged where _reason is null"

    def _within(self) -> Callable[[Mapping[str, str]], str] | None:
        """SQL that narrows `landing_sql` to lines among which are all those of a day; a log is mostly in order.

        Bills are not read month by month: what is made of a line of theirs is dear, and would be made every time.
        """
        if self.table.partition_by != ("day",):
            return None
        if not self._in_place:
            return lambda _: ""
        spans = self._stage.execute(
            "select day::varchar, min(_line), max(_line) from staged where _reason is null group by all"
        ).fetchall()
        between = {day: f" and _line between {first} and {last}" for day, first, last in spans}
        return lambda partition: between[partition["day"]]

    def _commit_rejects(self) -> None:
        where: dict[str, object] = {"x_source": self.name, "x_load": self.x_loads, "table": self.table.name}
        some = self._count(f"staged where {_REFUSED}")
        if not some and not self._landed_before(REJECTS, f'and "table" = {literal(self.table.name)}'):
            return
        constants = {
            "table": literal(self.table.name),
            "file": self._x_load_sql,
            "rejected_at": f"timestamp {literal(clock.now().replace(tzinfo=None).isoformat(' '))}",
            "x_source": literal(self.name),
            "x_load": self._x_load_sql,
        }
        made = ", ".join(f"{sql} as {quoted(name)}" for name, sql in constants.items())
        data = self._reader(
            REJECTS,
            f"select {made}, abs(_line) % {ROWS_APART} as line, _raw as raw, _reason as reason, _said as said "
            f"from staged where {_REFUSED} order by x_load, line, _line",
        )
        self.lake.replace(REJECTS, data, where=where)

    def _commit_rows(self, load: str) -> None:
        """One commit: this file's rows instead of what it landed before, and instead of other files' outdated rows."""
        before = self._landed_before(self.table)
        losers = self._stage.execute("select distinct x_source, x_load from replaced order by all").fetchall()
        new = " and _line not in (from repeated)" if self._count("repeated") else ""
        rows = self.landing_sql(line=False) + new
        if not before and not losers:
            if self._count("staged where _reason is null and _line not in (from repeated)"):
                nothing = frozenset(self.table.columns).difference(self._staged, _ORIGIN)
                query = Query(self._stage, rows, self._unchanged, nothing, self._within())
                self.lake.append(self.table, query, load=f"{self.table.name}:{load}")
            return
        where: dict[str, object] = {"x_source": self.name, "x_load": self.x_loads}
        if losers:
            where = {
                "x_source": sorted({self.name, *(loser[0] for loser in losers)}),
                "x_load": sorted({*self.x_loads, *(loser[1] for loser in losers)}),
            }
            rows += " union all by name " + self._kept_sql(where)
        if before and self.kind.duplicate_key(self.source):
            self._recall_others(load)
        # Without an identity: rows of a delivery that never got its line may have been replaced by another's since.
        self.lake.replace(self.table, self._reader(self.table, rows), where=where)

    def _kept_sql(self, where: Mapping[str, object]) -> str:
        """Rows of other files that stay as they are when this file's newer ones take some of their places."""
        self._see(self.table)
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
            f"and not ({self._own('k.')}) "
            f"and not exists (from staged s where s._reason is null and {scope}{same} "
            "and s._line in (select _line from replaced))"
        )

    def _recall_others(self, load: str) -> None:
        """Have other files read again when rows vanish from this one: theirs may have been left out for the sake of it.

        Those are files with duplicates, and files of which the lake holds less than they landed. The note is made
        before the rows vanish, so that it is not lost when the commit after it is never reached.
        """
        key = self.kind.duplicate_key(self.source)
        same = " and ".join(f"s.{quoted(name)} is not distinct from k.{quoted(name)}" for name in key)
        own = self._own()
        self._see(self.table)
        if self.lake.version(LOADS) is None or not self._count(
            f"(select 1 from lake.{self.table.name} k where {own} "
            f"and not exists (from staged s where s._reason is null and {same}))"
        ):
            return
        self._see(LOADS)
        scope = f"x_source = {literal(self.name)} and " if "x_source" in self.table.key else ""
        others = self._stage.execute(
            "select x_source, x_load, newest.identity, newest.loaded_at from ("
            "  select x_source, x_load, arg_max(l, loaded_at) as newest from lake.loads l "
            f'  where {scope}"table" = {literal(self.table.name)} and not ({own}) group by all) '
            f"left join (select x_source, x_load, count(*) as held from lake.{self.table.name} group by all) "
            "using (x_source, x_load) "
            "where newest.status = 'landed' and (newest.duplicate > 0 or coalesce(held, 0) < newest.landed)"
        ).fetchall()
        for name, x_load, identity, loaded_at in others:
            note = LoadResult(
                name, self.table.name, x_load, "recalled",
                problem=f"to be read again: rows that {self.x_load} no longer has may be in it",
            )  # fmt: skip
            # The other may have been read again since a killed run noted this: its newest delivery is in the identity.
            again = f"{name}:{x_load}:recalled:{load}:{loaded_at}"
            self._write_load(note, identity, _after(loaded_at.replace(tzinfo=UTC)), again)
            self.recalled.add(x_load)

    def _take_back(self, past: Past | None, load: str) -> Past | None:
        """Note that this file is not landed any more, before the first of its rows changes.

        Else a file that is replaced, then put back as it was after a kill, would be taken for unchanged.
        """
        if past is None or past.status != "landed":
            return past
        note = LoadResult(
            self.name, self.table.name, self.x_load, "failed", problem="stopped in the middle; to be read again"
        )
        began = _after(past.loaded_at)
        self._write_load(note, past.identity, began, f"{load}:began")
        return replace(past, loaded_at=began)

    def _record(self, result: LoadResult, load: str, past: Past | None) -> None:
        self._write_load(result, self.identity, _after(past.loaded_at if past else None), load)

    def _write_load(self, result: LoadResult, identity: str, loaded_at: datetime, load: str) -> None:
        self._write_loads([(result, identity)], loaded_at, load)

    def _write_loads(self, told: Sequence[tuple[LoadResult, str]], loaded_at: datetime, load: str) -> None:
        rows = [self._load_row(result, identity, loaded_at) for result, identity in told]
        self.lake.append(LOADS, pl.DataFrame(rows, schema_overrides=_TEXT), load=f"{LOADS.name}:{load}")

    @staticmethod
    def _load_row(result: LoadResult, identity: str, loaded_at: datetime) -> dict[str, object]:
        return {
            "table": result.table,
            "file": result.file,
            "identity": identity,
            "status": result.status,
            "problem": result.problem or None,
            "read": result.read,
            "landed": result.landed,
            "duplicate": result.duplicate,
            "rejected": result.rejected,
            "aside": result.aside,
            "loaded_at": loaded_at,
            "x_source": result.source,
            "x_load": result.file,
        }

    def _result(self) -> LoadResult:
        # Lines are counted: a second charge of a line has its number, negative.
        lines = "_line > 0 and _reason is not null" if self._in_place else "_line > 0"
        aside = self._count(f"staged where {lines} and _reason = {literal(ASIDE)}")
        read = self._count(f"staged where {lines}") - aside
        if self._in_place:
            read += self._value("select sum(lines) from judged") or 0
        rejected = self._value(f"select count(distinct abs(_line)) from staged where {_REFUSED}") or 0
        repeated = self._count("repeated")
        rounding: dict[str, Decimal] = {}
        if self._rounding:
            currency, taken = self._rounding
            landing = "staged where _reason is null and _line not in (from repeated)"
            told = "select currency, taken from judged where good > 0 order by 1"
            if not self._in_place or repeated:
                told = f"select {currency}, sum({taken})::decimal(38,24) from {landing} group by 1 order by 1"
            rounding = dict(self._stage.execute(told).fetchall())
        return LoadResult(
            self.name, self.table.name, self.x_load, "landed",
            read, read - rejected - repeated, repeated, rejected, aside, form=self.file.form, rounding=rounding,
        )  # fmt: skip

    # -- small things -------------------------------------------------------------------------------------------

    def _landed_before(self, table: Table, also: str = "") -> bool:
        if self.lake.version(table) is None:
            return False
        self._see(table)
        return self._count(f"lake.{table.name} where {self._own()} {also}") > 0

    def _reader(self, table: Table, query: str) -> pa.RecordBatchReader:
        """The rows of `query` in `table`'s schema, batch by batch."""
        return Query(self._stage, query, settled=self._unchanged).stream(table)

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


def _first_of(checks: Sequence[Check]) -> str:
    """SQL of the reason of the first check that holds; null where none does."""
    return f"case {' '.join(f'when {condition} then {reason}' for condition, reason in checks)} end"


def _after(newest: datetime | None) -> datetime:
    """Now, but later than `newest`: a file's newest delivery is told by its time, so no two may have the same."""
    return max(clock.now(), newest + timedelta(microseconds=1)) if newest else clock.now()


def _marks(path: Path) -> tuple[int, ...]:
    """What tells whether a file is still the same one, with the same content; nothing where it is gone."""
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
