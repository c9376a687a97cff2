"""A message as Slack's Block Kit has it, and its way through an incoming webhook.

Limits: 50 blocks, 150 characters of a header, 3,000 of a section (docs.slack.dev/reference/block-kit/blocks). All
blocks together are refused from about 13,000 characters on, which is not documented (slackapi/bolt-js#2509 and #2867).
"""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Iterator
from http.client import HTTPException
from typing import Any

from slack_sdk.webhook import WebhookClient

from farthing import web
from farthing.alerts import words
from farthing.alerts.alert import Alert, Message
from farthing.alerts.outcome import PassingError, RefusedError, checked

HEADER_CHARACTERS = 150
#: Of all blocks, as they are sent.
TOTAL_CHARACTERS = 12_000
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
#: What a part of an alert that comes alone may take, and all alerts together where there are several.
_PART_CHARACTERS = 2000
_TOGETHER_CHARACTERS = 9000


def payload(message: Message) -> dict[str, Any]:
    """The body of the webhook's request; whatever an alert says, it is text and neither a mention nor a link."""
    blocks: list[dict[str, Any]] = []
    for divisor in (1, 2, 4, 8, 16):  # writing other than ASCII takes up to six times its length where it is sent
        blocks = list(_alone(message, divisor) if len(message.everything) == 1 else _together(message, divisor))
        if len(json.dumps(blocks)) <= TOTAL_CHARACTERS:
            break
    return {
        "text": _fitting(words.clean(message.subject), HEADER_CHARACTERS),
        "blocks": blocks,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def send(url: str, body: dict[str, Any], trust: ssl.SSLContext, silence_seconds: float) -> str:
    """Post `body` once and give what came back.

    Raises:
        PassingError: no answer, or not now.
        RefusedError: Slack, or whoever answers there, does not take it.
    """
    # The client writes addresses and bodies to its logger when that is at DEBUG, as one without a level is.
    silent = logging.Logger("slack", logging.CRITICAL + 1)
    client = WebhookClient(url, timeout=max(1, round(silence_seconds)), ssl=trust, retry_handlers=[], logger=silent)
    try:
        answer = client.send_dict(body)
    except (OSError, HTTPException, ValueError, LookupError) as error:  # the last two: an answer in no known writing
        reason = getattr(error, "reason", error)
        raise PassingError(f"no whole answer ({reason or type(error).__name__})") from None
    wait = web.wanted_wait(answer.headers.get("Retry-After"))
    said = checked(answer.status_code, answer.body, wait)
    if answer.body.strip() != "ok":
        # An address that leads elsewhere is followed by urllib, without the message.
        raise RefusedError(f"the address took no message: it answered {said}, and Slack says 'ok'")
    return said


def _alone(message: Message, divisor: int) -> Iterator[dict[str, Any]]:
    [alert] = message.alerts
    yield _header(words.heading(alert))
    for label, said in words.parts(alert):
        lines = [_fitting(line, _PART_CHARACTERS // divisor // len(said)) for line in said]
        text = lines[0] if len(lines) == 1 else "\n".join(["", *(f"\N{BULLET} {line}" for line in lines)])
        yield _section(f"*{label}*: {text}" if label else text)
    if links := [_link(link, name) for name, link in words.links(message, alert).items()]:
        yield _section(" | ".join(links))


def _together(message: Message, divisor: int) -> Iterator[dict[str, Any]]:
    yield _header(message.subject)
    room = min(_PART_CHARACTERS, _TOGETHER_CHARACTERS // len(message.alerts)) // divisor
    for alert in message.alerts:
        yield _section(_short(message, alert, room))
    last = [words.more(message), _link(message.dashboard_url, "Open farthing") if message.dashboard_url else ""]
    if any(last):
        yield _section("\n".join(filter(None, last)))


def _short(message: Message, alert: Alert, room: int) -> str:
    """An alert among others in `room` characters: its heading, what it is and how much, and where to look."""
    link = _link(message.link(alert), "Open") if alert.page and message.dashboard_url else ""
    link = link if len(link) <= room // 3 else ""  # the dashboard itself is below
    title = _fitting(words.heading(alert), room // 3)
    rest = f"{words.clean(alert.what)} {words.clean(alert.money)}".strip()
    return "\n".join(filter(None, [f"*{title}*", _fitting(rest, room - room // 3 - len(link)), link]))


def _link(address: str, name: str) -> str:
    return f"<{address.replace('&', '&amp;')}|{name}>"


def _header(text: str) -> dict[str, Any]:
    shown = _fitting(words.clean(text), HEADER_CHARACTERS)
    return {"type": "header", "text": {"type": "plain_text", "text": shown, "emoji": False}}


def _section(text: str) -> dict[str, Any]:
    # verbatim: Slack looks for no addresses, channels and names in it.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _length(text: str) -> int:
    """Characters as JavaScript counts them: one outside the Basic Multilingual Plane is two."""
    return len(text.encode("utf-16-le")) // 2


def _fitting(text: str, limit: int) -> str:
    """As much of `text` as is, escaped, at most `limit` characters long; an ellipsis says where it was cut."""
    text = text[: limit + 1]  # no more of it can fit
    whole = _escaped(text)
    if _length(whole) <= limit:
        return whole
    taken, room = [], limit - 1
    for one in text:
        escaped = _escaped(one)
        room -= _length(escaped)
        if room < 0:
            break
        taken.append(escaped)
    return "".join([*taken, _ELLIPSIS])
