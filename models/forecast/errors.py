"""What earlier forecasts missed by: the errors that intervals are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.forecast.cheap import WEEK
from models.series import Days, Values

#: The scale of a series is at least this part of its mean absolute value: what never moved may still move.
_LEAST_SCALE = 0.005
#: And a quarter of it where the history is too short for a model: what comes of it is not known.
_SHORT_SCALE = 0.25
_SHORT_DAYS = 14
#: And this part of today's: a line that was still, and then moved, would have been wrong by any multiple of nothing.
_LEAST_OF_TODAY = 0.5


@dataclass(frozen=True)
class Errors:
    """The errors of the forecasts issued at one `origin`, the last day whose value was known.

    `scaled` (n, h) is (actual - forecast) / `scale`, nan where the actual is not known; `scale` (n,) and `history_days`
    (n,) are those of the series at the origin (see `scales`).
    """

    origin: np.datetime64
    uids: Sequence[str]
    history_days: NDArray[np.int64]
    scale: Values
    scaled: Values

    def known_at(self, day: np.datetime64) -> Errors:
        """The same without what came to be known after `day`: a calibration uses nothing of its own future."""
        steps = self.origin + np.arange(1, self.scaled.shape[1] + 1)
        return Errors(
            self.origin, self.uids, self.history_days, self.scale, np.where(steps <= day, self.scaled, np.nan)
        )


@dataclass
class ErrorStore:
    """Errors of forecasts of one model, by the origin that they were issued at."""

    issued: list[Errors] = field(default_factory=list)

    def add(self, errors: Errors) -> None:
        """Keep `errors`; those of the same origin and horizon that were there before are replaced."""
        same = (errors.origin, errors.scaled.shape[1])
        self.issued = [old for old in self.issued if (old.origin, old.scaled.shape[1]) != same]
        self.issued.append(errors)
        self.issued.sort(key=lambda one: (one.origin, one.scaled.shape[1]))

    def known_at(self, day: np.datetime64) -> ErrorStore:
        """The errors that were known at the end of `day`."""
        cut = [errors.known_at(day) for errors in self.issued if errors.origin < day]
        return ErrorStore([errors for errors in cut if np.isfinite(errors.scaled).any()])

    def columns(self) -> dict[str, NDArray[Any]]:
        """One row for each known error: origin, horizon, uid, step (from 1), scaled, scale, history_days."""
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in _COLUMNS}
        for errors in self.issued:
            series, step = np.nonzero(np.isfinite(errors.scaled))
            count = len(series)
            parts["origin"].append(np.full(count, errors.origin, "datetime64[D]"))
            parts["horizon"].append(np.full(count, errors.scaled.shape[1], np.int64))
            parts["uid"].append(np.asarray(errors.uids, dtype=object)[series])
            parts["step"].append(step.astype(np.int64) + 1)
            parts["scaled"].append(errors.scaled[series, step])
            parts["scale"].append(errors.scale[series])
            parts["history_days"].append(errors.history_days[series])
        return {name: np.concatenate(found) if found else np.array([]) for name, found in parts.items()}

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> ErrorStore:
        """The store whose `columns` these are."""
        store = cls()
        origins = columns["origin"].astype("datetime64[D]")
        horizons = columns["horizon"].astype(np.int64)
        for origin in np.unique(origins):
            for horizon in np.unique(horizons[origins == origin]):
                rows = np.flatnonzero((origins == origin) & (horizons == horizon))
                uids, first, series = np.unique(
                    columns["uid"][rows].astype(str), return_index=True, return_inverse=True
                )
                scaled = np.full((len(uids), int(horizon)), np.nan)
                scaled[series, columns["step"][rows].astype(np.int64) - 1] = columns["scaled"][rows]
                store.add(
                    Errors(
                        origin,
                        [str(uid) for uid in uids],
                        columns["history_days"][rows][first].astype(np.int64),
                        columns["scale"][rows][first].astype(np.float64),
                        scaled,
                    )
                )
        return store


_COLUMNS = ("origin", "horizon", "uid", "step", "scaled", "scale", "history_days")


def scales(y: Values) -> Values:
    """The mean absolute difference to the same weekday a week before, in-sample, (n,): MASE's denominator.

    (Hyndman and Koehler 2006.) Where there is none, the mean absolute deviation from the mean; never below 0.5 % of the
    mean absolute value, so that a line that was constant can be wrong by a finite multiple of its scale, and with fewer
    than 14 known days never below a quarter of it.
    """
    found = np.zeros(len(y))
    for row, values in enumerate(y):
        known = values[np.isfinite(values)]
        if len(known):
            weekly = np.abs(values[WEEK:] - values[:-WEEK])
            weekly = weekly[np.isfinite(weekly)]
            moved = weekly.mean() if len(weekly) else np.abs(known - known.mean()).mean()
            least = _SHORT_SCALE if len(known) < _SHORT_DAYS else _LEAST_SCALE
            found[row] = max(float(moved), least * float(np.abs(known).mean()))
    return found


def of_today(then: Values, today: Values) -> Values:
    """The scale to judge an earlier error by: that of its origin, but at least half of `today`'s."""
    return np.asarray(np.maximum(then, _LEAST_OF_TODAY * today))


def history_days(y: Values) -> NDArray[np.int64]:
    """Days from the first known value to the end of the grid, (n,); 0 for a series without a value."""
    known = np.isfinite(y)
    if not y.shape[1]:
        return np.zeros(len(y), np.int64)
    return np.where(known.any(axis=1), y.shape[1] - known.argmax(axis=1), 0).astype(np.int64)


def days_after(origin: np.datetime64, horizon: int) -> Days:
    """The `horizon` days after `origin`."""
    return np.arange(origin + np.timedelta64(1, "D"), origin + np.timedelta64(horizon + 1, "D"))
