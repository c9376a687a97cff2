"""Servers that tests run as processes of their own on this machine; the process that starts one ends it by its pid."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError

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


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """The address of a moto server that lives as long as the run."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5).close()
                break
            except (URLError, OSError):
                if server.poll() is not None:
                    pytest.fail(f"moto server ended with code {server.returncode}")
                time.sleep(0.1)
        else:
            pytest.fail("moto server did not answer within 30 s")
        yield endpoint
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture
def s3(moto_endpoint: str) -> S3:
    """An empty bucket of its own."""
    store = S3(bucket=f"farthing-{uuid.uuid4().hex[:12]}", endpoint=moto_endpoint)
    store.make()
    return store


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
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError:
                if server.poll() is not None:
                    pytest.fail(f"azurite ended with code {server.returncode}")
                time.sleep(0.1)
        else:
            pytest.fail("azurite did not answer within 30 s")
        yield f"http://127.0.0.1:{port}/devstoreaccount1"
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture
def blobs(azurite_endpoint: str) -> Blobs:
    """An empty container of its own."""
    store = Blobs(container=f"farthing-{uuid.uuid4().hex[:12]}", endpoint=azurite_endpoint)
    store.make()
    return store
