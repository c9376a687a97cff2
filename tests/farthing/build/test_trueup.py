"""The true-up of model APIs: what the bill is more than price times tokens is told apart in rate and volume."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from farthing import price_report
from farthing.lake import Lake
from tests.farthing.build.world import Ran, World, at, published

MILLION = 1_000_000
NEARLY = Decimal("1e-9")
POOL = {"name": "llm", "kind": "api", "match": {"ProviderName": ["OpenAI", "Anthropic", "Google"]}}
FAST = {"attribution": {"cell_seconds": 60}}
OWN = {"provider": "openai", "model": "m", "input": "1", "cached_input": "0.1", "output": "10"}
FIRST = at().date()


def world(*prices: dict[str, Any]) -> World:
    return World(POOL, prices=list(prices or (OWN,)), **FAST)


def bill(
    one: World, cost: Decimal | int | str, model: str | None = "m", provider: str = "OpenAI", day: int = 1
) -> None:
    """What a vendor bills for one model of a day, or for something that is no model."""
    one.charge(cost, at(day=day), at(day=day + 1), resource=None, ProviderName=provider, SkuId=model)


def call(one: World, user: str = "ann", model: str = "m", day: int = 1, **more: Any) -> None:
    """A request for a million tokens of m, unless it says other."""
    one.request(at("12:00", day), user=user, model=model, **{"provider": "openai", "replica": None, **tokens(), **more})


def tokens(**more: Any) -> dict[str, Any]:
    return {"input_tokens": MILLION, **more}


def trueup(ran: Ran, *columns: str) -> list[Any]:
    names = ", ".join(columns)
    return ran.ask(f"select {names} from done.trueup_days order by day, model")


def close(amount: Decimal | int | str) -> Any:
    return pytest.approx(Decimal(amount), abs=NEARLY)


@pytest.mark.heavy
def test_without_the_vendors_count_all_of_the_difference_is_rate() -> None:
    one = world()
    bill(one, 6)
    call(one, "ann", input_tokens=3 * MILLION)
    call(one, "bob")
    ran = one.run()
    assert ran.ledger("kind", "user_id") == {("direct", "ann"): Decimal("4.5"), ("direct", "bob"): Decimal("1.5")}
    assert trueup(ran, "priced_cost", "vendor_priced_cost", "billed_cost") == [(4, None, 6)]


def test_each_model_that_the_bill_names_is_shared_by_its_own_requests() -> None:
    one = world(OWN, {**OWN, "model": "n"})
    bill(one, 2)
    bill(one, 30, "N")
    call(one, "ann")
    call(one, "bob", "n")
    assert one.run().ledger("user_id", "model") == {("ann", "m"): 2, ("bob", "n"): 30}


def test_a_model_is_one_however_bill_log_and_report_write_it() -> None:
    one = world()
    bill(one, 5, "gpt-5-2025-08-07")
    call(one, "ann", "openai/gpt-5")
    one.vendor_usage("gpt-5-2025-08-07", **tokens(input_tokens=2 * MILLION))
    ran = one.run()
    assert ran.ledger("kind", "model") == {
        ("direct", "openai/gpt-5"): Decimal("2.5"),
        ("unexplained", "openai/gpt-5"): Decimal("2.5"),
    }
    assert trueup(ran, "priced_cost", "vendor_priced_cost") == [(Decimal("1.25"), Decimal("2.5"))]


def test_what_the_vendor_counted_and_nobody_logged_is_unexplained() -> None:
    """litellm#36426: the row of a request was dropped, and its cost was on nobody's list."""
    one = world()
    bill(one, 12)  # 10 at its price: the vendor takes a fifth more
    call(one, input_tokens=3 * MILLION)
    one.vendor_usage("m", input_tokens=10 * MILLION)
    ran = one.run()
    assert ran.ledger("kind", "user_id") == {
        ("direct", "ann"): Decimal("3.6"),
        ("unexplained", None): Decimal("8.4"),
    }
    assert trueup(ran, "requests", "input_tokens", "vendor_input_tokens", "unexplained_cost") == [
        (1, 3 * MILLION, 10 * MILLION, Decimal("8.4"))
    ]


