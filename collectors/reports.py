"""Reports that a vendor serves in pages over HTTP: asked for month by month, or saved in files by somebody."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from collectors.kind import Deliverable, Kind
from collectors.landing import Files
from collectors.lines import UnreadableError
from collectors.pages import Row, loads, looks_like_report, more_follow, names_of, rows_of_file, rows_of_page
from collectors.raw import LINE, PROBLEM, RAW
from collectors.statements import Statement
from farthing import clock, web
from farthing.config import Config, Source
from farthing.errors import ConfigError, SourceError
from farthing.objects import Found, is_url

#: A month that ended so long ago is taken once more and then left alone: vendors mend the last days, not old months.
SETTLED_AFTER = timedelta(days=14)

#: (first moment, moment after the last): the text of a request's parameters for them.
Period = Callable[[datetime, datetime], list[tuple[str, str]]]


@dataclass(frozen=True)
class Form:
    """One form of a report: the names that tell it from others, and how a row of it becomes one of the lake's.

    `translate` takes what it knows out of the row; the rest goes along under the vendor's own names. It gives None for
    a bucket in which nothing happened, and raises ValueError with what is wrong with a row.
    """

    name: str
    tells: frozenset[str]
    translate: Callable[[Row], Row | None]


@dataclass(frozen=True)
class Vendor:
    """Who serves reports: where, and how it wants to be asked."""

    name: str
    endpoint: str
    key_env: str
    headers: Callable[[str], Mapping[str, str]]  # of a key
    period: Period
    fix: str  # what to do when it refuses the key


@dataclass(frozen=True)
class Feed:
    """One report of a vendor that can be asked for, named for people."""

    name: str
    path: str
    params: Sequence[tuple[str, str]]
    form: Form


class Reports(Files):
    """The collector of a vendor's reports: a statement per report and month, or one per saved file."""

    asking = frozenset({"endpoint", "since", "key_env"})  # export names the account, also of saved reports
    settings = asking | {"path", "export"}

    def __init__(self, kind: Kind, vendor: Vendor, feeds: Sequence[Feed], forms: Sequence[Form]) -> None:
        super().__init__(kind)
        self._vendor, self._feeds, self._forms = vendor, feeds, forms

    def find(self, name: str, source: Source, config: Config) -> Sequence[Deliverable]:
        """The files of `path`; without one the months since `since`, the unsettled ones asked for now.

        Raises:
            ConfigError: the key is not in the environment, `since` is to come, or a setting means nothing here.
            SourceError: the vendor refuses or does not answer, or no file is there.
        """
        if source.patterns:
            return [self._saved(name, source, found) for found in super().find(name, source, config)]
        self.check_settings(name, source)
        if source.since and source.since > clock.now().date():
            raise ConfigError("this day is still to come.", key=f"sources.{name}.since", fix="name an earlier one.")
        key = self._key(name, source)
        return [
            self._month(name, source, key, feed, first)
            for feed in self._feeds
            for first in _months(source.since or _first_of_last_month())
        ]

    def form_of(self, path: Path) -> str | None:
        """What the vendor calls a saved report, by the names in it."""
        try:
            return self._recognised(names).name if looks_like_report(path) and (names := names_of(path)) else None
        except (UnreadableError, OSError):
            return None

    # -- saved files --------------------------------------------------------------------------------------------

    def _saved(self, name: str, source: Source, found: Deliverable) -> Statement:
        form = f"report of {self._vendor.name}"
        if isinstance(found, Found) and not is_url(found.uri):
            with suppress(UnreadableError, OSError):  # said when it is read, for this file alone
                path = Path(found.uri)
                form = self._recognised(names_of(path)).name + (", more pages follow" if more_follow(path) else "")

        def read(folder: Path) -> pl.LazyFrame:
            path = found.fetch(folder)
            return self._frame(name, source, self._recognised(names_of(path)), rows_of_file(path, folder))

        return Statement(found.name, found.size, found.identity, form, read)

    def _recognised(self, names: frozenset[str]) -> Form:
        if not names:  # pages without one result: any form will do
            return self._forms[0]
        for form in self._forms:
            if form.tells <= names:
                return form
        known = "; ".join(f"{form.name} has {', '.join(sorted(form.tells))}" for form in self._forms)
        raise UnreadableError(f"this is no report of {self._vendor.name} ({known}); the file has: {_listed(names)}")

    # -- asking -------------------------------------------------------------------------------------------------

    def _key(self, name: str, source: Source) -> str:
        variable = source.key_env or self._vendor.key_env
        key = os.environ.get(variable, "").strip()
        if not key:
            raise ConfigError(
                f"the environment variable {variable} is not set.",
                key=f"sources.{name}.key_env",
                fix=f"put an admin key of {self._vendor.name} into it, or give path = saved reports.",
            )
        return key

    def _month(self, name: str, source: Source, key: str, feed: Feed, first: date) -> Statement:
        begin, end = _moment(first), _moment(_next_month(first))
        if source.since:
            begin = max(begin, _moment(source.since))
        ask = partial(self._ask, name, source, key, feed, begin, min(end, _moment(clock.now().date()) + _DAY))
        load, form = f"{feed.name} {first:%Y-%m}", feed.form

        def read(rows: Sequence[str]) -> pl.LazyFrame:
            return self._frame(
                name, source, form, ((line, text, json.loads(text)) for line, text in enumerate(rows, 1))
            )

        if end + SETTLED_AFTER <= clock.now():
            return Statement(load, 0, "settled", form.name, lambda _: read(ask()))
        rows = ask()
        identity = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        return Statement(load, sum(map(len, rows)), identity, form.name, lambda _: read(rows))

    def _ask(self, name: str, source: Source, key: str, feed: Feed, begin: datetime, end: datetime) -> list[str]:
        """All rows of one report as JSON, in an order that does not depend on the vendor's."""
        url = (source.endpoint or self._vendor.endpoint).rstrip("/") + feed.path
        params = [*self._vendor.period(begin, end), *feed.params]
        rows: list[Row] = []
        cursors: list[str] = []
        while True:
            asked = [*params, *(("page", cursor) for cursor in cursors[-1:])]
            body = io.BytesIO()
            headers = self._vendor.headers(key)
            web.fetch(url, body, source=name, params=asked, headers=headers, fix=self._vendor.fix)
            try:
                page = loads(body.getvalue().decode("utf-8"))
                rows += rows_of_page(page)
            except (UnreadableError, ValueError, RecursionError) as error:
                raise SourceError(
                    f"the answer is no page of {feed.form.name} ({error}).",
                    source=name,
                    object_name=web.shown(url),
                    fix="check endpoint, and run the command again.",
                ) from error
            if page.get("has_more") not in (True, "true"):
                break
            cursor = str(page.get("next_page") or "")
            if not cursor or cursor in cursors:
                raise SourceError(
                    f"it says that there is more after page {len(cursors) + 1}, and gives no next page; nothing of "
                    "the month was landed.",
                    source=name,
                    object_name=web.shown(url),
                    fix="run the command again.",
                )
            cursors.append(cursor)
        return sorted(json.dumps(row, ensure_ascii=False, sort_keys=True) for row in rows)

    # -- rows ---------------------------------------------------------------------------------------------------

    def _frame(
        self, name: str, source: Source, form: Form, rows: Iterable[tuple[int, str | None, Row]]
    ) -> pl.LazyFrame:
        """The rows in the lake's words, with their line and text, and with the reason where one cannot be read."""
        made: list[dict[str, Any]] = []
        names: dict[str, None] = dict.fromkeys(self.kind.needed(source))
        for line, text, row in rows:
            problem = row.pop(PROBLEM, None)
            translated: Row | None = {}
            if problem is None:
                try:
                    translated = form.translate(row)
                except ValueError as error:
                    problem = str(error)
            if translated is None:
                continue
            if problem is None and "BillingAccountId" in self.kind.dialect.types:
                translated.setdefault("BillingAccountId", source.export or name)
            names.update(dict.fromkeys(translated))
            made.append({LINE: line, RAW: text, PROBLEM: problem, **translated})
        schema = {LINE: pl.Int64, RAW: pl.String, PROBLEM: pl.String, **dict.fromkeys(names, pl.String)}
        return pl.from_dicts(made, schema=schema).lazy() if made else pl.LazyFrame(schema=schema)


_DAY = timedelta(days=1)


def _moment(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _next_month(first: date) -> date:
    return (first.replace(day=1) + timedelta(days=32)).replace(day=1)


def _first_of_last_month() -> date:
    return (clock.now().date().replace(day=1) - _DAY).replace(day=1)


def _months(since: date) -> Iterator[date]:
    """The first days of the months from that of `since` to the present one."""
    month = since.replace(day=1)
    while month <= clock.now().date():
        yield month
        month = _next_month(month)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:40]) or "no rows"
