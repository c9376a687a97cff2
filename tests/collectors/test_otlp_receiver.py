"""The receiver of traces: what was taken is on disk, without a prompt; what cannot be is refused as OTLP says."""

from __future__ import annotations

import errno
import gzip
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collectors import otlp_receiver
from collectors.otlp_names import allowed
from collectors.otlp_receiver import Receiver
from collectors.otlp_spool import Spool
from farthing.cli import receiving
from farthing.errors import ConfigError
from farthing.lake.schemas import REQUESTS, SPANS
from tests.collectors.test_otlp_frames import message
from tests.collectors.traces import CALL, line, span
from tests.servers import free_port

SECRET = "my grandmother's recipe"
JSON, PROTOBUF = {"Content-Type": "application/json"}, {"Content-Type": "application/x-protobuf"}


@contextmanager
def receiving_into(folder: Path) -> Iterator[Receiver]:
    receiver = Receiver("127.0.0.1", 0, Spool(folder), allowed(["acme.team"]))
    thread = threading.Thread(target=receiver.serve)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stop()
        thread.join()


def post(port: int, body: bytes, headers: dict[str, str], path: str = "/v1/traces") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def text(number: int) -> str:
    said = {**CALL, "gen_ai.usage.input_tokens": number, "gen_ai.input.messages": SECRET, "acme.team": "red"}
    return line([span(number, said)])


@pytest.mark.slow
def test_what_is_sent_lands_once_and_nothing_of_a_prompt_touches_the_disk(world: Any) -> None:
    with receiving_into(world.folder / "traces") as receiver:
        assert post(receiver.port, text(1).encode(), JSON) == (200, b"{}")
        assert post(receiver.port, message(text(2)), PROTOBUF) == (200, b"")
        packed = gzip.compress(message(text(3)))
        assert post(receiver.port, packed, {**PROTOBUF, "Content-Encoding": "gzip"}) == (200, b"")
        assert post(receiver.port, packed, {**PROTOBUF, "Content-Encoding": "gzip"}) == (200, b"")  # sent again
        [open_segment] = (world.folder / "traces").iterdir()
        assert open_segment.suffix == ".open"
        assert len(open_segment.read_bytes().splitlines()) == 4  # before anybody sealed it
    [segment] = (world.folder / "traces").iterdir()
    assert SECRET not in segment.read_text()
    world.collect("otel", "traces/*.jsonl", columns={"team_id": "acme.team"})
    found = [(row["input_tokens"], row["team_id"]) for row in world.rows(REQUESTS, "started_at")]
    assert found == [(1, "red"), (2, "red"), (3, "red")]


@pytest.mark.heavy
def test_what_cannot_be_taken_is_refused_with_the_status_that_clients_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp_receiver, "LIMIT_BYTES", 5000)
    good = text(1).encode()
    with receiving_into(tmp_path) as receiver:
        refused = [
            (b"no json", JSON, 400),
            (b"[1]", JSON, 400),
            (b'{"resourceLogs": []}', JSON, 400),
            (b'{"resourceSpans": [5]}', JSON, 400),
            (b'{"resourceSpans": ' + b"[" * 4000, JSON, 400),
            (good.replace(b'"a span"', b'"\\ud800"'), JSON, 400),
            (b"\xff\xff\xff\xff", PROTOBUF, 400),
            (b"no gzip", {**JSON, "Content-Encoding": "gzip"}, 400),
            (gzip.compress(good)[:-9], {**JSON, "Content-Encoding": "gzip"}, 400),
            (b" " * 5001, JSON, 413),
            (gzip.compress(b" " * 5001), {**JSON, "Content-Encoding": "gzip"}, 413),
            (good, {"Content-Type": "text/plain"}, 415),
            (good, {**JSON, "Content-Encoding": "br"}, 415),
        ]
        for body, headers, status in refused:
            found, answer = post(receiver.port, body, headers)
            assert found == status, body[:50]
            assert SECRET.encode() not in answer
        assert post(receiver.port, good, JSON, "/v1/logs")[0] == 404
        connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=20)
        connection.request("GET", "/v1/traces")
        assert connection.getresponse().status == 405
        connection.close()
        assert post(receiver.port, good, JSON)[0] == 200
    assert len(next(tmp_path.iterdir()).read_bytes().splitlines()) == 1