def test_a_model_that_was_billed_and_never_logged_is_unexplained_and_nobody_elses() -> None:
    one = world()
    bill(one, 2)
    bill(one, 7, "gpt-4o")
    call(one)
    assert one.run().ledger("kind", "user_id", "model") == {
        ("direct", "ann", "m"): 2,
        ("unexplained", None, "gpt-4o"): 7,
    }


def test_what_is_no_model_on_the_bill_goes_to_the_models_by_their_price() -> None:
    one = world(OWN, {**OWN, "model": "n"})
    bill(one, 2)
    bill(one, 6, "n")
    bill(one, 4, "Web search")
    call(one, "ann")
    call(one, "bob", "n", input_tokens=3 * MILLION)
    assert one.run().ledger("user_id") == {"ann": 3, "bob": 9}


@pytest.mark.heavy
def test_a_name_that_the_bill_does_not_have_shares_what_no_log_has() -> None:
    """A deployment of one's own naming, billed under the model's."""
    one = world({**OWN, "model": "our-deployment"})
    bill(one, 5, "gpt-5")
    call(one, model="our-deployment")
    assert one.run().ledger("kind", "user_id") == {("direct", "ann"): 5}


def test_volume_goes_to_requests_whose_tokens_are_missing_up_to_the_mean_of_the_others() -> None:
    """litellm PR#37558: cancelled streams were lost; the vendor bills them."""
    one = world()
    bill(one, 10)
    call(one, "ann", input_tokens=2 * MILLION)
    call(one, "ann", input_tokens=4 * MILLION)
    call(one, "bob", input_tokens=None, usage_quality="missing")
    one.vendor_usage("m", input_tokens=10 * MILLION)
    ran = one.run()
    assert ran.ledger("kind", "user_id", "estimated") == {
        ("direct", "ann", False): 6,
        ("direct", "bob", True): 3,
        ("unexplained", None, False): 1,
    }
    assert trueup(ran, "requests_not_reported", "handed_cost", "direct_cost", "unexplained_cost") == [(1, 3, 9, 1)]


@pytest.mark.heavy
def test_estimated_tokens_are_paid_and_take_their_part_of_the_volume_besides() -> None:
    one = world()
    bill(one, 8)
    call(one, "ann", input_tokens=6 * MILLION)
    call(one, "bob", usage_quality="estimated")
    one.vendor_usage("m", input_tokens=8 * MILLION)
    assert one.run().ledger("kind", "user_id", "estimated") == {
        ("direct", "ann", False): 6,
        ("direct", "bob", True): 2,
    }


@pytest.mark.heavy
def test_where_no_request_has_tokens_those_without_share_the_bill() -> None:
    one = world()
    bill(one, 8)
    call(one, "ann", input_tokens=None, usage_quality="missing")
    call(one, "bob", input_tokens=None, usage_quality="missing")
    one.vendor_usage("m", input_tokens=8 * MILLION)
    assert one.run().ledger("kind", "user_id") == {("direct", "ann"): 4, ("direct", "bob"): 4}


def test_cached_tokens_that_the_log_lacks_are_seen_as_volume_and_the_bill_stays_whole() -> None:
    """litellm#34801: requests, input and output equal, cached tokens 24 % low, cost 8.5 % too high."""
    one = world()
    # 5.6 M of input, 1.68 M cached in truth: 3.92 + 0.168 + 1.0 of output; logged are 24 % fewer
    bill(one, "5.088")
    true: dict[str, Any] = {"input_tokens": 5_600_000, "output_tokens": 100_000}
    call(one, **true, cached_input_tokens=1_200_000)
    one.vendor_usage("m", **true, cached_input_tokens=1_680_000)
    ran = one.run()
    assert ran.kinds() == {"direct": Decimal("5.088")}
    [(priced, counted, billed, ours, theirs)] = trueup(
        ran, "priced_cost", "vendor_priced_cost", "billed_cost", "cached_input_tokens", "vendor_cached_input_tokens"
    )
    assert (priced, counted, billed) == (Decimal("5.52"), Decimal("5.088"), Decimal("5.088"))
    assert (round(priced / counted, 3), ours / theirs) == (Decimal("1.085"), pytest.approx(0.714, abs=0.001))


