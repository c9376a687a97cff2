"""The recipes of docs/sources for services without a collector of their own land as they stand on the page."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot

from farthing.lake.schemas import CHARGES
from tests.servers import Answered, Web, web  # noqa: F401  # fixtures

PAGES = Path(__file__).resolve().parents[2] / "docs" / "sources"
RECIPES = [
    ("snowflake.md", "Snowflake"),
    ("databricks.md", "Databricks"),
    *(("saas.md", name) for name in ("Pinecone", "Weights & Biases")),
    *(("gpu-clouds.md", name) for name in ("RunPod", "CoreWeave", "Lambda")),
    *(("inference.md", name) for name in ("Modal", "Fireworks", "Replicate", "Together")),
]


def section(page: str, heading: str) -> str:
    """The text below a heading of a page, up to the next of the same rank; a page's title stands for all of it."""
    text = (PAGES / page).read_text(encoding="utf-8")
    if text.startswith(f"# {heading}\n"):
        return text
    return re.split(r"^## ", text.split(f"\n## {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def block(text: str, language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return str(found)


def source_of(text: str) -> tuple[str, dict[str, Any]]:
    [(name, source)] = tomllib.loads(block(text, "toml"))["sources"].items()
    return name, source


def sample(text: str) -> tuple[str, list[dict[str, str]]]:
    """The file that a recipe ends in, and its rows."""
    if "```json" in text:
        content = block(text, "json")
        return content, json.loads(content, parse_float=str, parse_int=str)
    content = block(text, "csv")
    return content, list(csv.DictReader(io.StringIO(content)))


@pytest.mark.parametrize(("page", "heading"), RECIPES, ids=[heading for _, heading in RECIPES])
def test_a_recipe_ends_in_a_file_that_lands_with_its_own_total(world: Any, page: str, heading: str) -> None:
    text = section(page, heading)
    name, source = source_of(text)
    content, rows = sample(text)
    path = source.pop("path")
    world.write(path.replace("*", "2026-10"), content)
    result = world.one(source.pop("kind"), path, name=name, **source)
    assert (result.read, result.landed) == (len(rows), len(rows)) != (0, 0)
    amount = source.get("columns", {}).get("amount") or ("amount" if "amount" in rows[0] else "EffectiveCost")
    fixed = source.get("constants", {}).get("currency")
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        expected[fixed or row.get("currency") or row["BillingCurrency"]] += Decimal(row[amount])
    landed = world.query(
        CHARGES, "select BillingCurrency, sum(EffectiveCost) as cost from lake.charges group by all order by 1"
    )
    assert {row["BillingCurrency"]: row["cost"] for row in landed} == expected


@pytest.mark.parametrize("heading", ["Snowflake", "Databricks"])
def test_a_query_gives_the_columns_of_the_file(heading: str) -> None:
    text = section(f"{heading.lower()}.md", heading)
    query = sqlglot.parse_one(block(text, heading.lower()), dialect=heading.lower(), into=sqlglot.exp.Select)
    assert query.named_selects == sample(text)[0].splitlines()[0].split(",")


def test_the_query_for_databricks_nets_corrections_at_the_price_of_their_time() -> None:
    text = block(section("databricks.md", "Databricks"), "databricks")
    # "system" is a name that DuckDB keeps for itself
    query = sqlglot.transpile(text.replace("system.", "account."), read="databricks", write="duckdb")[0]
    with duckdb.connect() as con:
        con.execute("attach ':memory:' as account")
        con.execute("create schema account.billing")
        con.execute(
            "create table account.billing.usage as select * from (values"
            " (date '2026-10-01', 'JOBS', 'A', 'AWS', 10::decimal(38, 18), 'DBU', timestamp '2026-10-01 05:00'),"
            " (date '2026-10-01', 'JOBS', 'A', 'AWS', -10::decimal(38, 18), 'DBU', timestamp '2026-10-01 05:00'),"
            " (date '2026-10-01', 'JOBS', 'A', 'AWS', 8::decimal(38, 18), 'DBU', timestamp '2026-10-01 05:00'),"
            " (date '2026-10-02', 'JOBS', 'A', 'AWS', 2::decimal(38, 18), 'DBU', timestamp '2026-10-02 05:00'))"
            " t(usage_date, billing_origin_product, sku_name, cloud, usage_quantity, usage_unit, usage_start_time),"
            " (select map(['team'], ['search']) as custom_tags, '1' as workspace_id)"
        )
        con.execute(
            "create table account.billing.list_prices as select 'A' as sku_name, 'AWS' as cloud, 'DBU' as usage_unit,"
            " 'USD' as currency_code, {'effective_list': {'default': price}} as pricing, price_start_time,"
            " price_end_time from (values ('0.30', timestamp '2026-01-01', timestamp '2026-10-02'),"
            " ('0.35', timestamp '2026-10-02', null)) t(price, price_start_time, price_end_time)"
        )
        rows = con.execute(f"select date, amount, team from ({query}) order by 1").fetchall()
    assert [(str(date), amount) for date, amount, _ in rows] == [
        ("2026-10-01", Decimal("2.4")), ("2026-10-02", Decimal("0.7")),
    ]  # fmt: skip


def test_the_query_for_coreweave_makes_a_bill_of_usage_and_contract_prices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = section("gpu-clouds.md", "CoreWeave")
    (tmp_path / "coreweave").mkdir()
    header, *lines = sample(text)[0].splitlines()
    columns = header.split(",")[:9]
    usage = [",".join([*columns, "BilledCost", "EffectiveCost", "ListCost", "ContractedCost"])]
    usage += [",".join([*line.split(",")[:9], *[""] * 4]) for line in lines]
    (tmp_path / "coreweave" / "usage-2026-10.csv").write_text("\n".join(usage) + "\n")
    (tmp_path / "coreweave" / "prices.csv").write_text("SkuId,usd\ngd-8xh100ib,6.155\n")
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as con:
        answer = con.sql(block(text, "duckdb"))
        assert answer.columns == header.split(",")
        assert [row[-1] for row in answer.fetchall()] == [Decimal("49.24")] * 2


def test_a_focus_file_at_an_address_lands_once_and_again_when_it_changed(world: Any, web: Web) -> None:  # noqa: F811
    content = sample(section("saas.md", "Pinecone"))[0]
    web.answer = lambda _: Answered(content.encode(), headers={"ETag": '"1"'})
    address = f"{web.endpoint}/acme/2026-10.csv?signature=secret"
    first = world.one("focus", address)
    assert (first.file, first.status, first.landed) == (f"{web.endpoint}/acme/2026-10.csv", "landed", 2)
    assert world.one("focus", address.replace("secret", "another")).status == "unchanged"
    web.answer = lambda _: Answered(content.replace("1.284", "1.5").encode(), headers={"ETag": '"2"'})
    assert world.one("focus", address).status == "landed"
    assert sum(row["EffectiveCost"] for row in world.rows(CHARGES)) == Decimal("1.83")
    assert not any("secret" in str(row) for row in world.rows(CHARGES))
