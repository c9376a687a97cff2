"""The tables that farthing itself writes about what it foresaw, found and told: schema and meaning side by side.

Unlike collected tables no source brings them, and unlike built ones no day of the ledger depends on them. Forecasts and
scores are estimates: they are floating point; what was billed and budgeted stays decimal.
"""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from farthing.lake.schemas import COUNT, DAY, MONEY, REAL, TEXT, TIME, Table


class Column(NamedTuple):
    """Type and meaning of a column."""

    type: pa.DataType
    meaning: str


_SCOPE = {
    "dimension": Column(TEXT, "what the key is one of: total, pool, team, model, ... as in `scope_days`"),
    "key": Column(TEXT, "pool, team, model, ...; null: cost of none of them, or the total"),
    "BillingCurrency": Column(TEXT, "currency of the amounts; those of different currencies are never added"),
}
_ISSUED = {
    "issue_id": Column(TEXT, "the run of the forecast; all its rows have it"),
    "issued_at": Column(TIME, "when it was issued, UTC"),
    "as_of": Column(DAY, "last day of cost that it knew"),
    "data_version": Column(TEXT, "hash of what the warehouse that it read was made from"),
    "model": Column(TEXT, "the model that forecast the series"),
    "seed": Column(COUNT, "seed of its sample paths"),
}
_QUANTILES = {
    f"q{name}": Column(REAL, f"amount that it is not above with a chance of {chance} %")
    for name, chance in (("025", "2.5"), ("10", "10"), ("50", "50"), ("80", "80"), ("90", "90"), ("975", "97.5"))
}

