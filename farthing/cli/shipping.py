"""`agent ship`: what a GPU node measured, from its spool to the lake or to an inbox."""

from __future__ import annotations

import json
import socket
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from farthing import console
from farthing.cli import common
from farthing.cli.agent import DEFAULT_SPOOL
from farthing.cli.common import JsonOption, ProjectOption
from farthing.console import Sheet
from farthing.errors import ConfigError

if TYPE_CHECKING:
    from farthing.agent.ship import ToInbox, ToLake

SpoolOption = Annotated[
    Path, typer.Option("--spool", metavar="DIR", envvar="FARTHING_SPOOL", help="The folder that the agent writes.")
]
ToOption = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="LAKE|inbox:PLACE",
        envvar="FARTHING_SHIP",
        help="A lake, or inbox: and a folder or s3://, gs://, az://; by default the lake of the project.",
    ),
]
NodeOption = Annotated[
    str | None, typer.Option("--node", metavar="NAME", help="The node's name; by default the one that the agent uses.")
]


def register(agent: typer.Typer) -> None:
    """Add the commands of this module to those of `farthing agent`."""
    agent.command("ship", epilog="Example: `farthing agent ship --to inbox:s3://acme-telemetry/inbox`")(ship_command)


def ship_command(
    to: ToOption = None,
    spool: SpoolOption = DEFAULT_SPOOL,
    node: NodeOption = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ship what the agent has sealed: straight into the lake, or as Parquet files into an inbox.

    Each row arrives once, however often this is run or killed; a segment is deleted only after its arrival was read
    back. Exits 3 when lake or inbox does not answer: everything stays in the spool.
    """
    from farthing.agent import metadata, outbox
    from farthing.agent.ship import Shipped, ship, ship_inventory

    form = common.form(as_json)
    if not spool.is_dir():
        fix = "name the agent's spool with --spool or FARTHING_SPOOL."
        raise ConfigError("there is no spool here.", file=spool, fix=fix)
    target = _target(to, node or node_name(spool), project)
    shipped, inventory = [], None
    try:
        shipped = ship(spool, target)
        inventory = ship_inventory(spool, target, lambda: metadata.machine(metadata.cloud_of()))
    except outbox.BusyError as busy:  # it does what this one would do
        console.say(str(busy), form=form)
    finally:  # also when the second part fails
        columns = [field.name for field in fields(Shipped)]
        rows = [[getattr(one, name) for name in columns] for one in shipped]
        console.show(Sheet("batches", columns, rows, title="Shipped: read = landed + duplicate + rejected"), form)
    if any(one.rejected for one in shipped):
        console.say(f"lines that are no rows are kept in {spool / 'outbox'}", style="yellow", form=form)
    if inventory is not None:
        console.say(f"gpu_inventory: {inventory} rows of this node were written", form=form)


def _target(to: str | None, node: str, project: Path | None) -> ToLake | ToInbox:
    from farthing.agent import ship

    if to:
        return ship.target(to, node)
    return ship.ToLake(common.open_lake(common.open_project(project)), node)


def node_name(spool: Path) -> str:
    """The name that the agent of `spool` goes by, else this machine's."""
    try:
        return str(json.loads((spool / "node.json").read_text(encoding="utf-8"))["node_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return socket.gethostname()
