"""Spend above what the days before let expect: each scope judged, and what is above the floors with its cause."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import duckdb
import numpy as np

from farthing.anomalies import days
from farthing.anomalies.causes import causes
from farthing.anomalies.finding import Finding, Level
from farthing.config import Config
from models.anomaly import Episode, Floors, Judged, episodes, judge

#: People are told of these; the others are shown below them.
PAGES = ("total", "pool", "provider", "team")
DETAILS = ("model", "feature", "environment", "customer")
#: Episodes that were over before are in the lake already.
_RECENT_DAYS = 14


def found(con: duckdb.DuckDBPyConnection, config: Config, until: date) -> list[Finding]:
    """The episodes of the last days up to `until`, those of the total first, then by money.

    Days on which a provider's bill is missing are not looked at. Cost of no team, model, ... is not judged as one.
    """
    last = days.settled(con, until)
    company = days.series(con, config, "total", last)
    usual = _usual_days(company, judge(company.y, threshold=config.anomalies.threshold))
    every: list[Finding] = []
    for dimension in (*PAGES, *DETAILS):
        every += _of_dimension(con, config, days.series(con, config, dimension, last), usual)
    return every


def _usual_days(company: days.Series, judged: Judged) -> Mapping[str, float]:
    """What a day of the company is expected to cost, by currency."""
    found: dict[str, float] = {}
    for row, (_, currency) in enumerate(company.keys):
        known = judged.expected[row][np.isfinite(judged.expected[row])]
        found[currency] = abs(float(known[-1])) if len(known) else 0.0
    return found


def _of_dimension(
    con: duckdb.DuckDBPyConnection, config: Config, found: days.Series, usual: Mapping[str, float]
) -> list[Finding]:
    settings = config.anomalies
    judged = judge(found.y, known=days.known(config, found), threshold=settings.threshold)
    floors = Floors(float(settings.floor), settings.scope_share, settings.total_share)
    kept = []
    for episode in episodes(found.y, judged):
        key, currency = found.keys[episode.row]
        if key is None and found.dimension != "total":
            continue
        a_day = abs(episode.expected) / (episode.last - episode.first + 1)
        recent = episode.open or len(found.days) - episode.last <= _RECENT_DAYS
        if recent and floors.passed(episode.impact, scope_day=a_day, total_day=usual.get(currency, 0.0)):
            kept.append(_finding(con, found, episode))
    return kept


def _finding(con: duckdb.DuckDBPyConnection, found: days.Series, episode: Episode) -> Finding:
    key, currency = found.keys[episode.row]
    first, last = found.days[episode.first], found.days[episode.last]
    level: Level = "page" if found.dimension in PAGES else "detail"
    who = "all spend" if key is None else f"{found.dimension} {key}"
    stretch = f"on {first}" if first == last else f"from {first} to {last}"
    crept = " (it crept up over a week)" if episode.leak else ""
    amount = f"{episode.impact:,.2f} {currency} more than expected"
    share = f", +{episode.impact / episode.expected:.0%}" if episode.expected > 0 else ""
    return Finding(
        rule="leak" if episode.leak else "spend",
        dimension=found.dimension,
        key=key,
        currency=currency,
        first=first,
        last=last,
        found=found.days[episode.found],
        open=episode.open,
        expected=episode.expected,
        actual=episode.actual,
        title=f"{who}: {amount} {stretch}{share}{crept}",
        score=episode.score,
        level=level,
        cause=causes(con, found.dimension, key, currency, first, last) if level == "page" else [],
    )
