"""Runs the SELECT files of sql/: one table or view per file, ordered by the table names that they read."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import graphlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from farthing.build.together import together
from farthing.errors import ConfigError, InvariantError

ROOT: Traversable = files("sql")


@dataclasses.dataclass(frozen=True)
class Model:
    """One SELECT file: the table or view that it makes, what it reads, and the comment at its top."""

    name: str
    file: str
    sql: str
    is_view: bool
    reads: frozenset[str]  # tables that other files make
    outside: frozenset[str]  # tables of the schemas lake and settings
    comment: str


@functools.cache
def models(*rooms: str, root: Traversable = ROOT, known: frozenset[str] = frozenset()) -> dict[str, Model]:
    """All files of `rooms` (folders of sql/), by table name; tables that are `known` are there without a file.

    Raises:
        ConfigError: a file is not one SELECT, two files make one table, a file reads a table that nobody makes, or
            the files read each other in a circle.
    """
    found: dict[str, Model] = {}
    for room in rooms:
        for path in _sql_files(root.joinpath(*room.split("/"))):
            model = parse(
                path.read_text(encoding="utf-8"), name=path.name.removesuffix(".sql"), file=f"sql/{room}/{path.name}"
            )
            if model.name in found:
                raise ConfigError(f"makes table '{model.name}', as {found[model.name].file} does.", file=model.file)
            found[model.name] = dataclasses.replace(model, reads=model.reads - known)
    for model in found.values():
        for table in sorted(model.reads - found.keys()):
            near = difflib.get_close_matches(table, found, 1)
            raise ConfigError(
                f"reads table '{table}', which no file makes.",
                file=model.file,
                fix=f"did you mean '{near[0]}'?" if near else f"add {table}.sql or correct the name.",
            )
    in_order(found)
    return found


def texts(*rooms: str, root: Traversable = ROOT) -> dict[str, str]:
    """The text of every file of `rooms`, by room and name: what a result depends on beside its data."""
    return {
        f"{room}/{path.name}": path.read_text(encoding="utf-8")
        for room in rooms
        for path in _sql_files(root.joinpath(*room.split("/")))
    }


def parse(sql: str, *, name: str, file: str) -> Model:
    """The model in one file's text.

    Raises:
        ConfigError: the text is not exactly one SELECT.
    """
    try:
        statements = sqlglot.parse(sql, dialect="duckdb")
    except sqlglot.errors.ParseError as error:
        raise ConfigError(f"is no SQL that can be read: {error}", file=file) from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ConfigError("must be one SELECT and nothing else.", file=file)
    tables = [
        source
        for scope in traverse_scope(statements[0])
        for source in scope.sources.values()
        if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier)
    ]
    return Model(
        name=name,
        file=file,
        sql=sql,
        is_view=bool(re.search(r"^-- materialized: view$", sql, re.MULTILINE)),
        reads=frozenset(table.name for table in tables if not table.db),
        outside=frozenset(f"{table.db}.{table.name}" for table in tables if table.db),
        comment="\n".join(line.removeprefix("--").strip() for line in _leading_comment(sql)),
    )


def in_order(found: dict[str, Model], targets: Iterable[str] | None = None) -> list[Model]:
    """The models that `targets` (all by default) need, each after those that it reads; ties by name.

    Raises:
        ConfigError: files read each other in a circle; the message walks it.
    """
    needed = set(found) if targets is None else _ancestors(found, targets)
    sorter = graphlib.TopologicalSorter({name: sorted(found[name].reads) for name in sorted(needed)})
    try:
        return [found[name] for name in sorter.static_order()]
    except graphlib.CycleError as error:
        circle = " reads ".join(reversed(error.args[1]))
        raise ConfigError(f"these tables read each other in a circle: {circle}.", file="sql/") from None


def run(
    con: duckdb.DuckDBPyConnection,
    found: dict[str, Model],
    targets: Iterable[str] | None = None,
    *,
    without: Iterable[str] = (),
    as_tables: Collection[str] = (),
) -> None:
    """Make `targets` (all by default) and what they need, anew, in the current schema of `con`.

    What `without` names is there already and stays as it is; of the views, those in `as_tables` are made tables.

    Raises:
        InvariantError: the engine refused a statement, for example because a number left its range.
    """
    made = set(without)
    for model in in_order(found, targets):
        if model.name in made:
            continue
        _make(con, model, as_table=model.name in as_tables)


def run_together(con: duckdb.DuckDBPyConnection, found: dict[str, Model], targets: Iterable[str], *, use: str) -> None:
    """Make `targets` and what they need, anew, in the schema `use`, those that do not read each other side by side.

    Raises:
        InvariantError: the engine refused a statement.
    """
    models = in_order(found, targets)
    steps = {model.name: functools.partial(_make, model=model) for model in models}
    together(con, steps, {model.name: model.reads for model in models}, use=use)


def _make(con: duckdb.DuckDBPyConnection, model: Model, *, as_table: bool = False) -> None:
    kind = "view" if model.is_view and not as_table else "table"
    try:
        con.execute(_parsed(f"create or replace {kind} {model.name} as {model.sql}"))
    except duckdb.Error as error:
        raise InvariantError(model.file, query=model.sql, problem=str(error)) from error


def check(con: duckdb.DuckDBPyConnection, found: dict[str, Model], names: Sequence[str]) -> None:
    """Run the checks `names`: SELECTs whose rows are breaches. The tables that they read must have been made.

    Raises:
        InvariantError: with the check's name, the number of breaches, its query and the first three.
    """
    for name in names:
        try:
            rows = con.execute(_parsed(found[name].sql)).fetchall()
        except duckdb.Error as error:
            raise InvariantError(found[name].file, query=found[name].sql, problem=str(error)) from error
        if rows:
            raise InvariantError(name, query=found[name].sql, rows=rows)


@functools.cache
def _parsed(sql: str) -> duckdb.Statement:
    """The statement in `sql`, read once for all days: reading takes an eighth of the time of a small day."""
    [statement] = duckdb.extract_statements(sql)
    return statement


def _ancestors(found: dict[str, Model], targets: Iterable[str]) -> set[str]:
    needed: set[str] = set()
    waiting = list(targets)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += found[name].reads
    return needed


def _sql_files(folder: Traversable) -> Iterator[Traversable]:
    yield from sorted((path for path in folder.iterdir() if path.name.endswith(".sql")), key=lambda path: path.name)


def _leading_comment(sql: str) -> list[str]:
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line)
    return lines
