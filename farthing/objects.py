"""The one place that lists and fetches foreign files: in folders, in s3://, gs:// and az:// stores, at addresses."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from farthing import web
from farthing.errors import SourceError

#: What deltalake takes in `storage_options` and the store that reads objects does not know.
_DELTA_ONLY = {"aws_s3_allow_unsafe_rename", "aws_s3_locking_provider"}
#: A copy that nobody has written to for so long is of a process that was killed.
_ABANDONED_SECONDS = 3600
_WILDCARD = re.compile(r"[*?\[]")
_WEB = ("http://", "https://")


@dataclass(frozen=True)
class Found:
    """One source file: where it is, its name for people, its size in bytes and what tells one content from another.

    `identity` is the object's etag, or "size-mtime_ns" of a local file. An http(s) address is named without its query,
    which may be a signature.
    """

    uri: str
    name: str
    size: int
    identity: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    form: str = field(default="", compare=False)

    def fetch(self, folder: Path) -> Path:
        """A local path with the content: the file itself, or a copy of the object below `folder`, made once.

        Raises:
            SourceError: the object cannot be read, or is no longer the one that was found.
        """
        if not is_url(self.uri):
            return Path(self.uri)
        mark = hashlib.sha256(f"{self.uri}\n{self.identity}".encode()).hexdigest()[:16]
        if self.uri.startswith(_WEB):
            target = folder / mark / (urlsplit(self.uri).path.rpartition("/")[2] or "file")
            if not target.exists():
                _save(self, target)
            return target
        base, _, name = self.uri.rpartition("/")
        target = folder / mark / name
        if not target.exists():
            download(open_store(base, self.storage_options), name, target, uri=self.uri, identity=self.identity)
        return target


def is_url(path: str) -> bool:
    """Whether `path` is in an object store or at an address rather than in a folder."""
    return "://" in path


def open_store(url: str, storage_options: Mapping[str, str] | None = None) -> ObjectStore:
    """The store below `url`, with credentials from `storage_options`, else from the environment.

    Raises:
        SourceError: the address or an option is not one that the store knows.
    """
    config: dict[str, str] = {}
    client: dict[str, bool] = {}
    for name, value in (storage_options or {}).items():
        if name.lower().endswith("allow_http"):
            client["allow_http"] = value.lower() == "true"
        elif name.lower() not in _DELTA_ONLY:
            config[name] = value
    arguments: dict[str, Any] = {
        "config": config or None,
        "client_options": client or None,
        "retry_config": {"max_retries": 3, "retry_timeout": timedelta(seconds=60)},
    }
    try:
        store: ObjectStore = from_url(url, **arguments)
    except (BaseError, ValueError) as error:
        raise unreachable(url, error) from error
    return store


def unreachable(url: str, error: Exception) -> SourceError:
    """The error for an object store that did not answer as hoped, in one line."""
    reason = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split("\nDebug source", 1)[0]
    return SourceError(
        " ".join(reason.split())[:400],
        source=url,
        fix="check the address, the credentials and region in the environment (AWS_*, GOOGLE_*, AZURE_*) "
        "or storage_options, and the network.",
    )


def find(patterns: Iterable[str], root: Path, storage_options: Mapping[str, str] | None = None) -> list[Found]:
    """The files that any of `patterns` matches, each once, sorted by name.

    `*` and `?` stay within a folder, `**` crosses folders, `~` is the home folder; relative patterns start at `root`.
    An http(s) address is one file. A pattern that matches nothing adds nothing.

    Raises:
        SourceError: an object store cannot be listed, or a server does not answer.
    """
    found: dict[str, Found] = {}
    for pattern in patterns:
        if pattern.startswith(_WEB):
            matches = _at_address(pattern)
        else:
            matches = _in_store(pattern, storage_options or {}) if is_url(pattern) else _in_folder(pattern, root)
        found.update((match.uri, match) for match in matches)
    return sorted(found.values(), key=lambda file: (file.name, file.uri))


def download(store: ObjectStore, key: str, target: Path, *, uri: str, identity: str | None = None) -> None:
    """Copy the object `key` to `target`, which appears only when it is whole. What killed copies left of it goes.

    Raises:
        SourceError: the object cannot be read, or its identity is not `identity`.
    """
    try:
        with _whole(target) as partial:
            answer = obstore.get(store, key)
            if identity is not None and _identity(dict(answer.meta)) != identity:
                raise _changed(uri)
            with partial.open("wb") as file:
                for chunk in answer.stream():
                    file.write(chunk)
    except (BaseError, FileNotFoundError) as error:
        raise unreachable(uri, error) from error


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A file to write to, which becomes `target` when all went well."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f"{glob.escape(target.name)}.*.part"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                left.unlink()
    partial = target.with_name(f"{target.name}.{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _changed(uri: str) -> SourceError:
    return SourceError("the object changed while it was read.", source=uri, fix="run the command again.")


def _at_address(url: str) -> list[Found]:
    name = web.shown(url)
    headers = web.head(url, source=name)
    if headers is None:
        return []
    identity = _stamp(headers)
    if not identity:  # a server that says neither etag nor date: only the content tells
        with tempfile.TemporaryFile() as file:
            web.fetch(url, file, source=name)
            file.seek(0)
            identity = hashlib.file_digest(file, "sha256").hexdigest()
    return [Found(url, name, int(headers.get("content-length", 0)), identity)]


def _save(found: Found, target: Path) -> None:
    with _whole(target) as partial:
        with partial.open("w+b") as file:
            headers = web.fetch(found.uri, file, source=found.name)
            file.seek(0)
            identity = _stamp(headers) or hashlib.file_digest(file, "sha256").hexdigest()
        if identity != found.identity:
            raise _changed(found.name)


def _stamp(headers: Mapping[str, str]) -> str:
    """What tells one content at an address from another: its etag, else date and size; empty when not told."""
    etag = headers.get("etag", "").removeprefix("W/").strip('"')
    dated = headers.get("last-modified")
    return etag or (f"{headers.get('content-length', '')}-{dated}" if dated else "")


def _in_folder(pattern: str, root: Path) -> list[Found]:
    root = root.resolve()
    expanded = os.path.expanduser(pattern)
    # A file may be called "bill[1].csv": what exists by that very name is meant.
    literal = os.path.lexists(root / expanded)
    paths = [expanded] if literal else glob.glob(expanded, root_dir=root, recursive=True)
    found = []
    for path in (root / name for name in paths):
        if path.is_file():
            facts = path.stat()
            name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
            found.append(Found(str(path), name, facts.st_size, f"{facts.st_size}-{facts.st_mtime_ns}"))
    return found


def _in_store(pattern: str, storage_options: Mapping[str, str]) -> list[Found]:
    scheme, _, rest = pattern.partition("://")
    bucket, _, key_pattern = rest.partition("/")
    base = f"{scheme}://{bucket}"
    store = open_store(base, storage_options)
    fixed = _WILDCARD.split(key_pattern, maxsplit=1)[0]
    folder = fixed.rpartition("/")[0] or None
    matching = re.compile(_as_regex(key_pattern))
    objects: list[dict[str, Any]] = []
    try:
        if fixed == key_pattern:
            objects = _exactly(store, key_pattern, folder)
        else:
            for page in obstore.list(store, prefix=folder):
                objects += [dict(entry) for entry in page if matching.fullmatch(str(entry["path"]))]
    except (BaseError, FileNotFoundError) as error:
        raise unreachable(pattern, error) from error
    return [
        Found(uri, uri, int(entry["size"]), _identity(entry), storage_options)
        for entry in objects
        for uri in [f"{base}/{entry['path']}"]
    ]


def _exactly(store: ObjectStore, key: str, folder: str | None) -> list[dict[str, Any]]:
    try:
        return [dict(obstore.head(store, key))]
    except FileNotFoundError:
        # A missing bucket answers the same here; to a listing it answers with an error.
        next(iter(obstore.list(store, prefix=folder)), None)
        return []


def _identity(meta: Mapping[str, Any]) -> str:
    return str(meta.get("e_tag") or f"{meta['size']}-{meta['last_modified'].isoformat()}").strip('"')


def _as_regex(pattern: str) -> str:
    """A glob as a regular expression: `**/` is any number of folders, `*` and `?` stay within one."""
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?|\[!?[^\]]+\])", pattern):
        if len(part) > 2 and part.startswith("["):
            body = part[1:-1].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            regex += f"[^{body[1:]}]" if body.startswith("!") else f"[{body}]"
        else:
            regex += meaning.get(part) or re.escape(part)
    return regex
