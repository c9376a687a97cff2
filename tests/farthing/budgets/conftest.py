"""The smallest books: ledger lines, plans, landings and people by hand, in the tables that a warehouse has."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from farthing import clock
from farthing.budgets.status import statuses
from farthing.config import Config, from_mapping
from farthing.lake.issued import LANDINGS
from farthing.lake.schemas import (
    BUDGETS,
    CHARGES,
    COST_LEDGER,
    GPU_DAYS,
    GPU_INVENTORY,
    IDENTITIES,
    REVENUE,
    USAGE_DAYS,
    Table,
)
from farthing.lake.views import duckdb_type, quoted

SQL = Path(__file__).resolve().parents[3] / "sql" / "marts"
_TABLES = (CHARGES, COST_LEDGER, USAGE_DAYS, GPU_DAYS, GPU_INVENTORY, IDENTITIES, REVENUE, BUDGETS, LANDINGS)
OCTOBER = date(2026, 10, 1)


def october(day: int) -> date:
    return date(2026, 10, day)


class Silence:
    def start(self, total: int, what: str) -> None:
        pass

    def advance(self, count: int = 1) -> None:
        pass


class Books:
    """A warehouse in memory; what is asked of it is asked on 20 October 2026 unless `today` says otherwise."""

    def __init__(self) -> None:
        self.con = duckdb.connect()
        for table in _TABLES:
            columns = ", ".join(f"{quoted(field.name)} {duckdb_type(field.type)}" for field in table.schema)
            self.con.execute(f"create table {table.name} ({columns})")
        self.con.execute(f"create view user_month as {(SQL / 'user_month.sql').read_text()}")
        self.con.execute("create table build_info (horizon timestamp)")
        self.con.execute("insert into build_info values ('2100-01-01')")

    def add(self, table: Table, **values: Any) -> None:
        names = ", ".join(map(quoted, values))
        marks = ", ".join("?" * len(values))
        self.con.execute(f"insert into {table.name} ({names}) values ({marks})", list(values.values()))

    def spend(self, day: int | date, cost: int | str, *, currency: str = "USD", **line: Any) -> None:
        """A line of the ledger; a number is a day of October."""
        self.add(
            COST_LEDGER,
            day=october(day) if isinstance(day, int) else day,
            cost=Decimal(cost),
            BillingCurrency=currency,
            kind="direct",
            **{"pool": "p", "provisional": False, "estimated": False, **line},
        )

    def plan(self, amount: int | str | None, dimension: str = "total", key: str | None = None, **line: Any) -> None:
        """A line of a plan for October."""
        self.add(
            BUDGETS,
            dimension=dimension,
            key=key,
            amount=None if amount is None else Decimal(amount),
            **{"month": OCTOBER, "name": "plan", "currency": "USD", **line},
        )

    def landing(self, as_of: int, forecast: float, q80: float, **line: Any) -> None:
        """A forecast of October that was issued when the ledger knew the day `as_of`."""
        self.add(
            LANDINGS,
            as_of=october(as_of),
            issued_at=datetime(2026, 10, as_of, 12, tzinfo=UTC) + timedelta(days=1),
            forecast=forecast,
            q80=q80,
            **{"month": OCTOBER, "dimension": "total", "BillingCurrency": "USD", **line},
        )

    def used(
        self, day: int, provider: str | None, requests: int = 0, tokens: tuple[int, int] = (0, 0), **line: Any
    ) -> None:
        """Requests and their tokens read and written."""
        self.add(
            USAGE_DAYS,
            day=october(day),
            provider=provider,
            requests=requests,
            input_tokens=tokens[0],
            output_tokens=tokens[1],
            **line,
        )

    def gpu(self, day: int, hours: float, cost: int | str, resource: str, **line: Any) -> None:
        """Hours of GPUs of a resource, and the ledger line that they are."""
        self.add(
            GPU_DAYS,
            day=october(day),
            gpu_seconds=hours * 3600,
            cost=Decimal(cost),
            ResourceId=resource,
            **{"pool": "p", "BillingCurrency": "USD", **line},
        )
        self.spend(day, cost, **{"pool": "p", **line})

    def billed(self, resource: str, provider: str) -> None:
        """A charge that says whose the resource is."""
        self.add(
            CHARGES, ResourceId=resource, ProviderName=provider, ChargePeriodStart=datetime(2026, 10, 1, tzinfo=UTC)
        )

    def config(self, *budgets: dict[str, Any], **tables: Any) -> Config:
        return from_mapping({"budgets": [{"name": "b", **one} for one in budgets], **tables})

    def statuses(self, *budgets: dict[str, Any], month: date | None = None, today: int = 20) -> Any:
        """A list of `Status`; as Any, so that its decimals compare with plain numbers."""
        with clock.fixed(datetime(2026, 10, today, 12, tzinfo=UTC)):
            return statuses(self.con, self.config(*budgets), month, Silence())

    def one(self, **budget: Any) -> Any:
        """The only status of a budget; `month` and `today` say when it is asked for."""
        when = {name: budget.pop(name) for name in ("month", "today") if name in budget}
        (found,) = self.statuses(budget, **when)
        return found


@pytest.fixture
def books() -> Books:
    return Books()
