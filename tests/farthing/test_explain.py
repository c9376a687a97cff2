"""From a number to its bill lines and back: every explanation adds up to what it explains, exactly."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing import clock
from farthing import config as configuration
from farthing.config import Config
from farthing.console import Sheet
from farthing.explain import NotFoundError, explain_charge, explain_request, explain_user
from farthing.explain.facts import bill_ends, days, midnight, shares, spread
from farthing.warehouse import open_warehouse
from tests.farthing.commands import farthing
from tests.worlds import API, NODE_HOUR, TOML, charge, tiny

_JANUARY, _MARCH = midnight(date(2026, 1, 1)), midnight(date(2026, 3, 1))
NODE_AT_TEN = "bills/october.csv:12"
STORAGE_LINE = "bills/october.csv:26"
FORGOTTEN_LINE = "bills/october.csv:28"


def _sheets(found: list[Sheet]) -> dict[str, Sheet]:
    return {sheet.name: sheet for sheet in found}


def _sum(sheet: Sheet, column: str = "cost") -> Decimal:
    index = list(sheet.columns).index(column)
    return sum((Decimal(str(row[index])) for row in sheet.rows), Decimal(0))


def _charge(project: Path, charge_id: str, top: int = 10) -> dict[str, Sheet]:
    config = configuration.load(project)
    with open_warehouse(config) as con:
        return _sheets(explain_charge(con, config, charge_id, top=top))


@given(whole=st.integers(-(10**24), 10**24), weights=st.lists(st.integers(-(10**20), 10**20), min_size=1))
def test_shares_add_up_to_the_whole_whatever_the_signs(whole: int, weights: list[int]) -> None:
    if sum(weights):
        assert sum(shares(whole, weights)) == whole
    else:
        with pytest.raises(ValueError, match="zero"):
            shares(whole, weights)


@given(
    whole=st.integers(-(10**18), 10**18),
    start=st.datetimes(_JANUARY, _MARCH),
    end=st.datetimes(_JANUARY, _MARCH),
)
def test_the_days_of_a_charge_add_up_to_it(whole: int, start: datetime, end: datetime) -> None:
    parts = [spread(whole, start, end, midnight(day), midnight(day + timedelta(days=1))) for day in days(start, end)]
    assert sum(parts) == whole


@pytest.mark.parametrize("charge_id", [NODE_AT_TEN, STORAGE_LINE, "bills/october.csv:27", FORGOTTEN_LINE])
@pytest.mark.parametrize("top", [1, 10])
def test_days_kinds_and_users_of_a_charge_each_add_up_to_it(tiny_project: Path, charge_id: str, top: int) -> None:
    found = _charge(tiny_project, charge_id, top)
    facts = dict(zip(found["charge"].columns, found["charge"].rows[0], strict=True))
    for name in ("days", "kinds", "users"):
        assert _sum(found[name]) == Decimal(str(facts["x_cost"])), name


def test_every_charge_of_a_bill_explained_gives_the_ledger_of_every_user_back(tiny_project: Path) -> None:
    """Explaining all charges one by one gives each user what the ledger gives them, up to rounding."""
    config = configuration.load(tiny_project)
    given_out: dict[object, Decimal] = {}
    with open_warehouse(config) as con:
        charges = [row[0] for row in con.execute("select x_charge_id from charges").fetchall()]
        for charge_id in charges:
            users = _sheets(explain_charge(con, config, charge_id, top=1000))["users"]
            for _, user, *_, cost in users.rows:
                given_out[user] = given_out.get(user, Decimal(0)) + Decimal(str(cost))
        ledger = dict(con.execute("select user_id, sum(cost) from cost_ledger group by 1").fetchall())
    assert given_out.keys() == ledger.keys()
    assert sum(given_out.values()) == sum(ledger.values())
    for user, cost in ledger.items():
        assert abs(given_out[user] - cost) < Decimal("1e-10"), user


def test_a_charge_names_the_rule_that_took_it(tiny_project: Path) -> None:
    facts = _charge(tiny_project, NODE_AT_TEN)["charge"]
    assert dict(zip(facts.columns, facts.rows[0], strict=True))["rule"] == "ResourceId=i-node-1"
    facts = _charge(tiny_project, FORGOTTEN_LINE)["charge"]
    assert dict(zip(facts.columns, facts.rows[0], strict=True))["rule"] == "no rule takes it"


@pytest.mark.slow
def test_a_charge_that_runs_on_after_the_build_shows_what_is_still_to_come(tmp_path: Path) -> None:
    future = charge("AWS", "Storage", Decimal("7.00"), service="S3") | {
        "ChargePeriodStart": "2026-10-05T00:00:00Z",
        "ChargePeriodEnd": "2026-10-12T00:00:00Z",
    }
    project = tiny(tmp_path / "company", more_charges=[future])
    with clock.fixed(datetime(2026, 10, 6, 12, tzinfo=UTC)):
        farthing("collect", "--project", project)
        assert farthing("build", "--project", project).code == 0
    found = _charge(project, "bills/october.csv:29")
    assert found["days"].rows[-1][0] == "still to come"
    assert _sum(found["days"]) == _sum(found["users"]) == Decimal("7.00")
    assert ("accrued", Decimal(0), Decimal("5.50")) in [tuple(row) for row in found["kinds"].rows]


@pytest.mark.slow
def test_a_credit_is_shared_like_a_charge_with_the_other_sign(tmp_path: Path) -> None:
    credit = charge("AWS", "Storage", Decimal("-1.00"), service="S3", kind="Credit")
    project = tiny(tmp_path / "company", more_charges=[credit])
    farthing("collect", "--project", project)
    assert farthing("build", "--project", project).code == 0
    users = _charge(project, "bills/october.csv:29")["users"]
    assert _sum(users) == Decimal(-1)
    assert all(Decimal(str(row[-1])) <= 0 for row in users.rows)


def _user(project: Path, user: str, month: date | None = None) -> dict[str, Sheet]:
    config = configuration.load(project)
    with open_warehouse(config) as con:
        return _sheets(explain_user(con, config, user, month))


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_the_parts_of_a_users_charges_add_up_to_the_ledger(tiny_project: Path, user: str) -> None:
    found = _user(tiny_project, user)
    sql = f"select sum(cost) as cost from cost_ledger where user_id = '{user}'"
    expected = Decimal(farthing("query", sql, "--json", "--project", tiny_project).value[0]["cost"])
    assert _sum(found["lines"]) == _sum(found["pools"]) == _sum(found["totals"]) == expected
    assert _sum(found["charges"], "part") == expected


def test_a_pools_charges_add_up_to_what_the_pool_cost_in_the_month(tiny_project: Path) -> None:
    found = _user(tiny_project, "alice")
    of_llm = [row for row in found["charges"].rows if row[0] == "llm"]
    assert sum(Decimal(str(row[5])) for row in of_llm) == API
    of_gpus = [row for row in found["charges"].rows if row[0] == "gpu-serving"]
    assert sum(Decimal(str(row[5])) for row in of_gpus) == 24 * NODE_HOUR


def test_an_unknown_user_gets_the_names_that_look_like_it(tiny_project: Path) -> None:
    with pytest.raises(NotFoundError, match="alice"):
        _user(tiny_project, "allice")
    with pytest.raises(NotFoundError, match=r"no user 'allice'\. Did you mean alice"):
        _user(tiny_project, "allice", date(2026, 9, 1))  # nor has it a month to name
    assert farthing("explain", "user", "allice", "--project", tiny_project).code == 2


def test_a_month_without_cost_names_the_months_that_have_some(tiny_project: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no cost in 2026-09 of user 'alice'\. There is some in 2026-10"):
        _user(tiny_project, "alice", date(2026, 9, 1))


def _request(project: Path, request: str, config: Config | None = None) -> dict[str, Sheet]:
    config = config or configuration.load(project)
    with open_warehouse(config) as con:
        return _sheets(explain_request(con, config, request))


def test_a_request_on_an_own_replica_shows_its_person_and_the_charges_of_its_machine(tiny_project: Path) -> None:
    found = _request(tiny_project, "req-00")
    facts = dict(zip(found["request"].columns, found["request"].rows[0], strict=True))
    assert (facts["user_id"], facts["team_id"], facts["replica_id"]) == ("alice", "search", "replica-1")
    assert [row[1:4] for row in found["costs"].rows] == [("gpu-serving", "phase_time", True)]
    assert [row[0] for row in found["charges_gpu-serving"].rows] == [NODE_AT_TEN]


def test_a_request_to_a_vendor_shows_the_charges_of_its_pool_and_day(tiny_project: Path) -> None:
    found = _request(tiny_project, "req-04")
    assert [row[0] for row in found["charges_llm"].rows] == ["bills/october.csv:27"]


@pytest.mark.slow
def test_a_request_shows_its_cost_under_every_method_that_is_kept(tmp_path: Path) -> None:
    compare = '[attribution]\ncompare = ["gpu_seconds", "tokens", "requests"]\n'
    toml = TOML.replace("[attribution]\n", compare)
    project = tiny(tmp_path / "company", toml=toml)
    farthing("collect", "--project", project)
    assert farthing("build", "--project", project).code == 0
    costs = _request(project, "req-00")["costs"].rows
    assert {row[2] for row in costs} == {"phase_time", "gpu_seconds", "tokens", "requests"}
    assert [row[2] for row in costs if row[3]] == ["phase_time"]


def test_an_unknown_request_says_how_many_days_the_warehouse_carries(tiny_project: Path) -> None:
    said = farthing("explain", "request", "nobody", "--project", tiny_project)
    assert said.code == 2
    assert "request_days" in said.err


#: When the bill of the half-billed company ends.
BILL_ENDS = datetime(2026, 10, 5, 11)  # noqa: DTZ001  as the warehouse has it
#: Twelve requests of alice and four of bob, each of 20 seconds on a machine of 2.50 an hour that nobody watched.
ESTIMATED = {"alice": 12 * 20 * NODE_HOUR / 3600, "bob": 4 * 20 * NODE_HOUR / 3600}
_CENT = Decimal("1e-9")


@pytest.mark.slow
@pytest.mark.parametrize("user", ["alice", "bob"])
def test_a_users_cost_says_what_no_bill_confirms_and_what_was_divided_without_telemetry(
    half_billed_project: Path, user: str
) -> None:
    found = _user(half_billed_project, user)
    sql = f"select sum(cost) as cost from cost_ledger where user_id = '{user}' and provisional"
    provisional = Decimal(farthing("query", sql, "--json", "--project", half_billed_project).value[0]["cost"])
    assert provisional > 0
    for name in ("totals", "lines", "pools"):
        assert _sum(found[name]) > provisional, name
        assert _sum(found[name], "provisional_cost") == provisional, name
        assert abs(_sum(found[name], "estimated_cost") - ESTIMATED[user]) < _CENT, name
    [pool] = found["pools"].objects()
    assert pool["bill_until"] == BILL_ENDS.isoformat() + "Z"
    assert Decimal(str(pool["pool_cost"])) == 24 * NODE_HOUR  # billed or not
    assert found["pools"].note.startswith("provisional: no bill confirms it yet; the bill of AWS for gpu-serving ends")
    [open_part] = [row for row in found["charges"].rows if row[1] == "no bill yet"]
    assert open_part[6] == provisional
    assert _sum(found["charges"], "part") == _sum(found["totals"])


def test_a_request_says_which_of_its_costs_no_bill_confirms_and_which_are_estimated(half_billed_project: Path) -> None:
    firm = {}
    for request in ("req-00", "req-30"):
        costs = _request(half_billed_project, request)["costs"]
        [row] = [dict(zip(costs.columns, row, strict=True)) for row in costs.rows]
        firm[request] = (row["provisional"], row["estimated"], row["bill_until"])
    assert firm == {"req-00": (False, True, None), "req-30": (True, False, BILL_ENDS)}
    said = farthing("explain", "request", "req-30", "--project", half_billed_project)
    assert "the bill of AWS for gpu-serving ends 2026-10-05 11:00 UTC" in said.out
    assert "estimated: shared" not in said.out
    assert "estimated: shared" in farthing("explain", "request", "req-00", "--project", half_billed_project).out


def test_a_charge_ends_at_billed_lines_only_and_says_which_of_them_are_estimated(half_billed_project: Path) -> None:
    sql = "select sum(cost) as cost from cost_ledger where kind = 'direct' and not provisional"
    direct = Decimal(farthing("query", sql, "--json", "--project", half_billed_project).value[0]["cost"])
    assert direct > sum(ESTIMATED.values(), Decimal(0))
    # the day's use of the machine carries each of its eleven billed hours alike
    for charge_id in ("bills/october.csv:2", "bills/october.csv:12"):
        found = _charge(half_billed_project, charge_id)
        for name in ("kinds", "users"):
            assert abs(_sum(found[name], "estimated_cost") - sum(ESTIMATED.values(), Decimal(0)) / 11) < _CENT, name
            parts = [Decimal(str(row[-1])) for row in found[name].rows if row[0] == "direct"]
            assert abs(sum(parts, Decimal(0)) - direct / 11) < _CENT, name
        assert "estimated: shared" in found["users"].note
    said = farthing("explain", "charge", "bills/october.csv:2", "--json", "--project", half_billed_project)
    assert said.value["charge"]["provisional"] == "nothing: a bill has it"


def test_where_all_is_billed_and_watched_nothing_is_called_provisional_or_estimated(tiny_project: Path) -> None:
    found = _user(tiny_project, "alice")
    assert _sum(found["totals"], "provisional_cost") == _sum(found["totals"], "estimated_cost") == 0
    assert found["pools"].note == ""
    for kind in ("user alice", "request req-00", f"charge {NODE_AT_TEN}"):
        said = farthing("explain", *kind.split(), "--project", tiny_project).out
        assert "no bill confirms" not in said
        assert "estimated: " not in said


def test_only_a_bill_that_ends_before_provisional_costs_is_said_to_end(
    tiny_project: Path, half_billed_project: Path
) -> None:
    ends = []
    for project in (tiny_project, half_billed_project):
        with open_warehouse(configuration.load(project)) as con:
            ends.append(bill_ends(con, "gpu-serving"))
    assert ends == [{}, {"AWS": BILL_ENDS}]
