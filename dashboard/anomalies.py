"""The page that answers: what broke, what was it, and which budget is at risk?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from getpass import getuser

import streamlit as st

from dashboard import parts, tables
from dashboard.choice import Choice
from dashboard.drawing import draw
from dashboard.parts import finding
from dashboard.published import Published, Row, published
from dashboard.queries import anomalies as queries
from dashboard.tables import Column
from farthing import charts, clock, figures, issued
from farthing.anomalies import kept
from farthing.config import Config
from farthing.figures import day, estimate, money
from farthing.lake import Lake
from farthing.lakes import open_lake

QUESTION = "What broke, what caused it, and which budget is at risk?"
_VERDICTS = {"true": "It is one", "false": "It is none", "planned": "It was planned"}
_MUTE_DAYS = 30


def page() -> None:
    """Draw the page from what is published now."""
    with published() as warehouse:
        choice = parts.head(warehouse, QUESTION)
        if choice is None:
            return
        rows = warehouse.rows(queries.EPISODES, currency=choice.currency)
        _anomalies(warehouse, choice, rows)
        _budgets(warehouse, choice)
        _mutes(warehouse)


def _anomalies(warehouse: Published, choice: Choice, rows: Sequence[Row]) -> None:
    if not rows:
        finding("No anomaly is known")
        st.info("`farthing anomalies` looks for them, and `farthing run` does so each hour.")
        st.code("farthing anomalies", language="shell")
        return
    alone = [row for row in rows if row["parent_id"] is None and row["level"] == "page"]
    opened = [row for row in alone if row["state"] == "open"]
    heading = "No anomaly is open"
    if opened:
        cost = estimate(sum(row["impact"] for row in opened))
        heading = f"{len(opened)} open {_noun(len(opened))} of {cost} {choice.currency}"
    finding(heading, "Impact is what was spent beyond the expected since the anomaly began; the largest come first.")
    columns = [
        Column("state"),
        Column("what"),
        Column("from", day),
        Column("to", day),
        Column("expected", estimate, choice.currency),
        Column("actual", estimate, choice.currency),
        Column("impact", estimate, choice.currency),
        Column("why"),
        Column("said"),
    ]
    shown = [
        [
            *(row["state"], row["title"], row["first_day"], row["last_day"]),
            *(row["expected"], row["actual"], row["impact"]),
            _why(row),
            row["verdict"] and _VERDICTS[row["verdict"]],
        ]
        for row in alone
    ]
    tables.show("anomalies", columns, shown, height=min(330, 60 + 28 * len(shown)))
    if alone:
        _one(warehouse, choice, rows, alone)


def _one(warehouse: Published, choice: Choice, rows: Sequence[Row], alone: Sequence[Row]) -> None:
    """One anomaly: its days, its causes, what it explains below it, and what the reader says of it."""
    known = {row["episode_id"]: row for row in rows}
    options = [row["episode_id"] for row in alone]
    chosen = st.selectbox(
        "Look at",
        options,
        format_func=lambda episode: f"{day(known[episode]['first_day'])}: {known[episode]['title']}",
        key="episode",
        bind="query-params",
    )
    row = known[chosen]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        days = warehouse.rows(
            queries.DAYS,
            currency=choice.currency,
            dimension=row["dimension"],
            key=row["key"],
            first=row["first_day"],
            last=row["last_day"],
        )
        if days:
            marked = (row["first_day"], row["last_day"])
            draw(
                charts.marked_days([(one["day"], one["cost"]) for one in days], marked, choice.currency, height=230),
                "one",
            )
        else:
            st.caption(f"Days of {row['dimension']} {row['key']} are not drawn: it is no scope of its own.")
    with right:
        _causes(row, choice)
    below = [one for one in rows if one["parent_id"] == chosen]
    if below:
        columns = [Column("explained by it"), Column("from", day), Column("impact", estimate, choice.currency)]
        tables.show("below", columns, [[one["title"], one["first_day"], one["impact"]] for one in below])
    _say(warehouse.config, row)


def _causes(row: Row, choice: Choice) -> None:
    found = json.loads(row["cause"] or "[]")
    if not found:
        st.caption("A rule was broken: there is nothing to explain it by.")
        return
    columns = [
        Column("explained by"),
        Column("share", _percent),
        Column("by price", estimate, choice.currency),
        Column("by volume", estimate, choice.currency),
    ]
    shown = [[_slice(one), one["share"], one["price_effect"], one["volume_effect"]] for one in found]
    tables.show("causes", columns, shown)


def _say(config: Config, row: Row) -> None:
    """What the reader says of an anomaly is written to the lake, and published."""
    note = st.text_input("Note", key=f"note-{row['episode_id']}", placeholder="why, for those who look later")
    verdicts = st.columns([1, 1, 1, 2, 3], gap="small")
    for place, (verdict, words) in zip(verdicts, _VERDICTS.items(), strict=False):
        if place.button(words, key=f"verdict-{verdict}", type="secondary"):
            said = {"episode": row["episode_id"], "verdict": verdict, "note": note or None, "author": getuser()}
            _write(config, partial(kept.feedback, **said))
    if verdicts[3].button(f"Mute for {_MUTE_DAYS} days", key="mute", help="Nobody is told of this scope and rule."):
        until = clock.now().date() + timedelta(days=_MUTE_DAYS)
        scope = {"dimension": row["dimension"], "key": row["key"], "rule": row["rule"]}
        _write(config, partial(kept.mute, **scope, until=until, reason=note or None, author=getuser()))


def _write(config: Config, change: Callable[[Lake], object]) -> None:
    lake = open_lake(config)
    with st.spinner("Writing it down"):
        change(lake)
        issued.publish(config, lake, lambda _: None)
    st.rerun()


def _budgets(warehouse: Published, choice: Choice) -> None:
    rows = warehouse.rows(queries.BUDGETS, currency=choice.currency)
    if not rows:
        finding("No budget was looked at")
        parts.missing(
            "A budget is watched: what is spent, where it lands, and who is told.",
            '[[budgets]]\nname = "support"\nscope = { team = "support" }\namount = 80000',
        )
        return
    above = [row for row in rows if row["threshold"] is not None and row["threshold"] >= 1]
    heading = f"{figures.counted(len(rows), 'budget')}, none is or will be above its amount"
    if above:
        heading = f"{parts.name(above[0]['budget'])} is or will be above its amount"
        if len(above) > 1:
            heading = f"{len(above)} of {figures.counted(len(rows), 'budget')} are or will be above their amount"
    finding(heading, "farthing watches and tells: it never blocks anything")
    columns = [
        Column("budget"),
        Column("of"),
        Column("from", day),
        Column("to", day),
        Column("amount", money, choice.currency),
        Column("spent", money, choice.currency),
        Column("used", _share),
        Column("provisional", money, choice.currency),
        Column("expected", estimate, choice.currency),
        Column("at most (80 %)", estimate, choice.currency),
        Column("crossed"),
    ]
    shown = [
        [
            row["budget"],
            f"{row['dimension']} {row['key'] or ''}".strip(),
            *(row[name] for name in ("period_start", "period_end", "amount", "actual")),
            row["actual"] / row["amount"] if row["amount"] and row["actual"] is not None else None,
            *(row[name] for name in ("provisional", "landing", "landing_q80")),
            f"{row['threshold']:.0%} by {row['basis']}" if row["threshold"] is not None else None,
        ]
        for row in rows
    ]
    tables.show("budgets", columns, shown)


def _mutes(warehouse: Published) -> None:
    rows = warehouse.rows(queries.MUTES)
    if not rows:
        return
    finding(f"{figures.counted(len(rows), 'mute')}: nobody is told of these")
    columns = [Column("of"), Column("which"), Column("rule"), Column("until"), Column("why"), Column("by")]
    names = ("dimension", "key", "rule", "until_day", "reason", "author")
    tables.show("mutes", columns, [[row[name] for name in names] for row in rows])
    for row in rows:
        of = " ".join(str(row[name]) for name in names[:3] if row[name])
        if st.button(f"Tell people of {figures.plain(of)} again", key=f"end-{row['mute_id']}"):
            _write(warehouse.config, partial(kept.unmute, mute_id=row["mute_id"]))


def _why(row: Row) -> str | None:
    found = json.loads(row["cause"] or "[]")
    return _slice(found[0]) if found else None


def _slice(cause: Row) -> str:
    return ", ".join(f"{dimension} {value}" for dimension, value in cause["slice"].items())


def _noun(number: int) -> str:
    return "anomaly" if number == 1 else "anomalies"


def _percent(value: float | None) -> str:
    return figures.MISSING if value is None else f"{value:.0%}"


def _share(value: Decimal | None) -> str:
    return figures.share(value, Decimal(1))
