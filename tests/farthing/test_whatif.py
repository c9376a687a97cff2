"""`farthing whatif` on a small company: what it reads, what it claims, and what a later month says of that."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from models.whatif.scenario import AnyLever
from tests.farthing.commands import Said, farthing
from tests.worlds import TOML, tiny, write_csv

pytestmark = pytest.mark.slow  # a project is built and asked for each

_COLUMNS = (
    "request_id", "started_at", "ended_at", "user_id", "model", "provider", "replica_id", "input_tokens",
    "output_tokens", "prompt", "hit", "arm",
)  # fmt: skip
_BILL = (
    "ProviderName", "ServiceCategory", "ServiceName", "ResourceId", "ChargeCategory", "PricingCategory",
    "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd", "BilledCost",
    "EffectiveCost",
)  # fmt: skip
_TOML = (
    TOML.replace(
        'token_convention = "inclusive"',
        'token_convention = "inclusive"\ntags = ["arm"]\n'
        'columns = { prompt_hash = "prompt", gateway_cache_hit = "hit" }\nconstants = { service_tier = "standard" }',
    ).replace('price_table = "none"', 'price_table = "genai-prices"')
    + '\n[warehouse]\nrequest_days = 90\n[[prices]]\nmodel = "gpt-5"\ninput = 2\noutput = 10\n'
    + '[[prices]]\nmodel = "small"\ninput = 0.5\noutput = 2\n'
    + '[sources.gpu_prices]\nkind = "gpu_prices"\npath = "prices.csv"\n'
)
#: 1,000 tokens read and 100 written at the big model's price.
EACH = Decimal("0.003")
SMALL = Decimal("0.0007")

SCENARIO = """
name = "test"
draws = 40
[[fleets]]
pool = "gpu-serving"
headroom = { value = 0.2, basis = "assumed", why = "test" }
[[cards]]
name = "cache"
kind = "exact_cache"
ttl_hours = 2
[[cards]]
name = "gateway"
kind = "realised_cache"
[[cards]]
name = "router"
kind = "routing"
which = { models = ["gpt-5"] }
to = { model = "small", provider = "openai" }
easy = { value = 1, basis = "assumed", why = "test" }
recall = { value = 1, basis = "assumed", why = "test" }
misrouted = { value = 0, basis = "assumed", why = "test" }
fallback = { value = 0, basis = "assumed", why = "test" }
[[cards]]
name = "right size"
kind = "rightsizing"
pool = "gpu-serving"
"""


def _request(number: int, start: datetime, **keys: object) -> dict[str, object]:
    usual = {
        "request_id": f"{start:%m}-{number}",
        "started_at": start.isoformat(),
        "ended_at": (start + timedelta(seconds=5)).isoformat(),
        "user_id": "key-alice",
        "model": "gpt-5",
        "provider": "openai",
        "input_tokens": 1000,
        "output_tokens": 100,
        "prompt": f"prompt {number % 10}",
        "hit": "false",
        "arm": "treated",
    }
    return usual | keys


def _line(start: datetime, hours: int, cost: Decimal, **keys: object) -> dict[str, object]:
    month = start.replace(day=1, hour=0)
    usual = {
        "ProviderName": "OpenAI",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "OpenAI API",
        "ChargeCategory": "Usage",
        "PricingCategory": "Standard",
        "BillingCurrency": "USD",
        "BillingPeriodStart": month.isoformat(),
        "BillingPeriodEnd": (month + timedelta(days=32)).replace(day=1).isoformat(),
        "ChargePeriodStart": start.isoformat(),
        "ChargePeriodEnd": (start + timedelta(hours=hours)).isoformat(),
        "BilledCost": cost,
        "EffectiveCost": cost,
    }
    return usual | keys


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """September: ten prompts, each asked twice within an hour, on five days, billed at 1.1 of its price.

    October: the same questions; half went to the small model, and the other half (arm control) stayed.
    """
    folder = tiny(tmp_path_factory.mktemp("whatif") / "company", toml=_TOML)
    asked, bill = [], []
    for day in range(5):
        before = datetime(2026, 9, 7 + day, 10, tzinfo=UTC)
        asked += [_request(20 * day + at, before + timedelta(minutes=at)) for at in range(20)]
        bill.append(_line(before.replace(hour=0), 24, 20 * EACH * Decimal("1.1")))
        after = datetime(2026, 10, 7 + day, 10, tzinfo=UTC)
        arms = ({"arm": "control"}, {"model": "small"})
        asked += [_request(20 * day + at, after + timedelta(minutes=at), **arms[at % 2]) for at in range(20)]
        bill.append(_line(after.replace(hour=0), 24, 10 * EACH + 10 * SMALL))
    asked.append(_request(900, datetime(2026, 9, 20, 9, tzinfo=UTC), hit="true"))
    node = {"ProviderName": "AWS", "ServiceCategory": "Compute", "ServiceName": "EC2", "ResourceId": "i-node-1"}
    for day in range(30):
        start = datetime(2026, 9, 1, tzinfo=UTC) + timedelta(days=day)
        bill += [_line(start + timedelta(hours=hour), 1, Decimal("2.5"), **node) for hour in range(24)]
    prices = [
        ("elsewhere", "a100.8x", "A100", 8, "on-demand", 9.6, "2026-01-01"),
        ("elsewhere", "a100.8x", "A100", 8, "on-demand", 8, "2026-09-15"),
        ("elsewhere", "a100.8x", "A100", 8, "on-demand", 1, "2026-10-15"),
        ("elsewhere", "h100.8x", "H100", 8, "on-demand", 20, "2026-01-01"),
        ("elsewhere", "a100.8x", "A100", 8, "spot", 4, "2026-01-01"),
    ]
    names = ("provider", "instance_type", "gpu_model", "gpus", "pricing_category", "price_per_instance_hour")
    columns = (*names, "valid_from", "currency")
    rows = [dict(zip(columns, (*row, "USD"), strict=True)) for row in prices]
    write_csv(folder / "prices.csv", columns, rows)
    write_csv(folder / "requests.csv", _COLUMNS, asked)
    write_csv(folder / "bills" / "october.csv", _BILL, bill)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FARTHING_HASH_KEY", "secret")
        assert farthing("collect", "--project", folder).code == 0
    assert farthing("build", "--project", folder).code == 0
    (folder / "scenario.toml").write_text(SCENARIO, encoding="utf-8")
    return folder


def whatif(company: Path, *arguments: object, file: str = "scenario.toml") -> Said:
    return farthing("whatif", company / file, "--month", "2026-09", "--project", company, *arguments)


def cards(said: Said) -> dict[str, Any]:
    assert said.code == 0, said.err
    return {card["card"]: card for card in said.value["cards"]}


@pytest.fixture(scope="module")
def worked(company: Path) -> Said:
    """September worked out, for tests that only read it."""
    return whatif(company, "--json")


def middle(card: dict[str, Any]) -> Decimal:
    return Decimal(card["saving"]["q50"])


def test_savings_are_worked_out_on_what_was_billed_for_each_request(worked: Said) -> None:
    found = cards(worked)
    billed = EACH * Decimal("1.1")
    assert found["cache"]["figures"]["hits"]["q50"] == 50
    assert middle(found["cache"]) == 50 * billed
    assert middle(found["router"]) == 100 * (billed - SMALL * Decimal("1.1"))
    assert middle(found["gateway"]) == EACH
    assert Decimal(found["router"]["matched_cost"]) == 100 * billed


def test_together_is_no_sum(worked: Said) -> None:
    together = worked.value["together"]
    billed, small = EACH * Decimal("1.1"), SMALL * Decimal("1.1")
    node = cards(worked)["right size"]
    requests = 100 * billed - 50 * small
    assert together["cards"] == ["cache", "router", "right size"]
    assert Decimal(together["saving"]["q50"]) - middle(node) == requests
    assert Decimal(together["added_up"]["q50"]) - middle(node) == 50 * billed + 100 * (billed - small)


def test_the_hours_of_machines_are_those_of_the_bill_and_their_busy_time_of_telemetry(worked: Said) -> None:
    node = cards(worked)["right size"]
    assert node["inputs"]["billed GPU-hours A100"]["q50"] == 30 * 24 * 2
    assert node["inputs"]["rate A100"]["q50"] == pytest.approx(1.25)
    assert "not watched" in node["remarks"][0]
    assert middle(node) == 0


def test_people_get_tables_programs_one_value_and_spreadsheets_the_cards(company: Path) -> None:
    table = whatif(company)
    assert "all together" in table.out
    assert "What the cards stand on" in table.out
    csv = whatif(company, "--csv").out.splitlines()
    assert csv[0].startswith("card,kind,saving_q05,saving,")
    assert len(csv) == 5


def test_the_page_has_a_chart_and_the_formula_of_each_card(company: Path, tmp_path: Path) -> None:
    said = whatif(company, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert said.code == 0
    assert page.count("<svg") == 1
    assert page.count("Formula: ") == 4
    assert "<script" not in page


def test_a_log_without_hashes_gets_the_reason_and_no_zero(tiny_project: Path, company: Path) -> None:
    said = farthing("whatif", company / "scenario.toml", "--json", "--project", tiny_project)
    found = cards(said)
    assert found["cache"]["saving"] is None
    assert "prompt_hash" in found["cache"]["remarks"][0]
    assert found["router"]["saving"] is None


def test_a_card_of_every_kind_is_in_the_example_and_can_be_worked_out(company: Path, tmp_path: Path) -> None:
    example = farthing("whatif", "--example").out
    for pool in ("inference", "rack"):
        example = example.replace(f'"{pool}"', '"gpu-serving"')
    (tmp_path / "example.toml").write_text(example.replace("draws = 200", "draws = 20"), encoding="utf-8")
    said = whatif(company, "--json", file=str(tmp_path / "example.toml"))
    assert {card["kind"] for card in said.value["cards"]} | {"semantic_cache"} == {
        get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(get_args(AnyLever)[0])
    }


def test_classes_of_requests_are_read_from_a_file_beside_the_scenario(company: Path, tmp_path: Path) -> None:
    card = (
        '[[cards]]\nname = "meaning"\nkind = "semantic_cache"\nttl_hours = 2\nclasses = "classes.csv"\n'
        'wrong = { value = 0, basis = "assumed", why = "test" }\n'
    )
    (tmp_path / "scenario.toml").write_text(card, encoding="utf-8")
    said = whatif(company, "--json", file=str(tmp_path / "scenario.toml"))
    assert (said.code, "classes.csv" in said.err) == (2, True)
    rows = "".join(f"09-{number},greeting\n" for number in range(3))
    (tmp_path / "classes.csv").write_text(f"request_id,class\n{rows}", encoding="utf-8")
    found = cards(whatif(company, "--json", file=str(tmp_path / "scenario.toml")))["meaning"]
    assert found["figures"]["hits"]["q50"] == 2
    assert "97 requests lack" in " ".join(found["remarks"])


def test_prices_of_elsewhere_are_those_of_the_dated_tables(company: Path, tmp_path: Path) -> None:
    router = SCENARIO.replace('to = { model = "small", provider = "openai" }', 'to = { model = "gpt-5-nano" }')
    more = (
        '[[cards]]\nname = "elsewhere"\nkind = "cloud"\npool = "gpu-serving"\nprovider = "Elsewhere"\n'
        '[[cards]]\nname = "nowhere"\nkind = "cloud"\npool = "gpu-serving"\nprovider = "nobody"\n'
    )
    (tmp_path / "scenario.toml").write_text(router + more, encoding="utf-8")
    found = cards(whatif(company, "--json", file=str(tmp_path / "scenario.toml")))
    tokens = Decimal("0.05") * 1000 / 10**6 + Decimal("0.4") * 100 / 10**6  # the package's price of gpt-5-nano
    assert middle(found["router"]) == 100 * (EACH - tokens) * Decimal("1.1")
    assert found["elsewhere"]["inputs"]["gpu_hour"]["q50"] == 1.0
    assert "since 2026-09-15" in found["elsewhere"]["inputs"]["gpu_hour"]["why"]
    assert middle(found["elsewhere"]) == 30 * 24 * 2 * (Decimal("1.25") - 1)
    assert found["nowhere"]["saving"] is None


def test_demand_of_a_commitment_is_read_from_a_file_of_paths(company: Path, tmp_path: Path) -> None:
    card = (
        '[[cards]]\nname = "commit"\nkind = "reserved"\npool = "gpu-serving"\nterm_months = 12\npaths = "paths.csv"\n'
        'discount = { value = 0.4, basis = "assumed", why = "offer" }\n'
    )
    (tmp_path / "scenario.toml").write_text(card, encoding="utf-8")
    (tmp_path / "paths.csv").write_text("path,step,gpus\n1,1,4\n1,2,4\n2,1,6\n2,2,6\n", encoding="utf-8")
    found = cards(whatif(company, "--json", file=str(tmp_path / "scenario.toml")))["commit"]
    assert found["figures"]["committed A100"]["q50"] == 4
    (tmp_path / "paths.csv").write_text("path,step,gpus\n1,1,4\n2,1,6\n2,2,6\n", encoding="utf-8")
    said = whatif(company, "--json", file=str(tmp_path / "scenario.toml"))
    assert (said.code, "same steps" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('kind = "exact_cache"', 'kind = "magic"'), "[cards.cache]"),
        (("ttl_hours = 2", ""), "[cards.cache.ttl_hours] Field required"),
        (("ttl_hours = 2", "ttl_hours = 2\nhope = 1"), "[cards.cache.hope]"),
        (("ttl_hours = 2", "ttl_hours = 2\nlookup_fee = 0.1"), "numbers of a card are like"),
        (('pool = "gpu-serving"\nheadroom', 'pool = "gpu"\nheadroom'), "pool 'gpu' has no GPUs in the month"),
        (('name = "router"', 'name = "cache"'), "card name used twice: cache"),
        (("easy = { value = 1", "easy = { value = 2"), "between 0 and 1"),
        (('kind = "exact_cache"', 'kind = "semantic_cache"'), "semantic caching needs classes"),
        (('name = "test"', "name = "), "this is not TOML"),
    ],
    ids=["kind", "missing", "unknown", "bare number", "pool", "twice", "chance", "semantic", "toml"],
)
def test_a_mistake_in_the_scenario_names_file_key_and_fix(
    company: Path, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO.replace(*change, 1), encoding="utf-8")
    said = whatif(company, file=str(path))
    assert said.code == 2
    assert words in " ".join(said.err.split())
    assert str(path) in said.err
    assert "Traceback" not in said.err


def test_without_a_scenario_the_command_says_what_to_give(company: Path) -> None:
    assert farthing("whatif", "run", "--project", company).code == 2
    assert "whatif --example" in farthing("whatif", company / "no.toml", "--project", company).err


def test_a_missing_extra_is_named_and_only_the_page_needs_it(company: Path) -> None:
    hide = "import sys; sys.modules |= dict.fromkeys(['altair', 'jinja2', 'vl_convert', 'pandas', 'scipy']);"
    run = f"{hide} from farthing.cli import main; main()"
    asked = ["whatif", str(company / "scenario.toml"), "--month", "2026-09", "--csv", "--project", str(company)]
    refused = subprocess.run(
        [sys.executable, "-c", run, *asked, "--out", "x.html"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "pip install 'farthing[report]'" in " ".join(refused.stderr.split())
    assert subprocess.run([sys.executable, "-c", run, *asked], capture_output=True, check=False).returncode == 0


# The check


def checked(company: Path, tmp_path: Path, scenario: str = SCENARIO, **claimed: float) -> tuple[Said, dict[str, Any]]:
    path, claim = tmp_path / "scenario.toml", tmp_path / "claim.json"
    path.write_text(scenario, encoding="utf-8")
    said = whatif(company, "--json", file=str(path))
    value = json.loads(said.out)
    for card in value["cards"]:
        if card["card"] in claimed:
            factor = Decimal(str(claimed[card["card"]]))
            card["saving"] = {name: str(Decimal(number) * factor) for name, number in card["saving"].items()}
    claim.write_text(json.dumps(value), encoding="utf-8")
    arguments = ("--claim", claim, "--month", "2026-10", "--json", "--project", company)
    got = farthing("whatif", "check", path, *arguments)
    return got, {row["card"]: row for row in got.value}


def test_a_month_later_realised_is_compared_with_claimed(company: Path, tmp_path: Path) -> None:
    said, rows = checked(company, tmp_path, router=0.5, cache=0.5)
    router = rows["router"]
    before, after = float(EACH) * 1.1 * 100 / 101, float(EACH + SMALL) / 2  # the gateway's hit cost nothing
    assert router["realised"] == pytest.approx(100 * (before - after), abs=1e-6)
    assert router["requests"] == 100
    assert router["verdict"] == "more than claimed"
    assert rows["gateway"]["verdict"] == "not checked"
    assert said.code == 0


def test_less_than_claimed_is_a_finding(company: Path, tmp_path: Path) -> None:
    said, rows = checked(company, tmp_path)
    assert rows["router"]["verdict"] == "less than claimed"
    assert said.code == 1


def test_a_holdout_is_compared_in_the_same_month(company: Path, tmp_path: Path) -> None:
    scenario = SCENARIO.replace('kind = "routing"', 'kind = "routing"\nholdout = "arm=control"')
    _, rows = checked(company, tmp_path, scenario)
    assert rows["router"]["how"].startswith("holdout")
    assert rows["router"]["realised"] == pytest.approx(50 * float(EACH - SMALL), abs=1e-6)
    assert rows["router"]["requests"] == 50


def test_what_is_no_claim_is_refused(company: Path, tmp_path: Path) -> None:
    (tmp_path / "claim.json").write_text("[]", encoding="utf-8")
    arguments = ("--claim", tmp_path / "claim.json", "--month", "2026-10", "--project", company)
    said = farthing("whatif", "check", company / "scenario.toml", *arguments)
    assert said.code == 2
    assert "no output of `farthing whatif --json`" in said.err
