"""The spend log of a LiteLLM proxy in PostgreSQL, read day by day of `updated_at` and never written to.

LiteLLM writes its rows in batches and late, and may write them again: a row's place is the day of its last change. What
landed of a day is replaced when the day's rows are others now. Days before the watermark, which is the last day that
landed less an overlap, are left alone: there LiteLLM only deletes what it keeps no longer.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import duckdb
import pyarrow as pa

from collectors.litellm_fields import METADATA_KEYS, METADATA_OF_CALLER, metadata_sql
from collectors.litellm_requests import target_of, write_requests
from collectors.values import has_hash_key, set_hash_key
from farthing.config import Source
from farthing.errors import ConfigError, SourceError

if TYPE_CHECKING:
    import psycopg

#: The variable with the address of the database, unless `key_env` names another.
DATABASE = "LITELLM_DATABASE_URL"
#: Rows of the last days that landed are looked for again: LiteLLM writes late.
OVERLAP = timedelta(hours=48)
PAGE_ROWS = 5000
_TIMEOUT = "10min"  # of one query; a day without an index is one pass over the table
_PRISMA = frozenset({"connection_limit", "pool_timeout", "schema", "pgbouncer", "socket_timeout", "sslaccept"})
_RIGHTS = "select on the table, for a role of its own."
#: Names of ours -> SQL over a row; a column that the table lacks is null.
_COLUMNS = {
    "call_id": ("litellm_call_id", "{0}"),
    "id": ("request_id", "{0}"),
    "trace_id": ("session_id", "{0}"),  # where LiteLLM keeps the trace
    "call_type": ("call_type", "{0}"),
    "cache_hit": ("cache_hit", "{0}"),
    "status": ("status", "{0}"),
    "provider": ("custom_llm_provider", "{0}"),
    "began": ("startTime", "extract(epoch from {0})::text"),  # without a zone it is UTC
    "ended": ("endTime", "extract(epoch from {0})::text"),
    "first": ("completionStartTime", "extract(epoch from {0})::text"),
    "model": ("model", "{0}"),
    "model_group": ("model_group", "{0}"),
    "model_id": ("model_id", "{0}"),
    "cost": ("spend", "{0}::text"),
    "input": ("prompt_tokens", "{0}::text"),
    "output": ("completion_tokens", "{0}::text"),
    "request_tags": ("request_tags", "{0}::text"),
    "end_user": ("end_user", "{0}"),
    "user": ("user", "{0}"),
    "team": ("team_id", "{0}"),
    "organization_id": ("organization_id", "{0}"),
    "agent": ("agent_id", "{0}"),
}
_NEEDED = frozenset({"request_id", "updated_at", "startTime", "model", "prompt_tokens", "completion_tokens"})


@dataclass(frozen=True)
class SpendLog:
    """The table that `export` names in the database whose address an environment variable holds."""

    name: str
    source: Source

    def days(self, since: date | None) -> list[SpendDay]:
        """The days with rows that were changed on them, oldest first; none before `since`.

        Raises:
            ConfigError: the address or a package is missing.
            SourceError: the database refuses, or is not there.
        """
        where = "" if since is None else "where updated_at >= %(since)s"
        query = (
            "select date_trunc('day', updated_at)::date, count(*), max(updated_at)::text "
            f"from {{table}} {where} group by 1 order by 1"
        )
        with self.connected() as con:
            found = self.asked(con, query, {"since": since})
        return [SpendDay(self, day, rows, newest) for day, rows, newest in found]

    def newest(self) -> list[SpendDay]:
        """The day of the newest row, of which only the first page is read: to look at.

        Raises:
            ConfigError: the address or a package is missing.
            SourceError: the database refuses, or is not there, or the table is empty.
        """
        with self.connected() as con:
            [(newest,)] = self.asked(con, "select max(updated_at) from {table}")
        if newest is None:
            raise self._refused("the spend log has no row.", "wait for the first request.")
        return [SpendDay(self, newest.date(), 0, "", first_page=True)]

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection that cannot write.

        Raises:
            ConfigError: the address or a package is missing.
            SourceError: the database refuses, or is not there.
        """
        try:
            import psycopg
        except ImportError as error:
            raise ConfigError(
                "the spend log needs a package that is not installed.",
                key=f"sources.{self.name}",
                fix="install farthing[litellm].",
            ) from error
        variable = self.source.key_env or DATABASE
        address = os.environ.get(variable, "").strip()
        if not address:
            raise ConfigError(
                f"the environment variable {variable} is not set.",
                key=f"sources.{self.name}.key_env",
                fix="put the address of LiteLLM's database into it, or give path = files of payloads.",
            )
        try:
            con = psycopg.connect(_for_libpq(address), connect_timeout=15, application_name="farthing")
        except psycopg.ProgrammingError:
            # The message would quote the address, and with it the password.
            raise self._refused(
                f"what {variable} holds is no address of a PostgreSQL database.", "postgresql://USER:PASSWORD@HOST/NAME"
            ) from None
        except psycopg.OperationalError as error:
            raise self._refused(f"the database does not let farthing in ({_words(error, address)}).", _RIGHTS) from None
        with con:
            con.read_only = True
            con.prepare_threshold = None  # poolers know no prepared statements
            yield con

    def asked(self, con: psycopg.Connection[Any], query: str, given: dict[str, Any] | None = None) -> list[Any]:
        """The rows of a query, in a transaction of its own that lasts no longer than it.

        Raises:
            SourceError: the database refuses it.
        """
        import psycopg
        from psycopg import sql

        table = sql.Identifier(*(self.source.export or "").split("."))
        try:
            with con.transaction(), con.cursor() as cursor:
                cursor.execute("set local time zone 'UTC'")
                cursor.execute(sql.SQL("set local statement_timeout = {}").format(sql.Literal(_TIMEOUT)))
                cursor.execute(sql.SQL(query).format(table=table), given)
                return cursor.fetchall()
        except psycopg.errors.UndefinedTable:
            raise self._refused(
                f"there is no table '{self.source.export}'.", 'export = "LiteLLM_SpendLogs", or "SCHEMA.TABLE"'
            ) from None
        except psycopg.errors.UndefinedColumn as error:
            raise self._refused(f"this is no spend log of LiteLLM ({_words(error)}).", "correct export.") from None
        except psycopg.errors.InsufficientPrivilege as error:
            raise self._refused(f"the table may not be read ({_words(error)}).", f"grant {_RIGHTS}") from None
        except psycopg.Error as error:
            raise self._refused(f"the database does not answer as it should ({_words(error)}).", "try again.") from None

    def columns(self, con: psycopg.Connection[Any]) -> set[str]:
        """The names of the table's columns.

        Raises:
            SourceError: it is no spend log, or may not be read.
        """
        known = "select attname from pg_attribute where attrelid = %(id)s::regclass and attnum > 0 and not attisdropped"
        quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (self.source.export or "").split("."))
        self.asked(con, "select 1 from {table} limit 0")
        names = {row[0] for row in self.asked(con, known, {"id": quoted})}
        if missing := sorted(_NEEDED - names):
            raise self._refused(f"'{self.source.export}' is no spend log: it has no {', '.join(missing)}.", "")
        return names

    def _refused(self, problem: str, fix: str) -> SourceError:
        return SourceError(problem, source=self.name, object_name=self.source.export or "", fix=fix)


