"""After a month: the requests and pools that each card is about, before and after, and what was saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from farthing.console import Sheet
from farthing.errors import ConfigError
from farthing.whatif.month import Month
from models.whatif.card import Spread
from models.whatif.check import Check, Daily, before_after, holdout
from models.whatif.fleet import FleetLever
from models.whatif.inputs import Floats, Lever
from models.whatif.log import Bools
from models.whatif.routing import Routing
from models.whatif.scenario import RequestLever, Scenario

_COLUMNS = (
    "card", "verdict", "claimed_q05", "claimed", "claimed_q95", "realised_q05", "realised", "realised_q95",
    "each_before", "each_after", "requests", "how",
)  # fmt: skip


def _about(lever: RequestLever, month: Month) -> tuple[Bools, Floats]:
    """Which requests a card is about, whoever answers them now, and what each cost: cache hits cost nothing."""
    which = lever.which
    if isinstance(lever, Routing) and which.models:
        which = which.model_copy(update={"models": (*which.models, f"{lever.to.model}*")})
        which = which.model_copy(update={"providers": ()}) if lever.to.provider is not None else which
    cost = np.where(month.log.cached, 0.0, month.log.cost)
    return which.of(month.log, with_cached=True) & ~np.isnan(cost) & ~month.log.own, cost


def watched(lever: Lever, month: Month) -> Daily | None:
    """Requests and cost by day of what a card is about; None where a card has no check."""
    if isinstance(lever, RequestLever):
        here, cost = _about(lever, month)
        day = month.log.hour[here] // 24
        return Daily(_by_day(day, None, month.days), _by_day(day, cost[here], month.days))
    if isinstance(lever, FleetLever):
        log = month.log
        served = log.own & log.names["pool"].among([lever.pool])
        cost = sum((fleet.cost for fleet in lever.among(month.fleets)), np.zeros(24 * month.days))
        daily: Floats = np.asarray(cost).reshape(-1, 24).sum(axis=1)
        return Daily(_by_day(log.hour[served] // 24, None, month.days), daily)
    return None


def _by_day(day: np.ndarray[tuple[int], np.dtype[np.int64]], weights: Floats | None, days: int) -> Floats:
    found: Floats = np.bincount(day, weights=weights, minlength=days).astype(np.float64)[:days]
    return found


def read_claim(path: Path) -> dict[str, Any]:
    """What `farthing whatif FILE --json` wrote.

    Raises:
        ConfigError: the file is not that.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        cards = {card["card"]: card for card in value["cards"]}
        return {"month": value["month"], "currency": value["currency"], "cards": cards}
    except (OSError, ValueError, KeyError, TypeError) as error:
        told = error.strerror if isinstance(error, OSError) else "this is no output of `farthing whatif --json`"
        raise ConfigError(f"{told}.", file=path, fix="farthing whatif FILE --json > claim.json, before.") from None


def check(scenario: Scenario, claim: Mapping[str, Any], month: Month, tags: Mapping[str, Any]) -> Sheet:
    """A row for each card: claimed and realised, and how that is known. `tags` has the column of each holdout key."""
    rows: list[tuple[object, ...]] = []
    for lever in scenario.cards:
        claimed = claim["cards"].get(lever.name)
        try:
            found, how = _checked(lever, claimed, month, tags)
        except ValueError as error:
            found, how = None, str(error)
        if found is None:
            rows.append((lever.name, "not checked", *[None] * 9, how))
            continue
        three = (found.claimed, found.realised)
        amounts = [round(value, 6) for one in three for value in (one.q05, one.q50, one.q95)]
        rows.append(
            (lever.name, found.verdict, *amounts, found.before_each, found.after_each, int(found.requests), how)
        )
    return Sheet(
        "check",
        _COLUMNS,
        rows,
        title=f"Claimed in {claim['month']}, realised in {month.first:%Y-%m} ({month.currency})",
        note="the claim is scaled to the requests that came; nine of ten such months lie between q05 and q95",
        headings={"claimed_q05": "q05", "claimed_q95": "q95", "realised_q05": "q05 ", "realised_q95": "q95 "},
    )


def _checked(
    lever: Lever, claimed: Mapping[str, Any] | None, month: Month, tags: Mapping[str, Any]
) -> tuple[Check | None, str]:
    if claimed is None:
        return None, "the claim has no card of that name"
    if claimed["saving"] is None:
        return None, "nothing was claimed"
    if claimed["before"] is None:
        return None, "a card of this kind says nothing that a month can show"
    saving = Spread(*(float(claimed["saving"][name]) for name in ("q05", "q50", "q95")))
    before = Daily(*(np.array(claimed["before"][name], dtype=np.float64) for name in ("requests", "cost")))
    if lever.holdout is not None and isinstance(lever, RequestLever):
        key, _, kept = lever.holdout.partition("=")
        here, cost = _about(lever, month)
        left_alone = here & (np.asarray(tags[key]) == kept)
        changed = here & ~left_alone
        found = holdout(saving, float(before.requests.sum()), cost[left_alone].tolist(), cost[changed].tolist())
        return found, f"holdout: requests with {lever.holdout} against the others"
    after = watched(lever, month)
    assert after is not None
    return before_after(saving, before, after), "before and after, adjusted for the volume"
