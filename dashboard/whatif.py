"""The page that answers: what would a change of models, prompts or machines save, and what does that stand on?"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import streamlit as st

from dashboard import levers, parts, tables
from dashboard.choice import Choice, months_of
from dashboard.drawing import draw
from dashboard.parts import finding
from dashboard.published import published
from dashboard.tables import Column
from farthing import figures
from farthing.config import Config
from farthing.errors import ConfigError
from farthing.figures import money
from farthing.whatif import facts, shown
from farthing.whatif import month as months
from farthing.whatif import page as drawn
from farthing.whatif import scenario as scenario_file
from farthing.whatif.month import Month
from farthing.whatif.suited import Suited, suited
from models.whatif.card import Card, Figure, Used, spread
from models.whatif.inputs import NOT_GIVEN, Lever
from models.whatif.scenario import Scenario
from models.whatif.simulate import Result, Together, simulate

QUESTION = "What would a change of models, prompts or machines save?"
#: Cards that are on the table first, where the month can be asked for them.
_FIRST = ("easy ones to haiku", "shorter system prompt", "right size", "4-bit weights", "spot", "H100s for the launch")
_ACROSS = 3
#: Where mistakes are said to lie, and what files of cards would be relative to.
_HERE = Path("this page")
_REQUESTS = '[sources.requests]\nkind = "requests"\npath = "requests/*.csv"'
_GPUS = (
    '[sources.gpus]\nkind = "gpu_inventory"\npath = "gpus.csv"\n\n'
    '[sources.telemetry]\nkind = "gpu_usage"\npath = "dcgm/*.csv"'
)


def page() -> None:
    """Draw the page from what is published now."""
    with published() as warehouse:
        choice = parts.head(warehouse, QUESTION, days=False)
        if choice is None:
            return
        left, right = st.columns([1, 5], gap="small")
        first = _first_day(choice, left)
        month = _month(warehouse.file, choice.currency, first, _config=warehouse.config, _con=warehouse.con)
        offered = suited(_example(), month)
        _lacking(month, offered)
        names = [card.name for card in offered.cards]
        on_table = right.multiselect("Cards", names, [name for name in _FIRST if name in names], key="cards")
        top = st.container()
        finding("The cards, side by side", "Each by itself, on the requests and GPU hours of the month")
        places, changed = _edited([card for card in offered.cards if card.name in on_table], month)
        if not changed:
            top.info("No card is on the table.")
            return
        scenario = _example().model_copy(update={"fleets": offered.fleets, "cards": tuple(changed)})
        try:
            result = _result(
                *(warehouse.file, choice.currency, first, scenario.model_dump_json(by_alias=True)),
                _month=month,
                _config=warehouse.config,
                _con=warehouse.con,
            )
        except ConfigError as error:
            top.warning(figures.plain(f"{error.key}: {error.problem} {error.fix}"))
            return
        with top:
            _together(result, month)
        for card in result.cards:
            with places[card.name]:
                _card(card, month.currency)
        _supply(result.cards)
        _tables(result, month)


@st.cache_resource
def _example() -> Scenario:
    return scenario_file.parsed(tomllib.loads(scenario_file.example()), _HERE)


# A resource and no data: its arrays are only read, and each visit would else copy every request.
@st.cache_resource(max_entries=4, show_spinner="Requests and GPU hours of the month are read")
def _month(
    file: str,  # noqa: ARG001 a newer publish has another name
    currency: str,
    first: date,
    *,
    _config: Config,
    _con: duckdb.DuckDBPyConnection,
) -> Month:
    return months.of(_con, _config, first, currency)


@st.cache_data(max_entries=50, show_spinner="The cards are worked out on every request and hour")
def _result(
    file: str,  # noqa: ARG001 a newer publish has another name
    currency: str,  # noqa: ARG001
    first: date,  # noqa: ARG001
    scenario: str,
    *,
    _month: Month,
    _config: Config,
    _con: duckdb.DuckDBPyConnection,
) -> Result:
    asked = Scenario.model_validate_json(scenario)
    return simulate(asked, facts.gather(_con, _config, asked, _HERE, _month))


def _first_day(choice: Choice, place: Any) -> date:
    """The first day of the month that is looked at: by default the last one that is over."""
    options = [one.isoformat()[:7] for one in months_of(choice.first, choice.last)]
    over = (choice.last + timedelta(days=1)).day == 1 or len(options) == 1
    chosen = place.selectbox(
        "Month", options, index=len(options) - (1 if over else 2), key="what-if-month", bind="query-params"
    )
    return date.fromisoformat(f"{chosen}-01")


def _lacking(month: Month, offered: Suited) -> None:
    """Say which cards the month cannot be asked for, and what would change that."""
    if not len(month.log):
        parts.missing("Routing, caches, prompts and moves of models are worked out on a log of requests.", _REQUESTS)
    if not month.fleets:
        parts.missing("Cards of machines are worked out on the hours of GPUs.", _GPUS)
    if offered.left_out and len(month.log) and month.fleets:
        said = ", ".join(f"{name} ({why})" for name, why in offered.left_out.items())
        st.caption(f"Not offered: {figures.plain(said)}.")


def _edited(cards: Sequence[Lever], month: Month) -> tuple[dict[str, Any], list[Lever]]:
    """A place for each card, with what may be changed of it, and the cards as they were changed."""
    places: dict[str, Any] = {}
    changed = []
    for begin in range(0, len(cards), _ACROSS):
        for column, card in zip(st.columns(_ACROSS, gap="small"), cards[begin : begin + _ACROSS], strict=False):
            place = column.container(border=True)
            with place:
                st.markdown(f"**{parts.name(card.name)}** · {_kind(card)}")
                with st.popover("Change", type="tertiary"):
                    lever = levers.edited(card, month)
            places[card.name] = place
            changed += [lever] if lever is not None else []
    return places, changed


def _kind(card: Any) -> str:
    return str(card.kind).replace("_", " ")


def _together(result: Result, month: Month) -> None:
    """What all cards save together, what they would add up to, and each beside the others."""
    if result.together.names:
        _sum(result.together, month)
    else:
        finding("No card on the table is in a sum", "Cards that are read alone, or cannot be told, are in none.")
    if any(card.saving is not None for card in result.cards):
        draw(drawn.chart(result, month.currency), "savings")
    for remark in (*result.together.remarks, *month.remarks):
        st.caption(_sentence(remark))


def _sum(together: Together, month: Month) -> None:
    currency, whole = month.currency, shown.amount(together.baseline)
    joint, added = spread(together.joint), spread(together.added)
    overlap = spread(together.added - together.joint)
    said = "save" if joint.q50 >= 0 else "cost"
    share = figures.share(shown.amount(abs(joint.q50)), whole)
    finding(
        f"Together they {said} {_money(abs(joint.q50))} {currency} a month, {share} of model APIs and GPUs",
        f"{figures.period(month.first, month.last)}; what two cards save is not saved twice",
    )
    places = st.columns(4, gap="small")
    places[0].metric(f"Nine in ten, {currency}", f"{_money(joint.q05)} to {_money(joint.q95)}")
    places[1].metric(f"Added up, {currency}", _money(added.q50), help="as if no two cards met the same request or hour")
    places[2].metric(f"Saved only once, {currency}", _money(overlap.q50), help="added up less together")
    places[3].metric(f"Model APIs and GPUs, {currency}", money(whole))


def _card(card: Card, currency: str) -> None:
    """The saving, what it stands on, and what it does not say."""
    if card.saving is not None:
        found = spread(card.saving)
        st.metric(f"Saving a month, {currency}", _money(found.q50))
        st.caption(
            f"Nine in ten {_money(found.q05)} to {_money(found.q95)}; the requests or machines it is about cost"
            f" {_money(card.baseline)}."
        )
    elif card.rows:
        unmet = spread(card.figures["most_unmet"].values)
        st.metric(f"Unmet at worst, {card.figures['most_unmet'].unit}", _plain(unmet.q50))
        st.caption(f"Nine in ten {_plain(unmet.q05)} to {_plain(unmet.q95)}.")
    else:
        st.markdown("**It cannot be told**")
    for remark in card.remarks:
        st.caption(_sentence(remark))
    st.caption(f"Formula: {figures.plain(card.formula)}.")
    given = {name: one for name, one in card.inputs.items() if not one.given.why.startswith(NOT_GIVEN)}
    _lines([_input(name, one) for name, one in given.items() if not one.read])
    with st.expander("Facts of the month, and what it shows besides"):
        _lines([_input(name, one) for name, one in given.items() if one.read])
        _lines([_besides(name, one, currency) for name, one in card.figures.items()])


def _lines(lines: Sequence[str]) -> None:
    if lines:
        st.markdown("\n".join(f"- {line}" for line in lines))


def _besides(name: str, figure: Figure, currency: str) -> str:
    unit = currency if figure.unit == "money" else figure.unit
    return f"{_label(name)} {_values(figure.values)} {figures.plain(unit)}, {figures.plain(figure.meaning)}"


def _input(name: str, used: Used) -> str:
    """An input in one line, with whether it was measured or assumed."""
    colour = "green" if used.given.basis == "measured" else "orange"
    badge = f":{colour}-badge[{used.given.basis}]"
    return f"{badge} {_label(name)} {_values(used.values)}: {figures.plain(used.given.why)}"


def _values(values: Any) -> str:
    found = spread(values)
    if found.q05 == found.q95:
        return _plain(found.q50)
    return f"{_plain(found.q50)} ({_plain(found.q05)} to {_plain(found.q95)})"


def _supply(cards: Sequence[Card]) -> None:
    """What providers have and when, and what stays unmet."""
    for card in cards:
        if card.saving is not None or not card.rows:
            continue
        unmet, days = (spread(card.figures[name].values) for name in ("most_unmet", "days_unmet"))
        unit = parts.name(card.figures["most_unmet"].unit)
        finding(
            f"{parts.name(card.name)}: {_plain(unmet.q50)} {unit} unmet at worst, some on {_plain(days.q50)} days",
            "In each draw the cheapest offer fills first",
        )
        names = list(card.rows[0].values)
        columns = [Column(name, _plain if name.startswith("q") else None) for name in names]
        tables.show(f"supply-{card.name}", columns, [list(row.values.values()) for row in card.rows], height=330)


def _tables(result: Result, month: Month) -> None:
    """All cards and all that they stand on, to take away."""
    by_name = {sheet.name: sheet for sheet in shown.sheets(result, month)}
    left, right = st.columns(2, gap="medium")
    amounts = {"saving_q05", "saving", "saving_q95", "matched_cost"}
    with left:
        finding("All cards")
        sheet = by_name["cards"]
        columns = [
            Column(
                name.replace("_", " "), money if name in amounts else parts.percent if name == "saving_share" else None
            )
            for name in sheet.columns
        ]
        tables.show("cards", columns, sheet.rows)
    with right:
        finding("What they stand on")
        sheet = by_name["inputs"]
        columns = [Column(name, _plain if name.startswith("q") else None) for name in sheet.columns]
        tables.show("inputs", columns, sheet.rows, height=330)


def _sentence(remark: str) -> str:
    return figures.plain(f"{remark[0].upper()}{remark[1:]}.")


def _label(name: str) -> str:
    return figures.plain(name.replace("_", " "))


def _money(value: float) -> str:
    return money(shown.amount(value))


def _plain(value: float | None) -> str:
    """An input or a number of units, to four digits."""
    if value is None or not math.isfinite(value):
        return figures.MISSING
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
