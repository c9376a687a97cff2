"""`agent`: samples the GPUs of a node until it is stopped."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from farthing.errors import ConfigError

DEFAULT_SPOOL = Path("/var/lib/farthing/spool")

app = typer.Typer(
    name="agent",
    help="Sample the GPUs of this node into a spool until it is stopped; `ship` takes it from there.",
    epilog="Example: `farthing agent --simulated 2 --spool /tmp/spool`",
    invoke_without_command=True,
)


@app.callback()
def agent_command(
    context: typer.Context,
    spool: Annotated[
        Path,
        typer.Option("--spool", metavar="DIR", envvar="FARTHING_SPOOL", help="The folder that rows are written to."),
    ] = DEFAULT_SPOOL,
    interval: Annotated[
        int, typer.Option("--interval", min=1, max=3600, metavar="SECONDS", help="How long the interval of a row is.")
    ] = 10,
    simulated: Annotated[
        int, typer.Option("--simulated", min=0, metavar="N", help="Make up so many GPUs instead of asking a driver.")
    ] = 0,
    node: Annotated[
        str | None, typer.Option("--node", metavar="NAME", help="The node's name; by default its host name.")
    ] = None,
) -> None:
    """Sample the GPUs of this node into a spool until it is stopped; `ship` takes it from there.

    Exits 3 when there is no driver.
    """
    if context.invoked_subcommand is not None:
        return
    if not simulated and find_spec("pynvml") is None:
        fix = "pip install 'farthing[gpu]', or try --simulated 2."
        raise ConfigError("the reader of NVIDIA's driver is not installed.", file="farthing[gpu]", fix=fix)
    given = ["--spool", str(spool), "--interval", str(interval), "--simulated", str(simulated)]
    given += ["--node", node] if node else []
    sys.stdout.flush()
    # A process of its own: what the command line has imported would be most of the agent's memory.
    os.execv(sys.executable, [sys.executable, "-m", "farthing.agent", *given])
