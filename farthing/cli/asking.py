"""What asks and changes nothing: `query`, `tables`, `pools test`, `reconcile`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Annotated

import duckdb
import typer

from farthing import console, warehouse
from farthing.cli import common
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.console import Form, Sheet
from farthing.errors import ConfigError, FarthingError

_ZERO = {"rounding": "nothing was rounded at landing", "accrued_cost": "nothing is still to come"}


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
    app.command("reconcile", epilog="Example: `farthing reconcile 2026-10`")(reconcile_command)
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


def reconcile_command(
    month: Annotated[str, typer.Argument(metavar="MONTH", help="The month of the invoices, like 2026-10.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Every invoice of a month: file, what landed of it, where that went, the difference, and how firm the ledger is.

    file = landed + rounding; landed = ledger + accrued + difference. Beside the invoices stands what the ledger has of
    the month by pool: provisional, as no bill confirms it yet, and estimated, as it was divided without telemetry.
    Exits 1 when a difference is not zero, when a file of a bill could not be read, or when a rejected row has no
    reason.
    """
    form = common.form(as_json, as_csv)
    first = common.month(month)
    config = common.open_project(project)
    with warehouse.open_warehouse(config) as con:
        invoices, found_difference = _invoices(con, first)
        pools = _pools(con, first)
        rejects, unexplained = _rejects(con)
        failed = _failed_files(con)
    if not invoices.rows and not any(row[pools.columns.index("provisional_cost")] for row in pools.rows):
        raise ConfigError(
            f"no bill of {month} has landed.", file=config.root, fix="`farthing query 'from reconciliation'` has all."
        )
    console.show([invoices, pools, rejects, failed], form, main="invoices")
    for wrong, words in (
        (found_difference, "A difference is not zero."),
        (unexplained, "Rows were rejected and no reason is kept."),
        (failed.rows, "A file of a bill could not be read: its rows are missing above."),
    ):
        if wrong:
            console.say(words, style="bold red", form=form)
    raise typer.Exit(int(bool(found_difference or unexplained or failed.rows)))


def _invoices(con: duckdb.DuckDBPyConnection, month: date) -> tuple[Sheet, bool]:
    columns = [
        "x_source", "InvoiceId", "BillingCurrency", "charges", "cost_column", "file_cost", "rounding", "landed_cost",
        "ledger_cost", "accrued_cost", "difference", "billed_cost",
    ]  # fmt: skip
    rows = con.execute(
        f"select {', '.join(columns)} from reconciliation where billing_month = ? order by 3, 1, 2", [month]
    ).fetchall()
    zero = {name for name in ("rounding", "accrued_cost") if not any(row[columns.index(name)] for row in rows)}
    sheet = Sheet(
        "invoices",
        columns,
        rows,
        title=f"Invoices of {month:%Y-%m}: file = landed + rounding; landed = ledger + accrued + difference",
        exact=frozenset({"rounding", "difference"}),
        note="; ".join(_ZERO[name] for name in sorted(zero)),
        hidden=frozenset({"cost_column", "billed_cost"} | zero),
        headings={name: name.removesuffix("_cost") for name in columns} | console.SHORTER,
    )
    return sheet, any(row[columns.index("difference")] for row in rows)


def _pools(con: duckdb.DuckDBPyConnection, month: date) -> Sheet:
    """How firm the ledger's days of the month are, by pool; an invoice may also have charges on other days."""
    from farthing.explain import facts

    rows = con.execute(
        "select pool, BillingCurrency, bill_cost, provisional_cost, ledger_cost, estimated_cost from pool_month"
        " where month = ? order by BillingCurrency, abs(ledger_cost) desc, pool",
        [month],
    ).fetchall()
    since, words = facts.provisional_until(con, dict.fromkeys(row[0] for row in rows if row[3]))
    notes = [words or "nothing is provisional: bills confirm all of it"]
    notes.append(facts.ESTIMATED if any(row[5] for row in rows) else "nothing is estimated")
    return Sheet(
        "pools",
        ["pool", "BillingCurrency", "bill_cost", "provisional_cost", "bill_until", "ledger_cost", "estimated_cost"],
        [(*row[:4], since.get(row[0]) if row[3] else None, *row[4:]) for row in rows],
        title=f"The days of {month:%Y-%m} by pool: bill + provisional = ledger; estimated is a part of the ledger",
        note="\n".join(notes),
        hidden=frozenset({"bill_until"}),
        headings={name: name.removesuffix("_cost") for name in ("bill_cost", "ledger_cost")} | console.SHORTER,
    )


_NEWEST = "select * from loads qualify row_number() over (partition by x_source, x_load order by loaded_at desc) = 1"


def _rejects(con: duckdb.DuckDBPyConnection) -> tuple[Sheet, bool]:
    """Rejected rows of bills by file and reason, and whether one is missing there."""
    rows = con.execute(
        "select x_source, file, reason, count(*) as rows, min(line) as first_line from rejects"
        " where \"table\" = 'charges' group by all order by all"
    ).fetchall()
    counted = con.execute(
        f"select coalesce(sum(rejected), 0) from ({_NEWEST}) where \"table\" = 'charges' and status = 'landed'"
    ).fetchall()[0][0]
    explained = sum(row[3] for row in rows if row[2])
    sheet = Sheet(
        "rejects", ["x_source", "file", "reason", "rows", "first_line"], rows, title="Rows of bills that were rejected"
    )
    return sheet, counted != explained


def _failed_files(con: duckdb.DuckDBPyConnection) -> Sheet:
    rows = con.execute(
        f"select x_source, file, problem from ({_NEWEST})"
        " where \"table\" = 'charges' and status = 'failed' order by all"
    ).fetchall()
    return Sheet("failed_files", ["x_source", "file", "problem"], rows, title="Files of bills that could not be read")
