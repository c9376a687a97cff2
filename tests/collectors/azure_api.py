"""Azure's management API in the shape that Microsoft documents, on this machine, with the faults that a network has."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: What may happen to the next answer whose path contains a word: a status, "cut", "slow", or "short".
Fault = tuple[str, int | str]
TOKEN = "a-token-that-is-good"


class Api:
    """What the server knows: reports by (metric, month), totals, faults still to come, and what was asked."""

    def __init__(self) -> None:
        self.reports: dict[tuple[str, str], list[str]] = {}
        self.pages: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.asked: list[str] = []
        self.waits = 1  # answers of 202 before a report is there
        self.soon = {"retry-after-ms": "20"}  # before it is asked again; Azure says seconds, which would be long here
        self.failed = False
        self.url = ""

    def fault(self, path: str) -> int | str | None:
        for number, (word, what) in enumerate(self.faults):
            if word in path:
                del self.faults[number]
                return what
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}"))

    def do_GET(self) -> None:
        self._answer({})

    def _answer(self, told: dict[str, Any]) -> None:  # noqa: PLR0911  # one return per kind of address
        api: Api = self.server.api
        path = self.path.partition("?")[0]
        api.asked.append(f"{self.command} {path}")
        self._fault = api.fault(path)
        if isinstance(self._fault, int):
            # Cost Management has headers of its own for that; the other API says it as everybody does.
            own = "x-ms-ratelimit-microsoft.costmanagement-entity-retry-after"
            later = {own if path.endswith("/query") else "Retry-After": "1"} if self._fault == 429 else {}
            return self._send(self._fault, {"error": {"code": "Fault", "message": "not now"}}, **later)
        if not path.startswith("/blob/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(
                401, {"error": {"code": "ExpiredAuthenticationToken", "message": "The token has expired."}}
            )
        if path.endswith("/generateCostDetailsReport"):
            key = f"{told['metric']}/{told['timePeriod']['start'][:7]}/{api.waits}"
            return self._send(202, None, Location=f"{api.url}/operation/{key}", **api.soon)
        if match := re.fullmatch(r"/operation/(\w+)/([\d-]+)/(\d+)", path):
            metric, month, left = match[1], match[2], int(match[3])
            if left:
                return self._send(202, None, Location=f"{api.url}/operation/{metric}/{month}/{left - 1}", **api.soon)
            return self._send(200, self._result(metric, month))
        if match := re.fullmatch(r"/blob/(\w+)/([\d-]+)/(\d+)\.csv", path):
            return self._blob(api.reports[match[1], match[2]][int(match[3])].encode())
        if path.endswith("/query") or path.startswith("/page/"):
            number = int(path.rpartition("/")[2]) if path.startswith("/page/") else 0
            page = dict(api.pages[number])
            if number + 1 < len(api.pages):
                page["nextLink"] = f"{api.url}/page/{number + 1}"
            return self._send(200, {"id": "x", "name": "x", "type": "query", "properties": page})
        return self._send(404, {"error": {"code": "NotFound", "message": path}})

    def _result(self, metric: str, month: str) -> dict[str, Any]:
        api: Api = self.server.api
        if api.failed:
            return {"id": "x", "status": "Failed", "error": {"code": "Timeout", "message": "It took too long."}}
        parts = api.reports.get((metric, month))
        if not parts:
            return {"id": "x", "status": "NoDataFound"}
        blobs = [
            {"blobLink": f"{api.url}/blob/{metric}/{month}/{number}.csv?sig=s", "byteCount": len(part.encode())}
            for number, part in enumerate(parts)
        ]
        return {"id": "x", "status": "Completed", "manifest": {"dataFormat": "Csv", "blobs": blobs}}

    def _blob(self, body: bytes) -> None:
        asked = re.fullmatch(
            r"bytes=(\d+)-(\d*)", self.headers.get("x-ms-range") or self.headers.get("Range") or "bytes=0-"
        )
        assert asked
        if self._fault == "short":
            body = body[:-5]
        begin, end = int(asked[1]), min(int(asked[2] or len(body) - 1), len(body) - 1)
        piece = body[begin : end + 1]
        headers = {"Content-Range": f"bytes {begin}-{end}/{len(body)}", "ETag": '"1"', "x-ms-blob-type": "BlockBlob"}
        self._send(206, piece, **headers)

    def _send(self, status: int, body: Any, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content)), "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self._fault == "cut":
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        for begin in range(0, len(content), max(1, len(content) // 4)) if self._fault == "slow" else ():
            self.wfile.write(content[begin : begin + max(1, len(content) // 4)])
            self.wfile.flush()
            time.sleep(0.05)
        if self._fault != "slow":
            self.wfile.write(content)


@contextmanager
def serving() -> Iterator[Api]:
    """A server that ends with the block."""
    api = Api()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.api = api  # type: ignore[attr-defined]
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
