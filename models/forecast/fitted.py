"""Forecasts by models that are fitted to one series at a time, side by side in processes."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from farthing.errors import ConfigError
from models.forecast.cheap import WEEK
from models.series import Days, Values

#: Fits of this many series take less time than starting processes.
_ALONE = 24
_CHUNK = 16


@dataclass(frozen=True)
class History:
    """One series from its first to its last known value: `days` (t,), `y` (t,) with nan on days without a value.

    `steps` days after its last value are to be forecast; `last` of them are wanted.
    """

    days: Days
    y: Values
    steps: int
    wanted: int


Fit = Callable[[History], Values]


@contextmanager
def pool(processes: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """Processes to fit in, by default as many as this machine has processors; none is started before it is needed.

    Each is a fresh interpreter: a fork would copy the locks of the threads that polars and duckdb run. What their
    libraries leave in temporary files goes when they go: processes that are ended do not clean up themselves.
    """
    workers = processes or len(os.sched_getaffinity(0))
    fresh = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(workers, mp_context=fresh, initializer=_settle, initargs=(folder,)) as started,
    ):
        yield started


def _settle(folder: str) -> None:
    tempfile.tempdir = folder


def fit_all(
    fits: dict[str, Fit],
    histories: Sequence[History],
    *,
    workers: ProcessPoolExecutor | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, list[Values | None]]:
    """Every fit of every history: per model a list of (wanted,) arrays; None where the model could not be fitted.

    The answers do not depend on the `workers`; without them, or for a few histories, all is done here.
    """
    found: dict[str, list[Values | None]] = {name: [None] * len(histories) for name in fits}
    for start, answers in _answers(fits, histories, workers):
        advance(len(answers))
        for offset, answer in enumerate(answers):
            for name, value in answer.items():
                found[name][start + offset] = value
    return found


def _answers(
    fits: dict[str, Fit], histories: Sequence[History], workers: ProcessPoolExecutor | None
) -> Iterator[tuple[int, list[dict[str, Values | None]]]]:
    if workers is None or len(histories) <= _ALONE:
        for start, history in enumerate(histories):
            yield start, _fit_chunk(fits, [history])
        return
    starts = {
        workers.submit(_fit_chunk, fits, histories[start : start + _CHUNK]): start
        for start in range(0, len(histories), _CHUNK)
    }
    for done in as_completed(starts):
        yield starts[done], done.result()


def _fit_chunk(fits: dict[str, Fit], histories: Sequence[History]) -> list[dict[str, Values | None]]:
    return [{name: _fitted(fit, history) for name, fit in fits.items()} for history in histories]


def _fitted(fit: Fit, history: History) -> Values | None:
    """The last `wanted` steps; None where the model refuses the series or says something that is no number."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            ahead = np.asarray(fit(history), dtype=np.float64)[-history.wanted :]
        except ConfigError:
            raise
        except Exception:  # noqa: BLE001  the libraries raise what they like on odd series; the caller says so in a note
            return None
    return ahead if np.isfinite(ahead).all() else None


def filled(y: Values) -> Values:
    """`y` (t,) with each gap filled by the mean of the nearest known values of the same weekday before and after.

    Models that know no missing days need a value; a straight line between neighbours would hide the week.
    """
    found = y.copy()
    for weekday in range(WEEK):
        of_weekday = found[weekday::WEEK]
        known = np.flatnonzero(np.isfinite(of_weekday))
        if len(known) and len(known) < len(of_weekday):
            found[weekday::WEEK] = np.interp(np.arange(len(of_weekday)), known, of_weekday[known])
    known = np.flatnonzero(np.isfinite(found))
    return np.interp(np.arange(len(found)), known, found[known])


def _statsforecast(name: str, options: dict[str, Any], history: History) -> Values:
    from statsforecast import models

    y = filled(history.y)
    scale = float(np.mean(np.abs(y))) or 1.0  # optimisers start and stop at absolute values: 1e9 and 1e-4 are one to us
    ahead = getattr(models, name)(**options).forecast(y=y / scale, h=history.steps)["mean"]
    return np.asarray(ahead, dtype=np.float64) * scale


theta: Fit = partial(_statsforecast, "DynamicOptimizedTheta", {"season_length": WEEK})
# Additive error and season only: a third of the time of every kind, and no worse in the median (decision 0053).
ets: Fit = partial(_statsforecast, "AutoETS", {"season_length": WEEK, "model": "AZA"})
ces: Fit = partial(_statsforecast, "AutoCES", {"season_length": WEEK})
arima: Fit = partial(_statsforecast, "AutoARIMA", {"season_length": WEEK})
mstl: Fit = partial(_statsforecast, "MSTL", {"season_length": [WEEK]})
