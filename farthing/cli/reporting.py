"""`report`: the figures of a period as a file to send."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from farthing import console, warehouse
from farthing.cli import common
from farthing.cli.common import JsonOption, ProjectOption
from farthing.console import Form, Sheet
from farthing.reports import files as files_
from farthing.reports.files import Format, Kind

_STANDARD_OUTPUT = "-"

MonthOption = Annotated[str | None, typer.Option("--month", help="Like 2026-10; by default the last one that is over.")]
WeekOption = Annotated[
    str | None, typer.Option("--week", help="Like 2026-W44, or a day in it; by default the last one that is over.")
]
FormatOption = Annotated[
    Format,
    typer.Option(
        "--format", help="One HTML file with charts, an Excel workbook, PDF, Markdown, or a folder of CSV files."
    ),
]
OutputOption = Annotated[
    str | None,
    typer.Option("--output", metavar="FILE", help="The file, or the folder of CSV files; - is standard output."),
]
TableOption = Annotated[str | None, typer.Option("--table", help="With csv: this table alone, as one file.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    report = typer.Typer(help="The figures of a month or a week as a file to send.", no_args_is_help=True)
    report.command("monthly", epilog="Example: `farthing report monthly --month 2026-10 --format md --output -`")(
        monthly_command
    )
    report.command("weekly", epilog="Example: `farthing report weekly --week 2026-W44 --format xlsx`")(weekly_command)
    app.add_typer(report, name="report", epilog="Example: `farthing report monthly --month 2026-10`")


def monthly_command(
    month: MonthOption = None,
    format_: FormatOption = Format.HTML,
    output: OutputOption = None,
    table: TableOption = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a month cost, by class, pool, team, model and customer; margin, units, idle time, and how firm all that is.

    Read from the published warehouse. Written to reports/ in the project; the path is printed.
    """
    _report(Kind.MONTHLY, common.month(month) if month else None, format_, output, table, project, as_json)


def weekly_command(
    week: WeekOption = None,
    format_: FormatOption = Format.HTML,
    output: OutputOption = None,
    table: TableOption = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a week cost, Monday to Sunday, against the week before; where the month lands, budgets and anomalies.

    Read from the published warehouse. Written to reports/ in the project; the path is printed.
    """
    _report(Kind.WEEKLY, _week(week), format_, output, table, project, as_json)


def _week(value: str | None) -> date | None:
    """A day of a week written like 2026-W44 or as a day.

    Raises:
        typer.BadParameter: it is not written so.
    """
    if not value:
        return None
    try:
        return date.fromisoformat(value)  # reads both
    except ValueError:
        raise typer.BadParameter(f"'{value}' is no week; write it like 2026-W44, or as a day in it.") from None


def _report(
    kind: Kind,
    first: date | None,
    format_: Format,
    output: str | None,
    table: str | None,
    project: Path | None,
    as_json: bool,
) -> None:
    form = common.form(as_json)
    if table is not None and format_ is not Format.CSV:
        raise typer.BadParameter("--table goes with --format csv.")
    if output == _STANDARD_OUTPUT and as_json:
        raise typer.BadParameter("--json prints the paths that were written: name a file with --output.")
    if output == _STANDARD_OUTPUT and format_ is Format.CSV and table is None:
        raise typer.BadParameter("standard output takes one table: name it with --table.")
    config = common.open_project(project)
    files_.require(format_)
    from farthing import reports

    with warehouse.open_warehouse(config) as con:
        report = reports.made(kind, con, config, first)
    written = files_.files(report, format_, table)
    if output == _STANDARD_OUTPUT:
        content = next(iter(written.values()))
        if format_ in {Format.XLSX, Format.PDF}:
            sys.stdout.buffer.write(content)
        else:
            sys.stdout.write(content.decode())
        return
    paths = files_.write(files_.target(config, report, format_, table, output), written)
    if form is Form.TABLE:
        console.output().print(*paths, sep="\n", soft_wrap=True, markup=False, highlight=False)
    else:
        rows = [(report.period, format_.value, str(path)) for path in paths]
        console.show(Sheet("files", ["period", "format", "file"], rows), form)
