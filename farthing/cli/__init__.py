"""The command `farthing`: one verb for each arrow of the pipeline, and what asks the published warehouse."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import farthing
from farthing import clock, console
from farthing.cli import (
    agent,
    alerting,
    anomalies,
    asking,
    budgeting,
    explaining,
    exporting,
    forecasting,
    margin,
    pipeline,
    reconciling,
    reporting,
    running,
    shipping,
    starting,
    supposing,
    tiers,
)
from farthing.cli.common import opened
from farthing.config import SCRATCH
from farthing.errors import FarthingError

_INTERRUPTED = 130
_STOPPED = "stopped; what was committed stays, run the command again to go on."

app = typer.Typer(
    name="farthing",
    help="What one request costs, tied to the invoice.",
    epilog="Example: `farthing demo` runs a simulated company through the whole pipeline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
starting.register(app)
pipeline.register(app)
asking.register(app)
reconciling.register(app)
explaining.register(app)
budgeting.register(app)
reporting.register(app)
supposing.register(app)
exporting.register(app)
running.register(app)
anomalies.register(app)
forecasting.register(app)
alerting.register(app)
margin.register(app)
tiers.register(app)
shipping.register(agent.app)
app.add_typer(agent.app)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.output().print(farthing.__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; exits 0 ok, 1 finding or failed check, 2 usage, 3 source unreachable, 130 interrupted."""
    try:
        app()
    except SystemExit as leaving:
        if leaving.code == _INTERRUPTED:
            _fail(_STOPPED)
            os._exit(_INTERRUPTED)  # threads at work are not waited for: a commit stands whole or not at all
        raise
    except FarthingError as error:
        _fail(str(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe has had enough
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_INTERRUPTED + 11)
    except Exception as error:  # noqa: BLE001  no traceback reaches a user
        if isinstance(error, RuntimeError) and str(error) == "Query interrupted":  # DuckDB's word for Ctrl-C
            _fail(_STOPPED)
            sys.exit(_INTERRUPTED)
        place = _report(error)
        told = " ".join(str(error).split())[:400]
        _fail(f"this is a bug in farthing: {type(error).__name__}: {told}\nWhat is known of it was written to {place}.")
        sys.exit(1)


def _fail(text: str) -> None:
    first, _, rest = text.partition("\n")
    shown = console.errors()
    shown.print(Text.assemble(("farthing: ", "bold red"), first))
    if rest:
        shown.print(Text(rest))


def _report(error: Exception) -> Path:
    """Write what is known of a bug into the project's scratch folder, else where temporary files go."""
    text = "\n".join(
        [
            f"farthing {farthing.__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"{clock.now().isoformat()}  farthing {' '.join(sys.argv[1:])}",
            "",
            *traceback.format_exception(error),
        ]
    )
    name = f"crash-{clock.now():%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    project = opened()
    places = [project / SCRATCH] if project is not None and project.is_dir() else []
    for folder in [*places, Path(tempfile.gettempdir())]:
        with contextlib.suppress(OSError):
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
            return folder / name
    return Path(os.devnull)