_TABLES: dict[str, tuple[str, dict[str, Column], tuple[str, ...], tuple[str, ...]]] = {
    "forecasts": (
        "every issued forecast: what each day of each scope was expected to cost",
        {
            **_ISSUED,
            **_SCOPE,
            "day": Column(DAY, "day that is forecast, UTC"),
            "forecast": Column(REAL, "expected cost"),
            **_QUANTILES,
            "paths": Column(
                pa.list_(pa.float32()),
                "the day's cost on each sample path; the same place is one path; the warehouse has those of the newest"
                " forecast, the lake all",
            ),
        },
        ("as_of",),
        (),
    ),
    "landings": (
        "what each month of each scope was expected to come to: cost to date and the forecast of the rest",
        {
            **_ISSUED,
            **_SCOPE,
            "month": Column(DAY, "first day of the month"),
            "actual": Column(MONEY, "cost of the days up to as_of"),
            "forecast": Column(REAL, "expected cost of the whole month"),
            **_QUANTILES,
        },
        (),
        (),
    ),
    "episodes": (
        "anomalies: stretches of days on which a scope cost more or less than expected, or a rule was broken",
        {
            "episode_id": Column(TEXT, "stays the same while the episode goes on"),
            **_SCOPE,
            "rule": Column(
                TEXT, "what found it: spend, leak, idle, new key, price, unassigned, unpriced, true-up, user limit"
            ),
            "level": Column(TEXT, "page: somebody is told; detail: shown below a page"),
            "state": Column(TEXT, "open, closed, muted, false or planned"),
            "first_day": Column(DAY, "first day of it, UTC"),
            "last_day": Column(DAY, "last day that belongs to it so far"),
            "opened_at": Column(TIME, "when it was found first, UTC"),
            "updated_at": Column(TIME, "when it changed last, UTC"),
            "expected": Column(REAL, "what its days were expected to cost"),
            "actual": Column(REAL, "what they cost"),
            "impact": Column(REAL, "actual less expected"),
            "score": Column(REAL, "largest distance from the expected, in standard deviations; null for hard rules"),
            "title": Column(TEXT, "what happened, in a sentence"),
            "cause": Column(TEXT, "slices that explain it best, with share, price and volume effect; JSON"),
            "parent_id": Column(TEXT, "the episode that explains this one; null: it stands by itself"),
        },
        (),
        ("episode_id",),
    ),
    "anomaly_feedback": (
        "what people said about anomalies",
        {
            "episode_id": Column(TEXT, "the episode"),
            "verdict": Column(TEXT, "true, false or planned"),
            "note": Column(TEXT, "why; null: not said"),
            "author": Column(TEXT, "who said so; null: not known"),
            "given_at": Column(TIME, "when, UTC"),
        },
        (),
        (),
    ),
    "mutes": (
        "what nobody is to be told about, and until when",
        {
            "mute_id": Column(TEXT, "of the mute"),
            "dimension": Column(TEXT, "as in episodes; null: any"),
            "key": Column(TEXT, "as in episodes; null: any"),
            "rule": Column(TEXT, "as in episodes; null: any"),
            "from_day": Column(DAY, "first day that is muted"),
            "until_day": Column(DAY, "last day that is muted; null: until the mute is ended"),
            "reason": Column(TEXT, "why; null: not said"),
            "author": Column(TEXT, "who made it; null: not known"),
            "made_at": Column(TIME, "when, UTC"),
            "ended_at": Column(TIME, "when it was taken back, UTC; null: it stands"),
        },
        (),
        ("mute_id",),
    ),
    "budget_status": (
        "how each budget stood on each day that it was looked at",
        {
            "as_of": Column(DAY, "last day of cost that it knew"),
            "budget": Column(TEXT, "name of the budget"),
            **_SCOPE,
            "period_start": Column(DAY, "first day of its month or window"),
            "period_end": Column(DAY, "last day of it"),
            "amount": Column(MONEY, "what is planned for the period"),
            "actual": Column(MONEY, "cost in the period up to as_of"),
            "provisional": Column(MONEY, "the part of actual that no bill has confirmed yet"),
            "landing": Column(REAL, "expected cost of the whole period; null: there is no forecast"),
            "landing_q80": Column(
                REAL, "cost of the period that it is not above with a chance of 80 %; null: no forecast"
            ),
            "basis": Column(TEXT, "what the highest threshold crossed is about: actual, landing or q80; null: none is"),
            "threshold": Column(REAL, "the highest threshold crossed, as a share of amount; null: none is"),
            "crossed_on": Column(DAY, "day on which it was crossed first; null: none is"),
        },
        (),
        (),
    ),
    "alerts": (
        "every alert by channel: what was told to whom, and what could not be",
        {
            "alert_id": Column(TEXT, "of what the alert is about; one for each event and channel"),
            "event": Column(TEXT, "open, doubled, closed or threshold"),
            "kind": Column(TEXT, "anomaly, budget, landing, data or run"),
            "dimension": Column(TEXT, "scope that it is about; null: none"),
            "key": Column(TEXT, "its key"),
            "channel": Column(TEXT, "channel of `[alerts.channels]`; null: nobody is told"),
            "title": Column(TEXT, "what happened, in a sentence"),
            "state": Column(TEXT, "sent, failed (tried again by the next run), dead or muted"),
            "attempts": Column(COUNT, "runs that tried"),
            "error": Column(TEXT, "what the channel answered last; null: nothing went wrong"),
            "created_at": Column(TIME, "when it came up, UTC"),
            "sent_at": Column(TIME, "when the channel took it, UTC; null: it has not"),
            "payload": Column(TEXT, "the alert as JSON, so that a failed one can be sent later"),
        },
        (),
        ("alert_id", "event", "channel"),
    ),
    "runs": (
        "every `farthing run`: when, how long each step took, and how it ended",
        {
            "run_id": Column(TEXT, "of the run"),
            "started_at": Column(TIME, "when it began, UTC"),
            "ended_at": Column(TIME, "when it ended, UTC"),
            "state": Column(TEXT, "ok, finding or failed"),
            "exit_code": Column(COUNT, "what the command exited with"),
            "steps": Column(TEXT, "seconds, state and result of each step, JSON"),
            "error": Column(TEXT, "the first error in words; null: none"),
            "version": Column(TEXT, "farthing's version"),
        },
        (),
        ("run_id",),
    ),
    "report_deliveries": (
        "every scheduled report by recipient: each is delivered once",
        {
            "report": Column(TEXT, "name of the entry of `[[reports]]`"),
            "due_at": Column(TIME, "when it was due, UTC"),
            "period": Column(TEXT, "month or week that it is about"),
            "recipient": Column(TEXT, "file, e-mail address or channel"),
            "state": Column(TEXT, "sent or failed (tried again by the next run)"),
            "error": Column(TEXT, "what went wrong last; null: nothing did"),
            "sent_at": Column(TIME, "when it was delivered, UTC; null: it was not"),
        },
        (),
        ("report", "due_at", "recipient"),
    ),
}


def _table(name: str) -> Table:
    _, columns, partition_by, key = _TABLES[name]
    return Table(name, pa.schema([pa.field(column, one.type) for column, one in columns.items()]), partition_by, key)


FORECASTS = _table("forecasts")
LANDINGS = _table("landings")
EPISODES = _table("episodes")
ANOMALY_FEEDBACK = _table("anomaly_feedback")
MUTES = _table("mutes")
BUDGET_STATUS = _table("budget_status")
ALERTS = _table("alerts")
RUNS = _table("runs")
REPORT_DELIVERIES = _table("report_deliveries")

ISSUED = (
    *(FORECASTS, LANDINGS, EPISODES, ANOMALY_FEEDBACK, MUTES),
    *(BUDGET_STATUS, ALERTS, RUNS, REPORT_DELIVERIES),
)

#: What each table is, and what each of its columns means.
TABLE_MEANINGS = {name: about for name, (about, *_) in _TABLES.items()}
COLUMN_MEANINGS = {
    name: {column: one.meaning for column, one in columns.items()} for name, (_, columns, *_) in _TABLES.items()
}
