"""What was told, where, and what came of it: the table `alerts`, a row for each channel of an alert's event."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Literal

import duckdb

from farthing import issued
from farthing.lake import Lake
from farthing.lake.issued import ALERTS

State = Literal["sent", "failed", "dead", "muted"]


@dataclass(frozen=True)
class Entry:
    """A row: `attempts` are runs that tried; `payload` is the alert, from which each run makes its message anew."""

    alert_id: str
    event: str
    kind: str
    dimension: str
    key: str | None
    channel: str | None  # None: nobody is told
    title: str
    state: State
    attempts: int
    error: str | None
    created_at: datetime
    sent_at: datetime | None
    payload: str


def read(lake: Lake) -> list[Entry]:
    """All rows, the oldest first."""
    names = [field.name for field in fields(Entry)]
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        columns = ", ".join(f"timezone('UTC', {name})" if name.endswith("_at") else name for name in names)
        rows = con.execute(
            f"select {columns} from ({lake.select(ALERTS)}) order by created_at, alert_id, event, channel"
        ).fetchall()
    return [Entry(*row) for row in rows]


def write(lake: Lake, entries: Iterable[Entry]) -> None:
    """Put `entries` in the place of those with their alert, event and channel, in one commit."""
    issued.put(lake, ALERTS, [asdict(entry) for entry in entries])
