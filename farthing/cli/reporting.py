"""`report`: the figures of a period as a file to send."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing import console, warehouse
from farthing.cli import common
from farthing.cli.common import JsonOption, ProjectOption
from farthing.config import Config
from farthing.console import Form, Sheet
from farthing.errors import ConfigError

if TYPE_CHECKING:
    from farthing.reports.document import Report

_STANDARD_OUTPUT = "-"
_NEEDED = ("altair", "jinja2", "vl_convert")


class Format(StrEnum):
    """What a report is written as."""

    HTML = "html"
    MD = "md"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    report = typer.Typer(help="The figures of a period as a file to send.", no_args_is_help=True)
    report.callback()(lambda: None)  # a group although it has one command
    report.command("monthly", epilog="Example: `farthing report monthly --month 2026-10 --format md --output -`")(
        monthly_command
    )
    app.add_typer(report, name="report", epilog="Example: `farthing report monthly --month 2026-10`")


def monthly_command(
    month: Annotated[
        str | None, typer.Option("--month", help="Like 2026-10; by default the last one that is over.")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="One HTML file with charts, Markdown, or a folder of CSV files.")
    ] = Format.HTML,
    output: Annotated[
        str | None,
        typer.Option("--output", metavar="FILE", help="The file, or the folder of CSV files; - is standard output."),
    ] = None,
    table: Annotated[str | None, typer.Option("--table", help="With csv: this table alone, as one file.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a month cost, by class, pool, team, model and customer; margin, units, idle time, and how firm all that is.

    Read from the published warehouse. Written to reports/ in the project; the path is printed.
    """
    form = common.form(as_json)
    if table is not None and format_ is not Format.CSV:
        raise typer.BadParameter("--table goes with --format csv.")
    if output == _STANDARD_OUTPUT and as_json:
        raise typer.BadParameter("--json prints the paths that were written: name a file with --output.")
    if output == _STANDARD_OUTPUT and format_ is Format.CSV and table is None:
        raise typer.BadParameter("standard output takes one table: name it with --table.")
    first = common.month(month) if month is not None else None
    config = common.open_project(project)
    if format_ is Format.HTML and any(find_spec(name) is None for name in _NEEDED):
        raise ConfigError(
            "reports in HTML are not installed.",
            file="farthing[report]",
            fix="pip install 'farthing[report]', or choose --format md or csv.",
        )
    from farthing import reports

    with warehouse.open_warehouse(config) as con:
        report = reports.monthly(con, config, first)
    written = _texts(report, format_, table)
    if output == _STANDARD_OUTPUT:
        sys.stdout.write(next(iter(written.values())))
        return
    paths = _write(_target(config, report, format_, table, output), written)
    if form is Form.TABLE:
        console.output().print(*paths, sep="\n", soft_wrap=True, markup=False, highlight=False)
    else:
        rows = [(report.period, format_.value, str(path)) for path in paths]
        console.show(Sheet("files", ["period", "format", "file"], rows), form)


def _texts(report: Report, format_: Format, table: str | None) -> dict[str, str]:
    """The text of each file to write; its name is empty where the output names the file itself.

    Raises:
        ConfigError: the report has no such table.
    """
    if format_ is Format.HTML:
        from farthing.reports.page import page

        return {"": page(report)}
    if format_ is Format.MD:
        from farthing.reports.markdown import markdown

        return {"": markdown(report)}
    from farthing.reports import tables

    found = dict(tables.files(report))
    if table is None:
        return found
    if f"{table}.csv" not in found:
        known = ", ".join(name.removesuffix(".csv") for name in found)
        raise ConfigError(
            f"the report of {report.period} has no table '{table}'.", file="--table", fix=f"one of {known}."
        )
    return {"": found[f"{table}.csv"]}


def _target(config: Config, report: Report, format_: Format, table: str | None, output: str | None) -> Path:
    if output is not None:
        return Path(output)
    name = re.sub(r"[^\w.]+", "-", config.project.name.lower()).strip("-.") or "report"
    stem = f"{name}-{report.period}" + (f"-{table}" if table else "")
    folder = config.root / "reports"
    return folder / stem if format_ is Format.CSV and table is None else folder / f"{stem}.{format_}"


def _write(target: Path, texts: dict[str, str]) -> list[Path]:
    """Write all `texts`, those with a name into the folder `target`.

    Raises:
        ConfigError: it cannot be written to.
    """
    paths = []
    try:
        for name, text in texts.items():
            path = target / name if name else target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
            paths.append(path)
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror or error}.", file=target, fix="name another place with --output."
        ) from None
    return paths
