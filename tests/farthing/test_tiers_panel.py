"""The panel of `farthing tiers` and its spec: what is read, what is left out and said, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from farthing.errors import ConfigError
from farthing.tiers import panel, spec, study
from tests.farthing.commands import farthing


def frame(rows: list[tuple[object, ...]], columns: str = "user month cost") -> pl.DataFrame:
    return pl.DataFrame(rows, schema=columns.split(), orient="row", strict=False)


def read(rows: list[tuple[object, ...]], columns: str = "user month cost", toml: Mapping[str, Any] = {}) -> panel.Read:
    return panel.read(frame(rows, columns), spec.from_mapping(dict(toml)), None, file="rows")


def test_every_row_is_taken_or_told_why_not() -> None:
    rows: list[tuple[object, ...]] = [
        ("a", "2026-01", 1.0), ("a", "2026-01", 2.0), ("b", "2026-01", None), ("b", None, 1.0),
        ("b", "spring", 1.0), (None, "2026-01", 0.5), ("b", "2026-02", 0.0),
    ]  # fmt: skip
    made = read(rows, toml={"costs": {"unattributed": "leave"}})
    assert made.panel.cost.tolist() == [3.0, 0.0]
    told = made.coverage
    assert (told.rows, told.taken, told.merged) == (7, 2, 1)
    assert (told.without_month, told.without_cost, told.without_user) == (2, 1, 1)
    assert told.rows == told.taken + told.merged + told.without_month + told.without_cost + told.without_user


def test_cost_of_nobody_is_spread_by_cost_or_left_out_as_the_spec_says() -> None:
    rows: list[tuple[object, ...]] = [("a", "2026-01", 1.0), ("b", "2026-01", 3.0), (None, "2026-01", 2.0)]
    assert read(rows).panel.cost.tolist() == [1.5, 4.5]
    assert read(rows).coverage.unattributed_share == pytest.approx(1 / 3)
    left = read(rows, toml={"costs": {"unattributed": "leave"}})
    assert left.panel.cost.tolist() == [1.0, 3.0]
    assert "left out" in left.coverage.unattributed
    assert "33.3% of the cost is nobody's: left out: margins are that much too good" in left.coverage.notes


def test_credits_of_nobody_above_what_users_cost_make_no_negative_costs() -> None:
    rows: list[tuple[object, ...]] = [("a", "2026-01", 1.0), (None, "2026-01", -2.0)]
    with pytest.raises(ConfigError, match="more is taken off the cost that is nobody's"):
        read(rows)


@pytest.mark.parametrize(
    ("months", "expected"),
    [
        (["2026-01", "2026-02"], ["2026-01", "2026-02"]),
        (["2026/01/15", "20260201"], ["2026-01", "2026-02"]),
        ([202601, 202602], ["2026-01", "2026-02"]),
        ([20260131, 20260203], ["2026-01", "2026-02"]),
        ([1, 12], ["0001", "0012"]),
        (["1", "12"], ["0001", "0012"]),
        ([1.0, 12.0], ["0001", "0012"]),
    ],
    ids=["text", "other-text", "number", "day-number", "counted", "counted-text", "counted-float"],
)
def test_months_are_known_in_several_forms(months: list[object], expected: list[str]) -> None:
    assert read([("a", month, 1.0) for month in months]).months == expected


def test_a_user_of_a_csv_file_is_its_text_and_not_a_number(tmp_path: Path) -> None:
    path = tmp_path / "panel.csv"
    rows = [f"{user},1,{cost}" for user, cost in (("007", 1), ("7", 20), *((str(n), 1) for n in range(100, 11_000)))]
    path.write_text("\n".join(["user,month,cost", *rows, "x-1, 1 , 3.5 "]) + "\n", encoding="utf-8")
    made = panel.read_file(path, spec.Spec(), None)
    assert {"007", "7", "x-1"} <= set(made.users)
    assert made.coverage.merged == 0
    assert made.coverage.cost == 1 + 20 + 10_900 + 3.5


def test_a_user_without_a_name_is_nobody() -> None:
    assert read([("a", "2026-01", 1.0), ("", "2026-01", 1.0)]).coverage.without_user == 1


def test_a_table_of_which_nothing_can_be_taken_says_which_column_is_not_read() -> None:
    with pytest.raises(ConfigError, match="2 have no month in 'month', 0 more no cost") as told:
        read([("a", "Oct 2026", 1.0), ("b", "Nov 2026", 1.0)])
    assert "write months like 2026-10" in str(told.value)


def test_dates_are_months_too() -> None:
    days = pl.DataFrame({"uid": ["a", "a"], "date": ["2026-01-31", "2026-02-01"], "Cost": [1, 2]})
    made = panel.read(days.with_columns(pl.col("date").str.to_date()), spec.Spec(), None, file="rows")
    assert made.months == ["2026-01", "2026-02"]
    assert made.coverage.columns == {"user": "uid", "month": "date", "cost": "Cost"}


def test_a_missing_column_is_named_with_what_it_may_be_called() -> None:
    with pytest.raises(ConfigError, match=r"no column is the cost; there are user, month, dollars.*cogs"):
        read([("a", "2026-01", 1.0)], "user month dollars")


def test_costs_of_several_currencies_are_never_added() -> None:
    rows: list[tuple[object, ...]] = [("a", "2026-01", 1.0, "USD"), ("a", "2026-01", 2.0, "EUR")]
    with pytest.raises(ConfigError, match="EUR, USD"):
        read(rows, "user month cost currency")
    table = frame(rows, "user month cost currency")
    one = panel.read(table, spec.Spec(), "EUR", file="rows")
    assert (one.panel.cost.tolist(), one.currency) == ([2.0], "EUR")


def test_users_are_on_the_plan_that_the_panel_says_and_unknown_plans_are_refused() -> None:
    plans = {"plans": [{"name": "pro", "price": 20}, {"name": "team", "price": 50}]}
    rows: list[tuple[object, ...]] = [("a", "2026-01", 1.0, "team"), ("b", "2026-01", 1.0, None)]
    made = read(rows, "user month cost plan", plans)
    assert made.groups == [(panel.NO_PLAN, False), ("team", False)]
    assert made.panel.group.tolist() == [1, 0]
    with pytest.raises(ConfigError, match=r"plan 'gold'.*\[\[plans\]\]"):
        read([("a", "2026-01", 1.0, "gold")], "user month cost plan", plans)
    with pytest.raises(ConfigError, match="no column says who is on which"):
        read([("a", "2026-01", 1.0)], "user month cost", plans)


def test_a_segment_that_is_not_touched_is_a_group_of_its_own() -> None:
    rows: list[tuple[object, ...]] = [("a", "2026-01", 1.0, "bank"), ("b", "2026-01", 1.0, None)]
    made = read(rows, "user month cost segment", {"keep": {"segments": ["bank"]}})
    assert made.groups == [(panel.TODAY, False), (panel.TODAY, True)]
    assert made.panel.group.tolist() == [1, 0]


def test_a_segment_or_plan_to_keep_that_nobody_has_is_a_mistake() -> None:
    rows: list[tuple[object, ...]] = [("a", f"2026-0{month}", 1.0) for month in (1, 2, 3)]
    with pytest.raises(ConfigError, match=r"keep.segments.*segment 'bank'"):
        read(rows, toml={"keep": {"segments": ["bank"]}})
    given = spec.from_mapping({"keep": {"plans": ["gold"]}})
    with pytest.raises(ConfigError, match=r"keep.plans.*plan 'gold'; there are today"):
        study.study(given, panel.read(frame(rows), given, None, file="rows"))


def test_a_csv_file_is_read_like_parquet(tmp_path: Path) -> None:
    made = frame([("a", "2026-01", 1.25), ("a", "2026-02", 0.0), ("b", "2026-02", 7.5)])
    made.write_csv(tmp_path / "panel.csv")
    made.write_parquet(tmp_path / "panel.parquet")
    both = [panel.read_file(tmp_path / name, spec.Spec(), None) for name in ("panel.parquet", "panel.csv")]
    assert np.allclose(both[0].panel.cost, both[1].panel.cost)
    assert both[0].months == both[1].months


def test_the_example_is_a_spec_and_says_the_defaults(tmp_path: Path) -> None:
    said = farthing("tiers", "--example")
    (tmp_path / "tiers.toml").write_text(said.out, encoding="utf-8")
    loaded, plain = spec.load(tmp_path / "tiers.toml"), spec.Spec()
    for name in ("target", "limits", "costs", "users", "keep", "meter", "run"):
        assert getattr(loaded, name) == getattr(plain, name), name
    names = {"allowance_shares", "overage", "caps", "fair_use", "minimum_tiers", "maximum_tiers"}
    assert loaded.menu.model_dump(include=names) == plain.menu.model_dump(include=names)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[limits]\nusers_hot = 0.1", r"tiers.toml: \[limits.users_hot\].*spelling"),
        ("[limits]\nusers_hit = 2", r"\[limits.users_hit\].*less than or equal to 1"),
        ("[[plans]]\nname = 'a'\nprice = -1", r"\[plans.0.price\]"),
        ("[menu]\nminimum_tiers = 4\nmaximum_tiers = 2", "minimum_tiers is above"),
        ("[users]\nchurn = [2.0, 1.0]", "lower end comes first"),
        ("[[plans]]\nname='a'\nprice=1\n[[plans]]\nname='a'\nprice=2", "'a' twice"),
        ("[menu]\nprice_points = [1,2,3,4,5,6,7,8,9,10,11,12,13,14]", "more than 50,000"),
        ("[menu", "not TOML"),
    ],
    ids=["unknown", "range", "price", "tiers", "churn", "twice", "many", "toml"],
)
def test_a_mistake_in_the_spec_names_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "tiers.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        spec.load(tmp_path / "tiers.toml")


def test_a_spec_that_is_not_there_names_the_example(tmp_path: Path) -> None:
    said = farthing("tiers", "--panel", tmp_path / "p.parquet", "--spec", tmp_path / "no.toml")
    assert said.code == 2
    assert "--example" in said.err
