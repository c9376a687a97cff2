"""`explain`: from a number to its bill lines, and from a bill line to its users."""

from __future__ import annotations

from typing import Annotated

import typer

from farthing import console, warehouse
from farthing.cli import common
from farthing.cli.common import CsvOption, JsonOption, ProjectOption

SourceOption = Annotated[str | None, typer.Option("--source", help="Its source, where several have the same id.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="How a number came about, in both directions.", no_args_is_help=True)
    group.command("user", epilog="Example: `farthing explain user user-0001 --month 2026-10`")(user_command)
    group.command("request", epilog="Example: `farthing explain request req-42`")(request_command)
    group.command("charge", epilog="Example: `farthing explain charge bills/aws.csv:17`")(charge_command)
    app.add_typer(group, name="explain", epilog="Example: `farthing explain user user-0001`")


def user_command(
    user: Annotated[str, typer.Argument(metavar="USER", help="A user_id of the ledger.")],
    month: Annotated[str | None, typer.Option("--month", metavar="MONTH", help="Like 2026-10; the newest.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """What a user cost in a month: ledger lines, the pools behind them, and the charges behind the pools."""
    from farthing import explain

    form = common.form(as_json, as_csv)
    first = common.month(month) if month else None
    config = common.open_project(project)
    with warehouse.open_warehouse(config) as con:
        console.show(explain.explain_user(con, config, user, first), form, main="lines")


def request_command(
    request: Annotated[str, typer.Argument(metavar="ID", help="A request_id.")],
    source: SourceOption = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """What a request was, what it cost under each method, and the charges that paid for it."""
    from farthing import explain

    form = common.form(as_json, as_csv)
    config = common.open_project(project)
    with warehouse.open_warehouse(config) as con:
        console.show(explain.explain_request(con, config, request, source), form, main="costs")


def charge_command(
    charge: Annotated[str, typer.Argument(metavar="ID", help="An x_charge_id: the bill's file and line.")],
    source: SourceOption = None,
    top: Annotated[int, typer.Option("--top", min=1, help="So many users; the rest is one line.")] = 10,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Where a line of the bill ended: its rule, its days, and the users that carry it; they add up to it exactly."""
    from farthing import explain

    form = common.form(as_json, as_csv)
    config = common.open_project(project)
    with warehouse.open_warehouse(config) as con:
        console.show(explain.explain_charge(con, config, charge, source, top), form, main="users")
