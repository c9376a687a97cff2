"""A collection of a project: all its sources into the lake, those of different tables side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

import collectors
from collectors.kind import LoadResult, Report
from farthing.config import Config, Source
from farthing.errors import ConfigError, FarthingError, SourceError
from farthing.lake import Lake
from farthing.locks import alone
from farthing.objects import find, is_url

_FETCHED = 1 << 62  # bytes: what comes from elsewhere takes longest


@dataclass(frozen=True)
class Collection:
    """What a collection came to: a result for each file, and the sources that failed as a whole."""

    results: list[LoadResult]
    failures: list[tuple[str, FarthingError]]

    @property
    def rejected(self) -> int:
        """Rows that went to rejects."""
        return sum(result.rejected for result in self.results)

    @property
    def exit_code(self) -> int:
        """3 when a source or file could not be read, 2 when its configuration is wrong."""
        unreadable = [SourceError.exit_code for result in self.results if result.status == "failed"]
        return max([0, *unreadable, *(failure.exit_code for _, failure in self.failures)])


def collect_all(
    config: Config,
    lake: Lake,
    names: Sequence[str],
    watched: Callable[[str], AbstractContextManager[Report]],
    tell: Callable[[str], None],
) -> Collection:
    """Collect the sources `names`; one that fails does not keep the others.

    Those that fill one table go one after the other, as rows of the later may repeat rows of the earlier; tables are
    filled side by side, that with most to read first. One collection of a project runs at a time: two would not see
    each other's rows; `tell` hears of another that is waited for, `watched` gives the report of each source.

    Raises:
        SourceError: another collection of the project does not end.
        ConfigError: the project's folder cannot be written.
    """
    found: dict[str, list[LoadResult]] = {}
    failures: dict[str, FarthingError] = {}

    def collect_in_turn(together: list[str]) -> None:
        for name in together:
            source = config.sources[name]
            try:
                with watched(name) as report:
                    found[name] = collectors.load(source.kind).collect(name, source, config, lake, report)
            except (SourceError, ConfigError) as failure:
                failures[name] = failure

    with alone(config.root, "collect", tell):
        pool = ThreadPoolExecutor(config.engine.threads or os.cpu_count())
        try:
            for done in [pool.submit(collect_in_turn, together) for together in _by_table(config, names)]:
                done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    results = [result for name in names for result in found.get(name, [])]
    return Collection(results, [(name, failures[name]) for name in names if name in failures])


def _by_table(config: Config, names: Sequence[str]) -> list[list[str]]:
    """The sources of each table in their order; the table whose sources have most to read comes first."""
    tables: dict[str, list[str]] = {}
    for name in names:
        try:
            table = collectors.load(config.sources[name].kind).table.name
        except ConfigError:
            table = ""  # said when it is collected
        tables.setdefault(table, []).append(name)
    return sorted(tables.values(), key=lambda group: -sum(_bytes(config, config.sources[name]) for name in group))


def _bytes(config: Config, source: Source) -> int:
    """How much there is to read, as far as it can be told without asking anybody."""
    if source.export or any(is_url(pattern) for pattern in source.patterns):
        return _FETCHED
    with suppress(SourceError, OSError):
        return sum(file.size for file in find(source.patterns, config.root))
    return 0
