"""The page that answers: where does the month land, and how far off were we so far?"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import streamlit as st

from dashboard import parts, tables
from dashboard.choice import Choice
from dashboard.drawing import draw
from dashboard.parts import finding
from dashboard.published import Published, Row, published
from dashboard.queries import forecast as queries
from dashboard.tables import Column
from farthing import charts, figures
from farthing.figures import count, day, estimate, money
from farthing.forecasting import drivers
from farthing.forecasting.events import known_events
from farthing.forecasting.history import Scope
from farthing.forecasting.scores import LANDING_BOARD, SCOREBOARD

QUESTION = "Where does the month land, and what have our forecasts been worth?"


def page() -> None:
    """Draw the page from what is published now."""
    with published() as warehouse:
        choice = parts.head(warehouse, QUESTION)
        if choice is None:
            return
        newest = next(iter(warehouse.rows(queries.NEWEST, currency=choice.currency)), None)
        if newest is None:
            finding(f"No forecast has been issued in {choice.currency}")
            st.info("`farthing forecast` issues one, and `farthing run` does so each day.")
            st.code("farthing forecast", language="shell")
            return
        scope = _scope(warehouse, choice, newest)
        _landing(warehouse, choice, newest, scope)
        _fan(warehouse, choice, newest, scope)
        left, right = st.columns(2, gap="medium")
        with left:
            _moved(warehouse, choice, scope)
        with right:
            _events(warehouse, newest["as_of"])
        _landings(warehouse, choice, newest)
        left, right = st.columns(2, gap="medium")
        with left:
            _scoreboard(warehouse)
        with right:
            _landing_board(warehouse)


def _scope(warehouse: Published, choice: Choice, newest: Row) -> Scope:
    rows = warehouse.rows(queries.SCOPES, issue=newest["issue_id"], currency=choice.currency)
    scopes = [Scope(row["dimension"], row["key"], choice.currency) for row in rows]
    names = [scope.name for scope in scopes]
    # By its name, so that the address of the page means the same after the next forecast.
    chosen = st.selectbox("Forecast of", names, key="scope", bind="query-params")
    return scopes[names.index(chosen)]


def _landing(warehouse: Published, choice: Choice, newest: Row, scope: Scope) -> None:
    rows = [
        row
        for row in warehouse.rows(queries.LANDINGS, issue=newest["issue_id"], currency=choice.currency)
        if (row["dimension"], row["key"]) == (scope.dimension, scope.key)
    ]
    first = rows[0]
    finding(
        f"{first['month']:%B %Y} is expected to land at {estimate(first['forecast'])} {choice.currency}",
        f"Issued {newest['issued_at']:%Y-%m-%d %H:%M} UTC with costs up to {day(newest['as_of'])}, by {first['model']}",
    )
    places = st.columns(4, gap="small")
    places[0].metric(f"To date, {choice.currency}", money(first["actual"]))
    places[1].metric(f"Low (80 % band), {choice.currency}", estimate(first["q10"]))
    places[2].metric(f"High (80 % band), {choice.currency}", estimate(first["q90"]))
    if len(rows) > 1:
        places[3].metric(f"{rows[1]['month']:%B}, {choice.currency}", estimate(rows[1]["forecast"]))


def _fan(warehouse: Published, choice: Choice, newest: Row, scope: Scope) -> None:
    of = {"currency": choice.currency, "dimension": scope.dimension, "key": scope.key}
    past = warehouse.rows(queries.PAST, **of, as_of=newest["as_of"])
    ahead = warehouse.rows(queries.AHEAD, **of, issue=newest["issue_id"])
    finding(
        f"The next {count(len(ahead))} days of {parts.name(scope.name)}",
        "Line: what days have cost. Dashes: what is expected; four days in five lie in the band.",
    )
    draw(
        charts.fan(
            [(row["day"], row["cost"]) for row in past],
            [(row["day"], row["forecast"], row["q10"], row["q90"]) for row in ahead],
            choice.currency,
            height=300,
        ),
        "fan",
    )


def _moved(warehouse: Published, choice: Choice, scope: Scope) -> None:
    """What moved the cost from the period before to the chosen one, of the same number of days."""
    days = (choice.last - choice.first).days + 1
    try:
        use = drivers.read_use(warehouse.con, scope, choice.last)
    except drivers.NoUseError as error:
        finding("What moved it")
        st.caption(figures.plain(error))
        return
    if use.days[0].item() > choice.first - timedelta(days=days):
        finding("What moved it")
        st.caption(f"The ledger does not have the {days} days before {day(choice.first)}: choose a shorter period.")
        return
    before = use.between(choice.first - timedelta(days=days), choice.first - timedelta(days=1))
    after = use.between(choice.first, choice.last)
    effects = sorted(drivers.moved(before, after).items(), key=lambda item: -abs(item[1]))
    finding(
        f"{parts.name(effects[0][0]).capitalize()} moved the cost most: {estimate(effects[0][1])} {choice.currency}",
        f"{figures.period(choice.first, choice.last)} against the {days} days before, by exact log-mean weights",
    )
    draw(
        charts.signed_by_name(
            [(name, _decimal(effect)) for name, effect in effects[:10]], choice.currency, bad="positive", height=270
        ),
        "moved",
    )
    st.caption(f"From {estimate(drivers.cost_of(before))} to {estimate(drivers.cost_of(after))} {choice.currency}.")


def _events(warehouse: Published, as_of: date) -> None:
    events = known_events(warehouse.con, warehouse.config, as_of)
    finding(
        f"{len(events)} known {'event' if len(events) == 1 else 'events'} ahead",
        "From the file of [forecast] events, the ends of commitments in the bill, and those of [credits.NAME].",
    )
    if not events:
        parts.missing("What is known to come changes the forecast.", '[forecast]\nevents = "events.csv"')
        return
    columns = [Column("from"), Column("what"), Column("of"), Column("known by")]
    shown = [
        [event.edit.first, event.what, f"{event.dimension} {event.key or ''}".strip(), event.source] for event in events
    ]
    tables.show("events", columns, shown)


def _landings(warehouse: Published, choice: Choice, newest: Row) -> None:
    rows = warehouse.rows(queries.LANDINGS, issue=newest["issue_id"], currency=choice.currency)
    finding(
        "Landings of every scope",
        "Cost to date and the forecast of the rest; four in five end between low and high",
    )
    columns = [
        Column("month"),
        Column("of"),
        Column("to date", money, choice.currency),
        Column("expected", estimate, choice.currency),
        Column("low (80 % band)", estimate, choice.currency),
        Column("high (80 % band)", estimate, choice.currency),
        Column("model"),
    ]
    shown = [
        [
            f"{row['month']:%Y-%m}",
            Scope(row["dimension"], row["key"], choice.currency).name,
            *(row[name] for name in ("actual", "forecast", "q10", "q90", "model")),
        ]
        for row in rows
    ]
    tables.show("landings", columns, shown, height=330)


def _scoreboard(warehouse: Published) -> None:
    rows = warehouse.rows(SCOREBOARD, dimension=None)
    finding(
        "Days: what issued forecasts missed by" if rows else "No issued forecast has met its days yet",
        "Error: median of |actual - forecast| by actual. Against naive: below 1 is better than repeating last week.",
    )
    if rows:
        columns = [
            Column("model"),
            Column("days ahead"),
            Column("forecasts", count),
            Column("days", count),
            Column("error", parts.percent),
            Column("against naive", _ratio),
            Column("in the 80 % band", parts.percent),
            Column("in the 95 % band", parts.percent),
        ]
        names = (
            *("model", "ahead", "issues", "days", "error_share", "to_naive", "within_80_share", "within_95_share"),
        )
        tables.show("scoreboard", columns, [[row[name] for name in names] for row in rows])


def _landing_board(warehouse: Published) -> None:
    rows = warehouse.rows(LANDING_BOARD, dimension=None)
    finding(
        "Months: what issued landings missed by" if rows else "No issued landing has met its month yet",
        "Landings of months that are over, by how long before the end they were issued",
    )
    if rows:
        columns = [
            Column("model"),
            Column("issued before the end"),
            Column("landings", count),
            Column("error", parts.percent),
            Column("in the 80 % band", parts.percent),
            Column("in the 95 % band", parts.percent),
        ]
        names = ("model", "ahead", "landings", "error_share", "within_80_share", "within_95_share")
        tables.show("landing-scores", columns, [[row[name] for name in names] for row in rows])


def _decimal(value: float) -> Decimal:
    return Decimal(f"{value:.2f}")


def _ratio(value: float | None) -> str:
    return figures.MISSING if value is None else f"{value:.2f}"
