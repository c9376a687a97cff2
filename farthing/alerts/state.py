"""What was told, where, and what came of it: the table `alerts`, a row for each channel of an alert's event."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import datetime
from typing import Literal

import duckdb
import pyarrow as pa

from farthing.lake import Lake
from farthing.lake.schemas import COUNT, TEXT, TIME, Table

State = Literal["sent", "failed", "dead", "muted"]

ALERTS = Table(
    "alerts",
    pa.schema(
        [
            ("alert_id", TEXT),
            ("event", TEXT),
            ("kind", TEXT),
            ("dimension", TEXT),
            ("key", TEXT),
            ("channel", TEXT),
            ("created_at", TIME),
            ("state", TEXT),
            ("attempts", COUNT),
            ("last_error", TEXT),
            ("sent_at", TIME),
            ("payload", TEXT),
        ]
    ),
    key=("alert_id", "event", "channel"),
)


@dataclass(frozen=True)
class Entry:
    """A row: `attempts` are runs that tried; `payload` is the alert, from which each run makes its message anew."""

    alert_id: str
    event: str
    kind: str
    dimension: str
    key: str
    channel: str
    created_at: datetime
    state: State
    attempts: int
    last_error: str | None
    sent_at: datetime | None
    payload: str


NAMES = tuple(field.name for field in fields(Entry))


def read(lake: Lake) -> list[Entry]:
    """All rows, the oldest first."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        columns = ", ".join(f"timezone('UTC', {name})" if name.endswith("_at") else name for name in NAMES)
        rows = con.execute(
            f"select {columns} from ({lake.select(ALERTS)}) order by created_at, alert_id, event, channel"
        ).fetchall()
    return [Entry(*row) for row in rows]


def write(lake: Lake, entries: Iterable[Entry]) -> None:
    """Put `entries` in the place of those with their alert, event and channel, in one commit."""
    if found := [dict(zip(NAMES, astuple(entry), strict=True)) for entry in entries]:
        lake.upsert(ALERTS, pa.Table.from_pylist(found, schema=ALERTS.schema), load=f"alerts-{uuid.uuid4()}")
