"""Questions to a server that speaks Prometheus's HTTP API: raw samples in pieces, and what was seen of slow series."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from farthing import web
from farthing.config import Source
from farthing.errors import ConfigError, SourceError

#: A range-vector question asks for so much at a time; servers limit the samples of one (Prometheus: 50 million).
PIECE = timedelta(hours=1)
_SMALLEST_PIECE = timedelta(minutes=1)
#: How servers say that a question is too large: Prometheus, Thanos and Mimir.
_TOO_LARGE = re.compile(
    r"HTTP 4\d\d .*(too many samples|max(imum)? number of|err-mimir-max|exceed\w* .*limit|limit .*(exceeded|violated))",
    re.IGNORECASE,
)
_MOST_POINTS = 10_999
_FIX = "check endpoint and select, and the token or user:password in the variable that key_env names."

Labels = Mapping[str, str]
#: Labels, and the samples as (milliseconds since 1970, value).
Series = tuple[Labels, list[tuple[int, float]]]
#: The same as it is answered, in seconds.
Answered = tuple[Labels, list[tuple[float, float]]]


@dataclass(frozen=True)
class Server:
    """A Prometheus, Thanos, Mimir or anything else with their API, as a source names it."""

    source: str
    endpoint: str
    headers: Mapping[str, str]
    select: str = ""  # label matchers that every question carries

    @classmethod
    def of(cls, name: str, source: Source) -> Server:
        """The server of a source.

        Raises:
            ConfigError: no endpoint, or the environment variable of the token is not set.
        """
        if not source.endpoint:
            raise ConfigError(
                "endpoint is missing.",
                key=f"sources.{name}.endpoint",
                fix='endpoint = "http://prometheus:9090", with the path prefix where there is one.',
            )
        headers = {"Accept": "application/json"}
        if source.export:
            headers["X-Scope-OrgID"] = source.export
        if source.key_env:
            key = os.environ.get(source.key_env, "").strip()
            if not key:
                raise ConfigError(
                    f"the environment variable {source.key_env} is not set.",
                    key=f"sources.{name}.key_env",
                    fix="put a token with read access into it, or user:password.",
                )
            basic = base64.b64encode(key.encode()).decode() if ":" in key else ""
            headers["Authorization"] = f"Basic {basic}" if basic else f"Bearer {key}"
        return cls(name, source.endpoint.rstrip("/"), headers, (source.select or "").strip().strip("{},"))

    def selector(self, metric: str, *matchers: str) -> str:
        """`metric` with the source's own matchers and `matchers`."""
        inside = ",".join(part for part in (self.select, *matchers) if part)
        return f"{metric}{{{inside}}}" if inside else metric

    # -- questions ----------------------------------------------------------------------------------------------

    def raw(self, selector: str, begin: datetime, end: datetime) -> list[Series]:
        """Every stored sample with begin < time <= end, not resampled; one entry per series, its samples in order.

        Raises:
            SourceError: refused, unreachable, no answer that can be read, or too many samples in one minute.
        """
        found: dict[tuple[tuple[str, str], ...], Series] = {}
        for first, last in _pieces(begin, end, PIECE):
            for labels, samples in self._raw_piece(selector, first, last):
                known = found.setdefault(tuple(sorted(labels.items())), (labels, []))[1]
                known.extend(samples)
        return list(found.values())

    def _raw_piece(self, selector: str, begin: datetime, end: datetime) -> Iterator[Series]:
        length = end - begin
        try:
            result = self._query(f"{selector}[{_millis(length)}ms]", end)
        except SourceError as error:
            if not _TOO_LARGE.search(str(error)) or length <= _SMALLEST_PIECE:
                raise
            middle = begin + timedelta(milliseconds=_millis(length) // 2)
            yield from self._raw_piece(selector, begin, middle)
            yield from self._raw_piece(selector, middle, end)
            return
        after, until = _epoch(begin), _epoch(end)
        for labels, values in result:
            samples = [(round(time * 1000), value) for time, value in values]
            # Prometheus 2 gives a sample that lies on the begin, Prometheus 3 does not.
            kept = [sample for sample in samples if after < sample[0] <= until]
            if kept:
                yield labels, kept

    def instant(self, query: str, at: datetime) -> list[tuple[Labels, float]]:
        """The value of each series of `query` at a moment.

        Raises:
            SourceError: refused, unreachable, or no answer that can be read.
        """
        return [(labels, values[0][1]) for labels, values in self._query(query, at) if values]

    def reach(self, metrics: Iterable[str], begin: datetime, end: datetime) -> datetime | None:
        """The first full hour of [begin, end] in which the server still knows anything, None when in none of them.

        Raises:
            SourceError: refused, unreachable, or no answer that can be read.
        """
        begin = max(begin, end - timedelta(hours=_MOST_POINTS - 1))
        known = " or ".join(f"count({self.selector(metric)})" for metric in ("up", *metrics))
        asked = [("start", _text(begin)), ("end", _text(end)), ("step", "3600")]
        result = self._ask("query_range", [("query", known), *asked])
        times = [time for _, values in result for time, _ in values]
        if not times:
            recent = self.instant(known, end)
            return end.replace(minute=0, second=0, microsecond=0) if recent else None
        first = begin + timedelta(seconds=min(times) - begin.timestamp())
        return max(begin, first - timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)

    def last(self, selector: str, begin: datetime, end: datetime) -> list[tuple[Labels, float]]:
        """The last value of each series that had a sample in (begin, end].

        Raises:
            SourceError: refused, unreachable, or no answer that can be read.
        """
        found: dict[tuple[tuple[str, str], ...], tuple[Labels, float]] = {}
        for first, last in _pieces(begin, end, timedelta(days=1)):
            for labels, value in self.instant(f"last_over_time({selector}[{_millis(last - first)}ms])", last):
                found[_key(labels)] = (labels, value)
        return list(found.values())

    def seen(self, selector: str, begin: datetime, end: datetime) -> list[tuple[Labels, datetime, datetime, float]]:
        """Each series that had a sample in (begin, end]: labels, when first and last seen, the last value.

        Seen to a minute; a series of a day is one line of the answer, however many samples it has.

        Raises:
            SourceError: refused, unreachable, or no answer that can be read.
        """
        first_seen: dict[tuple[tuple[str, str], ...], float] = {}
        last_seen: dict[tuple[tuple[str, str], ...], float] = {}
        for first, last in _pieces(begin, end, timedelta(days=1)):
            times = f"over_time(timestamp({selector})[{_millis(last - first)}ms:1m])"
            for labels, since in self.instant(f"min_{times}", last):
                first_seen.setdefault(_key(labels), since)
            last_seen |= {_key(labels): until for labels, until in self.instant(f"max_{times}", last)}
        zone = begin.tzinfo
        return [
            (labels, datetime.fromtimestamp(first_seen[key], zone), datetime.fromtimestamp(last_seen[key], zone), value)
            for labels, value in self.last(selector, begin, end)
            if (key := _key(labels)) in first_seen and key in last_seen
        ]

    # -- answers ------------------------------------------------------------------------------------------------

    def _query(self, query: str, at: datetime) -> list[Answered]:
        return self._ask("query", [("query", query), ("time", _text(at))])

    def _ask(self, verb: str, params: Sequence[tuple[str, str]]) -> list[Answered]:
        url = f"{self.endpoint}/api/v1/{verb}"
        body = io.BytesIO()
        web.fetch(url, body, source=self.source, params=params, headers=self.headers, fix=_FIX)
        try:
            answer = json.loads(body.getvalue())
            if answer["status"] != "success":
                raise ValueError(str(answer.get("error", "no success")))
            return [_series(one) for one in answer["data"]["result"]]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SourceError(
                f"the answer is none of Prometheus's HTTP API ({type(error).__name__}: {str(error)[:200]}).",
                source=self.source,
                object_name=web.shown(url),
                fix="endpoint is the address before /api/v1, for example http://prometheus:9090.",
            ) from error


def _series(one: Mapping[str, Any]) -> Answered:
    """Labels and samples of a part of an answer; a moment's value is one sample. Native histograms have none."""
    values = one["values"] if "values" in one else [one["value"]] if "value" in one else []
    labels = {str(name): str(value) for name, value in one["metric"].items()}
    return labels, [(float(time), float(value)) for time, value in values]


def own(labels: Labels, name: str) -> str | None:
    """The label that an exporter itself gave: Prometheus calls it `exported_...` where its own target has the same."""
    return labels.get(f"exported_{name}") or labels.get(name) or None


def _key(labels: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in labels.items() if name != "__name__"))


def _pieces(begin: datetime, end: datetime, length: timedelta) -> Iterator[tuple[datetime, datetime]]:
    while begin < end:
        last = min(begin + length, end)
        yield begin, last
        begin = last


def _millis(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)


def _epoch(moment: datetime) -> int:
    """Milliseconds since 1970, without a float on the way."""
    return (moment - datetime.fromtimestamp(0, moment.tzinfo)) // timedelta(milliseconds=1)


def _text(moment: datetime) -> str:
    return f"{_epoch(moment) // 1000}.{_epoch(moment) % 1000:03}"
