"""`alerts`: what people were told, what did not arrive, and whether channels work."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from farthing import console
from farthing.cli import common
from farthing.cli.common import CsvOption, JsonOption, ProjectOption
from farthing.cli.progress import Bar
from farthing.config import Config
from farthing.console import Form, Sheet
from farthing.errors import ConfigError

if TYPE_CHECKING:
    from farthing.alerts.state import Entry

_COLUMNS = [
    *("created_at", "title", "kind", "event", "dimension", "key", "channel"),
    *("state", "attempts", "sent_at", "error", "alert_id"),
]
#: For programs only: people have no room for it.
_HIDDEN = frozenset({"kind", "alert_id"})
_FINDING, _UNREACHABLE = 1, 3
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="What people were told, what did not arrive, and whether channels work.")
    group.callback(invoke_without_command=True)(list_command)
    group.command("test", epilog="Example: `farthing alerts test --channel ops`")(trial_command)
    group.command("retry", epilog="Example: `farthing alerts retry`")(retry_command)
    app.add_typer(group, name="alerts", epilog="Example: `farthing alerts --state dead`")


def list_command(
    context: typer.Context,
    only: Annotated[str | None, typer.Option("--state", help="Only sent, failed, dead or muted ones.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="So many, the newest.")] = 50,
    dry_run: DryRunOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """What was sent to which channel, what failed and is tried again by the next run, and dead letters.

    With --dry-run: the messages that the next run sends of what waits.
    """
    if context.invoked_subcommand is not None:
        return
    form = common.form(as_json, as_csv)
    if only is not None and only not in ("sent", "failed", "dead", "muted"):
        raise typer.BadParameter(f"'{only}' is no state; one of sent, failed, dead and muted.")
    config = common.open_project(project)
    from farthing import alerts
    from farthing.alerts import state

    lake = common.open_lake(config)
    if dry_run:
        _show_payloads(alerts.payloads(config, lake), form)
        return
    found = [entry for entry in state.read(lake) if only in (None, entry.state)]
    shown = found[-last:][::-1]
    note = f"{len(found) - len(shown):,} older ones: --last {len(found)}" if len(shown) < len(found) else ""
    console.show(_sheet(shown, note), form)


def trial_command(
    channel: Annotated[str | None, typer.Option("--channel", metavar="NAME", help="Only this one.")] = None,
    dry_run: DryRunOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Send an alert that says that it is a test to each channel, whatever the routes, and say what came back.

    Each channel is tried once. Exits 1 when a channel refuses, 3 when one does not answer.
    """
    form = common.form(as_json, as_csv)
    config = common.open_project(project)
    names = _channels(config, channel)
    from farthing import alerts
    from farthing.alerts import sending

    if dry_run:
        letter = alerts.trial_message(config)
        _show_payloads({name: sending.payload(config.alerts.channels[name], letter) for name in names}, form)
        return
    outcomes = []
    with Bar() as bar:
        for name in names:
            bar.message(f"testing {name}")
            outcomes.append((name, alerts.trial(config, name, _writer(form))))
    rows = [(name, config.alerts.channels[name].kind, outcome.state, outcome.said) for name, outcome in outcomes]
    console.show(Sheet("channels", ["channel", "kind", "state", "said"], rows), form)
    _leave({outcome.state for _, outcome in outcomes})


def retry_command(project: ProjectOption = None, as_json: JsonOption = False, as_csv: CsvOption = False) -> None:
    """Send all again that did not arrive, dead letters too.

    Exits 1 when something is refused again, 3 when a channel does not answer.
    """
    form = common.form(as_json, as_csv)
    config = common.open_project(project)
    from farthing import alerts, issued

    lake = common.open_lake(config)
    with Bar() as bar:
        done = alerts.retry(config, lake, bar.message, write=_writer(form))
        if done.entries:
            issued.publish(config, lake, bar.message)
    console.show(_sheet(done.entries), form)
    _leave({entry.state for entry in done.entries})


def _channels(config: Config, only: str | None) -> list[str]:
    """The channels to test.

    Raises:
        ConfigError: there are none, or not the one that is named.
    """
    names = list(config.alerts.channels)
    if not names:
        raise ConfigError("there is no channel.", key="alerts.channels", fix="add one; docs/alerts.md has examples.")
    if only is not None and only not in names:
        raise ConfigError(f"there is no channel '{only}'.", key="alerts.channels", fix=f"one of {', '.join(names)}.")
    return names if only is None else [only]


def _writer(form: Form) -> Callable[[str], None]:
    """Where channels of kind stdout write: beside standard output when that is a program's."""

    def write(text: str) -> None:
        (sys.stdout if form is Form.TABLE else sys.stderr).write(text)

    return write


def _show_payloads(found: dict[str, str], form: Form) -> None:
    if form is not Form.TABLE:
        console.show(Sheet("payloads", ["channel", "payload"], list(found.items())), form)
        return
    for name, payload in found.items():
        console.say(f"{name}:", style="bold")
        sys.stdout.write(payload.rstrip("\n") + "\n\n")
    if not found:
        console.say("nothing waits to be sent", style="dim")


def _sheet(entries: Sequence[Entry], note: str = "") -> Sheet:
    rows = [[getattr(entry, name) for name in _COLUMNS] for entry in entries]
    return Sheet("alerts", _COLUMNS, rows, note=note, hidden=_HIDDEN)


def _leave(states: set[str]) -> None:
    if "failed" in states:
        raise typer.Exit(_UNREACHABLE)
    if "dead" in states:
        raise typer.Exit(_FINDING)
