"""One message to one channel, whatever its kind: composed, sent, and tried again where that can help."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from farthing import web
from farthing.alerts import mail, slack, webhook, words
from farthing.alerts.alert import Message
from farthing.alerts.outcome import Outcome, Patience, tried, without
from farthing.config import Channel, Config

#: Of the key that signs.
_SHORTEST_KEY = 16


def payload(channel: Channel, message: Message) -> str:
    """What the channel would be sent, as text, without secrets."""
    if channel.kind == "email":
        return mail.letter(message, channel).as_string()
    if channel.kind == "stdout":
        return words.plain(message)
    body: dict[str, Any] = slack.payload(message) if channel.kind == "slack" else webhook.payload(message)
    return json.dumps(body, indent=1, ensure_ascii=False)


def send(config: Config, name: str, message: Message, patience: Patience, write: Callable[[str], object]) -> Outcome:
    """Send `message` to the channel `name`; `write` is standard output, for channels of that kind.

    What is missing on this machine, as an environment variable, is an outcome too: other channels are not kept by it.
    """
    channel = config.alerts.channels[name]
    # Those of all channels: a proxy or a mistaken address may know another's.
    named = {variable for one in config.alerts.channels.values() for variable in _variables(one)}
    secrets = [os.environ[variable] for variable in named if os.environ.get(variable)]
    if problem := _unready(channel):
        return Outcome("failed", problem)
    try:
        trust = web.trusted(None if channel.ca_file is None else config.location(channel.ca_file))
    except (OSError, ssl.SSLError) as error:
        return Outcome("failed", without(secrets, f"ca_file {channel.ca_file}: {error.strerror or error}"))
    if channel.kind == "email":
        password = _secret(channel.password_env) if channel.password_env else None
        delivery = mail.Delivery(mail.letter(message, channel), channel, password, trust)
        outcome = tried(lambda: delivery.send(patience.silence_seconds), patience, secrets)
        if delivery.reached and delivery.left_out:
            # Who has it would get it again with each run: the recipients that are left are told of instead.
            return Outcome("sent", outcome.said, outcome.said)
        return outcome
    return tried(_way(channel, message, trust, patience, write), patience, secrets)


def _way(
    channel: Channel, message: Message, trust: ssl.SSLContext, patience: Patience, write: Callable[[str], object]
) -> Callable[[], str]:
    if channel.kind == "slack":
        body = slack.payload(message)
        return lambda: slack.send(_secret(channel.url_env), body, trust, patience.silence_seconds)
    if channel.kind == "webhook":
        content = webhook.payload(message)
        url, key = _secret(channel.url_env), _secret(channel.secret_env)
        return lambda: webhook.send(url, key, content, trust, patience.silence_seconds)

    def written() -> str:
        write(words.plain(message))
        return "written"

    return written


def _variables(channel: Channel) -> list[str]:
    return [name for name in (channel.url_env, channel.secret_env, channel.password_env) if name]


def _secret(variable: str | None) -> str:
    return os.environ[variable or ""]


def _unready(channel: Channel) -> str:
    """What is missing on this machine to use the channel; empty when nothing is. No secret is said."""
    if unset := [name for name in _variables(channel) if not os.environ.get(name)]:
        return f"the environment variable {', '.join(unset)} is not set"
    if channel.url_env is not None and not _is_https(os.environ[channel.url_env]):
        return f"the environment variable {channel.url_env} holds no https:// address"
    if channel.secret_env is not None and len(os.environ[channel.secret_env]) < _SHORTEST_KEY:
        return f"the environment variable {channel.secret_env} holds fewer than {_SHORTEST_KEY} characters"
    return ""


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and (parts.port or 1) > 0 and _plain(url)
    except ValueError:
        return False


def _plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url
