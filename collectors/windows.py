"""Stretches of time that a server is asked for: each lands as a whole, again while it is open, once it is settled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from collectors.kind import Deliverable, Kind, Report
from collectors.landing import Files, Part, history_of
from collectors.promql import Server
from collectors.statements import Statement
from farthing import clock
from farthing.config import Config, Source
from farthing.errors import ConfigError, SourceError
from farthing.lake import Lake

#: A window that ended so long ago is read once more and then left alone: samples come late by minutes, not by hours.
SETTLED_AFTER = timedelta(hours=3)

_PIECE_ROWS = 50_000


@dataclass(frozen=True)
class Window:
    """A stretch of time, and what of it is over: `end` is never after `now`."""

    begin: datetime
    end: datetime
    now: datetime

    @property
    def settled(self) -> bool:
        """Whether nothing of it is expected to come any more."""
        return self.end + SETTLED_AFTER <= self.now


class Asked(Files):
    """The collector of what a server with Prometheus's API is asked for, window by window.

    `length` divides a day. `metrics` are names of which the server must know one, to tell how far back it reaches.
    """

    settings = frozenset({"endpoint", "export", "key_env", "since", "select", "exporter"})
    length = timedelta(hours=6)
    title = "samples"

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)

    def metrics(self, name: str, source: Source) -> Sequence[str]:
        """The metrics without which there is nothing to read."""
        raise NotImplementedError

    def rows(self, name: str, source: Source, server: Server, window: Window) -> pl.DataFrame:
        """The rows of a window in the lake's columns, with the notes of collectors.raw."""
        raise NotImplementedError

    def parts(self, source: Source, one: Deliverable) -> Sequence[Part]:
        """The rows, without what `rows` has seen to: the columns of `source` name metrics and labels, not columns."""
        return [Part(self.kind, source.model_copy(update={"columns": {}}), one)]

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The windows since `since` that the server still knows; those that are open are asked for now.

        Raises:
            ConfigError: a setting is missing, means nothing here, or `since` is to come.
            SourceError: the server refuses or does not answer.
        """
        asked = self.asked_windows(name, source)
        if asked is None:
            return []
        server, reach, now = asked
        windows = list(self._windows(reach, now))
        found = [self._statement(name, source, server, window) for window in windows]
        if found and windows[0].begin < reach and self._landed(name, config, found[0].name):
            found = found[1:]  # the server knows only its end any more: what landed of it is whole
        return found

    def deliveries(self, name: str, source: Source, config: Config, report: Report) -> Sequence[Deliverable]:
        """What `find` finds; a server that knows nothing of it is no error, and is said.

        Raises:
            ConfigError: a setting is missing, means nothing here, or `since` is to come.
            SourceError: the server refuses or does not answer.
        """
        found = self.find(name, source, config)
        if not found:
            wanted = ", ".join(self.metrics(name, source))
            report.message(f"{name}: the server has no {self.title} in this time ({wanted}); is select right?")
        return found

    def asked_windows(
        self, name: str, source: Source, earliest: datetime | None = None
    ) -> tuple[Server, datetime, datetime] | None:
        """The server, since when it is to be asked, and until when; None where it knows nothing of that time.

        Raises:
            ConfigError: a setting is missing, means nothing here, or `since` is to come.
            SourceError: the server refuses or does not answer.
        """
        self.check_settings(name, source)
        now = clock.now()
        if source.since and source.since > now.date():
            raise ConfigError("this day is still to come.", key=f"sources.{name}.since", fix="name an earlier one.")
        server = Server.of(name, source)
        wanted = moment_of(source.since or (now.date().replace(day=1) - timedelta(days=1)).replace(day=1))
        wanted = max(wanted, earliest) if earliest else wanted
        reach = server.reach(self.metrics(name, source), wanted, now)
        return (server, max(reach, wanted), now) if reach is not None else None

    def preview(self, name: str, source: Source, config: Config) -> pl.DataFrame:
        """The first three rows of the newest window that has any, as they would land.

        Raises:
            ConfigError: a setting is missing, or means nothing here.
            SourceError: the server does not answer, or has nothing that would land.
        """
        found = self.find(name, source, config)
        for one in reversed(found):
            try:
                rows = self.preview_of(name, source, config, one)
            except SourceError:
                if one is found[0]:
                    raise
                continue
            if not rows.is_empty():
                return rows
        raise SourceError(
            f"the server has no {self.title}: {', '.join(self.metrics(name, source))}.",
            source=name,
            fix="check select and columns, and that the exporter is scraped.",
        )

    def _landed(self, name: str, config: Config, load: str) -> bool:
        past = history_of(Lake(config.lake_path, config.lake.storage_options), [self.table], name).get(
            (self.table.name, load)
        )
        return past is not None and past.status == "landed"

    def _windows(self, first: datetime, now: datetime) -> Iterator[Window]:
        begin = first - (first - moment_of(first.date())) % self.length
        while begin < now:
            yield Window(begin, min(begin + self.length, now), now)
            begin += self.length

    def _statement(self, name: str, source: Source, server: Server, window: Window) -> Statement:
        hour = f" {window.begin:%H}h" if self.length < timedelta(days=1) else ""
        load = f"{self.title} {window.begin:%Y-%m-%d}{hour}"
        # What is asked, and of what, is part of the identity; where it is asked is not.
        asked = hashlib.sha256(
            repr((sorted(source.columns.items()), source.exporter, source.select)).encode()
        ).hexdigest()[:8]
        whole = window.begin + self.length <= window.now

        def ask() -> pl.DataFrame:
            return self.rows(name, source, server, window)

        if whole and window.settled:
            return Statement(load, 0, f"settled-{asked}", self.title, lambda _: ask().lazy())
        rows = ask()
        return Statement(
            load, int(rows.estimated_size()), f"{content_of(rows)}-{asked}", self.title, lambda _: rows.lazy()
        )


def content_of(rows: pl.DataFrame) -> str:
    """What tells these rows from others."""
    digest = hashlib.sha256()
    for piece in rows.iter_slices(_PIECE_ROWS):  # the text of all would need several times the memory
        digest.update(piece.write_json().encode())
    return digest.hexdigest()


def moment_of(day: date) -> datetime:
    """The begin of a day, UTC."""
    return datetime.combine(day, time(), UTC)
