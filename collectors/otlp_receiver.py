"""A receiver of OTLP over HTTP: traces are in a spool on disk before a client hears that they were taken."""

from __future__ import annotations

import errno
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from collectors.otlp_messages import of_json, of_protobuf
from collectors.otlp_spool import Spool
from farthing.errors import ConfigError

#: No export is longer, unpacked; a client's batch is of some hundred spans.
LIMIT_BYTES = 64 << 20
_PATH = "/v1/traces"
_JSON, _PROTOBUF = "application/json", "application/x-protobuf"
_AT_ONCE = 16
_PATIENCE_SECONDS = 30.0
_FULL = {errno.ENOSPC, errno.EDQUOT}


class _RefusedError(Exception):
    """An answer that is no 200."""

    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(reason)


class Receiver:
    """Listens on `host` and `port` (0: any free one) and writes what comes into `spool`, with only attributes `keep`.

    Raises:
        ConfigError: nobody may listen there.
    """

    def __init__(
        self, host: str, port: int, spool: Spool, keep: frozenset[str], tell: Callable[[str], object] = lambda _: None
    ) -> None:
        self._spool, self._keep, self._tell = spool, keep, tell
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        self.taken = 0  # exports
        handler = type("Handler", (_Handler,), {"receiver": self})
        try:
            self._server = (_Server6 if ":" in host else _Server)((host, port), handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"nobody can listen on {host}:{port} ({getattr(error, 'strerror', None) or error}).",
                file="--listen",
                fix="name another port, or end who listens there.",
            ) from error
        self.port = int(self._server.server_address[1])

    def serve(self) -> None:
        """Answer until `stop` is called by another thread; then what was taken is sealed."""
        try:
            self._server.serve_forever(poll_interval=0.2)
        finally:
            self._server.server_close()
            for _ in range(_AT_ONCE):  # who is being read is answered; who says nothing is not waited for
                self._places.acquire(timeout=_PATIENCE_SECONDS / _AT_ONCE)
            with self._lock:
                self._spool.seal()

    def stop(self) -> None:
        """End `serve`; a request that is being answered is answered."""
        self._server.shutdown()

    def seal_old(self) -> None:
        """Let sources read what was received more than a minute ago."""
        with self._lock:
            self._spool.seal_old()

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places of requests that are read at the same time: so much memory is taken and no more."""
        if not self._places.acquire(blocking=False):
            raise _RefusedError(503, "too many requests at once")
        try:
            yield
        finally:
            self._places.release()

    def take(self, body: bytes, kind: str) -> None:
        """Put an export on disk.

        Raises:
            _RefusedError: it is none, or the disk does not take it.
        """
        read = of_json if kind == _JSON else of_protobuf
        try:
            lines = list(read(body, self._keep))
        except ValueError as error:
            raise _RefusedError(400, str(error)) from None
        except ConfigError as error:
            raise _RefusedError(415, str(error)) from None
        try:
            with self._lock:
                self._spool.append(lines)
        except OSError as error:
            self._tell(f"an export was refused: {error.strerror}")
            reason = "the disk is full" if error.errno in _FULL else f"the spool cannot be written ({error.strerror})"
            raise _RefusedError(503, reason) from None
        self.taken += 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


class _Server6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    receiver: ClassVar[Receiver]
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "farthing", ""
    timeout = _PATIENCE_SECONDS

    def do_POST(self) -> None:
        kind = _PROTOBUF
        try:
            kind = self._kind()
            with self.receiver.place():
                self.receiver.take(self._body(), kind)
        except _RefusedError as refused:
            self.close_connection = True  # of what was not read nobody knows where it ends
            self._answer(refused.status, _status(refused.reason, kind), kind)
        else:
            self._answer(200, b"{}" if kind == _JSON else b"", kind)

    def do_GET(self) -> None:
        self.close_connection = True
        self._answer(405, _status(f"POST traces to {_PATH}", _JSON), _JSON)

    def _kind(self) -> str:
        if self.path.partition("?")[0].rstrip("/") != _PATH:
            raise _RefusedError(404, f"only traces are taken, at {_PATH}")
        kind = (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
        if kind not in (_JSON, _PROTOBUF):
            raise _RefusedError(415, f"Content-Type is neither {_PROTOBUF} nor {_JSON}")
        return kind

    def _body(self) -> bytes:
        """The body, unpacked.

        Raises:
            _RefusedError: it has no length, is too long, or damaged.
        """
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise _RefusedError(411, "Content-Length is missing")
        if len(length) > 12 or int(length) > LIMIT_BYTES:
            raise _RefusedError(413, f"an export has {LIMIT_BYTES >> 20} MB at most")
        packing = (self.headers.get("Content-Encoding") or "identity").lower()
        if packing not in ("identity", "gzip"):
            raise _RefusedError(415, "Content-Encoding is neither gzip nor identity")
        try:
            body = self.rfile.read(int(length))
        except OSError:
            raise _RefusedError(408, "the body did not come") from None
        if len(body) < int(length):
            raise _RefusedError(400, "the body is shorter than Content-Length says")
        return body if packing == "identity" else _unpacked(body)

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status == 503:
                self.send_header("Retry-After", "5")
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # the client is gone; it sends again what it did not hear of
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's name
        """Say nothing for each request."""


def _unpacked(body: bytes) -> bytes:
    """All members of a gzip body.

    Raises:
        _RefusedError: it is damaged, or longer than an export may be.
    """
    found = b""
    rest = body
    try:
        while rest:
            inflater = zlib.decompressobj(31)
            found += inflater.decompress(rest, LIMIT_BYTES + 1 - len(found))
            if len(found) > LIMIT_BYTES:
                raise _RefusedError(413, f"an export has {LIMIT_BYTES >> 20} MB at most")
            if not inflater.eof:
                raise _RefusedError(400, "the gzip body was cut short")
            rest = inflater.unused_data
    except zlib.error as error:
        raise _RefusedError(400, f"the body is no gzip ({error})") from None
    return found


def _status(reason: str, kind: str) -> bytes:
    """What the protocol wants of a refusal: google.rpc.Status with its message, field 2."""
    if kind == _JSON:
        return json.dumps({"message": reason}).encode()
    text = reason.encode()[:120].decode("utf-8", "ignore").encode()  # shorter than 128: its length is one byte
    return b"\x12" + bytes([len(text)]) + text