@pytest.mark.heavy
def test_a_factor_of_five_hundred_is_paid_in_full_and_a_finding(tmp_path: Path) -> None:
    """litellm#37923: every streamed request was priced 0: 1.47 shown, 830 billed, and no budget fired."""
    one = world()
    bill(one, 830, "claude-sonnet-4-5", "Google")
    call(one, model="claude-sonnet-4-5", provider="google", input_tokens=490_000, reported_cost=Decimal(0))
    con = build(one, tmp_path)
    with con as asked:
        assert asked.execute("select kind, user_id, cost from cost_ledger").fetchall() == [("direct", "ann", 830)]
        [(rate, finding)] = asked.execute("select rate, is_finding from api_trueup").fetchall()
        assert rate > 250
        assert finding
        [line] = price_report.warnings(asked)
        assert line.startswith("google claude-sonnet-4-5: billed 830.00 USD, ")
        quality = "select matched, total from data_quality where measure like 'of model APIs%'"
        assert asked.execute(quality).fetchall() == [(0, 830)]


def build(one: World, folder: Path) -> Any:
    one.land(Lake(str(folder / "lake")))
    return published(one.build(folder))


@pytest.mark.heavy
def test_within_a_tenth_nothing_is_found(tmp_path: Path) -> None:
    one = world()
    bill(one, "1.09")
    call(one)
    one.vendor_usage("m", input_tokens=MILLION)
    with build(one, tmp_path) as con:
        assert con.execute("select rate, volume, is_finding, remark from api_trueup").fetchall() == [
            (Decimal("1.09"), 1, False, None)
        ]
        assert price_report.warnings(con) == []


@pytest.mark.heavy
def test_usage_of_own_servers_is_no_vendors_count() -> None:
    one = world()
    bill(one, 2)
    call(one)
    one.vendor_usage("m", provider="vllm", input_tokens=50 * MILLION)
    ran = one.run()
    assert ran.kinds() == {"direct": 2}
    assert trueup(ran, "vendor_input_tokens") == [(None,)]


@pytest.mark.heavy
def test_before_the_bill_the_price_is_all_there_is_whatever_the_vendor_counted() -> None:
    one = world()
    call(one)
    one.vendor_usage("m", input_tokens=2 * MILLION)
    ran = one.run()
    assert ran.ledger("kind", "provisional") == {("direct", True): 1}
    assert trueup(ran, "provisional", "billed_cost", "unexplained_cost") == [(True, 1, 0)]


@pytest.mark.heavy
def test_a_changed_count_of_the_vendor_computes_its_day_again(tmp_path: Path) -> None:
    one = world()
    bill(one, 2)
    bill(one, 2, day=2)
    call(one)
    call(one, day=2)
    lake = Lake(str(tmp_path / "lake"))
    one.land(lake)
    one.build(tmp_path)
    one.rows = {name: [] for name in one.rows}
    one.vendor_usage("m", input_tokens=2 * MILLION)
    one.land(lake)
    assert one.build(tmp_path).days_built == [FIRST]


@pytest.mark.heavy
def test_credits_on_the_bill_keep_its_sum() -> None:
    one = world()
    bill(one, 3)
    one.charge(-1, at(), at(day=2), resource=None, ProviderName="OpenAI", ChargeCategory="Credit")
    call(one, "ann", input_tokens=2 * MILLION)
    call(one, "bob")
    ran = one.run()
    assert ran.users() == {"ann": close(Decimal(4) / 3), "bob": close(Decimal(2) / 3)}
    assert ran.total() == 2
