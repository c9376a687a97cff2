"""Brings alerts to their channels: each to each channel once, whatever fails, is killed or is run again meanwhile.

What is to be sent is written to the lake before it is sent, and what came of it after: a run that is killed between
the two is repeated once by the next, and nothing is lost.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import dataclass, replace

from farthing import clock
from farthing.alerts import routes, sending, state
from farthing.alerts.alert import Alert, Message, from_json, message
from farthing.alerts.alert import trial as trial_alert
from farthing.alerts.outcome import Outcome, Patience
from farthing.alerts.state import Entry
from farthing.config import Config
from farthing.lake import Lake
from farthing.locks import alone

_STOPPED = "the run that sent it ended before it could say what came of it"


@dataclass(frozen=True)
class Delivered:
    """What one run did: the rows that it brought to an end or tried, and how many alerts had been told before."""

    entries: tuple[Entry, ...]
    known: int = 0

    def count(self, wanted: state.State) -> int:
        """How many alerts are in the state now, each counted for each of its channels."""
        return sum(entry.state == wanted for entry in self.entries)


def to_stdout(text: str) -> None:
    """Where channels of kind stdout write by default."""
    sys.stdout.write(text)


def deliver(
    config: Config,
    lake: Lake,
    alerts: Iterable[Alert],
    tell: Callable[[str], None],
    *,
    write: Callable[[str], object] = to_stdout,
    patience: Patience = Patience(),  # noqa: B008  immutable
) -> Delivered:
    """Tell of those `alerts` that were not told of before, and of what earlier runs could not deliver.

    `alerts` come in the order of their weight; each channel gets one message. `tell` gets a line for each channel,
    `write` what channels of kind stdout print. One run at a time delivers on this machine; another waits.

    Raises:
        SourceError: the lake cannot be reached, or another run was not done after ten minutes.
    """
    with alone(config.root, "alerts", tell):
        entries = state.read(lake)
        told = {(entry.alert_id, entry.event) for entry in entries}
        given = {(alert.identity, alert.event): alert for alert in alerts}
        fresh = [entry for key, alert in given.items() if key not in told for entry in _entries(config, alert)]
        due = [entry for entry in [*entries, *fresh] if entry.state == "failed"]
        muted = [entry for entry in fresh if entry.state == "muted"]
        done = _bring(config, lake, due, muted, tell, write, patience)
        return Delivered((*muted, *done), sum(key in told for key in given))


def retry(
    config: Config,
    lake: Lake,
    tell: Callable[[str], None],
    *,
    write: Callable[[str], object] = to_stdout,
    patience: Patience = Patience(),  # noqa: B008  immutable
) -> Delivered:
    """Try all again that did not arrive, dead letters too, as if for the first time."""
    with alone(config.root, "alerts", tell):
        due = [replace(entry, attempts=0) for entry in state.read(lake) if entry.state in ("failed", "dead")]
        return Delivered(_bring(config, lake, due, [], tell, write, patience))


def amounts_told(lake: Lake) -> dict[str, float]:
    """By id of each alert that somebody was told of when it began: the amount that he was told."""
    return {
        entry.alert_id: float(alert.amount)
        for entry in state.read(lake)
        if entry.event == "open" and _is_readable(entry) and (alert := from_json(entry.payload)).amount is not None
    }


def payloads(config: Config, lake: Lake, alerts: Iterable[Alert] = ()) -> dict[str, str]:
    """What the next run would send with `alerts` besides what waits, by channel; nothing is sent or written."""
    entries = state.read(lake)
    told = {(entry.alert_id, entry.event) for entry in entries}
    fresh = [
        entry for alert in alerts for entry in _entries(config, alert) if (entry.alert_id, entry.event) not in told
    ]
    due = [entry for entry in [*entries, *fresh] if entry.state == "failed" and _is_readable(entry)]
    return {
        name: sending.payload(config.alerts.channels[name], _message(config, rows))
        for name, rows in _by_channel(due).items()
        if name in config.alerts.channels
    }


def trial(config: Config, name: str, write: Callable[[str], object]) -> Outcome:
    """Send an alert that says that it is a test to the channel `name`, once, whatever the routes; it is not kept."""
    return sending.send(config, name, trial_message(config), Patience(attempts=1), write)


def trial_message(config: Config) -> Message:
    """The message that `trial` sends."""
    return message(config, [trial_alert(config.project.name)])


def _entries(config: Config, alert: Alert) -> list[Entry]:
    """The rows of an alert that nobody was told of yet: one for each of its channels, or that it is muted."""
    names: list[str | None] = [*routes.channels(config.alerts, alert)]
    return [
        Entry(
            alert_id=alert.identity,
            event=alert.event,
            kind=alert.kind,
            dimension=alert.dimension,
            key=alert.key,
            channel=name,
            title=alert.title,
            created_at=clock.now(),
            state="failed" if names else "muted",
            attempts=0,
            error=None,
            sent_at=None,
            payload=alert.to_json(),
        )
        for name in names or [None]
    ]


def _bring(
    config: Config,
    lake: Lake,
    due: Sequence[Entry],
    muted: Sequence[Entry],
    tell: Callable[[str], None],
    write: Callable[[str], object],
    patience: Patience,
) -> tuple[Entry, ...]:
    """Send the rows `due`, channel by channel side by side; what came of each channel is written at once."""
    readable = {entry: _is_readable(entry) for entry in due}
    done = [
        replace(entry, state="dead", error="written by another version of farthing, which this one cannot read")
        for entry in due
        if not readable[entry]
    ]
    begun = [
        replace(entry, state="failed", attempts=entry.attempts + 1, error=_STOPPED) for entry in due if readable[entry]
    ]
    state.write(lake, [*muted, *done, *begun])
    broken: list[BaseException] = []
    with ThreadPoolExecutor(max_workers=8) as pool:
        sent = {
            pool.submit(copy_context().run, _send, config, name, rows, write, patience): (name, rows)
            for name, rows in _by_channel(begun).items()
        }
        for finished in as_completed(sent):
            name, rows = sent[finished]
            if (error := finished.exception()) is not None:
                broken.append(error)  # what came of the other channels is written first
                continue
            outcome = finished.result()
            ended = [_ended(config, row, outcome) for row in rows]
            state.write(lake, ended)
            done += ended
            tell(f"alerts to {name}: {len(rows)} {ended[0].state}, {outcome.said}")
    for error in broken:
        raise error
    return tuple(done)


def _send(
    config: Config, name: str, rows: Sequence[Entry], write: Callable[[str], object], patience: Patience
) -> Outcome:
    if name not in config.alerts.channels:
        return Outcome("dead", f"there is no channel {name} in farthing.toml any more")
    return sending.send(config, name, _message(config, rows), patience, write)


def _ended(config: Config, entry: Entry, outcome: Outcome) -> Entry:
    if outcome.state == "sent":
        return replace(entry, state="sent", error=outcome.note, sent_at=clock.now())
    given_up = entry.attempts >= config.alerts.give_up_after
    return replace(entry, state="dead" if given_up else outcome.state, error=outcome.said)


def _is_readable(entry: Entry) -> bool:
    try:
        from_json(entry.payload)
    except ValueError:
        return False
    return True


def _message(config: Config, rows: Iterable[Entry]) -> Message:
    return message(config, [from_json(row.payload) for row in rows])


def _by_channel(rows: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for row in rows:
        found.setdefault(row.channel or "", []).append(row)
    return found
