"""A broken rule is found on the day on which it is broken, with what it costs, and not before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from farthing.anomalies import Finding
from tests.farthing.anomalies.conftest import HEAVY, IDLE, LAST, NEW, PRICE, UNTAGGED

pytestmark = pytest.mark.slow  # builds of a whole project

Look = Callable[..., list[Finding]]
ONE = timedelta(days=1)


def rule(found: list[Finding], name: str, key: str) -> Finding | None:
    return next((one for one in found if one.rule == name and one.key == key), None)


@pytest.mark.parametrize(
    ("name", "key", "day", "impact"),
    [
        ("idle", "node-1", IDLE, 48),
        ("price", "OpenAI model-x", PRICE, 18),
        ("unassigned", "notebooks", UNTAGGED, 59),
        ("new key", "Search", NEW, 30),
        ("new key", "heavy", HEAVY, 10),
        ("user limit", "heavy", HEAVY + 2 * ONE, 10),
    ],
    ids=str,
)
def test_a_rule_is_broken_on_its_day_and_not_the_day_before(
    found: Look, name: str, key: str, day: date, impact: float
) -> None:
    assert rule(found(day - ONE), name, key) is None
    broken = rule(found(day), name, key)
    assert broken is not None
    assert (broken.first, broken.last, broken.open) == (day, day, True)
    assert broken.impact == pytest.approx(impact)
    assert f"{impact}.00 USD" in broken.title


def test_a_stretch_of_days_is_one_finding_whose_money_grows(found: Look) -> None:
    early, late = rule(found(IDLE + ONE), "idle", "node-1"), rule(found(IDLE + 9 * ONE), "idle", "node-1")
    assert early is not None
    assert late is not None
    assert early.id == late.id
    assert [one.impact for one in (early, late)] == pytest.approx([96, 480])


@pytest.mark.parametrize(
    ("settings", "name", "key"),
    [
        ({"idle_hours": 24 * 14}, "idle", "node-1"),
        ({"rule_floor": Decimal(60)}, "unassigned", "notebooks"),
        ({"price_rise": 0.3}, "price", "OpenAI model-x"),
        ({"user_limits": {}}, "user limit", "heavy"),
        ({"user_limits": {"coding": Decimal(200)}}, "user limit", "heavy"),
        ({"user_limits": {"*": Decimal(200), "pro": Decimal(1)}}, "user limit", "heavy"),
    ],
    ids=[
        "idle for less long",
        "below the floor",
        "a smaller rise",
        "no limit",
        "below the limit",
        "another plan's limit",
    ],
)
def test_the_settings_say_when_a_rule_is_broken(found: Look, settings: dict[str, Any], name: str, key: str) -> None:
    day = {"idle": IDLE + 5 * ONE, "price": PRICE, "unassigned": UNTAGGED}.get(name, LAST)
    assert rule(found(day), name, key) is not None
    assert rule(found(day, **settings), name, key) is None


def test_what_did_not_change_its_price_broke_no_rule(found: Look) -> None:
    assert [one.key for one in found(LAST) if one.rule == "price"] == ["OpenAI model-x"]