@dataclass(frozen=True)
class SpendDay:
    """The rows of the spend log that were last changed on one day, UTC."""

    form: ClassVar[str] = "LiteLLM spend log"

    log: SpendLog
    day: date
    rows: int
    newest: str
    first_page: bool = False

    @property
    def name(self) -> str:
        """The table and the day."""
        return f"{self.log.source.export} {self.day}"

    @property
    def size(self) -> int:
        """Unknown before it is read."""
        return 0

    @property
    def identity(self) -> str:
        """How many rows, and when the last of them was changed: a row that changes again leaves the day or is newer."""
        return f"{self.rows}-{self.newest}" + ("-hashed" if has_hash_key() else "")

    def fetch(self, folder: Path) -> Path:
        """Parquet with the requests, in columns of the lake; read page by page.

        Raises:
            SourceError: the database refuses, or is not there.
        """
        target = target_of(folder, self.name, self.identity)
        if not target.exists():
            write_requests(target, self._facts(), self.log.source)
        return target

    def _facts(self) -> Iterator[pa.Table]:
        hashed = has_hash_key()
        with self.log.connected() as con, duckdb.connect() as engine:
            engine.execute("set TimeZone = 'UTC'")
            engine.execute("set python_enable_replacements = false")
            if hashed:
                set_hash_key(engine)
            names = self.log.columns(con)
            line = 1
            for page in self._pages(con, names, hashed=hashed):
                lines = pa.array(range(line, line + len(page)), pa.int64())
                cells = [pa.array(column, pa.string()) for column in zip(*page, strict=True)]
                heads = [*_COLUMNS, "metadata", "messages"]
                cells = cells or [pa.array([], pa.string())] * len(heads)
                engine.register("page", pa.table([lines, *cells], names=["_line", *heads]))
                yield engine.sql(metadata_sql("page", _COLUMNS, hashed=hashed)).to_arrow_table()
                engine.unregister("page")
                line += len(page)

    def _pages(self, con: psycopg.Connection[Any], names: set[str], *, hashed: bool) -> Iterator[Sequence[Any]]:
        """Rows in the order of their last change; each page begins behind the last row of the one before."""
        made = [sql.format(f'"{theirs}"') if theirs in names else "null" for theirs, sql in _COLUMNS.values()]
        made.append(_metadata(self.log.source) if "metadata" in names else "null")
        made.append("messages::text" if hashed and "messages" in names else "null")
        query = (
            f"select updated_at, request_id, {', '.join(made)} from {{table}} "
            "where updated_at >= %(begin)s and updated_at < %(end)s {after}"
            "order by updated_at, request_id limit %(limit)s"
        )
        given: dict[str, Any] = {"begin": self.day, "end": self.day + timedelta(days=1), "limit": PAGE_ROWS}
        after = ""
        yield []
        while page := self.log.asked(con, query.replace("{after}", after), given):
            yield [row[2:] for row in page]
            if len(page) < PAGE_ROWS or self.first_page:
                return
            after = "and (updated_at, request_id) > (%(changed)s, %(id)s) "
            changed: datetime = page[-1][0]
            given |= {"changed": changed, "id": page[-1][1]}


