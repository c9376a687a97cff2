"""Prophet as it comes, and as it serves here: on a log scale, brought to the level of the last two weeks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from functools import cache
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from models.forecast.fitted import History
from models.series import Days, Values

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

_LEVEL_DAYS = 14
_SEED = 1


def prophet_default(history: History) -> Values:
    """Prophet with its own settings (Taylor and Letham 2018), steps ahead; nothing is repaired or floored."""
    _, ahead = _fit(history, history.y, None, [])
    return ahead


def prophet(history: History, *, country: str | None = None, events: Sequence[tuple[date, str]] = ()) -> Values:
    """Prophet on log1p, plus the mean residual of the last 14 days, which its trend tends to miss.

    Amounts below zero have no logarithm: such a series is fitted as it is, with the same correction. `country` adds
    the public holidays of a country code, `events` the user's own days by name.
    """
    logs = bool(np.nanmin(history.y) >= 0)
    y = np.log1p(history.y) if logs else history.y
    inside, ahead = _fit(history, y, country, events)
    ahead = ahead + np.nanmean((y - inside)[-_LEVEL_DAYS:])
    return np.expm1(ahead) if logs else ahead


def _fit(history: History, y: Values, country: str | None, events: Sequence[tuple[date, str]]) -> tuple[Values, Values]:
    """What the model says on the days of the history (t,) and on the steps after it (steps,)."""
    _silence()
    import pandas as pd
    from prophet import Prophet

    days = _days(history.days, history.steps)
    model = Prophet(uncertainty_samples=0, holidays=_named(events) if events else None)
    if country:
        model.add_country_holidays(country)
    with TemporaryDirectory() as folder:  # cmdstan writes files for each fit, and keeps them until the process ends
        model.fit(pd.DataFrame({"ds": days[: len(y)], "y": y}), seed=_SEED, output_dir=folder)
    found = model.predict(pd.DataFrame({"ds": days}))["yhat"].to_numpy(dtype=np.float64)
    return found[: len(y)], found[len(y) :]


@cache
def _silence() -> None:
    """Before its import prophet misses plotly aloud; cmdstanpy tells of each fit unless somebody else listens."""
    for name in ("prophet", "prophet.plot", "cmdstanpy"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _days(days: Days, steps: int) -> pd.DatetimeIndex:
    import pandas as pd

    return pd.date_range(pd.Timestamp(days[0]), periods=len(days) + steps, freq="D")


def _named(events: Sequence[tuple[date, str]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"ds": pd.to_datetime([day for day, _ in events]), "holiday": [name for _, name in events]})
