"""The one place that asks servers over HTTP: again where that can help, and otherwise with an error that says why."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit

import httpx
import stamina

from farthing import clock
from farthing.errors import SourceError

#: How long a server may be silent, and how long one whole answer may take.
SILENCE_SECONDS = 30.0
ANSWER_SECONDS = 600.0
ATTEMPTS = 6
#: A server that wants to be left alone for longer is asked again by the next command, not by this one.
LONGEST_WAIT_SECONDS = 120.0

#: Without a handler, Python itself would write the library's notes of each attempt to the screen.
logging.getLogger("stamina").addHandler(logging.NullHandler())

_Answer = TypeVar("_Answer")
_BUSY = frozenset({429, 500, 502, 503, 504, 529})
#: As much of an answer to a POST as is read.
_READ_BYTES = 20_000


def _harmless(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO


#: It would note every address as it is, and an address may hold a key: in its query, or be one as a webhook's.
logging.getLogger("httpx").addFilter(_harmless)


class _BusyError(Exception):
    """The server says: not now."""

    def __init__(self, status: int, wait_seconds: float | None) -> None:
        self.status, self.wait_seconds = status, wait_seconds
        super().__init__(f"HTTP {status}")


class _SlowError(Exception):
    """The answer goes on and on."""


@cache
def trusted(ca_file: str | None = None) -> ssl.SSLContext:
    """Whom to trust: the usual authorities, or those of SSL_CERT_FILE, and those of the PEM file `ca_file` besides.

    Read once: to read it again for each question takes longer than the question.

    Raises:
        OSError: `ca_file` is not there or holds no certificate.
    """
    context = httpx.create_ssl_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def shown(url: str) -> str:
    """`url` without what may be secret in it: user, password, query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.partition("?")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def fetch(
    url: str,
    into: BinaryIO,
    *,
    source: str,
    params: Sequence[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    fix: str = "check the address, and what it takes to be let in.",
) -> Mapping[str, str]:
    """Write what `url` answers into `into`, from its present place on, and give the answer's headers.

    A throttled, failed, cut or endless answer is asked for again, after as long as the server says. A redirect is
    followed unless there are headers: a key goes to nobody else.

    Raises:
        SourceError: refused, not there, or still no whole answer after several attempts. `fix` says what to do then.
    """
    begin = into.tell() if into.seekable() else 0

    def ask() -> Mapping[str, str]:
        if into.seekable():
            into.seek(begin)
            into.truncate()
        with _answer(url, params, headers, source, fix) as answer:
            deadline = time.monotonic() + ANSWER_SECONDS
            # As it was sent: a .gz stays one, whatever the server calls it.
            for chunk in answer.iter_bytes() if headers else answer.iter_raw():
                into.write(chunk)
                if time.monotonic() > deadline:
                    raise _SlowError(f"not whole after {ANSWER_SECONDS:.0f} s")
            return dict(answer.headers)

    return _patiently(ask, url, source)


def head(url: str, *, source: str) -> Mapping[str, str] | None:
    """The headers that `url` answers with, nothing of its content; None when nothing is there.

    It is a GET that is broken off: links that are signed for GET refuse HEAD.

    Raises:
        SourceError: refused, or still no answer after several attempts.
    """

    def ask() -> Mapping[str, str] | None:
        with _answer(url, (), None, source, "check the address, and what it takes to be let in.") as answer:
            return None if answer.status_code in (404, 410) else dict(answer.headers)

    return _patiently(ask, url, source)


@dataclass(frozen=True)
class Answer:
    """What a server said to a POST: its status, the seconds that it wants to be left alone, the begin of its text."""

    status: int
    wait_seconds: float | None
    text: str


def post(url: str, body: bytes, headers: Mapping[str, str], *, trust: ssl.SSLContext, silence_seconds: float) -> Answer:
    """Send `body` to `url` once, and give the answer, whatever its status; a redirect is not followed.

    Raises:
        httpx.TransportError: no whole answer.
        httpx.InvalidURL: `url` is no address.
    """
    deadline = time.monotonic() + 3 * silence_seconds
    with (
        httpx.Client(verify=trust, timeout=silence_seconds) as client,
        client.stream("POST", url, content=body, headers={**headers, "Accept-Encoding": "identity"}) as answer,
    ):
        said = b""
        for chunk in answer.iter_raw():
            said += chunk
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout(f"not whole after {3 * silence_seconds:.0f} s")
            if len(said) >= _READ_BYTES:
                break
        wait = wanted_wait(answer.headers.get("retry-after"))
        return Answer(answer.status_code, wait, said[:_READ_BYTES].decode("utf-8", "replace"))


@contextmanager
def _answer(
    url: str, params: Sequence[tuple[str, str]], headers: Mapping[str, str] | None, source: str, fix: str
) -> Iterator[httpx.Response]:
    sent = dict(headers) if headers else {"Accept-Encoding": "identity"}
    try:
        with (
            httpx.Client(verify=trusted(), timeout=SILENCE_SECONDS, follow_redirects=not headers) as client,
            client.stream("GET", url, params=list(params) or None, headers=sent) as answer,
        ):
            if answer.status_code in _BUSY:
                raise _BusyError(answer.status_code, wanted_wait(answer.headers.get("retry-after")))
            if not answer.is_success and (headers or answer.status_code not in (404, 410)):
                said = " ".join(answer.read().decode("utf-8", "replace").split())[:300]
                raise SourceError(
                    f"HTTP {answer.status_code} {answer.reason_phrase}" + (f": {said}" if said else "") + ".",
                    source=source,
                    object_name=shown(url),
                    fix=fix,
                )
            yield answer
    except httpx.InvalidURL as error:
        raise SourceError(f"this is no address ({error}).", source=source, object_name=shown(url), fix=fix) from error


def _patiently(ask: Callable[[], _Answer], url: str, source: str) -> _Answer:
    try:
        for attempt in stamina.retry_context(on=_again, attempts=ATTEMPTS, timeout=None, wait_initial=0.5, wait_max=30):
            with attempt:
                return ask()
    except _BusyError as error:
        throttled = error.status == 429
        problem = "it asks to be asked less often (HTTP 429)" if throttled else f"it fails (HTTP {error.status})"
        if error.wait_seconds is not None and error.wait_seconds > LONGEST_WAIT_SECONDS:
            problem += f", and to wait {error.wait_seconds:.0f} s"
        raise SourceError(
            f"{problem}.", source=source, object_name=shown(url), fix="run the command again later."
        ) from error
    except (httpx.TransportError, _SlowError) as error:
        raise SourceError(
            f"no whole answer ({str(error) or type(error).__name__}).",
            source=source,
            object_name=shown(url),
            fix="check the address and the network, and run the command again.",
        ) from error
    raise AssertionError("stamina ends in an answer or an error")


def _again(error: Exception) -> bool | float:
    """Whether to ask again, or after how many seconds."""
    if isinstance(error, _BusyError):
        if error.wait_seconds is None:
            return True
        return error.wait_seconds if error.wait_seconds <= LONGEST_WAIT_SECONDS else False
    return isinstance(error, httpx.TransportError | _SlowError) and not isinstance(error, httpx.UnsupportedProtocol)


def wanted_wait(text: str | None) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date; None when it is neither."""
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - clock.now()).total_seconds())
    except (ValueError, TypeError):
        return None