@pytest.mark.heavy
def test_a_full_disk_is_told_and_leaves_no_half_of_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = os.write
    full = True

    def write(handle: int, data: bytes) -> int:
        if not full or not data.startswith(b'{"resourceSpans'):
            return honest(handle, data)
        honest(handle, data[:-20])  # a line, and most of another
        raise OSError(errno.ENOSPC, "No space left on device")

    with receiving_into(tmp_path) as receiver:
        full = False
        assert post(receiver.port, text(1).encode(), JSON)[0] == 200
        full = True
        monkeypatch.setattr("collectors.otlp_spool.os.write", write)
        groups = [group for number in (2, 4) for group in json.loads(text(number))["resourceSpans"]]
        status, body = post(receiver.port, json.dumps({"resourceSpans": groups}).encode(), JSON)
        assert (status, b"disk is full" in body) == (503, True)
        full = False
        assert post(receiver.port, text(3).encode(), JSON)[0] == 200
    segments = sorted(tmp_path.iterdir())
    assert [path.read_bytes().count(b"\n") for path in segments] == [1, 1]
    assert all(path.read_bytes().endswith(b"\n") for path in segments)


@pytest.mark.heavy
def test_what_a_killed_receiver_left_is_cut_to_its_last_whole_line_and_sealed(tmp_path: Path) -> None:
    (tmp_path / "otlp-1-1.open").write_text(text(1) + text(2)[:70])
    (tmp_path / "otlp-2-1.open").write_text(text(1)[:70])
    spool = Spool(tmp_path)
    assert [path.name for path in spool.sealed()] == ["otlp-1-1.jsonl"]
    assert spool.sealed()[0].read_text() == text(1)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.heavy
def test_a_segment_goes_when_both_tables_have_it_and_the_newest_stays(world: Any) -> None:
    spool = Spool(world.folder / "traces")
    for number in (1, 2, 3):
        spool.append([text(number).rstrip()])
        spool.seal()
    config = world.config("otel", "traces/*.jsonl")
    assert receiving.clean(config, world.lake, "one", spool) == []
    world.collect("otel", "traces/*.jsonl")
    first, second, third = spool.sealed()
    os.utime(second, (1, 1))  # another content than the one that landed
    assert receiving.clean(config, world.lake, "one", spool) == [first]
    assert spool.sealed() == [second, third]
    assert len(world.rows(SPANS)) == 3
    assert {result.status for result in world.collect("otel", "traces/*.jsonl")} == {"landed", "unchanged"}
    assert len(world.rows(SPANS)) == 3


@pytest.mark.heavy
def test_the_command_listens_until_it_is_told_to_stop_and_what_came_lands(world: Any) -> None:
    settings = '[sources.otlp]\nkind = "otel"\npath = "traces/*.jsonl"\n'
    (world.folder / "farthing.toml").write_text(settings)
    port = free_port()
    command = [sys.executable, "-c", "from farthing.cli import main; main()", "collect", "otlp"]
    with subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}", "--project", str(world.folder)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert f"listening on http://127.0.0.1:{port}/v1/traces" in process.stderr.readline()
        assert post(port, text(1).encode(), JSON)[0] == 200
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
        assert (process.wait(), "1 exports were taken" in said) == (0, True), said
    assert [result.landed for result in world.collect("otel", "traces/*.jsonl", name="otlp")] == [1, 1]


def test_an_address_is_of_this_machine_unless_it_says_another() -> None:
    assert receiving.address("4318") == ("127.0.0.1", 4318)
    assert receiving.address(":4318") == ("127.0.0.1", 4318)
    assert receiving.address("0.0.0.0:4318") == ("0.0.0.0", 4318)
    assert receiving.address("[::1]:4318") == ("::1", 4318)
    for wrong in ("localhost", "a:b:1", "1.2.3.4:99999", ""):
        with pytest.raises(Exception, match="is no address"):
            receiving.address(wrong)


def test_a_source_that_would_not_read_what_is_received_is_said(world: Any) -> None:
    for kind, path in (("requests", "traces/*.jsonl"), ("otel", "traces/*.json"), ("otel", "*/otlp-*.jsonl")):
        with pytest.raises(ConfigError, match=r"sources\.one"):
            receiving.receive(world.config(kind, path), ["one"], "127.0.0.1:0", None)
    with pytest.raises(ConfigError, match="no such source"):
        receiving.receive(world.config("otel", "traces/*.jsonl"), ["two"], "127.0.0.1:0", None)
