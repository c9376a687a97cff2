"""Servers that tests run as processes of their own on this machine; the process that starts one ends it by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest


@dataclass(frozen=True)
class S3:
    """A bucket of a moto server, and the storage options that reach it."""

    bucket: str
    endpoint: str

    @property
    def options(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "farthing",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    def put(self, key: str, body: bytes) -> str:
        """Store an object and give its URL."""
        self._client().put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def delete(self, key: str) -> None:
        self._client().delete_object(Bucket=self.bucket, Key=key)

    def make(self) -> None:
        self._client().create_bucket(Bucket=self.bucket)

    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id="farthing",
            aws_secret_access_key="test",  # moto takes any
            region_name="us-east-1",
        )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    path: str | None,
    *,
    seconds: int = 30,
    log: Path | None = None,
    children: bool = False,
) -> Iterator[str]:
    """The address of a server that `command` starts on `port`, from when it answers until the block ends.

    It answers when a GET of `path` succeeds, or, without one, when it listens. With `children` it is a group of its
    own with what it starts, to be ended together.

    Raises:
        NoServerError: it ended, or did not answer within `seconds`; with the last line that it wrote to `log`.
    """
    endpoint = f"http://127.0.0.1:{port}"
    with (log or Path(os.devnull)).open("w") as said:
        server = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=children)
    deadline = time.monotonic() + seconds
    try:
        while not _answers(port, endpoint + path if path else None):
            last = (log.read_text().strip().splitlines() or [""])[-1] if log else ""
            if server.poll() is not None:
                raise NoServerError(f"{command[0]} ended with code {server.returncode} {last}")
            if time.monotonic() > deadline:
                raise NoServerError(f"{command[0]} did not answer within {seconds} s {last}")
            time.sleep(0.1)
        yield endpoint
    finally:
        with suppress(ProcessLookupError):
            (os.killpg if children else os.kill)(server.pid, signal.SIGTERM)
        server.wait(timeout=20)


class NoServerError(AssertionError):
    """A server that a test needs did not come up."""


def _answers(port: int, url: str | None) -> bool:
    with suppress(OSError):  # URLError is one
        if url is None:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        else:
            urllib.request.urlopen(url, timeout=5).close()
        return True
    return False


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """The address of a moto server that lives as long as the run."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, port, "/moto-api/") as endpoint:
        yield endpoint


@pytest.fixture
def s3(moto_endpoint: str) -> S3:
    """An empty bucket of its own."""
    store = S3(bucket=f"farthing-{uuid.uuid4().hex[:12]}", endpoint=moto_endpoint)
    store.make()
    return store


@dataclass(frozen=True)
class Asked:
    """One request that a `Web` got."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    method: str = "GET"


@dataclass(frozen=True)
class Answered:
    """What a `Web` says to it; `cut` bytes are promised and not sent, `pause` seconds lie between two pieces."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0
    pause: float = 0.0


@dataclass
class Web:
    """An HTTP server on this machine whose answers a test gives as a function."""

    endpoint: str = ""
    answer: Callable[[Asked], Answered] = lambda _: Answered(status=404)
    asked: list[Asked] = field(default_factory=list)


@pytest.fixture
def web() -> Iterator[Web]:
    """A server that lives as long as the test."""
    served = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(parts.path, parse_qs(parts.query), headers, self.command)
            served.asked.append(asked)
            self.rfile.read(int(headers.get("content-length", 0)))
            said = served.answer(asked)
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body) + said.cut))
            self.end_headers()
            step = 1 if said.pause else max(1, len(said.body))
            try:
                for begin in range(0, len(said.body), step):
                    self.wfile.write(said.body[begin : begin + step])
                    time.sleep(said.pause)
            except OSError:  # the other side had enough
                pass

        do_PUT = do_HEAD = do_GET  # noqa: N815  # the server's names

        def log_message(self, *_: object) -> None:
            """Nothing on the test's screen."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


#: BigQuery's emulator needs another DuckDB than farthing, so it lives in an environment of its own.
_BIGQUERY = "bqemulator==1.4.0"
_BIGQUERY_NEEDS = (
    "duckdb==1.5.5", "duckdb-extension-spatial==1.5.5", "duckdb-extensions==1.5.5", "numpy", "pytz", "pyarrow",
)  # fmt: skip
_BIGQUERY_START = (
    "import sys; from duckdb_extensions import import_extension; import_extension('spatial'); "
    "from bqemulator.cli import main; sys.argv[0] = 'bqemulator'; main()"
)


def bigquery_command(*arguments: str) -> list[str]:
    """A command of the emulator; uv makes its environment the first time."""
    needs = [part for need in _BIGQUERY_NEEDS for part in ("--with", need)]
    uvx = str(Path(sys.executable).with_name("uvx"))
    start = ["python", "-c", _BIGQUERY_START, *arguments]
    return [uvx, "--quiet", "--system-certs", *needs, "--from", _BIGQUERY, *start]


@pytest.fixture(scope="session")
def bigquery_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a BigQuery emulator that lives as long as the run."""
    port = free_port()
    command = bigquery_command("start", "--rest-port", str(port), "--grpc-port", "0", "--log-level", "error")
    log = tmp_path_factory.mktemp("bigquery") / "log"
    try:
        with running(
            command, port, "/bigquery/v2/projects/test/datasets", seconds=150, log=log, children=True
        ) as endpoint:
            yield endpoint
    except NoServerError as error:
        pytest.skip(f"needs the BigQuery emulator, which uv did not install and start: {error}")


