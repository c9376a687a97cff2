"""Who is told of what happened: alerts, routed to channels, each told once, across restarts and failures."""

from __future__ import annotations

from farthing.alerts.alert import Alert, Attachment, Message, message
from farthing.alerts.delivery import Delivered, amounts_told, deliver, payloads, retry, trial, trial_message
from farthing.alerts.outcome import Outcome, Patience
from farthing.alerts.sending import send

__all__ = [
    "Alert",
    "Attachment",
    "Delivered",
    "Message",
    "Outcome",
    "Patience",
    "amounts_told",
    "deliver",
    "message",
    "payloads",
    "retry",
    "send",
    "trial",
    "trial_message",
]
