"""Who asks Azure, and what is said when it refuses or does not answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from farthing.config import Source
from farthing.errors import ConfigError, SourceError

_MISSING = "install the packages for Azure: pip install 'farthing[azure]'."


class _Token(NamedTuple):
    token: str
    expires_on: int


@dataclass(frozen=True)
class Bearer:
    """A token that somebody else asked for, as a credential of the SDK."""

    token: str

    def get_token(self, *_scopes: str, **_options: Any) -> _Token:
        """The token; how long it is good Azure knows."""
        return _Token(self.token, 4102444800)


def secret(name: str, source: Source) -> str | None:
    """What the variable of `key_env` holds; none where the source names no variable.

    Raises:
        ConfigError: the variable is not set.
    """
    if source.key_env is None:
        return None
    value = os.environ.get(source.key_env, "").strip()
    if not value:
        raise ConfigError(
            f"the environment has no {source.key_env}.",
            key=f"sources.{name}.key_env",
            fix=f"set {source.key_env}, or leave key_env out to use the machine's own identity.",
        )
    return value


def identity(name: str) -> Any:
    """The credential of this machine or person: environment, managed identity, or `az login`.

    Raises:
        ConfigError: the package is not installed.
    """
    with packages(name):
        from azure.identity import DefaultAzureCredential
    # It would print all that it tried, once for each question; the error says what to do.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)
    return DefaultAzureCredential()


@contextmanager
def packages(name: str) -> Iterator[None]:
    """Around imports of the SDK.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise ConfigError(f"export needs a package ({error.name}).", key=f"sources.{name}", fix=_MISSING) from error


@contextmanager
def answered(name: str, what: str) -> Iterator[None]:
    """Around calls of the SDK: its errors are of the source `name`, and `what` was asked for.

    Raises:
        SourceError: Azure refused, did not answer, or broke off.
    """
    from azure.core import exceptions as azure

    def failed(problem: str, fix: str) -> SourceError:
        return SourceError(problem, source=name, object_name=what, fix=fix)

    try:
        yield
    except azure.ClientAuthenticationError as error:
        raise failed(
            f"Azure does not know who asks ({_line(error)}).",
            "the credentials are missing or expired: `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and "
            "AZURE_CLIENT_SECRET, or renew what key_env names.",
        ) from error
    except azure.ResourceModifiedError as error:
        raise failed("the export wrote it again while it was read.", "run the command again.") from error
    except azure.ResourceNotFoundError as error:
        raise failed(f"it is not there ({_line(error)}).", "check account, container and path in export.") from error
    except azure.HttpResponseError as error:
        if error.status_code == 403:
            fix = "grant the role that docs/sources/azure.md names to who asks."
        elif error.status_code == 429:
            fix = "Azure answers only so many questions an hour; run the command again later."
        else:
            fix = "run the command again; see docs/sources/azure.md if it stays so."
        raise failed(f"Azure refused ({error.status_code or 'no status'}: {_line(error)}).", fix) from error
    except azure.AzureError as error:
        raise failed(
            f"Azure did not answer as a whole ({_line(error)}).", "check the network; run it again."
        ) from error


def _line(error: Exception) -> str:
    said = getattr(error, "message", None) or str(error)
    return str(said).strip().splitlines()[0][:300] if str(said).strip() else type(error).__name__
