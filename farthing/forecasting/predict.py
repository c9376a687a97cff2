"""One forecast of the company: each leaf and pool by its model, known events applied, sums that add up, landings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Protocol

import duckdb
import numpy as np
from numpy.typing import NDArray

from farthing.config import Config
from farthing.errors import ConfigError
from farthing.forecasting.events import Event, reaches
from farthing.forecasting.history import LEAVES, SUMS, History, Scope
from models.edits import edited
from models.forecast import ErrorStore, KnownEvent, forecast
from models.series import Panel

Floats = NDArray[np.float64]
QUANTILES = {"q025": 0.025, "q10": 0.1, "q50": 0.5, "q80": 0.8, "q90": 0.9, "q975": 0.975}
#: No cost, with the decimals of the ledger.
_NOTHING = Decimal("0.000000000000")
#: The model of leaves that are too many and too small for the one that is asked for.
_SMALL = "quick"
#: Some history carries a forecast of about its own length, and any the rest of a month.
_ALWAYS_CARRIED_DAYS = 31


class Report(Protocol):
    """Who is told how far a forecast is: a `farthing.cli.progress.Line`."""

    def begin(self, what: str, total: int) -> None:
        """`total` units of `what` are ahead."""

    def advance(self, done: int) -> None:
        """`done` more units are done."""


@dataclass(frozen=True)
class Landing:
    """What a month comes to: `actual` is the cost up to the last known day, exactly; `forecast` is of the whole month.

    `quantiles` has the columns of `QUANTILES`.
    """

    scope: Scope
    month: date
    actual: Decimal
    forecast: float
    quantiles: dict[str, float]


@dataclass(frozen=True)
class Prediction:
    """`point` (n, h) and `paths` (n, S, h) of `scopes` for the `days` (h) after `history.as_of`.

    `known` (n, T) is the completed cost of the days of `history.panel`; `models` and `notes` are by scope. Sample s of
    all scopes is one future. `beyond` are the days that were asked for and that the history cannot carry.
    """

    history: History
    scopes: list[Scope]
    days: NDArray[np.datetime64]
    point: Floats
    paths: Floats
    known: Floats
    models: list[str]
    notes: list[str]
    events: list[Event]
    beyond: int

    def chosen(self, rows: Sequence[int]) -> Prediction:
        """The same for some of the scopes, by their places."""
        return replace(
            self,
            scopes=[self.scopes[row] for row in rows],
            point=self.point[list(rows)],
            paths=self.paths[list(rows)],
            known=self.known[list(rows)],
            models=[self.models[row] for row in rows],
            notes=[self.notes[row] for row in rows],
        )

    def months(self) -> list[date]:
        """The months of the days ahead, without a last one that ends after them."""
        firsts = sorted({day.replace(day=1) for day in self.days.tolist()})
        return [month for month in firsts if _next(month) - timedelta(days=1) <= self.days[-1].item()]

    def sums(self, month: date) -> tuple[Floats, Floats]:
        """The known and expected cost of `month`: the points (n,), and on each path (n, S)."""
        ahead = self.days.astype("datetime64[M]") == np.datetime64(month, "M")
        behind = self.history.panel.days.astype("datetime64[M]") == np.datetime64(month, "M")
        known = np.nansum(self.known[:, behind], axis=1)
        return known + self.point[:, ahead].sum(axis=1), known[:, None] + self.paths[:, :, ahead].sum(axis=2)


def predict(
    con: duckdb.DuckDBPyConnection,
    config: Config,
    history: History,
    report: Report,
    *,
    horizon: int,
    errors: dict[str, ErrorStore],
    events: list[Event],
    model: str | None = None,
) -> Prediction:
    """Forecast `horizon` days of every scope of `[forecast]`, with `events` applied to them.

    Total, team and model are the sums of `team x model`, in points and path by path; other dimensions are forecast
    directly. `errors` are those of earlier forecasts, by model; `model` is used for all scopes instead of those of
    `[forecast]`.

    Raises:
        ConfigError: `[forecast]` names what is not there, or an extra is missing.
    """
    carried = max(len(history.panel.days), _ALWAYS_CARRIED_DAYS)
    base = _base(history, config, report, min(horizon, carried), errors, events, model)
    if events:
        reached = reaches(con, events, history.scopes, history.as_of)
        point, paths = edited(base.point, base.paths, base.days, reached, seed=config.forecast.seed)
        base = replace(base, point=point, paths=paths, events=events)
    return _with_sums(replace(base, beyond=max(0, horizon - carried)), config.forecast.scopes)


def landings(con: duckdb.DuckDBPyConnection, made: Prediction) -> list[Landing]:
    """The landing of each scope in each month ahead: cost to date and what its days ahead come to, path by path."""
    actual = {
        (Scope(dimension, key, currency), month): cost
        for dimension, key, currency, month, cost in con.execute(
            "select dimension, key, BillingCurrency, cast(date_trunc('month', day) as date), sum(cost) from scope_days"
            " where day <= $last and day >= date_trunc('month', $last) group by all",
            {"last": made.history.as_of},
        ).fetchall()
    }
    found = []
    for month in made.months():
        points, paths = made.sums(month)
        levels = np.quantile(paths, list(QUANTILES.values()), axis=1).T
        for scope, point, level in zip(made.scopes, points.tolist(), levels.tolist(), strict=True):
            quantiles = dict(zip(QUANTILES, level, strict=True))
            found.append(Landing(scope, month, actual.get((scope, month), _NOTHING), point, quantiles))
    return found


def _base(
    history: History,
    config: Config,
    report: Report,
    horizon: int,
    errors: dict[str, ErrorStore],
    events: Sequence[Event],
    model: str | None,
) -> Prediction:
    """Each scope of `history` by its model, before events; the same seed draws the same origins for all models."""
    settings = config.forecast
    known = {*SUMS, *(scope.dimension for scope in history.scopes)}
    for name in settings.models:
        if name not in known and name.partition("=")[0] not in known:
            raise ConfigError(
                f"'{name}' is no scope that is forecast.",
                key="forecast.models",
                fix=f"a dimension or a name like team=support, of {', '.join(sorted(known))}.",
            )
    chosen = [_model(scope, history, settings.model, settings.models, model) for scope in history.scopes]
    count = len(chosen)
    point, paths = np.empty((count, horizon)), np.empty((count, settings.paths, horizon))
    notes = [""] * count
    named = [KnownEvent(event.what, event.edit.first, event.edit.last) for event in events]
    days = history.panel.days[-1:] + np.arange(1, horizon + 1)
    for name in dict.fromkeys(chosen):
        rows = [row for row in range(count) if chosen[row] == name]
        panel = Panel([history.panel.uids[row] for row in rows], history.panel.days, history.panel.y[rows])
        made = forecast(
            panel,
            horizon,
            model=name,
            seed=settings.seed,
            paths=settings.paths,
            errors=errors.get(name),
            holidays=settings.holidays,
            known_events=named,
            begin=report.begin,
            advance=report.advance,
        )
        point[rows], paths[rows] = made.point, made.paths
        for row, note in zip(rows, made.notes, strict=True):
            notes[row] = note
    return Prediction(history, history.scopes, days, point, paths, history.panel.y, chosen, notes, [], 0)


def _model(scope: Scope, history: History, default: str, overrides: dict[str, str], forced: str | None) -> str:
    """The model of a scope that is forecast directly: the narrowest of `[forecast.models]` that is about it."""
    if scope in history.small:
        return _SMALL
    if forced is not None:
        return forced
    names = [scope.name]
    if scope.dimension == LEAVES:
        team, model = scope.parts
        names += [f"team={team or 'none'}", f"model={model or 'none'}", LEAVES, "team", "model", "total"]
    names.append(scope.dimension)
    return next((overrides[name] for name in names if name in overrides), default)


def _with_sums(base: Prediction, wanted: Sequence[str]) -> Prediction:
    """`base` with the wanted sums of its leaves; leaves that nobody wants to see are left out."""
    members: dict[Scope, list[int]] = {}
    for row, scope in enumerate(base.scopes):
        if scope.dimension == LEAVES:
            team, model = scope.parts
            for dimension, key in zip(SUMS, (None, team, model), strict=True):
                if dimension in wanted:
                    members.setdefault(Scope(dimension, key, scope.currency), []).append(row)
    kept = base.chosen([row for row, scope in enumerate(base.scopes) if scope.dimension in wanted])
    if not members:
        return kept
    summed = [
        (base.point[rows].sum(axis=0), base.paths[rows].sum(axis=0), _known_sum(base.known[rows]))
        for rows in members.values()
    ]
    points, paths, known = (np.stack(one) for one in zip(*summed, strict=True))
    models = [" and ".join(sorted({base.models[row] for row in rows})) for rows in members.values()]
    return replace(
        kept,
        scopes=[*members, *kept.scopes],
        point=np.concatenate([points, kept.point]),
        paths=np.concatenate([paths, kept.paths]),
        known=np.concatenate([known, kept.known]),
        models=[*models, *kept.models],
        notes=[*[""] * len(members), *kept.notes],
    )


def _known_sum(parts: Floats) -> Floats:
    """The sum of rows (n, T), nan only where all are."""
    return np.where(np.isnan(parts).all(axis=0), np.nan, np.nansum(parts, axis=0))


def _next(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)
