"""The registry of models, and what each series gets: the model asked for, or what its history can carry."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from farthing.errors import ConfigError
from models.forecast import fitted, prophets
from models.forecast.cheap import run_rate, seasonal_naive, weekday_mean, weekday_median
from models.forecast.events import KnownEvent, named_days
from models.forecast.fitted import Fit, History
from models.series import Panel, Values

#: A model sees at most this many days, and three horizons: older days are another company.
_HISTORY_DAYS = 180
_HISTORY_HORIZONS = 3
#: Below this, no model but the run-rate; below the other, only what needs few weeks.
SHORT_DAYS = 14
YOUNG_DAYS = 28

CHEAP: dict[str, Callable[[Values, int], Values]] = {
    "seasonal_naive": seasonal_naive,
    "weekday_mean": weekday_mean,
    "weekday_median": weekday_median,
}
FITTED: dict[str, Fit] = {
    "theta": fitted.theta,
    "ets": fitted.ets,
    "ces": fitted.ces,
    "arima": fitted.arima,
    "mstl": fitted.mstl,
    "prophet": prophets.prophet,
    "prophet_default": prophets.prophet_default,
}
#: Models that are the median, step by step, of others. `quick` is what the errors of a first forecast are made of.
MEDIANS: dict[str, tuple[str, ...]] = {
    "ensemble": ("ets", "theta", "weekday_mean", "weekday_median", "seasonal_naive", "prophet"),
    "quick": ("theta", "weekday_mean", "weekday_median", "seasonal_naive"),
}
_YOUNG = ("weekday_mean", "theta")
#: All that `forecast` can be asked for.
MODELS = (*MEDIANS, *CHEAP, *FITTED)


@dataclass(frozen=True)
class Points:
    """`values` (n, h) by the model, (n,) `notes`: empty, or why a series got something else than was asked for."""

    values: Values
    notes: list[str]


@dataclass(frozen=True)
class Asked:
    """How points are made: the model, prophet's public holidays and events, the processes to fit in, who is told."""

    model: str = "ensemble"
    holidays: str | None = None
    events: Sequence[KnownEvent] = ()
    workers: ProcessPoolExecutor | None = None
    advance: Callable[[int], None] = field(default=lambda _: None, compare=False)


def check_model(model: str) -> None:
    """Raise unless there is such a model and what it needs is installed.

    Raises:
        ConfigError: there is none, or the extra `forecast` is missing.
    """
    if model not in MODELS:
        raise ConfigError(f"there is no model '{model}'.", file="forecast", key="model", fix=f"one of {_names()}.")
    members = set(MEDIANS.get(model, (model,)))
    needed = {"prophet" if name.startswith("prophet") else "statsforecast" for name in members & set(FITTED)}
    if any(find_spec(name) is None for name in needed):
        raise ConfigError(
            f"the model '{model}' is not installed.",
            file="farthing[forecast]",
            fix=f"pip install 'farthing[forecast]', or choose {', '.join(CHEAP)}.",
        )


def _names() -> str:
    return ", ".join(MODELS)


def points(panel: Panel, horizon: int, asked: Asked) -> Points:
    """The point forecast of each series for the `horizon` days after the panel's last day.

    Nothing is below 0 where the history is not: spend that was never negative is not forecast to be. A series with
    credits (a value below zero) keeps its sign.
    """
    y = panel.y[:, -max(_HISTORY_DAYS, _HISTORY_HORIZONS * horizon) :]
    values, notes = np.full((len(y), horizon), np.nan), [""] * len(y)
    groups: dict[tuple[str, ...], list[int]] = {}
    members = MEDIANS.get(asked.model, (asked.model,))
    for row, one in enumerate(y):
        note, chosen = _carried(one, members)
        notes[row] = note
        groups.setdefault(chosen, []).append(row)
    for chosen, rows in groups.items():
        values[rows], told = _median(panel, y[rows], chosen, horizon, asked)
        for row, note in zip(rows, told, strict=True):
            notes[row] = "; ".join(filter(None, (notes[row], note)))
    return Points(floor(values, never_negative(panel)), notes)


def never_negative(panel: Panel) -> NDArray[np.bool_]:
    """Which series have no value below 0, (n,)."""
    return np.asarray(np.all(~(panel.y < 0), axis=1))


def floor(values: Values, floored: NDArray[np.bool_]) -> Values:
    """Nothing below 0 in the series (the first axis) that never were."""
    return np.where(floored.reshape(-1, *[1] * (values.ndim - 1)), np.maximum(values, 0.0), values)


def _carried(y: Values, members: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """What the history `y` (T,) can carry of the models asked for, and why not all."""
    known = np.flatnonzero(np.isfinite(y))
    if not len(known):
        return f"no value in the last {len(y)} days: no forecast", ()
    days = len(y) - int(known[0])
    if len(known) < SHORT_DAYS:
        return f"too short ({len(known)} days): run-rate with a wide band", ("run_rate",)
    if np.ptp(y[known]) == 0:
        return "constant", ("run_rate",)
    silent = len(y) - 1 - int(known[-1])
    note = f"no value for the last {silent} days" if silent else ""
    if days < YOUNG_DAYS and not set(members) <= set(CHEAP):
        return "; ".join(filter(None, (note, f"young ({days} days): weekday mean and theta"))), _YOUNG
    return note, members


def _median(panel: Panel, y: Values, members: tuple[str, ...], horizon: int, asked: Asked) -> tuple[Values, list[str]]:
    """The median over `members` (n, horizon), and per series which of them could not be fitted."""
    failed: list[list[str]] = [[] for _ in y]
    layers = [CHEAP[name](y, horizon) for name in members if name in CHEAP]
    if "run_rate" in members:
        layers.append(run_rate(y, horizon))
    fits = {name: _with_days(name, asked) for name in members if name in FITTED}
    if fits:
        histories = [_history(panel, values, horizon) for values in y]
        found = fitted.fit_all(fits, histories, workers=asked.workers, advance=asked.advance)
        for name, answers in found.items():
            layers.append(np.full((len(y), horizon), np.nan))
            for row, answer in enumerate(answers):
                if answer is None:
                    failed[row].append(name)
                else:
                    layers[-1][row] = answer
    else:
        asked.advance(len(y))
    if not layers:
        return np.full((len(y), horizon), np.nan), [""] * len(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no member: that is what the weekday mean is for
        values = np.nanmedian(np.stack(layers), axis=0)
    values = np.where(np.isfinite(values), values, weekday_mean(y, horizon))
    alone = len(members) == 1
    return values, [_unfitted(names, alone) for names in failed]


def _unfitted(names: Sequence[str], alone: bool) -> str:
    if not names:
        return ""
    return f"{', '.join(names)} could not be fitted" + (": weekday mean" if alone else "")


def _with_days(name: str, asked: Asked) -> Fit:
    if name != "prophet" or not (asked.holidays or asked.events):
        return FITTED[name]
    return partial(prophets.prophet, country=asked.holidays, events=named_days(asked.events))


def _history(panel: Panel, y: Values, horizon: int) -> History:
    known = np.flatnonzero(np.isfinite(y))
    first, last = int(known[0]), int(known[-1])
    days = panel.days[len(panel.days) - len(y) :]
    silent = len(y) - 1 - last
    return History(days[first : last + 1], y[first : last + 1], horizon + silent, horizon)
