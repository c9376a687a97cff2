"""LiteLLM's spend log in a real PostgreSQL: read day by day, with late and changed rows, and never written to."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from collectors import litellm_table
from farthing import clock
from farthing.errors import ConfigError, SourceError
from farthing.lake.schemas import LOADS, REQUESTS
from tests.collectors.conftest import World, collector
from tests.collectors.test_litellm import RECORDED
from tests.servers import Postgres, postgres

__all__ = ["postgres"]

pytestmark = pytest.mark.heavy

_TABLE = """
create table "LiteLLM_SpendLogs" (
    request_id text primary key, call_type text not null, api_key text not null default '', spend float8 default 0,
    total_tokens int default 0, prompt_tokens int default 0, completion_tokens int default 0,
    "startTime" timestamp(3) not null, "endTime" timestamp(3) not null, "completionStartTime" timestamp(3),
    model text default '', model_id text default '', model_group text default '', custom_llm_provider text default '',
    "user" text default '', metadata jsonb default '{}', cache_hit text default '', request_tags jsonb default '[]',
    team_id text, organization_id text, end_user text, messages jsonb default '{}', response jsonb default '{}',
    session_id text, status text, agent_id text, litellm_call_id text,
    created_at timestamp(3) not null default now(), updated_at timestamp(3) not null default now())
"""
SETTINGS = {"export": "LiteLLM_SpendLogs", "key_env": "SPEND_LOG"}
_USAGE = {
    "prompt_tokens_details": {"cached_tokens": 1920, "cache_creation_token_details": {"ephemeral_1h_input_tokens": 5}},
    "cache_creation_input_tokens": 30,
    "completion_tokens_details": {"reasoning_tokens": 192},
}


class Log:
    """A spend log with nothing in it."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        server.run('drop table if exists "LiteLLM_SpendLogs"', _TABLE)

    def write(self, request_id: str, updated: str, **changes: Any) -> None:
        """Write a row, or write it again."""
        row = {
            "request_id": request_id,
            "litellm_call_id": f"call-{request_id}",
            "call_type": "acompletion",
            "status": "success",
            "spend": 0.0033475,
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "startTime": "2026-10-01 10:00:00.125",
            "completionStartTime": "2026-10-01 10:00:01",
            "endTime": "2026-10-01 10:00:02",
            "model": "openai/gpt-5",
            "model_group": "gpt-5",
            "custom_llm_provider": "openai",
            "user": "u-1",
            "session_id": "trace-1",
            "cache_hit": "None",
            "metadata": {"usage_object": _USAGE, "requester_metadata": {"tenant": "acme", "headers": "a secret"}},
            "messages": [{"role": "user", "content": "a secret prompt"}],
            "updated_at": updated,
            **changes,
        }
        texts = {name: json.dumps(value) if isinstance(value, (dict, list)) else value for name, value in row.items()}
        shown = {name: "null" if value is None else f"$q${value}$q$" for name, value in texts.items()}
        columns, values = ", ".join(f'"{name}"' for name in shown), ", ".join(shown.values())
        again = ", ".join(f'"{name}" = excluded."{name}"' for name in shown)
        self.server.run(
            f'insert into "LiteLLM_SpendLogs" ({columns}) values ({values}) '
            f"on conflict (request_id) do update set {again}"
        )


class Collected(Log):
    """A spend log, and the project that collects it."""

    def __init__(self, server: Postgres, world: World) -> None:
        super().__init__(server)
        self.world = world

    def collect(self, **source: Any) -> dict[str, str]:
        """The days that were looked at, and what became of them."""
        found = self.world.collect("litellm", None, **{**SETTINGS, **source})
        return {result.file.removeprefix("LiteLLM_SpendLogs "): result.status for result in found}

    def rows(self) -> list[dict[str, Any]]:
        return self.world.rows(REQUESTS, "request_id")


@pytest.fixture
def log(postgres: Postgres, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collected]:
    # LiteLLM's own address has settings of Prisma, which PostgreSQL does not know.
    monkeypatch.setenv("SPEND_LOG", postgres.address + "?connection_limit=10&pool_timeout=60&schema=public")
    with clock.fixed(datetime(2026, 10, 9, tzinfo=UTC)):
        yield Collected(postgres, world)


