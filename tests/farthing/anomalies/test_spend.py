"""A jump is found on the highest scope, with its cause; what explains it is told once; late bills are no drop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import duckdb
import pytest

from farthing.anomalies import Finding, days
from farthing.config.anomalies import Planned
from tests.farthing.anomalies.conftest import LAST, LATE, PRICE, SPIKE, UNTAGGED

Look = Callable[..., list[Finding]]
ONE = timedelta(days=1)


def told(found: list[Finding], day: date) -> list[Finding]:
    """The jumps of a day that people are told of."""
    return [one for one in found if one.level == "page" and one.score is not None and one.first == day]


def test_a_jump_is_told_once_on_the_total_and_shown_below_on_its_pool_and_team(found: Look) -> None:
    seen = found(SPIKE)
    [total] = told(seen, SPIKE)
    assert (total.dimension, total.key, total.currency) == ("total", None, "USD")
    below = {(one.dimension, one.key) for one in seen if one.parent == total.id}
    assert {("pool", "storage"), ("team", "data")} <= below
    assert all(one.level == "detail" for one in seen if one.parent is not None)
    assert told(found(SPIKE - ONE), SPIKE) == []


def test_its_causes_name_the_meter_and_split_price_from_volume(found: Look) -> None:
    [total] = told(found(SPIKE), SPIKE)
    best = total.cause[0]
    assert (best["of"], best["slice"]) == ("bill", {"sku": "gb"})
    assert (best["price_effect"], best["volume_effect"]) == pytest.approx((0, 100))
    assert any(cause["of"] == "ledger" and cause["slice"] == {"pool": "storage"} for cause in total.cause)


@pytest.mark.parametrize(("day", "rule", "pool"), [(PRICE, "price", "api"), (UNTAGGED, "unassigned", "notebooks")])
def test_a_jump_that_a_broken_rule_explains_is_not_told_again(found: Look, day: date, rule: str, pool: str) -> None:
    seen = found(day + ONE)
    [broken] = [one for one in seen if one.rule == rule]
    jumps = [one for one in seen if one.score is not None and one.key == pool]
    assert [one.parent for one in jumps] == [broken.id]


def test_days_without_a_provider_s_bill_are_not_judged_and_no_drop(
    found: Look, warehouse: duckdb.DuckDBPyConnection
) -> None:
    assert days.settled(warehouse, LATE - ONE) == LATE - ONE
    assert days.settled(warehouse, LAST) == LATE - ONE
    assert [one for one in found(LAST) if one.score is not None and one.last >= LATE] == []


def test_a_provider_that_has_been_silent_for_long_is_not_waited_for(warehouse: duckdb.DuckDBPyConnection) -> None:
    assert days.settled(warehouse, LATE + 8 * ONE) == LATE - ONE
    assert days.settled(warehouse, LATE + 30 * ONE) == LATE + 30 * ONE


def test_currencies_are_judged_apart(found: Look) -> None:
    assert {one.currency for one in found(SPIKE) if one.score is not None} == {"USD"}


def test_small_money_is_below_the_floor_whatever_its_score(found: Look) -> None:
    assert told(found(SPIKE, floor=Decimal(200)), SPIKE) == []
    assert told(found(SPIKE, total_share=0.5), SPIKE) == []


def test_planned_days_and_holidays_are_told_to_nobody(found: Look) -> None:
    launch = Planned(what="move of the archive", day=SPIKE, until=SPIKE, dimension="pool", key="storage")
    seen = found(SPIKE, planned=[launch])
    assert not any(one.key in ("storage", None) and one.score is not None for one in seen if one.first == SPIKE)
    assert any(one.key == "data" for one in seen if one.first == SPIKE)
    assert told(found(SPIKE, holidays=[SPIKE]), SPIKE) == []


def test_what_is_planned_to_stay_begins_a_new_history(found: Look) -> None:
    def jumps(seen: list[Finding]) -> list[str | None]:
        return [one.key for one in seen if one.score is not None and one.key == "api"]

    assert jumps(found(PRICE + ONE)) == ["api"]
    planned = [Planned(what="new contract", day=PRICE, dimension="pool", key="api")]
    assert jumps(found(PRICE + ONE, planned=planned)) == []
    assert jumps(found(LAST, planned=planned)) == []
