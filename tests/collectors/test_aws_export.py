"""Exports in S3: what the manifest names is the month, whole or not at all, and what AWS rewrites is replaced."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from collectors.landing import Files
from farthing import commit_points
from farthing.errors import ConfigError, SourceError
from farthing.lake.schemas import CHARGES, LOADS
from tests.collectors.test_aws import line, text
from tests.servers import S3, moto_endpoint, s3

pytestmark = pytest.mark.heavy

__all__ = ["moto_endpoint", "s3"]
EXPORT = "bills/gpu-export"


@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """A bucket that the usual chain of credentials opens."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "farthing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return s3


def deliver(
    bucket: S3, month: str, parts: Sequence[Sequence[dict[str, str]]], delivery: str = "", version: str = "1"
) -> None:
    """A delivery of Data Exports: data first, the manifest last; `delivery` is its folder in mode CREATE_NEW."""
    files = []
    for number, lines in enumerate(parts, 1):
        folder = f"{EXPORT}/data/BILLING_PERIOD={month}/{delivery}"
        files.append(bucket.put(f"{folder}gpu-export-{number:05}.csv", text(lines).encode()))
    told = {"executionId": version, "dataFiles": files, "columns": [{"name": name} for name in parts[0][0]]}
    key = f"{EXPORT}/metadata/BILLING_PERIOD={month}/{delivery}gpu-export-Manifest.json"
    bucket.put(key, json.dumps(told).encode())


def collect(world: Any, bucket: S3, export: str = EXPORT, **more: Any) -> list[Any]:
    source = {"export": f"s3://{bucket.bucket}/{export}", "endpoint": bucket.endpoint, "region": "us-east-1", **more}
    return list(world.collect("aws", None, **source))


def billed(world: Any) -> list[str]:
    return [f"{row['BilledCost'].normalize():f}" for row in world.rows(CHARGES, "BilledCost")]


def test_a_month_is_what_its_manifest_names_and_nothing_else_of_the_folder(world: Any, bucket: S3) -> None:
    deliver(bucket, "2026-09", [[line("Usage", "1")], [line("Usage", "2")]])
    bucket.put(f"{EXPORT}/data/BILLING_PERIOD=2026-09/left-over.csv", text([line("Usage", "99")]).encode())
    [result] = collect(world, bucket)
    assert (result.file, result.form) == (f"s3://{bucket.bucket}/{EXPORT} 2026-09", "CUR (legacy)")
    assert (result.read, result.landed) == (2, 2)
    assert billed(world) == ["1", "2"]
    assert [one.status for one in collect(world, bucket)] == ["unchanged"]


@pytest.mark.parametrize("second", ["", "20260912T0500Z-b/"])
def test_a_month_that_aws_rewrites_takes_the_place_of_the_old_one(world: Any, bucket: S3, second: str) -> None:
    first = "20260911T0500Z-a/" if second else ""
    deliver(bucket, "2026-09", [[line("Usage", "1"), line("Usage", "2")]], first)
    deliver(bucket, "2026-10", [[line("Usage", "7", bill_BillingPeriodStartDate="2026-10-01T00:00:00Z",
                                      bill_BillingPeriodEndDate="2026-11-01T00:00:00Z")]])  # fmt: skip
    collect(world, bucket)
    deliver(bucket, "2026-09", [[line("Usage", "1.5"), line("Usage", "2"), line("Usage", "3")]], second, "2")
    assert sorted((one.file[-7:], one.status) for one in collect(world, bucket)) == [
        ("2026-09", "landed"), ("2026-10", "unchanged"),
    ]  # fmt: skip
    assert billed(world) == ["1.5", "2", "3", "7"]
    history = world.query(LOADS, "select landed from lake.loads where x_load like '%2026-09' and status = 'landed'")
    assert sorted(row["landed"] for row in history) == [2, 3]


def test_a_month_without_a_manifest_is_not_delivered_yet(world: Any, bucket: S3) -> None:
    bucket.put(f"{EXPORT}/data/BILLING_PERIOD=2026-09/gpu-export-00001.csv", text([line("Usage", "1")]).encode())
    with pytest.raises(SourceError, match="no manifest of an export is there"):
        collect(world, bucket)
    assert world.lake.version(CHARGES) is None


def test_a_data_file_that_is_missing_leaves_the_month_as_it_was(world: Any, bucket: S3) -> None:
    deliver(bucket, "2026-09", [[line("Usage", "1")], [line("Usage", "2")]])
    collect(world, bucket)
    deliver(bucket, "2026-09", [[line("Usage", "5")], [line("Usage", "6")]], version="2")
    bucket.delete(f"{EXPORT}/data/BILLING_PERIOD=2026-09/gpu-export-00002.csv")
    [result] = collect(world, bucket)
    assert result.status == "failed"
    assert "gpu-export-00002.csv is missing" in result.problem
    assert billed(world) == ["1", "2"]
    deliver(bucket, "2026-09", [[line("Usage", "5")], [line("Usage", "6")]], version="2")
    assert [one.status for one in collect(world, bucket)] == ["landed"]
    assert billed(world) == ["5", "6"]


def test_a_damaged_manifest_costs_its_own_month_only(world: Any, bucket: S3) -> None:
    deliver(bucket, "2026-08", [[line("Usage", "1")]])
    bucket.put(f"{EXPORT}/metadata/BILLING_PERIOD=2026-09/gpu-export-Manifest.json", b"{")
    august, september = collect(world, bucket)
    assert (august.status, september.status) == ("landed", "failed")
    assert "is no JSON" in september.problem


