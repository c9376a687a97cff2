"""What people are told: one alert as a plain value, and the message that a channel gets of several."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, get_args
from urllib.parse import quote

from farthing import console
from farthing.config import AlertEvent, AlertKind, Config, Severity

#: Longer addresses of pages lead to the dashboard itself instead.
_LONGEST_LINK = 500
_URGENCY: dict[Severity, int] = {"critical": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Alert:
    """One thing that happened, in words for those who have to act on it.

    `id` names what it is about (an episode, a budget and its threshold), and with `event` and `step` is told once,
    ever: whoever finds alerts gives all that hold in each run. `step` counts what comes several times in the life of
    one `id`: the second doubling has step 2.

    Raises:
        ValueError: an unknown kind, event or severity, or an amount that is no number or has no currency.
    """

    id: str
    kind: AlertKind
    event: AlertEvent
    severity: Severity
    dimension: str  # what it is about: team, model, customer, ..., or total
    key: str | None  # its key; None: cost of none of them, or the total
    title: str  # one line
    what: str  # what happened, in a sentence
    how_much: str = ""  # by default the amount
    amount: Decimal | float | None = None  # billed money is a Decimal, an estimate a float
    currency: str | None = None
    why: tuple[str, ...] = ()  # causes, the largest first
    what_to_do: str = ""
    page: str = ""  # of the dashboard, with its query: "anomalies?episode=7"
    chart: str = ""  # the https:// address of a picture, or the path of a PNG or SVG file for e-mails
    step: int = 1
    context: Mapping[str, str] = field(default_factory=dict)  # for routes: a user's alert with {"team": "support"}
    muted: bool = False  # kept, and told to nobody

    def __post_init__(self) -> None:
        for name, known in (("kind", AlertKind), ("event", AlertEvent), ("severity", Severity)):
            if getattr(self, name) not in get_args(known):
                raise ValueError(f"no alert has the {name} '{getattr(self, name)}'")
        if self.amount is not None and (self.currency is None or not math.isfinite(self.amount)):
            raise ValueError(f"alert {self.id}: the amount {self.amount} {self.currency} is no amount of money")

    @property
    def identity(self) -> str:
        """What is told once for each event."""
        return self.id if self.step == 1 else f"{self.id} (step {self.step})"

    @property
    def money(self) -> str:
        """How much, for people; empty when that is not known."""
        if self.how_much or self.amount is None:
            return self.how_much
        return f"{console.money(Decimal(self.amount))} {self.currency}"

    def to_json(self) -> str:
        """The alert as text that `from_json` reads; billed money is text there, an estimate a number."""
        return json.dumps(console.plain(asdict(self)))


def from_json(text: str) -> Alert:
    """The alert that `Alert.to_json` wrote; what a newer farthing wrote besides is left out.

    Raises:
        ValueError: it is no alert.
    """
    try:
        values: dict[str, Any] = json.loads(text)
        known = {name: value for name, value in values.items() if name in Alert.__dataclass_fields__}
        if isinstance(known.get("amount"), str):
            known["amount"] = Decimal(known["amount"])
        return Alert(**{**known, "why": tuple(known.get("why", ()))})
    except (TypeError, ArithmeticError, AttributeError) as error:
        raise ValueError(f"this is no alert: {error}") from error


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a message, where the channel takes files."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Message:
    """What one channel is told at once: the most urgent alerts spelled out, `more` counted, and where to look."""

    company: str
    alerts: tuple[Alert, ...]
    everything: tuple[Alert, ...]  # for programs
    dashboard_url: str | None
    attachments: tuple[Attachment, ...] = ()

    @property
    def more(self) -> int:
        """How many alerts are not spelled out."""
        return len(self.everything) - len(self.alerts)

    def link(self, alert: Alert) -> str:
        """The https:// address of the alert's page, of the dashboard, or nothing."""
        if not self.dashboard_url:
            return ""
        whole = f"{self.dashboard_url.rstrip('/')}/{quote(alert.page, safe='/?&=%', errors='replace')}"
        return whole if alert.page and len(whole) <= _LONGEST_LINK else self.dashboard_url

    @property
    def subject(self) -> str:
        """The message in one line."""
        if len(self.everything) == 1:
            [alert] = self.everything
            return f"{self.company}: {alert.severity}: {alert.title}"
        critical = sum(alert.severity == "critical" for alert in self.everything)
        return f"{self.company}: {len(self.everything)} alerts" + (f", {critical} of them critical" if critical else "")


def message(config: Config, alerts: Iterable[Alert]) -> Message:
    """One message of all `alerts`, the most urgent first and else in their order; amounts are not compared."""
    ordered = tuple(sorted(alerts, key=lambda alert: _URGENCY[alert.severity]))
    return Message(config.project.name, ordered[: config.alerts.maximum], ordered, config.alerts.dashboard_url)


def trial(company: str) -> Alert:
    """An alert that says of itself that nothing happened."""
    return Alert(
        id="test",
        kind="run",
        event="open",
        severity="info",
        dimension="total",
        key=None,
        title="Test of farthing's alerts: nothing happened",
        what=f"Somebody ran `farthing alerts test` in the project {company}. This channel works.",
        what_to_do="Nothing.",
    )
