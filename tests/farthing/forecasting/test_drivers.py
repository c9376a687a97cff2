"""What moved and what drives a cost: read from the ledger, adding up to the cent."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing import clock, warehouse
from farthing.forecasting.drivers import NoUseError, Use, cost_of, explained, moved, outlook, read_use
from farthing.forecasting.history import Scope
from models.driver import FIXED
from tests.farthing.forecasting.company import LAST, NOW
from tests.farthing.forecasting.conftest import config_of

pytestmark = pytest.mark.slow  # builds of a whole project

TOTAL = Scope("total", None, "USD")
OCTOBER, NOVEMBER = (date(2026, 10, 1), date(2026, 10, 31)), (date(2026, 11, 1), date(2026, 11, 30))


def use_of(company: Path, scope: Scope) -> Use:
    with clock.fixed(NOW), warehouse.open_warehouse(config_of(company)) as con:
        return read_use(con, scope, LAST)


@pytest.mark.parametrize("scope", [TOTAL, Scope("team", "support", "USD")], ids=["total", "team"])
def test_use_and_fixed_cost_are_all_of_the_ledger(company: Path, scope: Scope) -> None:
    use = use_of(company, scope)
    with warehouse.open_warehouse(config_of(company)) as con:
        [(cost,)] = con.execute(
            "select sum(cost) from scope_days where dimension = ? and key is not distinct from ?",
            [scope.dimension, scope.key],
        ).fetchall()
    assert cost_of(use) == pytest.approx(float(cost))
    assert set(use.models) == {"gpt"}
    assert use.models["gpt"]["cost"].sum() > 0


def test_a_user_of_two_days_counts_on_both_and_tokens_are_those_of_the_log(company: Path) -> None:
    use = use_of(company, TOTAL)
    monday = use.days.tolist().index(date(2026, 10, 5))
    of = use.models["gpt"]
    assert [of[name][monday] for name in ("users", "requests", "tokens")] == [3, 3, 3300]
    assert use.active[monday] == 3


def test_what_moved_the_cost_adds_up_to_the_difference_of_the_months(company: Path) -> None:
    use = use_of(company, TOTAL)
    before, after = use.between(*OCTOBER), use.between(*NOVEMBER)
    effects = moved(before, after)
    assert math.fsum(effects.values()) == pytest.approx(cost_of(after) - cost_of(before))
    assert effects["tokens per request"] == pytest.approx(0)
    assert effects["users"] < 0, "a day less"


def use(models: dict[str, tuple[float, float, float, float]], idle: float = 0.0) -> Use:
    """One day: by model users, requests, tokens and cost."""
    names = ("users", "requests", "tokens", "cost")
    return Use(
        TOTAL,
        np.array(["2026-10-01"], "datetime64[D]"),
        {
            model: {name: np.array([value]) for name, value in zip(names, of, strict=True)}
            for model, of in models.items()
        },
        {"idle": np.array([idle])},
        np.array([max((of[0] for of in models.values()), default=0.0)]),
    )


AMOUNT = st.floats(0.5, 1e4)
MODEL = st.one_of(st.just((0.0, 0.0, 0.0, 0.0)), st.just((1.0, 1.0, 0.0, 3.0)), st.tuples(*[AMOUNT] * 4))
MODELS = st.fixed_dictionaries({"a": MODEL, "b": MODEL})


@given(before=MODELS, after=MODELS, idle=AMOUNT)
def test_the_effects_add_up_whatever_comes_goes_or_has_no_tokens(
    before: dict[str, tuple[float, float, float, float]],
    after: dict[str, tuple[float, float, float, float]],
    idle: float,
) -> None:
    first, second = use(before), use(after, idle)
    moved_by = math.fsum(moved(first, second).values())
    assert moved_by == pytest.approx(cost_of(second) - cost_of(first), rel=1e-9, abs=1e-6)


def test_a_new_model_at_the_same_price_is_mix_and_a_dearer_token_is_cost_per_token() -> None:
    old = use({"a": (10, 100, 1000, 10), "b": (0, 0, 0, 0)})
    both = moved(old, use({"a": (10, 50, 500, 5), "b": (10, 50, 500, 50)}))
    assert both["mix"] == pytest.approx(45)
    dearer = moved(old, use({"a": (10, 100, 1000, 13), "b": (0, 0, 0, 0)}))
    assert dearer["cost per token"] == pytest.approx(3)
    assert moved(old, use({"a": (20, 200, 2000, 20), "b": (0, 0, 0, 0)}))["users"] == pytest.approx(10)


def test_the_outlook_of_a_steady_company_is_its_cost_and_is_explained_by_its_drivers(company: Path) -> None:
    found_use = use_of(company, TOTAL)
    found = outlook(found_use, config_of(company), 28, "weekday_mean")
    recent = found_use.between(date(2026, 11, 19), LAST)
    assert found.spend_point().mean() == pytest.approx(cost_of(recent) / 28, rel=0.05)
    fixed = found.point[found.names.index((FIXED, FIXED))]
    effects = explained(found_use, found)["gpt"]
    driven = recent.models["gpt"]["cost"].mean()
    assert math.fsum(effects.values()) == pytest.approx((found.spend_point() - fixed).mean() - driven)


def test_a_model_that_is_hardly_used_is_fixed(company: Path) -> None:
    found_use = use_of(company, TOTAL)
    for values in found_use.models["gpt"].values():
        values[:-20] = 0.0
    found = outlook(found_use, config_of(company), 7, "weekday_mean")
    assert found.names == [(FIXED, FIXED)]


def test_a_scope_without_logged_use_is_refused(company: Path) -> None:
    for scope in (Scope("pool", "own", "USD"), Scope("team", "nobody", "USD"), Scope("total", None, "EUR")):
        with pytest.raises(NoUseError):
            use_of(company, scope)