def test_files_that_change_while_they_are_read_do_not_land(
    world: Any, bucket: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collectors import aws

    deliver(bucket, "2026-09", [[line("Usage", "1")], [line("Usage", "2")]])
    fetched = aws.Export._fetched

    def slow(export: Any, key: str, folder: Any) -> Any:
        path = fetched(export, key, folder)
        if key.endswith("00001.csv"):
            deliver(bucket, "2026-09", [[line("Usage", "5")], [line("Usage", "6")]], version="2")
        return path

    monkeypatch.setattr(aws.Export, "_fetched", slow)
    [result] = collect(world, bucket)
    assert "rewrote the month while it was read" in result.problem
    monkeypatch.undo()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "farthing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    collect(world, bucket)
    assert billed(world) == ["5", "6"]


def test_a_legacy_report_is_found_by_its_months(world: Any, bucket: S3) -> None:
    report = "reports/hourly"
    for month, amount in (("20260801-20260901", "3"), ("20260901-20261001", "4")):
        key = bucket.put(f"{report}/{month}/assembly/hourly-1.csv", text([line("Usage", amount)]).encode())
        told = {
            "assemblyId": "assembly",
            "reportKeys": [key.partition(f"{bucket.bucket}/")[2]],
            "columns": [dict(zip(("category", "name"), name.split("/"), strict=True)) for name in line("Usage", "1")],
        }
        for folder in (month, f"{month}/assembly"):
            bucket.put(f"{report}/{folder}/hourly-Manifest.json", json.dumps(told).encode())
    found = collect(world, bucket, report)
    assert [(one.file[-7:], one.form, one.landed) for one in found] == [
        ("2026-08", "CUR (legacy)", 1), ("2026-09", "CUR (legacy)", 1),
    ]  # fmt: skip
    assert [one.file[-7:] for one in collect(world, bucket, report, name="two", since="2026-09-15")] == ["2026-09"]


def test_a_collection_that_stops_between_its_commits_ends_like_one_that_did_not(world: Any, bucket: S3) -> None:
    deliver(bucket, "2026-09", [[line("Usage", "1")]])
    collect(world, bucket)
    deliver(bucket, "2026-09", [[line("Usage", "5"), line("Usage", "6")]], version="2")

    def die() -> None:
        raise KeyboardInterrupt

    commit_points.on(f"lake.{CHARGES.name}.after", die)
    with pytest.raises(KeyboardInterrupt):
        collect(world, bucket)
    commit_points.on(f"lake.{CHARGES.name}.after", None)
    assert [one.status for one in collect(world, bucket)] == ["landed"]
    assert billed(world) == ["5", "6"]
    assert [one.status for one in collect(world, bucket)] == ["unchanged"]


def test_credentials_that_are_not_there_or_no_longer_valid_are_said(
    world: Any, bucket: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(SourceError, match=r"locate credentials.* Fix: the policy in docs/sources/aws.md"):
        collect(world, bucket)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "farthing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with pytest.raises(SourceError, match="AWS answered NoSuchBucket"):
        collect(world, S3("farthing-nowhere", bucket.endpoint))


class Refusing(BaseHTTPRequestHandler):
    """A store that answers with one error code after the other, and passes the rest on to a real one."""

    codes: ClassVar[list[tuple[int, str]]] = []
    store = ""

    def do_GET(self) -> None:
        if type(self).codes:
            status, code = type(self).codes.pop(0)
            body = f"<Error><Code>{code}</Code><Message>The answer is {code}</Message></Error>".encode()
        else:
            with urllib.request.urlopen(self.store + self.path) as answer:
                status, body = answer.status, answer.read()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def refusing(bucket: S3) -> Iterator[S3]:
    """The bucket behind a server that first answers what `Refusing.codes` says."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    Refusing.store = bucket.endpoint
    thread.start()
    yield S3(bucket.bucket, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join()


def test_expired_credentials_end_the_collection_with_what_aws_answered(world: Any, refusing: S3) -> None:
    Refusing.codes = [(400, "ExpiredToken")]
    with pytest.raises(SourceError, match=r"AWS answered ExpiredToken: The answer is ExpiredToken. Fix: the policy"):
        collect(world, refusing)


def test_a_store_that_throttles_is_asked_again(world: Any, bucket: S3, refusing: S3) -> None:
    deliver(bucket, "2026-09", [[line("Usage", "1")]])
    Refusing.codes = [(503, "SlowDown"), (500, "InternalError")]
    with pytest.raises(SourceError, match="no manifest"):  # it was listed after the refusals; the folder is another
        collect(world, refusing, "bills/other")
    assert Refusing.codes == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"export": "bills/gpu"}, "names no export"),
        ({"export": "s3://b/p/e", "path": "x.csv"}, "path reads files"),
        ({"export": "s3://b/p/e", "key_env": "KEY"}, "does not take it"),
        ({}, "path, or export, is missing"),
        ({"path": "x.csv", "region": "eu-west-1"}, "path reads files"),
    ],
)
def test_settings_that_make_no_sense_are_named(world: Any, source: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        world.collect("aws", source.pop("path", None), **source)


def test_it_is_a_collector_like_the_others() -> None:
    from collectors import load

    assert isinstance(load("aws"), Files)
