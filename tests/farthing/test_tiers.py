"""`farthing tiers` on files and on a project: what is read, what is refused, what is promised, what is written."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks import tiers as contest
from farthing.errors import ConfigError
from farthing.tiers import document, panel, spec, study
from models.pricing import accounts, menus
from models.pricing.panel import compress
from tests.farthing.commands import farthing

SMALL = """
[[plans]]
name = "pro"
price = 20
[menu]
price_points = [10, 20, 40]
allowance_shares = [0.3, 0.6]
overage = [1.5]
caps = [0, 3]
maximum_tiers = 3
[limits]
users_hit = 0.3
users_hit_steeply = 0.2
overage_share = 0.3
[run]
draws = 200
frontier = 4
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A panel of 1,500 users and nine months, and a spec."""
    folder = tmp_path_factory.mktemp("tiers")
    frame = contest.made(contest.Company(users=1500), 3)
    frame.with_columns(pl.format("user-{}", "user").alias("user")).write_parquet(folder / "panel.parquet")
    (folder / "tiers.toml").write_text(SMALL, encoding="utf-8")
    return folder / "panel.parquet", folder / "tiers.toml"


@pytest.fixture(scope="module")
def found(files: tuple[Path, Path]) -> dict[str, Any]:
    """What the command says of the panel, three months held out."""
    said = farthing("tiers", "--panel", files[0], "--spec", files[1], "--holdout", 3, "--json")
    assert said.code == 0, said.err
    return dict(said.value)


# -- what is found --


def test_today_and_fair_use_caps_come_before_the_menus(found: dict[str, Any]) -> None:
    kinds = [offer["kind"] for offer in found["offers"]]
    assert kinds == sorted(kinds, key=["today", "fair-use cap", "menu"].index)
    assert {"today", "fair-use cap", "menu"} == set(kinds)


def test_every_offer_that_is_shown_keeps_every_limit(found: dict[str, Any]) -> None:
    limits = found["limits"]
    for offer in found["offers"][1:]:
        assert offer["limits_passed"] == []
        for name in ("users_hit", "users_hit_steeply", "users_capped", "overage_share", "profit_fall"):
            assert offer["limits"][name] <= limits[name] + 1e-12, (offer["id"], name)
        assert offer["limits"]["tier_share"] >= limits["tier_share"]


def test_the_limits_hold_for_each_user_month_rated_by_hand(found: dict[str, Any], files: tuple[Path, Path]) -> None:
    """No code of the models: bills from the printed tiers, user by user."""
    rows = pl.read_parquet(files[0]).filter(pl.col("month") <= 202606)
    shown = [offer for offer in found["offers"] if offer["kind"] == "menu"]
    assert shown
    for offer in shown:
        for (_,), month in rows.group_by("month"):
            cost = month["cost"].to_numpy()
            bills, overages, served = [], [], []
            for tier in offer["tiers"]:
                cap = float(tier["cap"] or "inf")
                served.append(np.minimum(cost, cap))
                overages.append(float(tier["overage"]) * np.maximum(served[-1] - float(tier["allowance"]), 0))
                bills.append(float(tier["fee"]) + overages[-1])
            taken = np.argmin(np.array(bills) + 0.3 * np.array(overages), axis=0)
            bill = np.choose(taken, bills)
            assert float(np.mean(bill > 22 + 1e-6)) <= offer["limits"]["users_hit"] <= found["limits"]["users_hit"]
            assert float(np.choose(taken, overages).sum() / bill.sum()) <= found["limits"]["overage_share"] + 1e-9
            assert min(np.mean(taken == tier) for tier in range(len(bills))) >= found["limits"]["tier_share"]


def test_a_limit_that_bins_keep_and_users_do_not_is_not_kept() -> None:
    """The limit is put between what bins say of a menu and what is so: the menu is gone."""
    choices = {"price_points": [15, 20, 30, 45], "allowance_shares": [0.3, 0.5, 0.7], "caps": [0], "maximum_tiers": 2}
    more = {"limits": {"overage_share": 0.5, "users_hit_steeply": 0.5}, "run": {"draws": 100, "frontier": 12}}
    given = spec.from_mapping({"plans": [{"name": "pro", "price": 20}], "menu": choices, **more})
    read_in = panel.read(contest.made(contest.Company(users=4000), 3), given, None, file="made")
    wide = study.study(given, read_in)
    now = [plan for _, plan, _ in wide.groups]
    at = menus.ground(compress(read_in.panel), now, given.terms)
    name, card, limit = next(
        (name, card, (binned + exact) / 2)
        for name in ("users_hit", "users_hit_steeply", "overage_share")
        for card in wide.menus
        for binned in [getattr(menus.measure(card.offer, at).against(), name)]
        for exact in [getattr(accounts.measure(card.offer, now, read_in.panel, given.terms).against(), name)]
        if binned < exact - 1e-9
    )
    limits = given.limits.model_copy(update={name: limit})
    narrow = study.study(given.model_copy(update={"limits": limits}), read_in)
    assert card.offer not in [one.offer for one in narrow.menus]
    for one in narrow.menus:
        assert getattr(accounts.measure(one.offer, now, read_in.panel, given.terms).against(), name) <= limit


def test_no_menu_of_the_frontier_is_beaten_in_margin_and_users_hit(found: dict[str, Any]) -> None:
    pairs = [(one["limits"]["users_hit"], one["fitted_margin"]) for one in found["offers"] if one["kind"] == "menu"]
    assert pairs == sorted(pairs)
    assert len({hit for hit, _ in pairs}) == len(pairs)


def test_held_out_months_are_rated_user_by_user_beside_the_promise(
    found: dict[str, Any], files: tuple[Path, Path]
) -> None:
    told = found["backtest"]
    assert told["months"] == ["2026-07", "2026-08", "2026-09"]
    cost = pl.read_parquet(files[0]).filter(pl.col("month") == 202607)["cost"].to_numpy()
    by_hand = 1 - (cost.sum() + len(cost) * (0.029 * 20 + 0.30)) / (20 * len(cost))
    [today] = [row for row in told["rows"] if (row["id"], row["tier"], row["month"]) == ("now", None, "2026-07")]
    assert today["realised_gm"] == pytest.approx(by_hand)
    assert today["inside"] == (today["gm_q05"] <= by_hand <= today["gm_q95"])
    assert told["offers"]["plan_months"] == 3 * len(found["offers"])


def test_fewer_held_out_months_see_nothing_of_them(files: tuple[Path, Path]) -> None:
    """What is promised from six months is the same whatever comes after them."""
    given, whole = spec.load(files[1]), pl.read_parquet(files[0])
    changed = whole.with_columns(cost=pl.when(pl.col("month") > 202606).then(99.0).otherwise("cost"))
    promised = [
        [card.promise.whole for card in study.study(given, panel.read(rows, given, None, file="rows"), holdout=3).cards]
        for rows in (whole, changed)
    ]
    assert promised[0] == promised[1]


def test_the_same_seed_is_the_same_answer_and_another_is_not(files: tuple[Path, Path], found: dict[str, Any]) -> None:
    again = farthing("tiers", "--panel", files[0], "--spec", files[1], "--holdout", 3, "--json").value
    other = farthing("tiers", "--panel", files[0], "--spec", files[1], "--holdout", 3, "--json", "--seed", 9).value
    assert again == found
    assert other["run"]["run_id"] != found["run"]["run_id"]
    assert other["offers"][0]["gm_q05"] != found["offers"][0]["gm_q05"]


def test_who_moves_and_who_is_hit_add_up(found: dict[str, Any]) -> None:
    for offer in found["offers"]:
        assert sum(move["users"] for move in offer["migration"]) == pytest.approx(1500)
    detail = found["detail"]
    changes = [one["change"] for one in detail["most_hit"]]
    assert changes == sorted(changes, reverse=True)
    assert 0 < len(changes) <= 50
    assert detail["users"] == 1500
    assert detail["hit_share"] == detail["hit"] / 1500


def test_unit_costs_move_the_margin_and_no_bill(found: dict[str, Any]) -> None:
    for offer in found["offers"]:
        margins = offer["margin_at_unit_cost"]
        assert margins["x0.5"] > margins["x0.7"] > offer["fitted_margin"] - 1e-3 > margins["x1.3"]


def test_break_even_use_is_said_in_requests_and_tokens_of_a_model(tmp_path: Path, files: tuple[Path, Path]) -> None:
    given = tmp_path / "tiers.toml"
    given.write_text(SMALL + '[unit_costs."gpt-5"]\nrequest = 0.01\nmillion_tokens = 2\n', encoding="utf-8")
    today = farthing("tiers", "--panel", files[0], "--spec", given, "--json").value["offers"][0]["tiers"][0]
    assert today["break_even_cost"] == pytest.approx(19.12)
    assert today["break_even_use"] == [
        {"model": "gpt-5", "requests": pytest.approx(1912), "tokens": pytest.approx(9.56e6)}
    ]


def test_an_annual_lock_and_a_kept_plan_keep_their_bills(files: tuple[Path, Path]) -> None:
    rows = pl.read_parquet(files[0]).with_columns(
        plan=pl.when(pl.col("user").str.ends_with("7")).then(pl.lit("annual")).otherwise(pl.lit("pro"))
    )
    for more in (
        {"plans": [{"name": "pro", "price": 20}, {"name": "annual", "price": 15, "locked_until": "2026-12"}]},
        {"plans": [{"name": "pro", "price": 20}, {"name": "annual", "price": 15}], "keep": {"plans": ["annual"]}},
    ):
        given = spec.from_mapping(
            {"menu": {"price_points": [20, 40], "maximum_tiers": 2}, "limits": {"users_hit": 1, "users_hit_steeply": 1}}
            | {"run": {"draws": 100, "frontier": 2}, **more}
        )
        made = study.study(given, panel.read(rows, given, None, file="rows"))
        assert made.menus
        for card in made.menus:
            assert card.offer.tiers[-1].name == "annual"
            annual = np.flatnonzero([name == "annual" for name, *_ in made.groups])
            assert card.outcome.tiers[-1].from_groups[annual] == pytest.approx([150])
            assert card.outcome.tiers[-1].revenue == pytest.approx(150 * 15)


def test_when_everybody_is_kept_nobody_chooses(files: tuple[Path, Path]) -> None:
    given = spec.from_mapping({"plans": [{"name": "pro", "price": 20}], "keep": {"plans": ["pro"]}})
    with pytest.raises(ConfigError, match="none chooses"):
        study.study(given, panel.read_file(files[0], given, None))


def test_too_few_months_are_refused_with_how_many_it_takes(files: tuple[Path, Path]) -> None:
    said = farthing("tiers", "--panel", files[0], "--spec", files[1], "--holdout", 7)
    assert said.code == 2
    assert "at least 3" in said.err


@pytest.mark.heavy
def test_without_a_plan_of_today_prices_follow_the_cost_and_that_is_said(files: tuple[Path, Path]) -> None:
    given = spec.Spec(run=spec.Run(draws=100))
    rows = pl.read_parquet(files[0]).with_columns(pl.col("cost") * 1000)
    made = study.study(given, panel.read(rows, given, None, file="rows"))
    assert made.groups[0][1].fee > float(made.read.panel.cost.mean())
    assert any("no plan of today is known" in note for note in made.notes)


def test_limits_that_no_menu_keeps_are_a_finding_that_names_them(tmp_path: Path, files: tuple[Path, Path]) -> None:
    given = tmp_path / "tiers.toml"
    given.write_text(SMALL.replace("users_hit = 0.3", "users_hit = 0.0"), encoding="utf-8")
    said = farthing("tiers", "--panel", files[0], "--spec", given)
    assert said.code == 1
    assert "users_hit" in said.err
    assert "cap-" in said.out  # the first lever is shown all the same


def test_a_price_of_units_that_will_fall_is_a_promise_of_more(tmp_path: Path, files: tuple[Path, Path]) -> None:
    given = tmp_path / "tiers.toml"
    given.write_text(SMALL + '[[unit_cost_changes]]\nmonth = "2026-10"\nfactor = 0.5\n', encoding="utf-8")
    plain = farthing("tiers", "--panel", files[0], "--spec", files[1], "--json").value["offers"][0]
    cheaper = farthing("tiers", "--panel", files[0], "--spec", given, "--json").value["offers"][0]
    assert cheaper["gm_q50"] > plain["gm_q50"] + 0.05


def test_paths_of_a_forecast_are_read_and_too_few_months_of_them_refused(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    pl.DataFrame({"a": [2.0, 2.1], "b": [2.0, 2.2], "c": [2.1, 2.0]}).write_csv(tmp_path / "paths.csv")
    arguments = ("tiers", "--panel", files[0], "--spec", files[1], "--json", "--level-paths")
    doubled = farthing(*arguments, tmp_path / "paths.csv").value["offers"][0]
    plain = farthing(*arguments[:-1]).value["offers"][0]
    assert doubled["gm_q50"] < plain["gm_q50"] - 0.1
    pl.DataFrame({"a": [2.0]}).write_csv(tmp_path / "short.csv")
    said = farthing(*arguments, tmp_path / "short.csv")
    assert said.code == 2
    assert "3 columns" in said.err


# -- what is written --


def test_the_table_says_the_plans_the_tiers_and_that_there_is_no_optimum(files: tuple[Path, Path]) -> None:
    said = farthing("tiers", "--panel", files[0], "--spec", files[1], "--holdout", 3)
    assert said.code == 0
    for words in ("20 (cap 60)", "not an optimum", "who moves where", "whose bill rises most", "Held-out months"):
        assert words in said.out, words


def test_csv_is_the_offers(files: tuple[Path, Path]) -> None:
    lines = farthing("tiers", "--panel", files[0], "--spec", files[1], "--csv").out.splitlines()
    assert lines[0].startswith("id,kind,plans,users_hit,users_capped,gm_q05")
    assert lines[1].startswith("now,today,20")


@pytest.mark.parametrize("name", ["chart.svg", "report.html"])
def test_a_chart_and_a_report_are_written(tmp_path: Path, files: tuple[Path, Path], name: str) -> None:
    out = tmp_path / name
    said = farthing("tiers", "--panel", files[0], "--spec", files[1], "--out", out, "--json")
    assert said.code == 0
    json.loads(said.out)
    text = out.read_text(encoding="utf-8")
    assert "<svg" in text
    assert all(offer["id"] in text for offer in said.value["offers"])
    if name.endswith("html"):
        assert "<script" not in text
        assert "panel.parquet" in text


def test_another_form_of_report_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    said = farthing("tiers", "--panel", tmp_path / "absent.parquet", "--out", tmp_path / "report.pdf")
    assert said.code == 2
    assert ".svg" in said.err


@pytest.mark.parametrize("target", ["neutral", "stripe", "openmeter"])
def test_the_plans_of_an_offer_are_exported_with_evidence(files: tuple[Path, Path], target: str) -> None:
    said = farthing("tiers", "--panel", files[0], "--spec", files[1], "--menu", "m1", "--export", target)
    assert said.code == 0
    whole = farthing("tiers", "--panel", files[0], "--spec", files[1], "--menu", "M1", "--json").value
    [menu] = [offer for offer in whole["offers"] if offer["id"] == "M1"]
    if target == "neutral":
        assert said.value["evidence"]["run_id"] == whole["run"]["run_id"]
        assert Decimal(said.value["evidence"]["gm_q05"]) == round(Decimal(menu["gm_q05"]), 6)
        assert [plan["fee"] for plan in said.value["plans"]] == [tier["fee"] for tier in menu["tiers"]]
        for plan, tier in zip(said.value["plans"], menu["tiers"], strict=True):
            [meter] = plan["meters"]
            assert Decimal(meter["included"]) * Decimal("0.01") == Decimal(tier["allowance"])
            assert Decimal(meter["tiers"][0]["unit_price"]) == Decimal(tier["overage"]) * Decimal("0.01")
            assert plan["valid_from"] == "2026-10-01"
    else:
        plans = said.value["products"] if target == "stripe" else said.value["plans"]
        assert len(plans) == len(menu["tiers"])
        assert all(plan["metadata"]["farthing_run_id"] == whole["run"]["run_id"] for plan in plans)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_every_user_is_written_with_both_bills(tmp_path: Path, files: tuple[Path, Path], suffix: str) -> None:
    out = tmp_path / f"users.{suffix}"
    arguments = ("tiers", "--panel", files[0], "--spec", files[1], "--json", "--accounts", out)
    whole = farthing(*arguments).value
    rows = pl.read_csv(out) if suffix == "csv" else pl.read_parquet(out)
    assert rows.height == rows["user"].n_unique() == 1500
    [menu] = [offer for offer in whole["offers"] if offer["id"] == whole["detail"]["id"]]
    assert rows["new_bill"].sum() == pytest.approx(sum(tier["revenue"] for tier in menu["tiers"]), rel=1e-3)
    assert rows["old_bill"].to_list() == pytest.approx([20.0] * 1500)
    assert rows.sort("new_bill")["new_bill"][-1] == pytest.approx(whole["detail"]["most_hit"][0]["new_bill"])


def test_accounts_in_another_form_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    said = farthing("tiers", "--panel", tmp_path / "absent.parquet", "--accounts", tmp_path / "users.xlsx")
    assert said.code == 2
    assert ".parquet" in said.err


def test_dates_in_the_spec_need_months_that_have_dates(files: tuple[Path, Path]) -> None:
    rows = pl.read_parquet(files[0]).with_columns(pl.col("month") - 202600)
    for more in (
        {"unit_cost_changes": [{"month": "2026-12", "factor": 0.5}], "plans": [{"name": "pro", "price": 20}]},
        {"plans": [{"name": "pro", "price": 20, "locked_until": "2026-12"}]},
    ):
        given = spec.from_mapping(more)
        with pytest.raises(ConfigError, match="numbers its months"):
            study.study(given, panel.read(rows, given, None, file="rows"))


def test_an_offer_that_is_not_there_is_named_with_those_that_are(files: tuple[Path, Path]) -> None:
    said = farthing("tiers", "--panel", files[0], "--spec", files[1], "--menu", "M99")
    assert said.code == 2
    assert "now, cap-" in said.err


# -- the shared panel --


@pytest.mark.slow
def test_held_out_months_of_the_shared_panel_lie_in_what_was_promised(shared: Path, tmp_path: Path) -> None:
    given = spec.from_mapping({"plans": [{"name": "pro", "price": 20}], "menu": {"maximum_tiers": 3}})
    read_in = panel.read_file(shared / "series" / "user_month_cost.parquet", given, None)
    told = document.backtest(study.study(given, read_in, holdout=3))
    assert told is not None
    for kind in ("offers", "tiers"):
        assert told[kind]["inside_share"] >= 0.8
        assert told[kind]["below_q10_share"] <= 0.2
