"""Real request logs by column maps alone: what they do not say is visible, and not invented."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.real.projects import bill, quality, read, run, warehouse

NOW = datetime(2026, 10, 20, tzinfo=UTC)
TOML = """
[sources.bill]
kind = "focus"
path = "bill.csv"
[[pools]]
name = "models"
kind = "api"
"""
AZURE = """
[sources.code]
kind = "requests"
path = "{data}/requests/azure_llm_2023_code.csv.gz"
columns = {{ started_at = "TIMESTAMP", input_tokens = "ContextTokens", output_tokens = "GeneratedTokens" }}
constants = {{ provider = "azure", model = "code" }}
token_convention = "inclusive"
timezone = "UTC"
"""
MOONCAKE = """
[sources.chat]
kind = "requests"
path = "{data}/requests/mooncake_conversation.jsonl.gz"
constants = {{ provider = "vllm", model = "kimi" }}
token_convention = "inclusive"
epoch = "2026-10-01T00:00:00Z"
[sources.chat.columns]
started_at = {{ from = "timestamp", unit = "ms" }}
input_tokens = "input_length"
output_tokens = "output_length"
"""
ALIBABA = """
[sources.images]
kind = "requests"
path = "{data}/requests/alibaba_gentd26_lora_requests.csv.gz"
constants = {{ provider = "own", work_unit = "images" }}
timezone = "UTC"
[sources.images.columns]
started_at = "gmt_create"
ended_at = {{ from = "gmt_create", plus = "exec_time_seconds", plus_unit = "s" }}
user_id = "groupId"
model = "checkpoint_model_version_id"
status = "predict_status"
work_units = "num_images_per_prompt"
"""


@pytest.mark.slow
@pytest.mark.parametrize(("source", "day", "requests"), [(AZURE, "2023-11-16", 8819), (MOONCAKE, "2026-10-01", 12031)])
def test_a_log_without_users_and_ends_goes_to_nobody_and_says_so(
    shared: Path, tmp_path: Path, source: str, day: str, requests: int
) -> None:
    bill(tmp_path / "bill.csv", day, [("123.45", "r", "vendor")])
    [*_, log] = run(tmp_path, TOML + source.format(data=shared), now=NOW)
    assert (log["read"], log["landed"], log["rejected"]) == (requests, requests, 0)
    name = "azure_llm_2023_code.csv.gz" if source is AZURE else "mooncake_conversation.jsonl.gz"
    with gzip.open(shared / "requests" / name, "rt") as lines:
        written = (
            [int(row["GeneratedTokens"]) for row in read(shared / "requests" / name)]
            if source is AZURE
            else [json.loads(line)["output_length"] for line in lines]
        )
    with warehouse(tmp_path) as con:
        rows = con.execute("select user_id, requests, output_tokens, direct_cost, cost from user_day").fetchall()
        [(user, count, tokens, direct, cost)] = rows
        assert (user, count, tokens, cost) == (None, requests, sum(written), Decimal("123.45"))
        assert 0 <= cost - direct < requests * Decimal("1e-12")  # less than a pico-unit of each request is left over
        assert quality(con, "requests", "with a user") == (0, requests)
        assert quality(con, "requests", "with an end") == (0, requests)
        assert quality(con, "requests", "with token usage") == (requests, requests)
        assert con.execute("select count(*) from requests where ended_at is not null").fetchall() == [(0,)]
        assert con.execute("select max(abs(difference)) from reconciliation").fetchall() == [(0,)]


@pytest.mark.heavy
def test_image_requests_without_tokens_are_counted_by_user_and_cost_nobody_by_tokens(
    shared: Path, tmp_path: Path
) -> None:
    theirs = read(shared / "requests" / "alibaba_gentd26_lora_requests.csv.gz")
    good = [row for row in theirs if row["checkpoint_model_version_id"]]
    days = sorted({row["gmt_create"][:10] for row in good})
    bill(tmp_path / "bill.csv", days[0], [("50", "r", "vendor")])
    toml = TOML + '[[pools]]\nname = "gateway"\nkind = "shared"\ndriver = "requests"\nmatch = { ResourceId = "gate" }\n'
    toml = toml.replace('kind = "api"', 'kind = "api"\nmatch = { ResourceId = "r" }') + ALIBABA.format(data=shared)
    rows = (tmp_path / "bill.csv").read_text()
    line = rows.splitlines()[1]
    (tmp_path / "bill.csv").write_text(rows + line.replace("50,50", "7,7").replace(",r,", ",gate,") + "\n")
    [*_, log] = run(tmp_path, toml, now=NOW)
    assert (log["read"], log["landed"], log["rejected"]) == (len(theirs), len(good), len(theirs) - len(good))
    with warehouse(tmp_path) as con:
        users = dict(con.execute("select user_id, sum(requests) from user_day group by 1").fetchall())
        users.pop(None, None)
        assert users == Counter(row["groupId"] for row in good)
        # no tokens: an API bill by tokens finds nobody; a driver that counts requests finds them all
        kinds = con.execute("select pool, kind, sum(cost) from cost_ledger group by all order by all").fetchall()
        assert kinds == [("gateway", "shared", 7), ("models", "unexplained", 50)]
        # images are usage too
        assert quality(con, "requests", "with token usage") == (len(good), len(good))
        ended = sum(row["exec_time_seconds"] != "" for row in good)
        assert quality(con, "requests", "with an end") == (ended, len(good))
