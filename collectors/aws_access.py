"""Clients of AWS, and what it answers in words when it does not give what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from collectors.lines import UnreadableError
from farthing.config import Source
from farthing.errors import ConfigError, SourceError

_PERMISSIONS = "the policy in docs/sources/aws.md, and credentials that are valid now (aws sts get-caller-identity)."


def client(service: str, name: str, source: Source, region: str | None = None) -> Any:
    """A client of an AWS service with the usual chain of credentials: environment, profile, role of the machine.

    `region` is for services that are in one region only; else it is the source's, else that of the environment.

    Raises:
        ConfigError: boto3 is not installed, or a profile or region is none.
    """
    try:
        import boto3
        from botocore.config import Config as ClientConfig
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise ConfigError(
            "bills of AWS need the package boto3.", key=f"sources.{name}.kind", fix='pip install "farthing[aws]"'
        ) from error
    # Throttled and broken requests are made again, ever later, by the client itself.
    patient = ClientConfig(retries={"mode": "standard", "max_attempts": 6}, connect_timeout=10, read_timeout=60)
    try:
        session = boto3.Session(region_name=region or source.region)  # a new one: credentials may have changed since
        return session.client(service, endpoint_url=source.endpoint, config=patient)
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(
            f"AWS cannot be asked: {error}.", key=f"sources.{name}.region", fix="check region."
        ) from error


@contextmanager
def reached(name: str, url: str, missing: UnreadableError | None = None) -> Iterator[None]:
    """Say in words what AWS answered instead of what was asked.

    Raises:
        UnreadableError: `missing`, where the object is not there.
        SourceError: anything else: credentials, permissions, network, throttling.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        code, status = str(told.get("Code", "")), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if missing is not None and (code in ("404", "NoSuchKey") or status == 404):
            raise missing from error
        problem = f"AWS answered {code or status}: {told.get('Message') or 'no reason given'}"
        raise SourceError(problem.rstrip(".") + ".", source=name, object_name=url, fix=_PERMISSIONS) from error
    except (BotoCoreError, Boto3Error) as error:
        raise SourceError(f"{error}".rstrip(".") + ".", source=name, object_name=url, fix=_PERMISSIONS) from error
