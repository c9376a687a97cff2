"""`export`: figures in forms that other tools read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from farthing import console, warehouse
from farthing.cli import common
from farthing.cli.common import JsonOption, ProjectOption
from farthing.console import Sheet


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Figures in forms that other tools read.", no_args_is_help=True)
    group.callback()(lambda: None)  # a group although it has one command
    group.command("focus", epilog="Example: `farthing export focus --month 2026-10 --output october.parquet`")(
        focus_command
    )
    app.add_typer(group, name="export", epilog="Example: `farthing export focus --month 2026-10`")


def focus_command(
    month: Annotated[str, typer.Option("--month", metavar="MONTH", help="The billing month, like 2026-10.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="A .parquet or .csv file; by default focus-MONTH.parquet."),
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """The bill of a month, from all sources, in FOCUS 1.2 (Cost and Usage).

    Names and descriptions are written in ASCII, as the specification wants; amounts are those of the bill. What of
    FOCUS a bill does not keep, such as a cost that is not price x quantity, is said, and stands in `x_Remark`.
    """
    from farthing import exports

    form = common.form(as_json)
    first = common.month(month)
    path = output or Path(f"focus-{first:%Y-%m}.parquet")
    config = common.open_project(project)
    with warehouse.open_warehouse(config) as con:
        table = exports.focus(con, first)
    exports.write(table, path)
    said = exports.remarks(table)
    rows = [(str(path), table.num_rows, sum(count for *_, count in said))]
    console.show(Sheet("export", ["file", "charges", "remarks"], rows, record=True), form)
    for source, remark, count in said:
        console.say(f"{source}: {count:,} charges: {remark} (x_Remark).", form=form)
