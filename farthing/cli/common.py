"""What all commands share: their options, the project that they work on, and the lake of it."""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing import config as configuration
from farthing.config import FILE_NAME, Config
from farthing.console import Form
from farthing.errors import ConfigError

if TYPE_CHECKING:  # rooms with heavy libraries are opened by the command that needs them: the others start at once
    from farthing.lake import Lake

#: Names the project to child processes such as the dashboard; `--project` wins over it.
PROJECT_VARIABLE = "FARTHING_PROJECT"

_root: ContextVar[Path | None] = ContextVar("farthing_root", default=None)

ProjectOption = Annotated[
    Path | None,
    typer.Option("--project", metavar="DIR", help="The project; by default the folder with farthing.toml, upwards."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON; decimals as text, so that none loses a digit.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Write CSV.")]


def form(as_json: bool, as_csv: bool = False) -> Form:
    """The form that the options ask for.

    Raises:
        typer.BadParameter: both were given.
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other.")
    return Form.JSON if as_json else Form.CSV if as_csv else Form.TABLE


def find_project(given: Path | None) -> Path:
    """The folder of the project: the given one, else the nearest folder upwards that has a farthing.toml.

    Raises:
        ConfigError: there is none.
    """
    named = given or (Path(os.environ[PROJECT_VARIABLE]) if os.environ.get(PROJECT_VARIABLE) else None)
    if named is not None:
        return named.resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    raise ConfigError(
        "neither this folder nor one above it is a project.",
        file=here / FILE_NAME,
        fix="run `farthing init` here, or name the folder with --project.",
    )


def open_project(given: Path | None) -> Config:
    """The checked configuration of the project."""
    root = find_project(given)
    _root.set(root if root.is_dir() else root.parent)
    return configuration.load(root)


def open_lake(config: Config) -> Lake:
    """The lake of the project."""
    from farthing import lakes

    return lakes.open_lake(config)


def opened() -> Path | None:
    """The folder of the project that this command has opened, if any."""
    return _root.get()


def enter(root: Path) -> None:
    """Say that this command works on the project in `root`."""
    _root.set(root)


def month(value: str) -> date:
    """The first day of a month written like 2026-10.

    Raises:
        typer.BadParameter: it is not written so.
    """
    try:
        if not re.fullmatch(r"\d{4}-\d{2}", value):
            raise ValueError
        return date.fromisoformat(f"{value}-01")
    except ValueError:
        raise typer.BadParameter(f"'{value}' is no month; write it like 2026-10.") from None


def day(value: str | None) -> date | None:
    """A day written like 2026-10-05.

    Raises:
        typer.BadParameter: it is not written so.
    """
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise typer.BadParameter(f"'{value}' is no day; write it like 2026-10-05.") from None


def moment(value: str | None) -> datetime | None:
    """A time written in ISO 8601; without a zone it is UTC, and a day alone is its last moment.

    Raises:
        typer.BadParameter: it is not written so.
    """
    if not value:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
            return datetime.combine(date.fromisoformat(value), time.max, UTC)
        found = datetime.fromisoformat(value)
    except ValueError:
        raise typer.BadParameter(f"'{value}' is no time; write it like 2026-11-03 or 2026-11-03T12:00Z.") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
