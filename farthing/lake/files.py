"""The data files of one version of a lake table, from the Delta log alone, and their copies on this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable

from farthing.errors import SourceError
from farthing.objects import download, is_url, open_store


@dataclass(frozen=True)
class LakeFile:
    """One data file: its absolute path or URL, partition values, rows, size in bytes, and column statistics.

    Delta cuts statistics: a maximum time may be up to 1 ms too low, decimals passed through floating point, and only
    the first 32 columns have any. They rule a file out only with a margin.
    """

    path: str
    partition: dict[str, object] = field(hash=False)
    rows: int
    size: int
    minimum: dict[str, object] = field(default_factory=dict, repr=False, compare=False)
    maximum: dict[str, object] = field(default_factory=dict, repr=False, compare=False)
    nulls: dict[str, object] = field(default_factory=dict, repr=False, compare=False)


def listed(handle: DeltaTable, uri: str, partitions: Mapping[str, Sequence[object]] | None = None) -> list[LakeFile]:
    """The files of the version that `handle` is at, sorted by path; those of `partitions` (column -> values) only."""
    wanted = {name: {str(value) for value in values} for name, values in (partitions or {}).items()}
    files = []
    # Not Arrow's own to_pylist: for times it loads pandas, which takes longer than the whole listing.
    for action in pl.DataFrame(handle.get_add_actions()).to_dicts():
        partition = action.get("partition") or {}
        if any(str(partition[name]) not in values for name, values in wanted.items()):
            continue
        path = f"{uri}/{unquote(action['path'])}"
        if action["num_records"] is None:
            raise SourceError("this data file has no row count in the log.", source="lake", object_name=path)
        files.append(
            LakeFile(
                path,
                partition,
                rows=action["num_records"],
                size=action["size_bytes"],
                minimum=_known(action.get("min")),
                maximum=_known(action.get("max")),
                nulls=_known(action.get("null_count")),
            )
        )
    return sorted(files, key=lambda file: file.path)


def _known(statistics: Mapping[str, object] | None) -> dict[str, object]:
    return {name: value for name, value in (statistics or {}).items() if value is not None}


class Cache:
    """Copies of a remote lake's files. A data file never changes under its name, so each is fetched once."""

    def __init__(self, lake: str, storage_options: Mapping[str, str], folder: Path | None) -> None:
        self._lake, self._storage_options = lake, storage_options
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._folder = (folder or home / "farthing") / hashlib.sha256(lake.encode()).hexdigest()[:16]

    def local(self, files: Iterable[LakeFile]) -> list[Path]:
        """Paths on this machine for `files`, in their order; what is not here yet is fetched, eight at a time."""
        files = list(files)
        if not is_url(self._lake):
            return [Path(file.path) for file in files]
        keys = [file.path.removeprefix(self._lake + "/") for file in files]
        targets = [self._folder / key for key in keys]
        missing = [(key, target) for key, target in zip(keys, targets, strict=True) if not target.exists()]
        if missing:
            store = open_store(self._lake, self._storage_options)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda pair: download(store, pair[0], pair[1], uri=f"{self._lake}/{pair[0]}"), missing))
        return targets
