"""A message as JSON for programs, signed so that they can tell who sent it.

The signature is the HMAC-SHA256 of the timestamp, a full stop and the body, with the shared key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
from typing import Any

import httpx

from farthing import clock, console, web
from farthing.alerts.alert import Alert, Message
from farthing.alerts.outcome import PassingError, checked

SIGNATURE_HEADER = "X-Farthing-Signature"
TIMESTAMP_HEADER = "X-Farthing-Timestamp"
VERSION = 1


def payload(message: Message) -> dict[str, Any]:
    """All alerts of the message, none left out: a program does not tire."""
    return {
        "version": VERSION,
        "project": message.company,
        "alerts": [_alert(message, alert) for alert in message.everything],
    }


def send(url: str, key: str, body: dict[str, Any], trust: ssl.SSLContext, silence_seconds: float) -> str:
    """Post `body` once, signed now, and give what came back.

    Raises:
        PassingError: no answer, or not now.
        RefusedError: it is not taken.
    """
    written = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    timestamp = str(int(clock.now().timestamp()))
    headers = {
        "Content-Type": "application/json",
        TIMESTAMP_HEADER: timestamp,
        SIGNATURE_HEADER: signature(key, timestamp, written),
    }
    try:
        answer = web.post(url, written, headers, trust=trust, silence_seconds=silence_seconds)
    except httpx.RequestError as error:
        raise PassingError(f"no whole answer ({str(error) or type(error).__name__})") from None
    return checked(answer.status, answer.text, answer.wait_seconds)


def signature(key: str, timestamp: str, body: bytes) -> str:
    """The signature of `body` sent at `timestamp` (seconds since 1970): the scheme, and hexadecimal digits."""
    return "v1=" + hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _alert(message: Message, alert: Alert) -> dict[str, Any]:
    """An alert with what tells it from all others, so that a program that gets one twice can see it."""
    values: dict[str, Any] = console.plain(
        {
            "id": alert.identity,
            "event": alert.event,
            "kind": alert.kind,
            "severity": alert.severity,
            "dimension": alert.dimension,
            "key": alert.key,
            "context": alert.context,
            "title": alert.title,
            "what": alert.what,
            "how_much": alert.money,
            "amount": alert.amount,
            "currency": alert.currency,
            "why": list(alert.why),
            "what_to_do": alert.what_to_do,
            "link": message.link(alert) or None,
        }
    )
    return values
