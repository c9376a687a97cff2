"""`forecast` in a project: landings of the months ahead, the scoreboard, drivers, and what moved the cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from farthing import console, issued, warehouse
from farthing.cli import common
from farthing.cli.progress import Bar, Line
from farthing.config import Config
from farthing.console import Form, Sheet
from farthing.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

    from farthing.forecasting.history import History, Scope
    from farthing.forecasting.predict import Landing, Prediction
    from models.driver import DriverForecast

_SHOWN = ("total", "team")
_MONTH = 31


@dataclass(frozen=True)
class Wanted:
    """What the options ask for."""

    scopes: list[str]
    as_of: date | None
    horizon: int | None
    months: int | None
    model: str | None
    store: bool


def landings_mode(project: Path | None, wanted: Wanted, form: Form) -> None:
    """Issue the forecast of the last day that is over, or show it where it was issued; what-ifs are shown only."""
    config = _ready(project)
    from farthing.forecasting import history as histories
    from farthing.forecasting import issue as issues
    from farthing.forecasting import predict
    from farthing.forecasting.events import known_events

    with Bar() as bar, warehouse.open_warehouse(config) as con:
        history = histories.read(con, config, as_of=wanted.as_of)
        events = known_events(con, config, history.as_of)
        identity = issues.issue_id(config, history, events, model=wanted.model)
        usual = wanted.as_of is None and wanted.months is None and wanted.horizon is None
        landed = issues.stored(con, identity) if usual else []
        if landed:
            console.say(f"issued before: {identity}", style="dim", form=Form.JSON)
        else:
            made = _predict(con, config, history, wanted, bar)
            landed = predict.landings(con, made)
            for line in issues.told(made):
                console.say(line, style="dim", form=Form.JSON)
            if usual and wanted.store:
                lake = common.open_lake(config)
                version = issues.data_version(con)
                issues.store(lake, made, landed, identity=identity, version=version, seed=config.forecast.seed)
                issued.publish(config, lake, bar.message)
            else:
                console.say("not stored: only shown.", style="dim", form=Form.JSON)
    console.show(_landing_sheet(_chosen(landed, wanted.scopes), history.as_of), form)


def scoreboard_mode(project: Path | None, scopes: Sequence[str], form: Form) -> None:
    """How good the forecasts were that were issued."""
    config = _ready(project)
    from farthing.forecasting.scores import LANDING_BOARD, SCOREBOARD

    if len(scopes) > 1 or any("=" in scope for scope in scopes):
        raise typer.BadParameter("with --scoreboard it is one dimension, like team.", param_hint="--scope")
    asked = {"dimension": scopes[0] if scopes else None}
    with warehouse.open_warehouse(config) as con:
        days, months = con.execute(SCOREBOARD, asked), None
        of_days = Sheet(
            "days",
            [column[0] for column in days.description or []],
            days.fetchall(),
            title="Days ahead, against what they came to",
            note="to_naive: error over that of repeating the last such weekday, geometric mean; below 1 is better. "
            "Within 80 % and 95 %: of the days, how many were inside.",
        )
        months = con.execute(LANDING_BOARD, asked)
        of_months = Sheet(
            "landings",
            [column[0] for column in months.description or []],
            months.fetchall(),
            title="Months, against what they came to",
        )
    if not of_days.rows:
        console.say("no day of an issued forecast is over for three days yet.", style="dim", form=Form.JSON)
    console.show([of_days, of_months], form, main="days")


def drivers_mode(project: Path | None, wanted: Wanted, form: Form) -> None:
    """The forecast by drivers beside the direct one, and what each driver is expected to do."""
    from farthing.forecasting import drivers
    from farthing.forecasting import history as histories

    config = _ready(project)
    names = wanted.scopes or ["total"]
    dimensions = [name for name in drivers.WITH_USE if any(one.partition("=")[0] == name for one in names)]
    only = config.forecast.model_copy(update={"scopes": dimensions or ["total"]})
    config = config.model_copy(update={"forecast": only})
    with Bar() as bar, warehouse.open_warehouse(config) as con:
        made = _predict(con, config, histories.read(con, config, as_of=wanted.as_of), wanted, bar)
        scopes = _with_drivers(made.scopes, names, config)
        compared: list[tuple[object, ...]] = []
        effects: list[tuple[object, ...]] = []
        for scope in scopes:
            use = drivers.read_use(con, scope, made.history.as_of)
            line = Line(bar)
            line.begin(f"drivers of {scope.name}", 0)
            found = drivers.outlook(use, config, len(made.days), wanted.model or config.forecast.model)
            line.end()
            direct = made.chosen([made.scopes.index(scope)])
            compared += _compared(direct, found, scope)
            for model, of in drivers.explained(use, found).items():
                effects += [
                    (scope.name, model, driver.replace("_", " "), effect * _MONTH) for driver, effect in of.items()
                ]
    beside = Sheet(
        "months",
        ["scope", "month", "low", "direct", "high", "drivers_low", "drivers", "drivers_high", "difference", "beyond"],
        compared,
        title="Direct forecast, and users x requests per user x tokens per request x cost per token + fixed",
        note="Low and high hold 80 %. Beyond: drivers land outside of the direct interval; the table below says why.",
    )
    why = Sheet(
        "effects",
        ["scope", "model", "driver", "effect_a_month"],
        sorted(effects, key=lambda row: -abs(float(str(row[3])))),
        title="What each driver adds to 31 days, from the last four weeks to the days ahead",
    )
    console.show([beside, why], form, main="months")


def waterfall_mode(project: Path | None, months: tuple[str, str], scopes: Sequence[str], form: Form) -> None:
    """What moved the cost from one month to another, exactly."""
    config = _ready(project)
    from farthing.forecasting import drivers
    from farthing.forecasting import history as histories
    from farthing.forecasting.history import Scope

    first, second = (common.month(month) for month in months)
    with warehouse.open_warehouse(config) as con:
        _, known_until = histories.span(con, max(_last(first), _last(second)))
        if known_until < max(_last(first), _last(second)):
            console.say(f"days up to {known_until} are known.", style="dim", form=Form.JSON)
        known = con.execute(
            "select distinct dimension, key, BillingCurrency from scope_days where list_contains($of, dimension)"
            " order by all",
            {"of": list(drivers.WITH_USE)},
        ).fetchall()
        rows: list[tuple[str, str, float]] = []
        for scope in _with_drivers([Scope(*row) for row in known], scopes or ["total"], config):
            use = drivers.read_use(con, scope, known_until)
            before, after = use.between(first, _last(first)), use.between(second, _last(second))
            for month, part in ((first, before), (second, after)):
                if not len(part.days):
                    raise ConfigError(
                        f"the ledger has no day of {month:%Y-%m}.", file="--waterfall", fix="other months."
                    )
            rows.append((scope.name, f"{first:%Y-%m}", drivers.cost_of(before)))
            rows += [(scope.name, cause, effect) for cause, effect in drivers.moved(before, after).items()]
            rows.append((scope.name, f"{second:%Y-%m}", drivers.cost_of(after)))
    console.show(
        Sheet(
            "waterfall",
            ["scope", "cause", "amount"],
            [(scope, cause, round(amount, 2)) for scope, cause, amount in rows],
            title=f"What moved the cost from {first:%Y-%m} to {second:%Y-%m}",
            note="Log-mean weights: exact, in no order. Users are counted by day, so a longer month has more of them.",
        ),
        form,
    )


def _ready(project: Path | None) -> Config:
    """The project.

    Raises:
        ConfigError: the extra is missing.
    """
    if any(find_spec(name) is None for name in ("scipy", "statsforecast", "prophet")):
        raise ConfigError(
            "forecasts are not installed.", file="farthing[forecast]", fix="pip install 'farthing[forecast]'."
        )
    return common.open_project(project)


def _predict(con: duckdb.DuckDBPyConnection, config: Config, history: History, wanted: Wanted, bar: Bar) -> Prediction:
    from farthing.forecasting import predict
    from farthing.forecasting.events import known_events
    from farthing.forecasting.scores import error_stores

    horizon = wanted.horizon or config.forecast.horizon_days
    if wanted.months is not None:
        ahead = (history.as_of + timedelta(days=1)).replace(day=1)
        for _ in range(wanted.months):
            ahead = (ahead + timedelta(days=_MONTH)).replace(day=1)
        horizon = (ahead - history.as_of).days - 1
    line = Line(bar)
    made = predict.predict(
        con,
        config,
        history,
        line,
        horizon=horizon,
        errors=error_stores(con, history),
        events=known_events(con, config, history.as_of),
        model=wanted.model,
    )
    line.end()
    return made


def _chosen(landed: Sequence[Landing], scopes: Sequence[str]) -> list[Landing]:
    """The landings of the scopes asked for: a name, a dimension, or all.

    Raises:
        ConfigError: there is no such scope.
    """
    for wanted in scopes:
        if wanted != "all" and not any(wanted in (one.scope.name, one.scope.dimension) for one in landed):
            known = ", ".join(dict.fromkeys(one.scope.dimension for one in landed))
            raise ConfigError(
                f"'{wanted}' is not forecast.", file="--scope", fix=f"a name like team=support, or one of all, {known}."
            )
    shown = scopes or _SHOWN
    order = {name: place for place, name in enumerate((*_SHOWN, "model"))}
    return sorted(
        (one for one in landed if "all" in shown or one.scope.name in shown or one.scope.dimension in shown),
        key=lambda one: (
            one.month, one.scope.currency, order.get(one.scope.dimension, len(order)), one.scope.dimension,
            one.scope.key or "",
        ),
    )  # fmt: skip


def _with_drivers(known: Sequence[Scope], wanted: Sequence[str], config: Config) -> list[Scope]:
    found = [
        one
        for one in known
        if one.currency == config.project.currency and (one.name in wanted or one.dimension in wanted)
    ]
    if not found:
        raise ConfigError(
            f"'{', '.join(wanted)}' has no cost in {config.project.currency} that use could drive.",
            file="--scope",
            fix="total, or a name like team=support or model=gpt-5.",
        )
    return found


def _landing_sheet(landed: Sequence[Landing], as_of: date) -> Sheet:
    columns = ["scope", "currency", "month", "actual", "low", "forecast", "high", "q025", "q50", "q80", "q975"]
    rows = [
        (
            one.scope.name,
            one.scope.currency,
            f"{one.month:%Y-%m}",
            one.actual,
            *(round(value, 2) for value in (one.quantiles["q10"], one.forecast, one.quantiles["q90"])),
            *(round(one.quantiles[name], 2) for name in ("q025", "q50", "q80", "q975")),
        )
        for one in landed
    ]
    return Sheet(
        "landings",
        columns,
        rows,
        title=f"Where months land, by what is known up to {as_of}",
        note="Low and high hold 80 %. Actual is cost up to that day; total, team and model are sums of team x model.",
        hidden=frozenset({"q025", "q50", "q80", "q975"}),
    )


def _compared(direct: Prediction, found: DriverForecast, scope: Scope) -> list[tuple[object, ...]]:
    import numpy as np

    from farthing.forecasting import drivers

    rows: list[tuple[object, ...]] = []
    for month in direct.months():
        points, paths = direct.sums(month)
        low, high = np.quantile(paths[0], [0.1, 0.9])
        by_drivers, driven = drivers.landed(direct, found, month)
        driven_low, driven_high = np.quantile(driven, [0.1, 0.9])
        point = float(points[0])
        values = [round(float(one), 2) for one in (low, point, high, driven_low, by_drivers, driven_high)]
        beyond = not low <= by_drivers <= high
        rows.append((scope.name, f"{month:%Y-%m}", *values, round(by_drivers - point, 2), beyond))
    return rows


def _last(month: date) -> date:
    return (month + timedelta(days=_MONTH)).replace(day=1) - timedelta(days=1)
