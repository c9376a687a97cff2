"""The commands of a first hour: `init`, `doctor`, `demo`, `dashboard`."""

from __future__ import annotations

import os
import sys
import time
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from farthing import config as configuration
from farthing import console, warehouse
from farthing.cli import common, pipeline, progress, running
from farthing.cli.agent import DEFAULT_SPOOL
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.config import FILE_NAME, Config
from farthing.console import Form, Sheet
from farthing.errors import ConfigError

if TYPE_CHECKING:
    from farthing.demo import DemoFacts
    from farthing.doctor import Health

PortOption = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="By default 8501 or the next free one.")
]
HostOption = Annotated[str, typer.Option("--host", help="The address to listen on; 0.0.0.0 opens it to the network.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("init", epilog="Example: `farthing init --project acme`")(init_command)
    app.command("doctor", epilog="Example: `farthing doctor --json`")(doctor_command)
    app.command("demo", epilog="Example: `farthing demo --no-dashboard --project /tmp/demo`")(demo_command)
    app.command("dashboard", epilog="Example: `farthing dashboard --port 8600`")(dashboard_command)


def init_command(
    force: Annotated[bool, typer.Option("--force", help="Overwrite a farthing.toml that is there.")] = False,
    project: Annotated[Path, typer.Option("--project", metavar="DIR", help="The folder; made when absent.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Write a commented farthing.toml, with the sources that the files in the folder look like."""
    from farthing import starter

    form = common.form(as_json)
    folder = project.resolve()
    path = folder / FILE_NAME
    if path.exists() and not force:
        raise ConfigError("it is there already.", file=path, fix="edit it, or overwrite it with --force.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = starter.starter(folder)
        path.write_text(made.text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(
            f"cannot be written: {error.strerror or error}.", file=path, fix="choose a folder of yours."
        ) from None
    configuration.load(folder)
    rows = [(guess.kind, guess.pattern, guess.files) for guess in made.guesses]
    console.show(
        Sheet("sources", ["kind", "path", "files"], rows, title=f"Wrote {path}; sources found by their columns"), form
    )
    if made.unknown:
        console.say(f"Not recognised by their columns: {', '.join(made.unknown[:8])}", form=form)
    if not rows:
        console.say("No file was recognised: the sources in it are samples, adapt their paths.", form=form)
    console.say("Next: edit it, then `farthing doctor`, `farthing collect`, `farthing build`.", style="bold", form=form)


def doctor_command(
    node: Annotated[
        bool, typer.Option("--node", help="Check this GPU node and its agent instead of a project.")
    ] = False,
    spool: Annotated[
        Path, typer.Option("--spool", metavar="DIR", envvar="FARTHING_SPOOL", help="With --node: the agent's folder.")
    ] = DEFAULT_SPOOL,
    prices: Annotated[
        bool, typer.Option("--prices", help="Only the prices of model APIs, held against gateways and bills.")
    ] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Check machine, configuration, sources, lake and warehouse, and how much of the data each join matches.

    With --node: driver, how each GPU is observed, clock, spool and shipping. Exits 1 when there is a finding.
    """
    from farthing import doctor

    form = common.form(as_json, as_csv)
    if node:
        from farthing.agent.examine import examine

        none = Sheet("", [], [])
        found = doctor.Health(examine(spool, os.environ.get("FARTHING_SHIP")), none, none, none)
        console.show(found.sheets[:1], form, main="checks")
        _tell_findings(found, form)
        return
    config = common.open_project(project)
    if prices:
        _doctor_prices(config, form)
        return
    health = doctor.examine(config, common.open_lake(config))
    console.show(health.sheets, form, main="checks")
    _tell_findings(health, form)
    if health.next_step:
        console.say(f"Next: {health.next_step}.", style="bold", form=form)


def _tell_findings(health: Health, form: Form) -> None:
    """Name each finding and leave with 1; say so where there is none."""
    number = len(health.findings)
    if number:
        console.say(f"\n{number} finding{'s' * (number > 1)}:", style="bold yellow", form=form)
        for check in health.findings:
            console.say(f"  {check.area}, {check.subject}: {check.fix or check.detail}", form=form)
        raise typer.Exit(1)
    console.say("\nNo findings.", style="bold green", form=form)


def _doctor_prices(config: Config, form: Form) -> None:
    from farthing import price_report

    with warehouse.open_warehouse(config) as con:
        found = price_report.report(config, con)
    sheets = found.sheets if form is not Form.TABLE else [sheet for sheet in found.sheets if sheet.rows]
    if sheets:
        console.show(sheets, form, main="unpriced")
    if found.findings:
        raise typer.Exit(1)
    console.say(f"{found.models:,} models of the log looked at. No findings.", style="bold green", form=form)


def demo_command(
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="End after the summary.")] = False,
    scale: Annotated[int, typer.Option("--scale", min=1, help="So many times the requests, users and nodes.")] = 1,
    days: Annotated[
        int | None, typer.Option("--days", min=1, help="Only the last so many days of the seven months.")
    ] = None,
    project: Annotated[Path, typer.Option("--project", metavar="DIR", help="The folder of the demo.")] = Path("demo"),
    port: PortOption = None,
    host: HostOption = "127.0.0.1",
    as_json: JsonOption = False,
) -> None:
    """A simulated company through the whole pipeline: margin, losses and what each ticket costs, tied to its bills.

    Everything in it is made up. The same command again goes on with the same folder.
    """
    from farthing import build as building
    from farthing import demo
    from farthing.summary import summary

    form = common.form(as_json)
    clock = time.monotonic
    began, steps = clock(), []
    facts = demo.write(
        project, scale=scale, days=days, report=lambda line: console.say(line, style="dim", form=Form.JSON)
    )
    steps.append(("simulate", clock() - began))
    config = common.open_project(facts.folder)
    began = clock()
    collected = pipeline.collect(config, list(config.sources))
    steps.append(("collect", clock() - began))
    pipeline.tell_failures(collected)
    if collected.exit_code:
        raise typer.Exit(collected.exit_code)
    began = clock()
    with progress.Bar() as bar:
        built = building.build(config, common.open_lake(config), progress=progress.BuildBar(bar))
    steps.append(("build", clock() - began))
    began = clock()
    with progress.Bar() as bar:
        running.look_ahead(config, bar)
    steps.append(("look ahead", clock() - began))
    took = Sheet("steps", ["step", "seconds"], [(step, round(seconds, 2)) for step, seconds in steps], title="Time")
    with warehouse.open_warehouse(config) as con:
        sheets = [*summary(con, config.project.currency), pipeline.totals_sheet(built)]
    if form is Form.TABLE:
        _title(config, facts, "; ".join(f"{step} {console.seconds(seconds)}" for step, seconds in steps))
        console.show(sheets)
        where = f" --project {_shown(facts.folder)}"
        console.say(
            f"\nAsk more: farthing query 'from user_day'{where}, farthing forecast{where}, farthing anomalies{where},"
            f" farthing budgets{where}, farthing run{where}"
        )
    else:
        identity = Sheet("demo", ["simulated", "folder"], [(True, str(facts.folder))], record=True)
        console.show([identity, took, *sheets], form)
    if not no_dashboard:
        _start_dashboard(config, host, port)


def _title(config: Config, facts: DemoFacts, took: str) -> None:
    console.say("")
    console.say(
        f"SIMULATED  {config.project.name}: {facts.requests:,} requests of {facts.users:,} users, "
        f"{facts.first_day} to {facts.last_day}",
        style="bold magenta",
    )
    console.say(f"Everything in it is made up. {took}.", style="dim")


def _shown(folder: Path) -> str:
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)


def dashboard_command(project: ProjectOption = None, port: PortOption = None, host: HostOption = "127.0.0.1") -> None:
    """Open the published warehouse in the browser; Ctrl-C ends it."""
    config = common.open_project(project)
    warehouse.open_warehouse(config).close()
    _start_dashboard(config, host, port)


def _start_dashboard(config: Config, host: str, port: int | None) -> NoReturn:
    """Become the dashboard's process, so that signals and its exit code are its own."""
    if find_spec("streamlit") is None or find_spec("altair") is None:
        raise ConfigError(
            "the dashboard is not installed.", file="farthing[dashboard]", fix="pip install 'farthing[dashboard]'."
        )
    options: dict[str, Any] = {
        "server.address": host,
        "browser.gatherUsageStats": "false",
        "server.showEmailPrompt": "false",
        "server.fileWatcherType": "none",
    }
    if port is not None:
        options["server.port"] = port
    if not _has_display():
        options["server.headless"] = "true"
    app = str(files("dashboard") / "app.py")
    arguments = [f"--{name}={value}" for name, value in options.items()]
    environment = {**os.environ, common.PROJECT_VARIABLE: str(config.root.resolve())}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "streamlit", "run", app, *arguments], environment)


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
