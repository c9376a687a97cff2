"""What people are alerted of after a run: anomalies, budgets, and steps that fail or work again.

Each run gives all that hold; who was told already is known to `farthing.alerts`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from farthing import figures
from farthing.alerts import Alert
from farthing.budgets import Fact
from farthing.config import Severity
from farthing.running.log import Step

_TO_DO = "Read the message, mend its cause, and run `farthing run` again; `farthing runs` has the history."
_WHAT_TO_DO = {
    "idle": "Give the GPUs work, or release them.",
    "new key": "Find out whose it is, and whether it is meant to be.",
    "unassigned": "Tag it, or give a pool in farthing.toml a rule that takes it.",
    "unpriced": "Give the model a price: [[prices]], or an alias in [attribution] model_aliases.",
    "true-up": "Compare log and invoice: `farthing doctor --prices` names what disagrees.",
    "user limit": "Look at what the user runs; `farthing explain user` lists it.",
}
_LOOK = "Look at the causes; if it was planned or is none, say so on the page or by `farthing anomalies feedback`."


def of_steps(steps: Sequence[Step], failing: Mapping[str, str], run_id: str) -> list[Alert]:
    """An alert for each step that fails, and for each that works again; `failing` is since which run each failed."""
    found = []
    for step in steps:
        since = failing.get(step.name)
        if step.state == "failed":
            found.append(_of_step(step, since or run_id, "critical", f"{step.name} fails"))
        elif step.state == "ok" and since is not None:
            found.append(_of_step(step, since, "info", f"{step.name} works again"))
    return found


def of_episodes(episodes: Iterable[Mapping[str, Any]], amounts: Mapping[str, float]) -> list[Alert]:
    """What is to be said of `episodes` (rows of that table) that stand by themselves: they began, doubled, are over.

    `amounts` is what those cost beyond the expected when people were told of them first, by id of the alert; it is over
    only for who was told that it began.
    """
    return [
        alert
        for row in episodes
        if row["level"] == "page" and row["parent_id"] is None
        for alert in _of_episode(row, amounts.get(f"episode-{row['episode_id']}"))
    ]


def of_budgets(facts: Iterable[Fact]) -> list[Alert]:
    """An alert for each threshold that is crossed."""
    return [
        Alert(
            id=fact.id,
            kind="budget" if fact.measure == "actual" else "landing",
            event="threshold",
            severity="critical" if fact.measure == "actual" and fact.percent >= 100 else "warning",
            dimension=fact.dimension,
            key=fact.key,
            title=fact.title,
            what=fact.what,
            amount=fact.value,
            currency=fact.currency,
            what_to_do="Spend less, plan more, or accept it: nothing is blocked.",
            page="anomalies",
        )
        for fact in facts
    ]


def _of_step(step: Step, since: str, severity: Severity, title: str) -> Alert:
    failed = step.state == "failed"
    return Alert(
        id=f"run-{since}-{step.name}",
        kind="run",
        event="open" if failed else "closed",
        severity=severity,
        dimension="total",
        key=None,
        title=title,
        what=step.said,
        what_to_do=_TO_DO if failed else "Nothing.",
    )


def _of_episode(row: Mapping[str, Any], told: float | None) -> Iterator[Alert]:
    if row["state"] == "open":
        yield _episode(row, "open", 1)
        doubled = int(math.log2(row["impact"] / told)) if told and row["impact"] / told >= 2 else 0
        if doubled:
            yield _episode(row, "doubled", doubled)
    elif told is not None:
        yield _episode(row, "closed", 1)


def _episode(row: Mapping[str, Any], event: Any, step: int) -> Alert:
    severity: Severity = "info" if event == "closed" else "critical" if row["dimension"] == "total" else "warning"
    expected, actual = (f"{row[name]:,.2f}" for name in ("expected", "actual"))
    days = figures.period(row["first_day"], row["last_day"])
    return Alert(
        id=f"episode-{row['episode_id']}",
        kind="anomaly",
        event=event,
        severity=severity,
        dimension=row["dimension"],
        key=row["key"],
        title=row["title"],
        what=f"{days}: {actual} {row['BillingCurrency']} where {expected} was expected.",
        amount=row["impact"],
        currency=row["BillingCurrency"],
        why=tuple(_causes(row["cause"])),
        what_to_do="Nothing." if event == "closed" else _WHAT_TO_DO.get(row["rule"], _LOOK),
        page=f"anomalies?episode={row['episode_id']}",
        step=step,
    )


def _causes(text: str | None) -> Iterator[str]:
    for cause in json.loads(text or "[]"):
        names = ", ".join(f"{dimension} {value}" for dimension, value in cause["slice"].items())
        split = ""
        if cause["price_effect"] is not None:
            split = f"; by price {cause['price_effect']:,.2f}, by volume {cause['volume_effect']:,.2f}"
        moved = f"from {cause['before']:,.2f} to {cause['after']:,.2f}"
        yield f"{names}: {cause['share']:.0%} of the change, {moved}{split}"