def test_a_row_of_the_spend_log_is_the_request_that_its_payload_is(log: Collected) -> None:
    hung_up = {"usage_object": {}, "error_information": {"error_code": "499"}}
    tags = ["team:search", "User-Agent: curl"]
    log.write("chatcmpl-1", "2026-10-01 10:05:00", end_user="c-1", team_id="t-1", request_tags=tags)
    log.write("chatcmpl-2", "2026-10-01 10:05:01", metadata=hung_up, completionStartTime="2026-10-01 10:00:02")
    log.write("chatcmpl-1_cache_hit17", "2026-10-01 10:05:02", litellm_call_id="hit", cache_hit="True", spend=0)
    log.write(
        "failed", "2026-10-01 10:05:03", status="failure", prompt_tokens=0, completion_tokens=0, user="default_user_id"
    )
    assert log.collect() == {"2026-10-01": "landed"}
    one, two, failed, hit = log.rows()
    begin = datetime(2026, 10, 1, 10, 0, 0, 125_000)  # noqa: DTZ001  # views give naive UTC
    assert (one["request_id"], one["provider_request_id"], one["started_at"]) == (
        "call-chatcmpl-1",
        "chatcmpl-1",
        begin,
    )
    counts = [one[f"{name}_tokens"] for name in ("input", "cached_input", "cache_write", "cache_write_1h", "reasoning")]
    assert counts == [2006, 1920, 30, 5, 192]
    assert (one["user_id"], one["team_id"], one["customer_id"], one["trace_id"]) == ("u-1", "t-1", "c-1", "trace-1")
    assert (one["model"], one["response_model"], one["tags"]) == ("gpt-5", "gpt-5", '{"team":"search"}')
    assert (one["reported_cost"], one["service_tier"]) == (Decimal("0.0033475"), "standard")
    assert one["first_token_at"] is not None
    assert (two["status"], two["usage_quality"], two["first_token_at"]) == ("cancelled", "estimated", None)
    assert (failed["usage_quality"], failed["input_tokens"], failed["user_id"]) == ("missing", None, None)
    assert (hit["provider"], hit["gateway_cache_hit"], hit["provider_request_id"]) == ("litellm-cache", True, None)


def test_a_second_collection_reads_nothing_and_a_changed_row_is_taken_from_the_day_of_its_change(
    log: Collected,
) -> None:
    log.write("a", "2026-10-01 23:59:59.999")
    log.write("b", "2026-10-02 00:00:00")
    assert log.collect() == {"2026-10-01": "landed", "2026-10-02": "landed"}
    assert log.collect() == {"2026-10-01": "unchanged", "2026-10-02": "unchanged"}
    log.write("a", "2026-10-02 08:00:00", completion_tokens=400)
    log.write("c", "2026-10-02 09:00:00")
    assert log.collect() == {"2026-10-02": "landed"}  # of the first day nothing is left to be listed
    assert {row["request_id"]: row["output_tokens"] for row in log.rows()} == {
        "call-a": 400,
        "call-b": 300,
        "call-c": 300,
    }
    assert log.collect() == {"2026-10-02": "unchanged"}


def test_late_rows_are_found_for_two_days_and_what_litellm_deletes_later_stays(log: Collected) -> None:
    for day in (1, 4, 6):
        log.write(f"of-{day}", f"2026-10-0{day} 12:00:00")
    log.collect()
    log.write("late", "2026-10-04 13:00:00")
    log.server.run("""delete from "LiteLLM_SpendLogs" where updated_at < '2026-10-03'""")
    assert log.collect() == {"2026-10-04": "landed", "2026-10-06": "unchanged"}
    assert [row["request_id"] for row in log.rows()] == ["call-late", "call-of-1", "call-of-4", "call-of-6"]


def test_since_is_the_first_day(log: Collected) -> None:
    for day in (1, 4):
        log.write(f"of-{day}", f"2026-10-0{day} 12:00:00")
    assert log.collect(since="2026-10-02") == {"2026-10-04": "landed"}


def test_pages_that_end_among_rows_of_one_moment_lose_and_double_none(
    log: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm_table, "PAGE_ROWS", 3)
    for number in range(10):
        log.write(f"{number}", f"2026-10-01 12:00:0{number // 5}")
    log.collect()
    assert [row["request_id"] for row in log.rows()] == [f"call-{number}" for number in range(10)]
    assert [(row["read"], row["duplicate"]) for row in log.world.rows(LOADS)] == [(10, 0)]


