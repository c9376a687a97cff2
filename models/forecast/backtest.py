"""Errors for those who have none yet: forecasts of days that are already known, from what was known before them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from models.forecast.cheap import WEEK
from models.forecast.errors import Errors, ErrorStore, days_after, history_days, of_today, scales
from models.forecast.points import CHEAP, SHORT_DAYS, Asked, points
from models.series import Panel

#: What is cheap enough is tried from more origins; the ensemble by its quick members, whose errors are somewhat larger.
_MANY_ORIGINS = 8
_FEW_ORIGINS = 3
_QUICK = {"ensemble": "quick"}
_MANY = ("quick", "theta", *CHEAP)
#: A history is at least this long before an origin that counts.
_LEAST_DAYS = 21
_LEAST_HORIZON = 7


def carried_horizon(panel: Panel, horizon: int) -> int:
    """How many of the `horizon` days the longest history can be tried on; 0 where it is too short for a week."""
    longest = int(history_days(panel.y).max(initial=0)) - _LEAST_DAYS
    return min(horizon, longest) if longest >= _LEAST_HORIZON else 0


def backtest(
    panel: Panel, horizon: int, asked: Asked, begin: Callable[[str, int], None] = lambda *_: None
) -> ErrorStore:
    """The errors of forecasts from origins a week apart, the newest `horizon` days before the panel's end.

    Only series with three weeks of history at an origin count. The horizon is one that `carried_horizon` allows.
    """
    tried = replace(asked, model=_QUICK.get(asked.model, asked.model))
    origins = range(_MANY_ORIGINS if tried.model in _MANY else _FEW_ORIGINS)
    cuts = [panel.until(panel.days[-1] - np.timedelta64(horizon + WEEK * back, "D")) for back in origins]
    cuts = [grown for grown in map(_grown, cuts) if grown.uids]
    begin("forecasts of days that are known", sum(len(cut.uids) for cut in cuts))
    store, today = ErrorStore(), dict(zip(panel.uids, scales(panel.y), strict=True))
    for cut in cuts:
        scale = of_today(scales(cut.y), np.array([today[uid] for uid in cut.uids]))
        missed = panel.values(cut.uids, days_after(cut.days[-1], horizon)) - points(cut, horizon, tried).values
        scaled = np.divide(missed, scale[:, None], out=np.full_like(missed, np.nan), where=scale[:, None] > 0)
        store.add(Errors(cut.days[-1], cut.uids, history_days(cut.y), scale, scaled))
    return store


def _grown(panel: Panel) -> Panel:
    """The series with enough history to be tried."""
    enough = (history_days(panel.y) >= _LEAST_DAYS) & (np.isfinite(panel.y).sum(axis=1) >= SHORT_DAYS)
    return Panel([uid for uid, kept in zip(panel.uids, enough, strict=True) if kept], panel.days, panel.y[enough])
