"""Anomalies in the lake: episodes that open, go on and close, what people said of them, and what is muted."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, get_args

import duckdb

from farthing import clock, issued
from farthing.anomalies.finding import Finding
from farthing.errors import ConfigError
from farthing.lake import Lake
from farthing.lake.issued import ANOMALY_FEEDBACK, EPISODES, MUTES
from farthing.lake.schemas import Table

Verdict = Literal["true", "false", "planned"]
Row = dict[str, Any]

#: What people called so is over, whatever the money does.
_SETTLED_BY = {"false": "false", "planned": "planned"}


@dataclass(frozen=True)
class Detected:
    """What a look at the ledger changed: rows of the table `episodes`.

    `open` are all that are open now and not muted, those that people are told of first; the others are among those of
    this look only. `until` is the last day that was looked at; `before` is what each
    episode, by its id, had come to at the last look.
    """

    until: date
    opened: list[Row]
    grown: list[Row]
    closed: list[Row]
    open: list[Row]
    before: dict[str, float]

    @property
    def changed(self) -> bool:
        """Whether the lake has anything new."""
        return bool(self.opened or self.grown or self.closed)


def keep(lake: Lake, findings: Sequence[Finding], until: date) -> Detected:
    """Write what changed since the last look into `episodes`, and say what it is."""
    now = clock.now()
    stored = {row["episode_id"]: row for row in read(lake, EPISODES)}
    verdicts = {row["episode_id"]: row["verdict"] for row in read(lake, ANOMALY_FEEDBACK, order="given_at")}
    mutes = read(lake, MUTES)
    names = {one.id: _same(one, stored) for one in findings}
    rows = []
    for one in findings:
        name = names[one.id]
        row = _row(one, stored.get(name), verdicts.get(name), mutes, until, now)
        rows.append(
            {**row, "episode_id": name, **_place(names.get(one.parent or "", one.parent), one, stored.get(name))}
        )
    present = {row["episode_id"] for row in rows}
    rows += [
        {**row, "state": _state(False, verdicts.get(name), row, mutes, until), "updated_at": now}
        for name, row in stored.items()
        if name not in present and row["state"] in ("open", "muted")
    ]
    changed = [row for row in rows if _differs(row, stored.get(row["episode_id"]))]
    issued.put(lake, EPISODES, changed)
    was_open = {name for name, row in stored.items() if row["state"] == "open"}
    opened = [row for row in changed if row["state"] == "open" and row["episode_id"] not in was_open]
    return Detected(
        until=until,
        opened=opened,
        grown=[row for row in changed if row["state"] == "open" and row["episode_id"] in was_open],
        closed=[row for row in changed if row["state"] != "open" and row["episode_id"] in was_open],
        open=[row for row in rows if row["state"] == "open"],
        before={row["episode_id"]: row["impact"] for row in stored.values()},
    )


def feedback(lake: Lake, episode: str, verdict: Verdict, note: str | None, author: str | None) -> Row:
    """Write down what people say of an episode; 'false' and 'planned' end it. The episode as it is now.

    Raises:
        ConfigError: there is no such episode.
    """
    if verdict not in get_args(Verdict):
        raise ValueError(f"no verdict: {verdict}")
    row = next((row for row in read(lake, EPISODES) if row["episode_id"] == episode), None)
    if row is None:
        raise ConfigError("there is no such episode.", file=episode, fix="`farthing anomalies` lists them.")
    now = clock.now()
    said = {"episode_id": episode, "verdict": verdict, "note": note, "author": author, "given_at": now}
    issued.add(lake, ANOMALY_FEEDBACK, [said])
    reopened = "open" if row["state"] in _SETTLED_BY else row["state"]  # the next look closes what is over
    changed = {**row, "state": _SETTLED_BY.get(verdict, reopened), "updated_at": now}
    issued.put(lake, EPISODES, [changed])
    return changed


def mute(
    lake: Lake,
    *,
    dimension: str | None,
    key: str | None,
    rule: str | None,
    until: date | None,
    reason: str | None,
    author: str | None,
) -> Row:
    """Tell nobody of what matches from now on; at once for episodes that are open. The mute as it was written.

    Raises:
        ConfigError: it would match everything.
    """
    if dimension is None and key is None and rule is None:
        raise ConfigError("this mutes everything.", file="mute", fix="name a --dimension, a --key or a --rule.")
    now = clock.now()
    made: Row = {
        "mute_id": uuid.uuid4().hex[:12],
        "dimension": dimension,
        "key": key,
        "rule": rule,
        "from_day": now.date(),
        "until_day": until,
        "reason": reason,
        "author": author,
        "made_at": now,
        "ended_at": None,
    }
    issued.put(lake, MUTES, [made])
    rows = [row for row in read(lake, EPISODES) if row["state"] == "open" and _matches(made, row)]
    issued.put(lake, EPISODES, [{**row, "state": "muted", "updated_at": now} for row in rows])
    return made


def unmute(lake: Lake, mute_id: str) -> Row:
    """End a mute; what it hid is open again from the next look on. The mute as it is now.

    Raises:
        ConfigError: there is no such mute.
    """
    row = next((row for row in read(lake, MUTES) if row["mute_id"] == mute_id), None)
    if row is None:
        raise ConfigError("there is no such mute.", file=mute_id, fix="`farthing anomalies mutes` lists them.")
    ended = {**row, "ended_at": clock.now()}
    issued.put(lake, MUTES, [ended])
    return ended


def read(lake: Lake, table: Table, *, order: str | None = None) -> list[Row]:
    """All rows of an issued table; times in UTC with a zone."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        rows = con.execute(f"from ({lake.select(table)})" + (f" order by {order}" if order else "")).fetchall()
        names = [column[0] for column in con.description or ()]
    return [{name: _with_zone(value) for name, value in zip(names, row, strict=True)} for row in rows]


