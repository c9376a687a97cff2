"""The one place that lists and fetches foreign files: folders on this machine, and s3://, gs:// and az:// stores."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from farthing.errors import SourceError

#: What deltalake takes in `storage_options` and the store that reads objects does not know.
_DELTA_ONLY = {"aws_s3_allow_unsafe_rename", "aws_s3_locking_provider"}
#: A copy that nobody has written to for so long is of a process that was killed.
_ABANDONED_SECONDS = 3600
_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Found:
    """One source file: where it is, its name for people, its size in bytes and what tells one content from another.

    `identity` is the object's etag, or "size-mtime_ns" of a local file.
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
        base, _, name = self.uri.rpartition("/")
        mark = hashlib.sha256(f"{self.uri}\n{self.identity}".encode()).hexdigest()[:16]
        target = folder / mark / name
        if not target.exists():
            download(open_store(base, self.storage_options), name, target, uri=self.uri, identity=self.identity)
        return target


def is_url(path: str) -> bool:
    """Whether `path` is in an object store rather than a folder."""
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
    A pattern that matches nothing adds nothing.

    Raises:
        SourceError: an object store cannot be listed.
    """
    found: dict[str, Found] = {}
    for pattern in patterns:
        matches = _in_store(pattern, storage_options or {}) if is_url(pattern) else _in_folder(pattern, root)
        found.update((match.uri, match) for match in matches)
    return sorted(found.values(), key=lambda file: (file.name, file.uri))


def download(store: ObjectStore, key: str, target: Path, *, uri: str, identity: str | None = None) -> None:
    """Copy the object `key` to `target`, which appears only when it is whole. What killed copies left of it goes.

    Raises:
        SourceError: the object cannot be read, or its identity is not `identity`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f"{glob.escape(target.name)}.*.part"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                left.unlink()
    partial = target.with_name(f"{target.name}.{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        answer = obstore.get(store, key)
        if identity is not None and _identity(dict(answer.meta)) != identity:
            raise SourceError("the object changed while it was read.", source=uri, fix="run the command again.")
        with partial.open("wb") as file:
            for chunk in answer.stream():
                file.write(chunk)
        partial.replace(target)
    except (BaseError, FileNotFoundError) as error:
        raise unreachable(uri, error) from error
    finally:
        partial.unlink(missing_ok=True)


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
