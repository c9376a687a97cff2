"""Issuing a forecast: it is made, stored with all that it was made from, and published; the next day it is scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Protocol

import duckdb
import numpy as np

from farthing import clock, issued, warehouse
from farthing.config import Config
from farthing.forecasting import history as histories
from farthing.forecasting import predict as predictions
from farthing.forecasting.events import Event, known_events
from farthing.forecasting.history import History, Scope
from farthing.forecasting.predict import QUANTILES, Landing, Prediction
from farthing.forecasting.scores import error_stores
from farthing.lake import Lake
from farthing.lake.issued import FORECASTS, LANDINGS


class Report(predictions.Report, Protocol):
    """Who is told how far it is, and of waits: a `farthing.cli.progress.Line`."""

    def message(self, text: str) -> None:
        """A line for the person who waits."""


@dataclass(frozen=True)
class Issued:
    """An issued forecast; `new` is false when it had been issued before, and nothing was computed."""

    issue_id: str
    as_of: date
    new: bool
    scopes: int
    notes: tuple[str, ...] = ()


def issue(config: Config, lake: Lake, report: Report) -> Issued:
    """Issue the forecast of the last day that is over, unless there is one with the settings of now.

    So an hourly run issues once a day, by its first run; a later bill of the same day is in the next one. What was
    issued is in `forecasts` and `landings` of the lake and of the published warehouse.

    Raises:
        ConfigError: `[forecast]` names what is not there, or an extra is missing.
        DataError: a row of the events file is wrong.
        NothingToForecastError: the ledger has no complete day.
        WarehouseMissingError: nothing is published.
    """
    with warehouse.open_warehouse(config) as con:
        history = histories.read(con, config)
        events = known_events(con, config, history.as_of)
        mark = _settings(config, events)
        prefix = f"{history.as_of}-{mark}-"
        found = con.execute(
            "select issue_id, count(*) from landings where starts_with(issue_id, ?) group by all limit 1", [prefix]
        ).fetchone()
        if found is not None:
            return Issued(found[0], history.as_of, new=False, scopes=found[1])
        made = predictions.predict(
            con,
            config,
            history,
            report,
            horizon=config.forecast.horizon_days,
            errors=error_stores(con, history),
            events=events,
        )
        landed = predictions.landings(con, made)
        version = data_version(con)
    identity = issue_id(config, history, events)
    store(lake, made, landed, identity=identity, version=version, seed=config.forecast.seed)
    issued.publish(config, lake, report.message)
    return Issued(identity, history.as_of, new=True, scopes=len(made.scopes), notes=tuple(told(made)))


def issue_id(config: Config, history: History, events: list[Event], *, model: str | None = None) -> str:
    """As-of day, a hash of the settings, and one of the numbers: the same three are the same forecast."""
    numbers = hashlib.sha256(history.panel.y.tobytes())
    numbers.update(json.dumps(history.panel.uids).encode())
    return f"{history.as_of}-{_settings(config, events, model=model)}-{numbers.hexdigest()[:12]}"


def stored(con: duckdb.DuckDBPyConnection, identity: str) -> list[Landing]:
    """The landings that were issued as `identity`; none where it was not."""
    rows = con.execute(
        f"select dimension, key, BillingCurrency, month, actual, forecast, {', '.join(QUANTILES)} from landings"
        " where issue_id = ? order by month, BillingCurrency, dimension, key",
        [identity],
    ).fetchall()
    return [
        Landing(Scope(*row[:3]), row[3], row[4], row[5], dict(zip(QUANTILES, row[6:], strict=True))) for row in rows
    ]


def data_version(con: duckdb.DuckDBPyConnection) -> str:
    """A hash of what the warehouse was made from."""
    [(identity,)] = con.execute("select identity from build_info").fetchall()
    return hashlib.sha256(str(identity).encode()).hexdigest()[:16]


def store(lake: Lake, made: Prediction, landed: list[Landing], *, identity: str, version: str, seed: int) -> None:
    """Add an issued forecast to the lake, once."""
    common = {
        "issue_id": identity,
        "issued_at": clock.now(),
        "as_of": made.history.as_of,
        "data_version": version,
        "seed": seed,
    }
    models = dict(zip(made.scopes, made.models, strict=True))
    # Landings come last: they say that the forecast is there as a whole.
    issued.add(lake, FORECASTS, list(_days(made, common)), load=f"forecast:{identity}")
    rows = [
        {
            **common,
            "model": models[one.scope],
            "dimension": one.scope.dimension,
            "key": one.scope.key,
            "BillingCurrency": one.scope.currency,
            "month": one.month,
            "actual": one.actual,
            "forecast": one.forecast,
            **one.quantiles,
        }
        for one in landed
    ]
    issued.add(lake, LANDINGS, rows, load=f"landing:{identity}")


def _days(made: Prediction, common: dict[str, object]) -> Iterator[dict[str, object]]:
    levels = np.quantile(made.paths, list(QUANTILES.values()), axis=1, method="hazen")
    days = made.days.tolist()
    for row, (scope, model) in enumerate(zip(made.scopes, made.models, strict=True)):
        paths = made.paths[row].T.astype(np.float32)
        for column, day in enumerate(days):
            yield {
                **common,
                "model": model,
                "dimension": scope.dimension,
                "key": scope.key,
                "BillingCurrency": scope.currency,
                "day": day,
                "forecast": float(made.point[row, column]),
                **dict(zip(QUANTILES, levels[:, row, column].tolist(), strict=True)),
                "paths": paths[column],
            }


def told(made: Prediction) -> list[str]:
    """What a reader has to know of a forecast beside its numbers, each in a sentence."""
    history = made.history
    lines = []
    if history.left_out:
        days = ", ".join(map(str, history.left_out))
        lines.append(f"left out, as more than a tenth of their cost is not billed yet: {days}.")
    for pool in dict.fromkeys(one.pool for one in history.late):
        mine = [one for one in history.late if one.pool == pool]
        how = [f"{one.day} ({f'{one.share:.0%} known' if one.share else 'filled in'})" for one in mine[-4:]]
        lines.append(f"bills of {pool} come late; completed: {', '.join(how)}.")
    lines += [
        f"{event.what}: {_effect(event)} from {event.edit.first}"
        + (f" to {event.edit.last}" if event.edit.last else "")
        + f" ({event.source})."
        for event in made.events
    ]
    known_days = len(history.panel.days)
    if made.beyond:
        lines.append(f"a history of {known_days} days does not carry the last {made.beyond} days that were asked for.")
    if len(made.days) > 60 and known_days < 730:
        lines.append("with less than two years of history no season of the year is known.")
    if history.small:
        lines.append(f"{len(history.small)} small leaves of team x model are forecast by quick models.")
    notes: dict[str, list[str]] = {}
    for scope, note in zip(made.scopes, made.notes, strict=True):
        if note:
            notes.setdefault(note, []).append(scope.name)
    return [
        *lines,
        *(f"{', '.join(names[:4])}{' ...' if len(names) > 4 else ''}: {note}." for note, names in notes.items()),
    ]


def _effect(event: Event) -> str:
    parts = [f"x {event.edit.factor:g}"] if event.edit.factor != 1 else []
    if event.edit.amount:
        parts.append(f"{event.edit.amount:+,.2f} {event.currency} a day")
    scope = event.dimension if event.dimension == "total" else f"{event.dimension}={event.key or 'none'}"
    certain = f", {event.edit.certainty:.0%} certain" if event.edit.certainty < 1 else ""
    return f"{scope} {' and '.join(parts) or 'unchanged'}{certain}"


def _settings(config: Config, events: list[Event], *, model: str | None = None) -> str:
    told = json.dumps([config.forecast.model_dump(mode="json"), model, [repr(event) for event in events]])
    return hashlib.sha256(told.encode()).hexdigest()[:8]