def _with_zone(value: Any) -> Any:
    """The lake is read in UTC, without a zone."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def _same(one: Finding, stored: Mapping[str, Row]) -> str:
    """The id of the stored episode that `one` goes on, which may have begun before what is looked at; else its own."""
    if one.id in stored:
        return one.id
    about = (one.rule, one.dimension, one.key, one.currency)
    going_on = [
        name
        for name, row in stored.items()
        if about == (row["rule"], row["dimension"], row["key"], row["BillingCurrency"])
        and row["first_day"] <= one.first <= row["last_day"] + timedelta(days=1)
    ]
    return min(going_on, default=one.id)


def _place(parent: str | None, one: Finding, stored: Row | None) -> Row:
    """Where it stands: what was explained once stays so, though what explains it is over for long."""
    if parent is None and stored is not None and stored["parent_id"] is not None:
        return {"level": "detail", "parent_id": stored["parent_id"]}
    return {"level": one.level, "parent_id": parent}


def _row(
    one: Finding, stored: Row | None, verdict: str | None, mutes: Iterable[Row], until: date, now: datetime
) -> Row:
    row: Row = {
        "episode_id": one.id,
        "dimension": one.dimension,
        "key": one.key,
        "BillingCurrency": one.currency,
        "rule": one.rule,
        "first_day": min(one.first, stored["first_day"]) if stored else one.first,
        "last_day": one.last,
        "opened_at": stored["opened_at"] if stored else now,
        "updated_at": now,
        "expected": one.expected,
        "actual": one.actual,
        "impact": one.impact,
        "score": one.score,
        "title": one.title,
        "cause": json.dumps(one.cause, ensure_ascii=False) if one.cause else None,
    }
    return {**row, "state": _state(one.open, verdict, row, mutes, until)}


def _state(is_open: bool, verdict: str | None, row: Mapping[str, Any], mutes: Iterable[Row], until: date) -> str:
    if verdict in _SETTLED_BY:
        return _SETTLED_BY[verdict]
    if not is_open:
        return "closed"
    muted = any(
        mute["ended_at"] is None and (mute["until_day"] is None or until <= mute["until_day"]) and _matches(mute, row)
        for mute in mutes
    )
    return "muted" if muted else "open"


def _matches(mute: Row, row: Mapping[str, Any]) -> bool:
    return all(mute[name] is None or mute[name] == row[name] for name in ("dimension", "key", "rule"))


def _differs(row: Row, stored: Row | None) -> bool:
    return stored is None or any(row[name] != stored[name] for name in row if name != "updated_at")
