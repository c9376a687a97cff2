"""What asks and changes nothing: `query`, `tables`, `pools test`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import duckdb
import typer

from farthing import console, warehouse
from farthing.cli import common
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.console import Form, Sheet
from farthing.errors import FarthingError


class QueryError(FarthingError):
    """Yours: DuckDB refused the SQL that was given."""

    exit_code = 2


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "query",
        epilog="Example: `farthing query 'select user_id, sum(cost) from cost_ledger group by 1 order by 2' --csv`",
    )(query_command)
    app.command("tables", epilog="Example: `farthing tables cost_ledger`")(tables_command)
    pools = typer.Typer(help="The rules that sort charges into pools.", no_args_is_help=True)
    pools.command("test", epilog="Example: `farthing pools test`")(pools_test_command)
    app.add_typer(pools, name="pools", epilog="Example: `farthing pools test`")


def query_command(
    sql: Annotated[str, typer.Argument(help="One SELECT in DuckDB's SQL; - reads it from standard input.")],
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows shown as a table; JSON and CSV have all.")] = 40,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Read-only SQL on the published warehouse; `farthing tables` lists what is there."""
    form = common.form(as_json, as_csv)
    config = common.open_project(project)
    text = sys.stdin.read() if sql == "-" else sql
    with warehouse.open_warehouse(config) as con:
        try:
            if not con.extract_statements(text):
                raise QueryError("there is no statement in this query.")
            cursor = _answer(con, text)
            columns = [column[0] for column in cursor.description or []]
            if form is Form.TABLE:
                _show_some(cursor, columns, rows)
            else:
                write = console.write_json if form is Form.JSON else console.write_csv
                write(columns, console.batches(cursor.fetchmany))
        except duckdb.Error as error:
            raise QueryError(str(error)) from None


def _answer(con: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyConnection:
    """Run `sql`; Ctrl-C stops it, which DuckDB alone hears only between its own steps."""
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(con.execute, sql)
        try:
            return answer.result()
        except KeyboardInterrupt:
            con.interrupt()
            raise


def _show_some(cursor: duckdb.DuckDBPyConnection, columns: list[str], limit: int) -> None:
    found = cursor.fetchmany(limit + 1)
    note = f"The first {limit} rows; --rows N shows more, --csv and --json write all." if len(found) > limit else ""
    console.show(Sheet("rows", columns, found[:limit], note=note, exact=frozenset(columns), headings={}))


def tables_command(
    name: Annotated[str | None, typer.Argument(help="A table, to see its columns; all tables by default.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """The data dictionary of the published warehouse: tables, columns and what they mean."""
    form = common.form(as_json, as_csv)
    config = common.open_project(project)
    with warehouse.open_warehouse(config) as con:
        columns = warehouse.dictionary(con)
        known = list(dict.fromkeys(column[0] for column in columns))
        if name is None:
            about = con.execute(
                "select table_name, estimated_size, column_count, comment from duckdb_tables()"
                " where schema_name = 'main' order by table_name"
            ).fetchall()
            console.show(
                Sheet(
                    "tables",
                    ["table", "rows", "columns", "meaning"],
                    about,
                    note="`farthing tables NAME`: its columns.",
                ),
                form,
            )
            return
    if name not in known:
        raise typer.BadParameter(f"there is no table '{name}'; the warehouse has {', '.join(known)}.")
    rows = [column[1:] for column in columns if column[0] == name]
    console.show(Sheet("columns", ["column", "type", "meaning"], rows, title=name), form)


def pools_test_command(project: ProjectOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> None:
    """Which rule takes which charges, what is left over, and which rules take nothing.

    Reads the lake, so a rule can be tried before it is built. Exits 1 when charges are left over.
    """
    from farthing import pool_report

    form = common.form(as_json, as_csv)
    config = common.open_project(project)
    found = pool_report.report(config, common.open_lake(config))
    console.show(found.sheets, form, main="pools")
    if found.leftover.rows:
        console.say(
            "Some charges match no rule; they are the kind `unassigned` in the ledger.", style="yellow", form=form
        )
        raise typer.Exit(1)