#: What azurite takes for the key of its one account; Microsoft documents it, it is no secret.
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class Blobs:
    """A container of an azurite server."""

    container: str
    endpoint: str

    def put(self, name: str, body: bytes | str) -> None:
        self._client().upload_blob(name, body, overwrite=True)

    def delete(self, name: str) -> None:
        self._client().delete_blob(name)

    def make(self) -> None:
        self._client().create_container()

    def _client(self) -> Any:
        from azure.storage.blob import ContainerClient

        credential = {"account_name": "devstoreaccount1", "account_key": AZURITE_KEY}
        return ContainerClient(self.endpoint, self.container, credential=credential)


@pytest.fixture(scope="session")
def azurite_endpoint() -> Iterator[str]:
    """The address of the one account of an azurite server that lives as long as the run."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("needs azurite on the path (npm install -g azurite)")
    port = free_port()
    command = [program, "--blobPort", str(port), "--inMemoryPersistence", "--skipApiVersionCheck"]
    command += ["--disableTelemetry", "--silent"]
    with running(command, port, None) as endpoint:
        yield f"{endpoint}/devstoreaccount1"


@pytest.fixture
def blobs(azurite_endpoint: str) -> Blobs:
    """An empty container of its own."""
    store = Blobs(container=f"farthing-{uuid.uuid4().hex[:12]}", endpoint=azurite_endpoint)
    store.make()
    return store


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server, by the address of a database of it; the password in it is `secret`."""

    address: str

    def run(self, *statements: str) -> None:
        """Execute statements as the owner of everything."""
        import psycopg

        with psycopg.connect(self.address, autocommit=True) as con:
            for statement in statements:
                con.execute(statement.encode())


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server that lives as long as the run; as root it is given to another user, for it refuses root."""
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin")]
    programs = next((folder for folder in folders if (folder / "initdb").exists()), None)
    if programs is None:
        pytest.skip("needs PostgreSQL (initdb in /usr/lib/postgresql/*/bin; Debian package postgresql)")
    with tempfile.TemporaryDirectory(prefix="farthing-postgres-") as made:
        folder, user = Path(made), []
        (folder / "password").write_text("secret", encoding="utf-8")
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, "nobody")
            user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        data, port = folder / "data", free_port()
        options = ["--auth=scram-sha-256", "--pwfile", str(folder / "password"), "--username=farthing", "--no-sync"]
        make = [*user, str(programs / "initdb"), "--pgdata", str(data), "--encoding=UTF8", "--no-locale", *options]
        subprocess.run(make, check=True, capture_output=True, cwd=folder)
        command = [*user, str(programs / "postgres"), "-D", str(data), "-p", str(port), "-c", "fsync=off"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        with running(command, port, None):
            yield Postgres(f"postgresql://farthing:secret@127.0.0.1:{port}/postgres")


@contextmanager
def prometheus(folder: Path, *, target: str = "", blocks: str = "", honor: bool = False) -> Iterator[str]:
    """The address of a Prometheus with its data in `folder`, for as long as the block lasts.

    `blocks` are samples in OpenMetrics text with their times, written into it before it starts; `target` is the
    address of a page that it scrapes each second as the pod `exporter-1` in the namespace `monitoring`; `honor` is its
    honor_labels.
    """
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("needs Prometheus on the path (apt-get install prometheus)")
    data, settings = folder / "data", folder / "prometheus.yml"
    folder.mkdir(parents=True, exist_ok=True)
    if blocks:
        text = folder / "samples.om"
        text.write_text(blocks, encoding="utf-8")
        making = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
        subprocess.run(making, check=True, capture_output=True, timeout=170)
    scraped = f"""
scrape_configs:
- job_name: dcgm
  scrape_interval: 1s
  scrape_timeout: 1s
  honor_labels: {str(honor).lower()}
  static_configs:
  - targets: ["{target.removeprefix("http://")}"]
    labels: {{pod: exporter-1, namespace: monitoring, container: exporter}}
"""
    settings.write_text("global: {}\n" + (scraped if target else ""), encoding="utf-8")
    port = free_port()
    command = [program, f"--config.file={settings}", f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=10y"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with running(command, port, "/-/ready", log=folder / "log") as endpoint:
        yield endpoint
