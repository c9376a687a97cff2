"""Promises are kept on panels of known making, and what a menu takes does not grow with its users."""

from __future__ import annotations

import pytest

from benchmarks import tiers


@pytest.mark.parametrize("name", ["300 users", "2,000 users", "use falls 4 %"])
def test_held_out_months_lie_in_what_was_promised_and_every_limit_is_kept(name: str) -> None:
    found = tiers.calibration(name, tiers.COMPANIES[name], 2)
    assert found["offers"]["inside"] >= 0.8
    assert found["offers"]["below_q10"] <= 0.2
    assert found["menus"] > 0
    assert found["menus_that_pass_a_limit"] == 0
    assert found["binned_against_exact"] <= 1e-3


def test_a_panel_is_the_same_for_the_same_seed_and_its_users_grow() -> None:
    company = tiers.Company(users=500, growth=0.1)
    assert tiers.made(company, 1).equals(tiers.made(company, 1))
    counts = tiers.made(company, 1).group_by("month").len().sort("month")["len"].to_list()
    assert counts == sorted(counts)
    assert counts[-1] == 500 > counts[0]


@pytest.mark.heavy
@pytest.mark.timeout(1200)
def test_most_companies_of_every_kind_keep_what_they_promised() -> None:
    for name, company in tiers.COMPANIES.items():
        found = tiers.calibration(name, company, 12)
        for kind in ("offers", "tiers"):
            assert found[kind]["inside"] >= 0.8, (name, kind)
            assert found[kind]["below_q10"] <= 0.2, (name, kind)
        assert found["menus_that_pass_a_limit"] == 0


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_a_menu_for_a_million_users_takes_a_three_hundredth_and_the_command_two_gigabytes() -> None:
    speed = tiers.speed(1_000_000)
    assert speed["ratio"] >= 300
    assert speed["binned_against_exact"] <= 1e-3
    whole = tiers.command(1_000_000)
    assert whole["peak_bytes"] <= 2e9
    assert whole["same_answer"]
