"""Spend from what drives it, path by path: users x requests per user x tokens per request x cost per token + fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.edits import Edit, Reach, edited
from models.forecast import ErrorStore, forecast
from models.series import Panel

Floats = NDArray[np.float64]
Days = NDArray[np.datetime64]

DRIVERS = ("users", "requests_per_user", "tokens_per_request", "cost_per_token")
FIXED = "fixed"


@dataclass(frozen=True)
class DriverForecast:
    """Each driver of each group, forecast for `days` (h): `point` (n, h) and `paths` (n, S, h), by `names` (n).

    A name is (group, driver); (group, "fixed") is what does not follow use. Sample s of all rows is one draw: the
    residuals of all drivers are those of one past origin, so that drivers that move together do so in each path.
    """

    names: list[tuple[str, str]]
    days: Days
    point: Floats
    paths: Floats

    def spend_paths(self, group: str | None = None) -> Floats:
        """What `group`, or all groups together, cost, (S, h)."""
        return _multiplied(self._groups(group), self.names, self.paths)

    def spend_point(self, group: str | None = None) -> Floats:
        """The product of the points of the drivers, and fixed costs, (h,)."""
        return _multiplied(self._groups(group), self.names, self.point)

    def scenario(self, edits: Sequence[tuple[Edit, str | None, str]], *, seed: int) -> DriverForecast:
        """The same draws with dated edits of drivers: (edit, group or None for all, driver).

        Because nothing is drawn anew, the difference of two scenarios has the interval of the difference and not that
        of two forecasts (common random numbers).

        Raises:
            ValueError: no group has that driver.
        """
        reached = []
        for edit, group, driver in edits:
            # Each row alone: an amount of a driver is that of each group, for rates do not add up over groups.
            hit = np.array([float(name[1] == driver and group in (None, name[0])) for name in self.names])
            if not hit.any():
                raise ValueError(f"no driver '{driver}' of {group or 'any group'}")
            reached.append((edit, Reach(hit, hit)))
        point, paths = edited(self.point, self.paths, self.days, reached, seed=seed)
        return replace(self, point=point, paths=paths)

    def _groups(self, group: str | None) -> list[str]:
        known = list(dict.fromkeys(name for name, _ in self.names))
        return known if group is None else [group]


def driver_forecast(
    days: Days,
    history: Mapping[str, Mapping[str, Floats]],
    horizon: int,
    *,
    model: str = "ensemble",
    seed: int = 0,
    paths: int = 200,
    errors: ErrorStore | None = None,
    holidays: str | None = None,
) -> DriverForecast:
    """Forecast every driver of every group with one registry and joint residual draws.

    `history[group][driver]` is a series on `days` (T), nan where it is not defined (there are no requests per user on a
    day without users).
    """
    names = [(group, driver) for group, drivers in history.items() for driver in drivers]
    y = np.array([history[group][driver] for group, driver in names])
    panel = Panel([f"{group}|{driver}" for group, driver in names], days, y)
    found = forecast(panel, horizon, model=model, seed=seed, paths=paths, errors=errors, holidays=holidays)
    return DriverForecast(names, found.days, found.point, found.paths)


def fleet_cost(load: Floats, *, capacity: float, committed: int, rate: float) -> Floats:
    """What machines cost that come whole: max(committed, ceil(load / capacity)) x rate, in the shape of `load`.

    `load` and `capacity` are work a day (tokens, GPU-seconds), `rate` is the cost of a machine a day. Savings do not
    scale: below the commitment, and below the next whole machine, less load saves nothing.

    Raises:
        ValueError: a machine has no capacity.
    """
    if capacity <= 0:
        raise ValueError(f"a machine does some work a day, not {capacity}")
    return np.maximum(committed, np.ceil(load / capacity)) * rate


def _multiplied(groups: Sequence[str], names: Sequence[tuple[str, str]], values: Floats) -> Floats:
    spend = np.zeros(values.shape[1:])
    for group in groups:
        product: Floats | None = None
        for (name, driver), row in zip(names, values, strict=True):
            if name != group:
                continue
            if driver == FIXED:
                spend = spend + row
            else:
                product = row if product is None else product * row
        if product is not None:
            spend = spend + product
    return spend
