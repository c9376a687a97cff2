"""The doctor finds what is planted, says what to do, and finds nothing where nothing is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from farthing import clock
from tests.farthing.commands import farthing
from tests.worlds import TOML, tiny

CATCH_ALL = '[[pools]]\nname = "rest"\nkind = "shared"\n'


def _findings(project: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    said = farthing("doctor", "--json", "--project", project)
    checks = said.value["checks"]
    return said.code, {f"{row['area']}: {row['subject']}": row for row in checks if row["status"] == "finding"}


@pytest.mark.slow
def test_a_company_in_order_has_no_findings(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company", toml=TOML + CATCH_ALL)
    farthing("collect", "--project", project)
    assert farthing("build", "--project", project).code == 0
    code, findings = _findings(project)
    assert findings == {}
    assert code == 0


@pytest.mark.slow
def test_unassigned_cost_is_a_finding_with_its_largest_charges(tiny_project: Path) -> None:
    code, findings = _findings(tiny_project)
    assert code == 1
    assert list(findings) == ["cost: unassigned (USD)"]
    assert findings["cost: unassigned (USD)"]["fix"]
    said = farthing("doctor", "--json", "--project", tiny_project)
    assert [row["resource"] for row in said.value["unassigned"]] == ["i-forgotten"]


@pytest.mark.slow
def test_what_no_join_matched_is_listed_with_its_money_the_dearest_first(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company", toml=TOML + CATCH_ALL)
    people = (project / "identities.csv").read_text(encoding="utf-8").splitlines()
    kept = [line for line in people if "bob" not in line]
    (project / "identities.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    farthing("collect", "--project", project)
    assert farthing("build", "--project", project).code == 0
    [listed] = farthing("doctor", "--json", "--project", project).value["unmatched"]
    query = "select count(*) as requests from requests where user_id = 'key-bob'"
    [asked] = farthing("query", query, "--json", "--project", project).value
    query = "select sum(cost) as cost from cost_ledger where user_id = 'key-bob' and kind = 'direct'"
    [paid] = farthing("query", query, "--json", "--project", project).value
    assert (listed["subject"], listed["key"]) == ("user not in identities", "key-bob")
    assert (listed["requests"], listed["cost"]) == (asked["requests"], paid["cost"])


@pytest.mark.slow
def test_before_the_first_build_the_sources_are_looked_at_all_the_same(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company")
    (project / "gpu.csv").unlink()
    (project / "inventory.csv").write_bytes(b"")
    code, findings = _findings(project)
    assert code == 1
    assert set(findings) == {"source gpu: files", "source inventory: files"}
    assert "gpu.csv" in findings["source gpu: files"]["detail"]


@pytest.mark.slow
def test_before_the_first_build_a_company_in_order_is_told_what_comes_next_and_nothing_is_wrong(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company", toml=TOML + CATCH_ALL)
    said = farthing("doctor", "--project", project)
    assert said.code == 0
    assert said.out.endswith("No findings.\nNext: farthing collect, then farthing build.\n")
    farthing("collect", "--project", project)
    said = farthing("doctor", "--project", project)
    assert said.code == 0
    assert said.out.endswith("No findings.\nNext: farthing build.\n")
    assert farthing("build", "--project", project).code == 0
    assert "Next:" not in farthing("doctor", "--project", project).out


@pytest.mark.parametrize(("kind", "found"), [("costs", False), ("openai", False), ("metrics", True)])
def test_costs_that_no_vendor_bills_are_a_bill_too(tmp_path: Path, kind: str, found: bool) -> None:
    toml = f'[project]\nname = "x"\n[sources.own]\nkind = "{kind}"\npath = "*.csv"\n{CATCH_ALL}'
    (tmp_path / "farthing.toml").write_text(toml, encoding="utf-8")
    assert ("config: bill" in _findings(tmp_path)[1]) is found


@pytest.mark.slow
def test_where_nobody_named_identities_no_user_is_missing_among_them_and_it_is_said_once(tmp_path: Path) -> None:
    people = '[sources.people]\nkind = "identities"\npath = "identities.csv"\n'
    project = tiny(tmp_path / "company", toml=TOML.replace(people, "") + CATCH_ALL)
    farthing("collect", "--project", project)
    assert farthing("build", "--project", project).code == 0
    said = farthing("doctor", "--json", "--project", project)
    assert said.code == 0
    assert said.value["unmatched"] == []
    about = [row for row in said.value["checks"] if "identities" in f"{row['subject']} {row['detail']}"]
    assert [(row["subject"], row["status"]) for row in about] == [("identities", "note")]
    report = farthing("report", "monthly", "--format", "md", "--output", "-", "--project", project)
    assert report.code == 0
    assert "in identities" not in report.out


@pytest.mark.slow
def test_the_first_requests_are_shown_as_they_land_and_what_an_export_lacks_is_a_finding(tmp_path: Path) -> None:
    log = '[sources.langfuse]\nkind = "langfuse"\npath = "o.jsonl"\n'
    project = tiny(tmp_path / "company", toml=TOML + log + CATCH_ALL)
    row = {"id": "a", "type": "GENERATION", "start_time": "2026-10-01 10:00:00", "model": "m", "input": "Dear doctor"}
    (project / "o.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    said = farthing("doctor", "--json", "--project", project).value
    shown = {row["column"]: row["first"] for row in said["first_rows"] if row["source"] == "langfuse"}
    assert (shown["request_id"], shown["model"], shown["usage_quality"]) == ("a", "m", "missing")
    assert "Dear" not in str(said)
    _, findings = _findings(project)
    assert [name for name in findings if name == "source langfuse: columns"]


@pytest.mark.slow
def test_a_column_map_that_does_not_fit_is_a_finding_of_its_source(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company", toml=TOML.replace('token_convention = "inclusive"\n', ""))
    _, findings = _findings(project)
    assert "token_convention" in str(findings["source requests: files"])


@pytest.mark.slow
def test_requests_without_a_replica_or_an_end_are_findings(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company", toml=TOML + CATCH_ALL)
    log = (project / "requests.csv").read_text(encoding="utf-8").splitlines()
    cut = [line.replace("replica-1", "replica-9") for line in log[:20]] + log[20:]
    (project / "requests.csv").write_text("\n".join(cut) + "\n", encoding="utf-8")
    farthing("collect", "--project", project)
    assert farthing("build", "--project", project).code == 0
    _, findings = _findings(project)
    assert "joins: requests with a replica in the inventory" in findings
    assert "joins: requests that no pool pays for" in findings


@pytest.mark.slow
def test_a_pool_that_takes_everything_before_others_is_a_finding(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company", toml=TOML.replace("[[pools]]", CATCH_ALL + "[[pools]]", 1))
    assert "config: pool rest" in _findings(project)[1]


@pytest.mark.slow
def test_a_clock_that_is_years_behind_is_a_finding(tmp_path: Path) -> None:
    project = tiny(tmp_path / "company")
    with clock.fixed(datetime(2020, 1, 1, tzinfo=UTC)):
        assert "machine: clock" in _findings(project)[1]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [[], ["--json"], ["--csv"]])
def test_the_exit_code_is_the_same_in_every_form(arguments: list[str], tiny_project: Path) -> None:
    assert farthing("doctor", *arguments, "--project", tiny_project).code == 1
