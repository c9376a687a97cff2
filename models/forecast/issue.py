"""One forecast: points, sample paths, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from farthing.errors import ConfigError
from models.forecast import fitted
from models.forecast.backtest import backtest, carried_horizon
from models.forecast.errors import Errors, ErrorStore, days_after, history_days, scales
from models.forecast.events import KnownEvent, edits
from models.forecast.intervals import ENOUGH, Pool, calibrate, joined, pool_of, stretched, unknown
from models.forecast.paths import calibrated, draw
from models.forecast.points import Asked, check_model, floor, never_negative, points
from models.series import Days, Panel, Values

_AT_ONCE = 256


@dataclass(frozen=True)
class Forecast:
    """`point` (n, h) and `paths` (n, S, h) of the series `uids` for `days` (h), known up to `origin`.

    A path s is one future of all series together: what is summed path by path, over days or over series, has the
    right interval. `notes` say per series why it got something else than the model asked for. `scale` and
    `history_days` (n,) are what the store of errors needs.
    """

    uids: list[str]
    origin: np.datetime64
    days: Days
    point: Values
    paths: Values
    notes: list[str]
    scale: Values
    history_days: NDArray[np.int64]
    model: str
    seed: int

    def quantile(self, q: float) -> Values:
        """The quantile `q` (0 to 1) of each series and day, (n, h)."""
        return np.asarray(np.quantile(self.paths, q, axis=1, method="hazen"))

    def sum_quantile(self, q: float) -> Values:
        """The quantile `q` (0 to 1) of each series' sum over the horizon, (n,)."""
        return np.asarray(np.quantile(self.paths.sum(axis=2), q, axis=1, method="hazen"))

    def errors(self, actual: Panel) -> Errors:
        """What this forecast missed by, as far as `actual` knows the days: what an `ErrorStore` is fed with."""
        missed = actual.values(self.uids, self.days) - self.point
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = np.where(self.scale[:, None] > 0, missed / self.scale[:, None], np.nan)
        return Errors(self.origin, self.uids, self.history_days, self.scale, scaled)


def forecast(
    panel: Panel,
    horizon: int,
    *,
    model: str = "ensemble",
    seed: int = 0,
    paths: int = 200,
    errors: ErrorStore | None = None,
    holidays: str | None = None,
    known_events: Sequence[KnownEvent] = (),
    processes: int | None = None,
    begin: Callable[[str, int], None] = lambda *_: None,
    advance: Callable[[int], None] = lambda _: None,
) -> Forecast:
    """The `horizon` days after the last day of `panel`, by a model of `MODELS`.

    Points and paths are at least 0 where the history has no value below 0; a series with credits keeps its sign.
    `errors` are those of earlier forecasts of the same model; only what was known on the panel's last day is used.
    Without any, forecasts of earlier days of the panel are made first. `begin` is told what is made and for how many
    series, `advance` how many of them are done. The same arguments give the same answer, whatever the number of
    `processes`.

    Raises:
        ConfigError: no such model, a missing extra, a horizon or a number of paths below 1, or an empty panel.
    """
    if horizon < 1 or paths < 1:
        raise ConfigError("the horizon and the number of paths are at least 1.", file="forecast", key="horizon")
    if not len(panel.days):
        raise ConfigError("no series has a value at the origin.", file="forecast", fix="a later as-of day.")
    check_model(model)
    days, scale, history = days_after(panel.days[-1], horizon), scales(panel.y), history_days(panel.y)
    with fitted.pool(processes) as workers:
        asked = Asked(model, holidays, known_events, workers, advance)
        begin("forecasts", len(panel.uids))
        made = points(panel, horizon, asked)
        pool, note = _pool(panel, horizon, errors or ErrorStore(), asked, begin)
    floored = never_negative(panel)
    drawn = _paths(pool, panel.uids, made.values, scale, history, floored, paths, np.random.default_rng(seed))
    factor, amount = edits(known_events, panel.uids, days)
    return Forecast(
        panel.uids,
        panel.days[-1],
        days,
        floor(made.values * factor + amount, floored),
        floor(drawn * factor[:, None, :] + amount[:, None, :], floored),
        [
            "; ".join(filter(None, (one, note if moves else "")))
            for one, moves in zip(made.notes, scale > 0, strict=True)
        ],
        scale,
        history,
        model,
        seed,
    )


def _pool(
    panel: Panel, horizon: int, store: ErrorStore, asked: Asked, begin: Callable[[str, int], None]
) -> tuple[Pool, str]:
    """The errors to calibrate with: those of the store, and while they are few, those of a backtest; and what lacks."""
    pool = pool_of(store, panel.days[-1], horizon, panel.uids, scales(panel.y))
    if pool.independent() >= ENOUGH:
        return pool, ""
    carried = carried_horizon(panel, horizon)
    if carried:
        tried = pool_of(backtest(panel, carried, asked, begin), panel.days[-1], carried)
        if carried == horizon:
            pool = joined(pool, tried)
        elif not len(pool.vectors) and len(tried.vectors):
            note = f"errors are known for {carried} days ahead: later days are wider by the root of time"
            return stretched(tried, horizon), note
    return (pool, "") if len(pool.vectors) else (unknown(horizon), "no error is known: the band is wide")


def _paths(
    pool: Pool,
    uids: list[str],
    point: Values,
    scale: Values,
    history: NDArray[np.int64],
    floored: NDArray[np.bool_],
    count: int,
    generator: np.random.Generator,
) -> Values:
    """Calibrated paths (n, count, h), some series at a time: sorting takes several times their room."""
    levels = (np.arange(count) + 0.5) / count
    calibration = calibrate(pool, levels)
    shapes = draw(pool, uids, count, generator)
    for start in range(0, len(uids), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        offsets = calibration.bands(uids[part], scale[part], history[part])
        shapes[part] = calibrated(shapes[part], point[part], offsets, floored[part])
    return shapes