def _metadata(source: Source) -> str:
    """SQL of what is needed of `metadata`: the rest, and with it whatever a caller put there, stays in the database."""
    said = "metadata::jsonb"
    # A text that is JSON, as some releases wrote it. The braces are doubled: they are no place of a parameter.
    told = f"(case when jsonb_typeof({said}) = 'string' then ({said} #>> '{{{{}}}}')::jsonb else {said} end)"
    keys = [*METADATA_KEYS, *(METADATA_OF_CALLER if source.tags or source.columns else [])]
    pairs = ", ".join(f"'{key}', {told} -> '{key}'" for key in keys)
    return f"jsonb_strip_nulls(jsonb_build_object({pairs}))::text"


def _for_libpq(address: str) -> str:
    """The address without what only Prisma, LiteLLM's way to its database, understands."""
    parts = urlsplit(address)
    kept = [(key, value) for key, value in parse_qsl(parts.query, keep_blank_values=True) if key not in _PRISMA]
    return urlunsplit(parts._replace(query=urlencode(kept))) if parts.query else address


def _words(error: Exception, address: str = "") -> str:
    """The first line of what the database says, without a password."""
    words = str(error).strip().splitlines()[0]
    password = urlsplit(address).password if "://" in address else None
    return re.sub(r"password=\S+", "password=...", words.replace(password, "...") if password else words)[:300]