def test_prompts_stay_in_the_database_and_a_source_may_list_what_callers_say(
    log: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write("a", "2026-10-01 12:00:00")
    log.collect(tags=["tenant"])
    [row] = log.rows()
    assert (json.loads(row["tags"]), row["prompt_hash"]) == ({"tenant": "acme"}, None)
    monkeypatch.setenv("FARTHING_HASH_KEY", "pepper")
    log.collect(tags=["tenant"])
    [row] = log.rows()
    # The same as that of a payload, though PostgreSQL writes JSON its own way.
    text = b'[{"role":"user","content":"a secret prompt"}]'
    assert row["prompt_hash"] == hmac.new(b"pepper", text, hashlib.sha256).hexdigest()
    files = [path for path in (log.world.folder / "lake").rglob("*") if path.is_file()]
    assert not any(b"secret" in path.read_bytes() for path in files)


def test_the_database_cannot_be_written_to(log: Collected) -> None:
    made = log.world.config("litellm", None, **SETTINGS).sources["one"]
    spend = litellm_table.SpendLog("one", made)
    with spend.connected() as con, pytest.raises(SourceError, match="read-only transaction"):
        spend.asked(con, "delete from {table}")


def test_the_preview_shows_the_newest_rows_and_an_empty_log_says_so(log: Collected) -> None:
    made = log.world.config("litellm", None, **SETTINGS)
    with pytest.raises(SourceError, match="the spend log has no row"):
        collector("litellm").preview("one", made.sources["one"], made)
    log.write("a", "2026-10-01 12:00:00")
    shown = collector("litellm").preview("one", made.sources["one"], made)
    assert shown["request_id"].to_list() == ["call-a"]
    assert log.collect() == {"2026-10-01": "landed"}


def test_what_the_database_refuses_is_said_with_what_to_do_and_without_the_password(
    log: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    def problem(**source: Any) -> str:
        with pytest.raises((SourceError, ConfigError)) as caught:
            log.collect(**source)
        assert "secret" not in str(caught.value)
        return str(caught.value)

    assert "there is no table 'Elsewhere'" in problem(export="Elsewhere")
    log.server.run(
        'create table if not exists "Other" (request_id text, updated_at timestamp)',
        "insert into \"Other\" values ('a', now())",
    )
    assert "has no completion_tokens" in problem(export="Other")
    log.server.run("drop role if exists reader", "create role reader login password 'secret'")
    good = log.server.address
    monkeypatch.setenv("SPEND_LOG", good.replace("farthing:", "reader:"))
    assert "Fix: grant select" in problem()
    monkeypatch.setenv("SPEND_LOG", good.replace("farthing:", "nobody:"))
    assert "does not let farthing in" in problem()
    monkeypatch.setenv("SPEND_LOG", "postgresql://reader:secret@127.0.0.1:1/x?what=secret")
    assert "is no address" in problem()
    monkeypatch.delenv("SPEND_LOG")
    assert "the environment variable SPEND_LOG is not set" in problem()
    with pytest.raises(ConfigError, match="it is for asking the provider, and path reads files"):
        log.world.collect("litellm", "*.jsonl", since="2026-10-01")


def test_the_rows_that_a_real_proxy_would_write_are_the_requests_of_its_payloads(log: Collected) -> None:
    log.world.write("callback.jsonl", (RECORDED / "callback.jsonl").read_bytes())
    written = [json.loads(line) for line in (RECORDED / "spend_log.jsonl").read_text().splitlines()]
    with clock.fixed(datetime(2026, 12, 24, tzinfo=UTC)):
        log.world.one("litellm", "callback.jsonl")
        of_payloads = {row["request_id"]: row for row in log.rows() if row["status"] != "failure"}
        for row in written:
            known = {name: value for name, value in row.items() if f"{name} " in _TABLE or f'"{name}"' in _TABLE}
            log.write(known.pop("request_id"), "2026-11-30 12:00:00", **known)
        log.world.collect("litellm", None, name="two", **SETTINGS)
    of_rows = {row["request_id"]: row for row in log.rows() if row["x_source"] == "two"}
    assert len(of_payloads) == len(of_rows) == 10
    # The spend log has no dated model, no session beside the trace, and whole milliseconds.
    other = {"x_source", "x_load", "response_model", "session_id", "started_at", "first_token_at", "ended_at"}
    for name, row in of_payloads.items():
        assert {key: value for key, value in of_rows[name].items() if key not in other} == {
            key: value for key, value in row.items() if key not in other
        }
        assert abs(of_rows[name]["started_at"] - row["started_at"]) < timedelta(milliseconds=1)
        assert (of_rows[name]["first_token_at"] is None) == (row["first_token_at"] is None)
