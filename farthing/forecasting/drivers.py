"""What drives a scope's cost: users, their requests, tokens, the cost of a token, and what does not follow use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
from numpy.typing import NDArray

from farthing.config import Config
from farthing.errors import FarthingError
from farthing.forecasting.history import Scope
from farthing.forecasting.late import key_of
from farthing.forecasting.predict import Prediction
from models.driver import FIXED, DriverForecast, driver_forecast
from models.lmdi import added, waterfall, waterfall_of_groups

Floats = NDArray[np.float64]

#: Dimensions whose use is logged by model, so that what they cost has drivers.
WITH_USE = ("total", "team", "model")
#: The kind of cost that requests are charged with.
_DRIVEN = "direct"
_FIXED = {_DRIVEN: "direct cost without requests"}
#: A model is driven by its use when it was used on so many of the last days; else its cost is fixed.
_LEAST_DAYS, _OF_DAYS = 28, 60
#: The periods that the outlook compares.
_BEFORE_DAYS = 28


class NoUseError(FarthingError):
    """Yours: the scope has no logged use that could drive its cost."""

    exit_code = 2


@dataclass(frozen=True)
class Use:
    """By model the daily `users`, `requests`, `tokens` and `cost` of requests, and by kind `fixed` cost, each (T,).

    Fixed is what no request was charged with: idle and shared cost, training, what is unexplained. `active` (T,) are
    the users of all models together; someone who uses two is one.
    """

    scope: Scope
    days: NDArray[np.datetime64]
    models: dict[str, dict[str, Floats]]
    fixed: dict[str, Floats]
    active: Floats

    def between(self, first: date, last: date) -> Use:
        """The same for the days from `first` to `last`."""
        inside = (self.days >= np.datetime64(first)) & (self.days <= np.datetime64(last))
        return Use(
            self.scope,
            self.days[inside],
            {model: {name: values[inside] for name, values in of.items()} for model, of in self.models.items()},
            {kind: values[inside] for kind, values in self.fixed.items()},
            self.active[inside],
        )


def read_use(con: duckdb.DuckDBPyConnection, scope: Scope, last: date) -> Use:
    """The use and cost of a total, team or model on every day of the ledger up to `last`.

    Raises:
        NoUseError: no request was logged in the scope, or its dimension has no use by model.
    """
    if scope.dimension not in WITH_USE:
        raise NoUseError(f"drivers are known of {', '.join(WITH_USE)}, not of {scope.dimension}.")
    where = "true" if scope.dimension == "total" else f"{key_of(scope.dimension)} is not distinct from $key"
    asked: dict[str, object] = {"last": last} | ({} if scope.dimension == "total" else {"key": scope.key})
    # Requests without a user are those of one more.
    used = con.execute(
        "select model, day, count(distinct coalesce(user_id, '')), sum(requests),"
        f" sum(input_tokens) + sum(output_tokens) from usage_days where day <= $last and {where} group by all",
        asked,
    ).fetchall()
    active = con.execute(
        "select day, count(distinct coalesce(user_id, '')) from usage_days"
        f" where day <= $last and {where} group by all",
        asked,
    ).fetchall()
    spent = con.execute(
        "select model, day, kind, cast(sum(cost) as double)"
        f" from cost_ledger where day <= $last and BillingCurrency = $currency and {where} group by all",
        {**asked, "currency": scope.currency},
    ).fetchall()
    if not used or not spent:
        raise NoUseError(f"no request of {scope.name} is in the ledger in {scope.currency}: nothing drives its cost.")
    first = min(row[1] for row in (*used, *spent))
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1)

    def zeros() -> Floats:
        return np.zeros(len(days))

    models: dict[str, dict[str, Floats]] = {}
    fixed: dict[str, Floats] = {}
    together = zeros()
    for model, day, users, requests, tokens in used:
        of = models.setdefault(model or "none", {name: zeros() for name in ("users", "requests", "tokens", "cost")})
        for name, value in zip(("users", "requests", "tokens"), (users, requests, tokens), strict=True):
            of[name][(day - first).days] = float(value or 0)
    for model, day, kind, cost in spent:
        driven = kind == _DRIVEN and (model or "none") in models
        costs = models[model or "none"]["cost"] if driven else fixed.setdefault(kind, zeros())
        costs[(day - first).days] += cost
    for day, users in active:
        together[(day - first).days] = users
    return Use(scope, days, models, fixed, together)


def outlook(use: Use, config: Config, horizon: int, model: str) -> DriverForecast:
    """Forecast the drivers of a scope with joint draws; a model that is hardly used counts as fixed."""
    history: dict[str, dict[str, Floats]] = {}
    fixed = np.sum([np.zeros(len(use.days)), *use.fixed.values()], axis=0)
    for name, of in use.models.items():
        used = (of["users"] > 0) & (of["requests"] > 0) & (of["tokens"] > 0)
        if used[-_OF_DAYS:].sum() < _LEAST_DAYS:
            fixed += of["cost"]
            continue
        begun = np.arange(len(use.days)) >= np.argmax(used)
        history[name] = {
            "users": np.where(begun, of["users"], np.nan),
            "requests_per_user": _ratio(of["requests"], of["users"]),
            "tokens_per_request": _ratio(of["tokens"], of["requests"]),
            "cost_per_token": _ratio(of["cost"], of["tokens"]),
        }
    history[FIXED] = {FIXED: fixed}
    settings = config.forecast
    return driver_forecast(
        use.days,
        history,
        horizon,
        model=model,
        seed=settings.seed,
        paths=settings.paths,
        holidays=settings.holidays,
    )


def moved(before: Use, after: Use) -> dict[str, float]:
    """What moved the cost of a scope between two stretches of days, by cause; the effects add up to the difference.

    Users, requests per user, mix of models, tokens per request and cost per token by exact log-mean weights, and by
    kind the difference of what does not follow use. Days of users are counted, so a longer month has more of them.
    """
    sides = [
        {
            name: {
                "requests": float(of["requests"].sum()),
                "tokens per request": _whole_ratio(of["tokens"], of["requests"]),
                "cost per token": _whole_ratio(of["cost"], of["tokens"]),
            }
            for name, of in use.models.items()
            if of["requests"].sum() and of["tokens"].sum()
        }
        for use in (before, after)
    ]
    users = [float(use.active.sum()) for use in (before, after)]
    asked = [sum(of["requests"] for of in side.values()) for side in sides]
    per_user = [requests / count if count else None for requests, count in zip(asked, users, strict=True)]
    volume = [
        {"users": count, "requests per user": next((one for one in (mine, other, 0.0) if one is not None), 0.0)}
        for count, mine, other in zip(users, per_user, reversed(per_user), strict=True)
    ]
    effects = added(waterfall_of_groups(sides[0], sides[1], quantity="requests", volume=(volume[0], volume[1])))
    untold = [
        sum(float(of["cost"].sum()) for name, of in use.models.items() if name not in side)
        for use, side in zip((before, after), sides, strict=True)
    ]
    kinds = {
        kind: float(after.fixed[kind].sum() - before.fixed[kind].sum())
        for kind in sorted(before.fixed, key=lambda kind: -abs(after.fixed[kind].sum() - before.fixed[kind].sum()))
    }
    without_tokens = {"requests without tokens": untold[1] - untold[0]} if any(untold) else {}
    return {**effects, **without_tokens, **{_FIXED.get(kind, f"{kind} cost"): amount for kind, amount in kinds.items()}}


def cost_of(use: Use) -> float:
    """All cost of the days of `use`."""
    return float(sum(of.sum() for of in use.fixed.values()) + sum(of["cost"].sum() for of in use.models.values()))


def explained(use: Use, found: DriverForecast) -> dict[str, dict[str, float]]:
    """By model how much each driver moves the cost of a day, from the last four weeks to the forecast days."""
    last = use.days[-1].item()
    recent = use.between(last - timedelta(days=_BEFORE_DAYS - 1), last)
    effects = {}
    rows = {name: found.point[row] for row, name in enumerate(found.names)}
    for model in dict.fromkeys(name for name, driver in found.names if driver != FIXED):
        of = recent.models[model]
        users = rows[model, "users"]
        requests = users * rows[model, "requests_per_user"]
        tokens = requests * rows[model, "tokens_per_request"]
        cost = tokens * rows[model, "cost_per_token"]
        before = _drivers(of["users"], of["requests"], of["tokens"], of["cost"])
        effects[model] = waterfall(before, _drivers(users, requests, tokens, cost))
    return effects


def landed(made: Prediction, found: DriverForecast, month: date) -> tuple[float, Floats]:
    """The expected cost of `month` by drivers: the point, and on each path (S,); `made` has the scope in row 0."""
    ahead = found.days.astype("datetime64[M]") == np.datetime64(month, "M")
    behind = made.history.panel.days.astype("datetime64[M]") == np.datetime64(month, "M")
    known = float(np.nansum(made.known[0, behind]))
    return known + float(found.spend_point()[ahead].sum()), known + found.spend_paths()[:, ahead].sum(axis=1)


def _drivers(users: Floats, requests: Floats, tokens: Floats, cost: Floats) -> dict[str, float]:
    return {
        "users": float(users.mean()),
        "requests_per_user": _whole_ratio(requests, users),
        "tokens_per_request": _whole_ratio(tokens, requests),
        "cost_per_token": _whole_ratio(cost, tokens),
    }


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _whole_ratio(part: Floats, whole: Floats) -> float:
    total = float(whole.sum())
    return float(part.sum()) / total if total else 0.0
