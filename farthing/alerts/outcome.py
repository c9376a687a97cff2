"""How a delivery went, and how often it is tried: the same for every kind of channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import stamina

#: HTTP: not now, or not any more in this moment; every other refusal stays one.
_PASSING = frozenset({408, 425, 429})
_LONGEST_ANSWER = 300
#: Shorter parts of an address are words.
_SHORTEST_SECRET = 8


@dataclass(frozen=True)
class Patience:
    """How long one run waits for a channel; what it could not deliver is left to the next run."""

    attempts: int = 3
    first_wait_seconds: float = 1.0  # twice as long each time
    longest_wait_seconds: float = 30.0  # a server that wants to be left alone for longer is left to the next run
    silence_seconds: float = 10.0


@dataclass(frozen=True)
class Outcome:
    """What came of it: sent; failed, to be tried by the next run; or dead: refused, so that trying again is no use."""

    state: Literal["sent", "failed", "dead"]
    said: str  # what came back, without secrets
    note: str | None = None  # sent, but not to all: who is left


class PassingError(Exception):
    """It did not work now; later it may."""

    def __init__(self, problem: str, wait_seconds: float | None = None) -> None:
        self.wait_seconds = wait_seconds
        super().__init__(problem)


class RefusedError(Exception):
    """It was refused, and would be again."""


def checked(status: int, said: str, wait_seconds: float | None) -> str:
    """What an HTTP server answered, in words, when it has taken the message.

    Raises:
        PassingError: it throttles or fails.
        RefusedError: anything else.
    """
    answer = f"HTTP {status}" + (f": {' '.join(said.split())}" if said.strip() else "")
    if 200 <= status < 300:
        return answer
    if status in _PASSING or status >= 500:
        raise PassingError(answer, wait_seconds)
    raise RefusedError(answer)


def tried(deliver: Callable[[], str], patience: Patience, secrets: Iterable[str]) -> Outcome:
    """Call `deliver` until it succeeds, is refused, or patience ends; it gives what came back."""

    def again(error: Exception) -> bool | float:
        if not isinstance(error, PassingError):
            return False
        wait = error.wait_seconds
        return True if wait is None else wait if wait <= patience.longest_wait_seconds else False

    def once() -> str:
        # Nothing secret gets into an error at all: what retries is noted by the library that does it.
        try:
            return _shown(secrets, deliver())
        except PassingError as error:
            raise PassingError(_shown(secrets, str(error)), error.wait_seconds) from None
        except RefusedError as error:
            raise RefusedError(_shown(secrets, str(error))) from None

    try:
        for attempt in stamina.retry_context(
            on=again,
            attempts=patience.attempts,
            timeout=None,
            wait_initial=patience.first_wait_seconds,
            wait_max=patience.longest_wait_seconds,
            wait_jitter=patience.first_wait_seconds / 2,
        ):
            with attempt:
                return Outcome("sent", once())
    except PassingError as error:
        return Outcome("failed", str(error))
    except RefusedError as error:
        return Outcome("dead", str(error))
    raise AssertionError("stamina ends in an answer or an error")


def _shown(secrets: Iterable[str], text: str) -> str:
    """The begin of `text` without secrets; cut last, so that half of a secret is none that goes unseen."""
    found = without(secrets, text)
    return found if len(found) <= _LONGEST_ANSWER else found[: _LONGEST_ANSWER - 1] + "\N{HORIZONTAL ELLIPSIS}"


def without(secrets: Iterable[str], text: str) -> str:
    """`text` with every secret in it, and every part of an address that may be one, made unreadable."""
    pieces = set()
    for secret in secrets:
        pieces.add(secret)  # whole, however short
        with suppress(ValueError):  # no address
            parts = urlsplit(secret) if "://" in secret else urlsplit("")
            inner = {parts.path.strip("/"), parts.query, parts.netloc.rpartition("@")[0], *parts.path.split("/")}
            pieces |= {piece for piece in inner if len(piece) >= _SHORTEST_SECRET}
    for piece in sorted(pieces - {""}, key=len, reverse=True):
        text = text.replace(piece, "[secret]")
    return text
