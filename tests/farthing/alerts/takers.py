"""Servers that take alerts: HTTPS and SMTP, on this machine, with certificates of a CA made for the run."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from farthing import config as configuration
from farthing.alerts import Alert, Patience
from farthing.config import Config
from tests.servers import free_port

SLACK_URL_SECRET = "B0TESTSECRETPATH"
KEY = "a-key-of-more-than-sixteen-characters"
PASSWORD = "correct-horse-battery"

#: Real waits and real attempts, short enough for a test.
SOON = Patience(attempts=3, first_wait_seconds=0.01, longest_wait_seconds=0.5, silence_seconds=1)


@dataclass(frozen=True)
class Taken:
    """One request that the server got."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Says:
    """What it answers: a status and a text, or silence (`hang`), or the begin of an answer (`cut`)."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: bool = False


@dataclass
class Https:
    """An HTTPS server; it says `says` one after the other, and the last one ever after."""

    endpoint: str
    ca_file: Path
    says: list[Says] = field(default_factory=lambda: [Says()])
    taken: list[Taken] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def certificate(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def https(certificate: ssl.SSLContext, ca_file: Path) -> Iterator[Https]:
    """A server that lives as long as the test."""
    served = Https("", ca_file)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            served.taken.append(Taken(self.path, headers, body, time.monotonic()))
            said = served.says.pop(0) if len(served.says) > 1 else served.says[0]
            if said.hang:
                served.done.wait(20)
                return
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body) + 100 * said.cut))
            self.end_headers()
            self.wfile.write(said.body)

        def log_message(self, *_: object) -> None:
            """Nothing on the test's screen."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that does not trust the certificate is no error of the server."""

    server = Server(("127.0.0.1", 0), Handler)
    server.socket = certificate.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    served.endpoint = f"https://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield served
    served.done.set()
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


@dataclass
class Smtp:
    """An SMTP server; `refuses` gives the answers to recipients that it does not take, one after the other."""

    port: int
    letters: list[Envelope] = field(default_factory=list)
    refuses: dict[str, list[str]] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)  # answers to a letter, before it takes one
    over_tls: list[bool] = field(default_factory=list)

    async def handle_RCPT(self, _: object, __: Session, envelope: Envelope, address: str, *___: Any) -> str:  # noqa: N802
        left = self.refuses.get(address, [])
        if left:
            return left.pop(0) if len(left) > 1 else left[0]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: object, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.over_tls.append(session.ssl is not None)
        if self.data:
            return self.data.pop(0)
        self.letters.append(envelope)
        return "250 taken"


def _knows(_: object, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
    assert isinstance(given, LoginPassword)
    return AuthResult(success=given.password == PASSWORD.encode(), handled=False)


@contextmanager
def posting(**options: Any) -> Iterator[Smtp]:
    """An SMTP server that lives as long as the block."""
    served = Smtp(free_port())
    controller = Controller(served, hostname="localhost", port=served.port, **options)
    controller.start()
    try:
        yield served
    finally:
        controller.stop()


@pytest.fixture
def smtp(certificate: ssl.SSLContext) -> Iterator[Smtp]:
    """A server that takes letters over STARTTLS from who knows the password."""
    with posting(
        tls_context=certificate,
        require_starttls=True,
        authenticator=_knows,
        auth_require_tls=True,
        auth_required=True,
    ) as served:
        yield served


def alert(number: int = 1, **given: Any) -> Alert:
    """An alert with something in each of its parts."""
    values: dict[str, Any] = {
        "id": f"episode-{number}",
        "kind": "anomaly",
        "event": "open",
        "severity": "warning",
        "dimension": "team",
        "key": "support",
        "title": f"Team support spends twice as usual ({number})",
        "what": "Since 3 October team support costs 812.40 USD a day; 402.10 USD were expected.",
        "how_much": "1,640.80 USD more than expected in 4 days",
        "why": ("model gpt-x: 71 % of it, all of it volume", "feature summaries: 20 %"),
        "what_to_do": "Ask team support, or mark it as planned.",
        "page": f"anomalies?episode={number}",
    }
    return Alert(**{**values, **given})


def project(folder: Path, alerts: dict[str, Any]) -> Config:
    """A project in `folder` with `[alerts]`."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {"project": {"name": "acme"}, "alerts": alerts}
    return configuration.from_mapping(values, file=folder / "farthing.toml")
